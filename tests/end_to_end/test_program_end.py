"""The end of the program, in real programs: nothing burns, what was held goes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import ermpoll
from tests.helpers.conditions import let_pass, wait_until
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
@pytest.mark.parametrize("work", ["long", "quick"])
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
