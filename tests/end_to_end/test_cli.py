"""The command line: arguments, exit codes, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import ermpoll
from ermpoll import cli
from ermpoll.errors import UsageError
from tests.helpers.conditions import let_pass
from tests.helpers.shares import mostly_long

#: The rows of these tests have a specimen of their own, so that one failure is one.
AGENT = """
import ermpoll

box = ermpoll.sandbox.start()
jobs = box.jobs(where="Specimen=T1", max_attempts=1)

def work(row):
    {work}

agent = ermpoll.Agent(jobs, work, poll_s=60, notices=box.amqp_url)
"""


@contextmanager
def started(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """The command as a process of its own, which does not outlive the test."""
    with subprocess.Popen(
        [sys.executable, "-m", "ermpoll", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, **(environment or {})},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command until it ends by itself."""
    with started(folder, *arguments, environment=environment) as process:
        said, complained = process.communicate(timeout=40)
    return subprocess.CompletedProcess([], process.returncode, said, complained)


def announced(box: ermpoll.sandbox.Box) -> dict[str, str]:
    line = {"url": box.url, "amqp": box.amqp_url, "pid": os.getpid()}
    return {"ERMPOLL_SANDBOX": json.dumps(line)}


def write_agent(folder: Path, work: str) -> None:
    body = textwrap.indent(textwrap.dedent(work).strip(), "    ").strip()
    (folder / "tiles.py").write_text(AGENT.format(work=body))


def test_sandbox_prints_one_line_of_json_first_and_serves(tmp_path: Path) -> None:
    with started(tmp_path, "sandbox") as process:
        assert process.stdout
        first = json.loads(process.stdout.readline())
        with urllib.request.urlopen(first["url"], timeout=10) as answer:
            catalog = json.load(answer)
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=10)

    assert first["pid"] == process.pid
    assert first["amqp"].startswith("amqp://localhost:")
    assert catalog["id"] == "1"
    assert code == 0


def test_sandbox_with_a_port_that_is_taken_exits_with_two(
    tmp_path: Path, box: ermpoll.sandbox.Box
) -> None:
    port = box.url.split(":")[2].split("/")[0]

    done = run(tmp_path, "sandbox", "--port", port)

    assert (done.returncode, done.stdout) == (2, "")
    assert port in done.stderr
    assert "Traceback" not in done.stderr


def test_run_until_idle_does_what_waits_and_exits_with_zero(
    tmp_path: Path, box: ermpoll.sandbox.Box
) -> None:
    added = box.add(3, Specimen="T1")
    write_agent(tmp_path, "return {'Priority': 1}")

    done = run(
        tmp_path, "run", "tiles:agent", "--until-idle", environment=announced(box)
    )

    assert done.returncode == 0, done.stderr
    assert "0 failed" in done.stdout
    states = states_of(box, added)
    assert states == dict.fromkeys(added, "success")


def test_run_exits_with_one_when_a_row_failed(
    tmp_path: Path, box: ermpoll.sandbox.Box
) -> None:
    box.add(1, Specimen="T1")
    write_agent(tmp_path, "raise ValueError('no such image')")

    done = run(
        tmp_path, "run", "tiles:agent", "--until-idle", environment=announced(box)
    )

    assert done.returncode == 1, done.stderr
    assert "1 failed" in done.stdout


def test_run_once_ends_by_itself(tmp_path: Path, box: ermpoll.sandbox.Box) -> None:
    box.add(1, Specimen="T1")
    write_agent(tmp_path, "return None")

    done = run(tmp_path, "run", "tiles:agent", "--once", environment=announced(box))

    assert done.returncode == 0, done.stderr
    assert "0 failed" in done.stdout


def test_run_once_names_each_job_that_raised_and_says_that_it_is_retried(
    tmp_path: Path, box: ermpoll.sandbox.Box
) -> None:
    rids = box.add(2, Specimen="T1")
    (tmp_path / "tiles.py").write_text(
        AGENT.format(work="raise ValueError('no such image')")
        .replace("max_attempts=1", "attempts='Attempts'")
        .replace("poll_s=60", "poll_s=60, workers=2")
    )

    done = run(tmp_path, "run", "tiles:agent", "--once", environment=announced(box))

    assert done.returncode == 0, done.stderr
    assert "0 done, 0 failed; 2 raised, will be retried" in done.stdout
    lines = done.stderr.splitlines()
    for rid in rids:
        [line] = [line for line in lines if f" {rid}: " in line]
        assert "ValueError: no such image" in line


def test_run_says_nothing_of_the_brokers_library_and_no_error_at_a_stop(
    tmp_path: Path, box: ermpoll.sandbox.Box
) -> None:
    box.add(1, Specimen="T1")
    write_agent(
        tmp_path,
        f"""
        import pathlib
        pathlib.Path({str(tmp_path / "working")!r}).touch()
        """,
    )

    with started(tmp_path, "run", "tiles:agent", environment=announced(box)) as process:
        wait_for_file(tmp_path / "working", process)
        let_pass(0.5)
        process.send_signal(signal.SIGINT)
        said, log = process.communicate(timeout=40)

    assert (process.returncode, "1 done" in said) == (0, True), log
    assert " pika" not in log
    assert " ERROR " not in log


@pytest.mark.parametrize(
    ("url", "code"),
    [("http://localhost:1/ermrest/catalog/1", 3), ("no address", 2)],
    ids=["catalog away", "no address"],
)
def test_a_catalog_that_is_not_there_has_an_exit_code_of_its_own(
    tmp_path: Path, url: str, code: int
) -> None:
    (tmp_path / "tiles.py").write_text(
        f"import ermpoll\ncatalog = ermpoll.connect({url!r})\n"
        "agent = ermpoll.Agent(ermpoll.Queue(catalog, 'Ops:Job'), print)\n"
    )

    done = run(tmp_path, "run", "tiles:agent", "--once")

    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_option_shows_the_usage_of_its_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["sandbox", "--bogus"])

    assert "usage: ermpoll sandbox" in capsys.readouterr().err


@pytest.mark.parametrize(
    "stop",
    [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)],
    ids=["SIGTERM", "SIGINT"],
)
def test_run_finishes_what_it_holds_when_told_to_stop(
    tmp_path: Path, box: ermpoll.sandbox.Box, stop: signal.Signals
) -> None:
    write_agent(
        tmp_path,
        f"""
        import os, pathlib, threading
        pathlib.Path({str(tmp_path / "working")!r}).touch()
        threading.Event().wait(0.5)
        """,
    )
    added = box.add(1, Specimen="T1")

    with started(tmp_path, "run", "tiles:agent", environment=announced(box)) as process:
        wait_for_file(tmp_path / "working", process)
        process.send_signal(stop)
        said, log = process.communicate(timeout=40)

    assert process.returncode == 0, log
    assert "0 failed" in said
    assert states_of(box, added) == dict.fromkeys(added, "success")


@pytest.mark.parametrize(
    ("options", "signals"),
    [
        (("--stop-timeout", "1"), (signal.SIGTERM,)),
        # the first one lets it finish, the second does not wait for that
        ((), (signal.SIGINT, signal.SIGINT)),
    ],
    ids=["not in time", "Ctrl-C twice"],
)
def test_run_releases_what_does_not_finish(
    tmp_path: Path,
    box: ermpoll.sandbox.Box,
    options: tuple[str, ...],
    signals: tuple[signal.Signals, ...],
) -> None:
    write_agent(
        tmp_path,
        f"""
        import pathlib, threading
        pathlib.Path({str(tmp_path / "working")!r}).touch()
        threading.Event().wait(3600)
        """,
    )
    added = box.add(1, Specimen="T1")

    with started(
        *(tmp_path, "run", "tiles:agent", *options), environment=announced(box)
    ) as process:
        wait_for_file(tmp_path / "working", process)
        for number in signals:
            process.send_signal(number)
            let_pass(0.5)
        _, log = process.communicate(timeout=40)

    assert process.returncode == 0, log
    assert states_of(box, added) == dict.fromkeys(added, "new")


@pytest.mark.parametrize("stop", mostly_long([signal.SIGTERM, signal.SIGINT]), ids=str)
def test_run_ends_in_time_while_the_catalog_is_away_and_says_what_stays_claimed(
    tmp_path: Path, box: ermpoll.sandbox.Box, stop: signal.Signals
) -> None:
    write_agent(
        tmp_path,
        f"""
        import pathlib, threading
        pathlib.Path({str(tmp_path / "working")!r}).touch()
        threading.Event().wait(0.5)
        """,
    )
    [rid] = box.add(1, Specimen="T1")

    with started(
        *(tmp_path, "run", "tiles:agent", "--stop-timeout", "2"),
        environment=announced(box),
    ) as process:
        wait_for_file(tmp_path / "working", process)
        box.faults(status=503, times=10**9)
        let_pass(1)
        begun = time.monotonic()
        process.send_signal(stop)
        _, log = process.communicate(timeout=40)
        took_s = time.monotonic() - begun

    assert took_s < 4, log
    assert "1 row stays claimed, for another" in log
    assert rid in log


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")
def test_a_signal_that_was_ignored_when_the_command_began_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with cli._interrupted_by_signals() as came:
            signal.raise_signal(signal.SIGHUP)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert came == [signal.SIGTERM]


def wait_for_file(path: Path, process: subprocess.Popen[str]) -> None:
    """Return when the child has made the file."""
    for _ in range(300):
        if path.exists():
            return
        assert process.poll() is None, process.communicate()
        let_pass(0.1)
    pytest.fail(f"{path.name} did not appear in 30 s")


def states_of(box: ermpoll.sandbox.Box, rids: list[str]) -> dict[str, object]:
    any_of = ";".join(f"RID={rid}" for rid in rids)
    page = box.catalog().get(f"entity/Imaging:Image/{any_of}")
    assert page
    return {str(row["RID"]): row["Processing_Status"] for row in page.rows}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("tiles", r"expected MODULE:AGENT.*found 'tiles'"),
        (":agent", "expected MODULE:AGENT"),
        ("no_such_module:agent", "expected a module 'no_such_module'"),
        ("json:agent", r"expected an ermpoll\.Agent.*found nothing"),
        ("json:dumps", r"expected an ermpoll\.Agent.*found a function"),
    ],
)
def test_an_agent_that_is_not_there_is_told(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        cli.find(text, ermpoll.Agent)


def test_a_fault_inside_the_module_is_not_taken_for_a_missing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "half_written.py").write_text("import not_installed_anywhere\n")

    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        cli.find("half_written:agent", ermpoll.Agent)


def test_a_wrong_call_is_one_line_and_exit_code_two(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["run", "nothing"]) == 2

    said = capsys.readouterr()
    assert said.err.startswith("ermpoll run: expected MODULE:AGENT")
    assert "Traceback" not in said.err


def test_only_lab_takes_options_after_the_dashes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["run", "tiles:agent", "--", "--port=1"])

    assert "only `ermpoll lab`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "package"), [("sandbox", "tornado"), ("lab", "jupyterlab")]
)
def test_without_the_lab_extra_it_says_what_to_install(
    command: str, package: str
) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None;"
        f"from ermpoll.cli import main; sys.exit(main([{command!r}]))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 2
    assert f"needs {package}" in done.stderr
    assert 'pip install "ermpoll[lab]"' in done.stderr


PROVED = """
import ermpoll

jobs = ermpoll.sandbox.start().jobs()
"""


def test_prove_says_what_was_not_right_and_ends_by_it(
    tmp_path: Path, box: ermpoll.sandbox.Box
) -> None:
    (tmp_path / "proved.py").write_text(PROVED)
    jobs = box.jobs()
    jobs.complete(jobs.claim(2))
    asked = ("prove", "proved:jobs", "--since", "1 h", "--rate", "1000")

    fine = run(tmp_path, *asked, environment=announced(box))
    held = jobs.claim(1)
    jobs.catalog.put(
        "attributegroup/Imaging:Image/RID;Processing_Status,Processing_Owner",
        [{"RID": held.rids[0], "Processing_Status": "success"}],
    )
    wrong = run(tmp_path, *asked, environment=announced(box))
    late = run(tmp_path, *asked[:3], "noon", environment=announced(box))

    assert fine.returncode == 0, fine.stderr
    assert fine.stdout.startswith("0 of ")
    assert wrong.returncode == 1, wrong.stderr
    assert wrong.stdout.startswith("1 of ")
    assert f"{held.rids[0]} at " in wrong.stdout
    assert "finished without the claim's token" in wrong.stdout
    assert late.returncode == 2
    assert "expected a time with its zone" in late.stderr
