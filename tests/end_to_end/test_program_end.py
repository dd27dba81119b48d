"""The end of the program, in real programs: nothing burns, what was held goes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import ermpoll
from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.shares import mostly_long
from tests.helpers.tables import add

NEW = {"state": "actionable", "attempts": 0}
HEAD = """
import signal, sys, threading, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
import ermpoll

jobs = ermpoll.Queue(ermpoll.connect({url!r}), "Ops:Job", owner="owner",
                     error="error", attempts="attempts")
working = threading.Event()

def long(row):
    working.set()
    print("working", flush=True)
    threading.Event().wait({work_s})

def quick(row):
    working.set()
    print("working", flush=True)
    threading.Event().wait(0.05)
"""


@contextmanager
def program(
    folder: Path, catalog: ermpoll.Catalog, body: str, work_s: float = 45
) -> Iterator[subprocess.Popen[str]]:
    """A Python program of its own, which does not outlive the test."""
    text = HEAD.format(url=catalog.url, work_s=work_s) + textwrap.dedent(body)
    (folder / "program.py").write_text(text)
    with subprocess.Popen(
        [sys.executable, "program.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], seconds: float = 20) -> str:
    """Wait for the end; returns what the program complained of."""
    return process.communicate(timeout=seconds)[1]


def rows(catalog: ermpoll.Catalog) -> list[dict[str, Any]]:
    page = catalog.get("entity/Ops:Job@sort(RID)")
    assert page is not None
    return page.rows


def burnt(catalog: ermpoll.Catalog) -> list[dict[str, Any]]:
    """Rows that the end has cost something."""
    return [
        row
        for row in rows(catalog)
        if (row["state"], row["attempts"], row["error"])
        not in [("actionable", 0, None), ("complete", 1, None)]
    ]


ENDS = {
    "the main thread ends": "",
    "an exit": "sys.exit(3)",
    "an exception": "raise ValueError('a bug of the user')",
}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("work", mostly_long(["long", "quick"]))
def test_a_program_that_ends_without_a_stop_burns_no_row(tmp_path, catalog, how, work):
    add(catalog, *[NEW] * 60)
    body = f"""
    agent = ermpoll.Agent(jobs, {work}, workers=2, prefetch=20).start()
    working.wait()
    {ENDS[how]}
    """
    with program(tmp_path, catalog, body) as process:
        begun = time.monotonic()
        complaint = ended(process)

    assert time.monotonic() - begun < 12
    assert burnt(catalog) == []
    assert "cannot schedule new futures" not in complaint


@pytest.mark.parametrize("pool", ["ThreadPoolExecutor(2)", "ProcessPoolExecutor(2)"])
def test_a_pool_of_the_user_that_ends_with_the_program_burns_no_row(
    tmp_path, catalog, pool
):
    add(catalog, *[NEW] * 60)
    body = f"""
    if __name__ == "__main__":
        pool = {pool}
        agent = ermpoll.Agent(jobs, quick, workers=2, executor=pool).start()
        while agent.status.completed < 2:
            time.sleep(0.01)
    """
    with program(tmp_path, catalog, body) as process:
        ended(process)

    assert burnt(catalog) == []


FORKS = {
    "ends": "sys.exit(0)",
    "comes back": "return None",
    "raises": "raise ValueError",
}


@pytest.mark.parametrize("how", FORKS)
def test_a_fork_in_work_ends_soon_and_works_no_row(tmp_path, catalog, how):
    add(catalog, NEW)
    body = f"""
    import os

    def forks(row):
        child = os.fork()
        if not child:
            {FORKS[how]}
        until = time.monotonic() + 5
        while time.monotonic() < until:
            if os.waitpid(child, os.WNOHANG)[0]:
                return {{"result": "ended"}}
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        return {{"result": "hung"}}

    ermpoll.Agent(jobs, forks).run(until_idle=True)
    """
    with program(tmp_path, catalog, body) as process:
        ended(process)

    [row] = rows(catalog)
    assert (row["state"], row["result"]) == ("complete", "ended")


def test_a_fork_beside_an_agent_has_no_agents_and_ends_soon(tmp_path, catalog):
    add(catalog, *[NEW] * 3)
    body = """
    import os

    agent = ermpoll.Agent(jobs, long, workers=1).start()
    working.wait()
    begun = time.monotonic()
    child = os.fork()
    if not child:
        sys.exit(len(ermpoll.agents()))
    status = os.waitpid(child, 0)[1]
    print(status, time.monotonic() - begun < 2, flush=True)
    """
    with program(tmp_path, catalog, body) as process:
        said = process.communicate(timeout=20)[0]

    assert "0 True" in said
    assert burnt(catalog) == []


AGENT = """
import ermpoll, threading, time, sys
from concurrent.futures import ThreadPoolExecutor
from tests.end_to_end.test_program_end import children, never

jobs = ermpoll.Queue(ermpoll.connect({url!r}), "Ops:Job", owner="owner",
                     error="error", attempts="attempts")
print('begins', flush=True)
agent = ermpoll.Agent(jobs, {work}, executor={executor})
"""


IGNORED = (signal.SIGHUP, signal.SIGINT)


def never(row: object) -> None:
    """Work that is stuck for ever."""
    sys.stdout.write("working\n")
    sys.stdout.flush()
    threading.Event().wait()


@contextmanager
def command(
    folder: Path,
    catalog: ermpoll.Catalog,
    work: str = "never",
    executor: str = "None",
    *,
    ignored: Sequence[signal.Signals] = IGNORED,
    time_out_s: float = 1,
) -> Iterator[subprocess.Popen[str]]:
    """`ermpoll run` once its work has begun; it was started with signals ignored."""
    text = AGENT.format(url=catalog.url, executor=executor, work=work)
    (folder / "stuck.py").write_text(text)
    handlers = [signal.signal(number, signal.SIG_IGN) for number in ignored]
    time_out = ("--stop-timeout", str(time_out_s))
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "ermpoll", "run", "stuck:agent", *time_out],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
    finally:
        for number, handler in zip(ignored, handlers, strict=True):
            signal.signal(number, handler)
    with process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            wait_until(lambda: rows(catalog)[0]["state"] != "actionable", 15)
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("executor", ["None", "ThreadPoolExecutor(1)"])
def test_a_command_whose_work_is_stuck_exits_within_its_time_out(
    tmp_path, catalog, executor
):
    add(catalog, NEW)
    with command(tmp_path, catalog, executor=executor) as process:
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)

    assert (process.returncode, time.monotonic() - begun < 4) == (0, True)
    assert [row["state"] for row in rows(catalog)] == ["actionable"]
    assert burnt(catalog) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_command_and_gives_back_what_it_has(
    tmp_path, catalog, number
):
    add(catalog, *[NEW] * 5)
    with command(tmp_path, catalog, ignored=()) as process:
        begun = time.monotonic()
        process.send_signal(number)
        process.wait(timeout=15)

    assert time.monotonic() - begun < 4
    assert [row["state"] for row in rows(catalog)] == ["actionable"] * 5
    assert burnt(catalog) == []


def test_a_second_ctrl_c_does_not_wait_for_the_time_out(tmp_path, catalog):
    add(catalog, *[NEW] * 5)
    with command(tmp_path, catalog, ignored=(), time_out_s=60) as process:
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        let_pass(1)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.wait(timeout=15)

    assert time.monotonic() - begun < 8
    assert [row["state"] for row in rows(catalog)] == ["actionable"] * 5
    assert burnt(catalog) == []


def test_what_a_killed_program_had_is_rescued_when_its_lease_is_over(tmp_path, catalog):
    add(catalog, *[NEW] * 5)
    body = """
    jobs = ermpoll.Queue(jobs.catalog, "Ops:Job", owner="owner", error="error",
                         attempts="attempts", lease_s=2)
    ermpoll.Agent(jobs, long, workers=1, prefetch=2).run()
    """
    with program(tmp_path, catalog, body) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        process.wait()
    held = [row["state"] for row in rows(catalog)].count("claimed")
    jobs = ermpoll.Queue(
        catalog, "Ops:Job", owner="owner", error="error", attempts="attempts"
    )
    summary = ermpoll.Agent(jobs, lambda row: None).run(
        until_idle=True, wait_for="all", wait_s=30
    )

    # both begun and not begun
    assert held == 3
    assert summary.done == 5
    assert [row["state"] for row in rows(catalog)] == ["complete"] * 5


@pytest.mark.parametrize(
    ("how", "states"),
    [
        ("timeout_s=0.5", ["claimed", "actionable", "actionable"]),
        ("timeout_s=0.5, abandon=True", ["actionable"] * 3),
    ],
)
def test_a_stop_that_times_out_says_what_it_holds_or_gives_it_back(
    tmp_path, catalog, how, states
):
    add(catalog, *[NEW] * 3)
    body = f"""
    agent = ermpoll.Agent(jobs, long, workers=1, prefetch=2).start()
    working.wait()
    begun = time.monotonic()
    stopped = agent.stop({how})
    print(stopped, time.monotonic() - begun < 6, agent.status.held, flush=True)
    rows = jobs.catalog.get("entity/Ops:Job@sort(RID)").rows
    print(*[row["state"] for row in rows], flush=True)
    """
    with program(tmp_path, catalog, body) as process:
        said = process.communicate(timeout=20)[0].splitlines()

    holds = states.count("claimed")
    assert said[-2:] == [f"{not holds} True {holds}", " ".join(states)]
    # the end of the program gives back what the stop did not
    assert burnt(catalog) == []


@pytest.mark.parametrize("number", IGNORED, ids=str)
def test_a_signal_that_the_command_was_started_to_ignore_ends_nothing(
    tmp_path, catalog, number
):
    add(catalog, NEW)
    with command(tmp_path, catalog) as process:
        process.send_signal(number)
        let_pass(1.5)
        assert process.poll() is None
        assert [row["state"] for row in rows(catalog)] == ["claimed"]
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)


def begin_and_stay(begun: Any) -> None:
    begun.set()
    signal.pause()


def children(row: object) -> None:
    """Work with child processes, one of which it ends."""
    import multiprocessing

    context = multiprocessing.get_context("fork")
    begun = context.Event()
    child = context.Process(target=begin_and_stay, args=(begun,))
    child.start()
    assert begun.wait(5)
    child.terminate()
    child.join(5)
    with context.Pool(1) as pool:
        assert pool.map(abs, [-1]) == [1]
    assert child.exitcode == -signal.SIGTERM


def test_work_under_the_command_ends_its_own_children_as_ever(tmp_path, catalog):
    add(catalog, NEW)
    with command(tmp_path, catalog, work="children") as process:
        wait_until(lambda: rows(catalog)[0]["state"] in ("complete", "failed"), 15)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)

    assert [row["state"] for row in rows(catalog)] == ["complete"]


def test_claiming_stops_with_the_main_thread_though_other_threads_go_on(
    tmp_path, catalog
):
    add(catalog, *[NEW] * 300)
    body = """
    agent = ermpoll.Agent(jobs, quick, workers=1, prefetch=5).start()
    working.wait()
    threading.Thread(target=sys.stdin.read).start()
    """
    with program(tmp_path, catalog, body) as process:
        assert process.stdout is not None
        process.stdout.readline()
        wait_until(
            lambda: not [r for r in rows(catalog) if r["state"] == "claimed"], 10
        )
        done = [row["state"] for row in rows(catalog)].count("complete")
        let_pass(1)
        assert process.poll() is None
        assert [row["state"] for row in rows(catalog)].count("complete") == done
        process.kill()

    assert done < 300
    assert burnt(catalog) == []


def test_a_run_on_another_thread_ends_with_the_main_thread(tmp_path, catalog):
    add(catalog, *[NEW] * 300)
    body = """
    threading.Thread(target=ermpoll.Agent(jobs, quick, prefetch=5).run).start()
    working.wait()
    """
    with program(tmp_path, catalog, body) as process:
        ended(process)

    assert "actionable" in {row["state"] for row in rows(catalog)}
    assert burnt(catalog) == []


def test_a_run_in_the_foreground_that_an_exit_ends_gives_its_rows_back(
    tmp_path, catalog
):
    add(catalog, *[NEW] * 20)
    body = """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ermpoll.Agent(jobs, long, workers=2, prefetch=3).run()
    """
    with program(tmp_path, catalog, body) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        ended(process)

    assert [row["state"] for row in rows(catalog)] == ["actionable"] * 20
    assert burnt(catalog) == []


def test_a_kernel_that_is_restarted_gives_its_rows_back(catalog):
    from jupyter_client.manager import KernelManager

    add(catalog, *[NEW] * 40)
    cell = HEAD.format(url=catalog.url, work_s=45) + (
        "agent = ermpoll.Agent(jobs, long, workers=2, prefetch=10).start()\n"
        "working.wait()\n"
    )
    manager = KernelManager()
    manager.start_kernel(env={**os.environ, "PYTHONPATH": os.getcwd()})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=30)
        client.execute_interactive(cell, timeout=30, output_hook=lambda _: None)
        manager.restart_kernel()
        assert burnt(catalog) == []
        assert {row["state"] for row in rows(catalog)} == {"actionable"}
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
