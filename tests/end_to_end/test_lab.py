"""``ermpoll lab``: two processes that start together and end together."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from ermpoll import lab
from ermpoll.errors import UsageError


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    folder = tmp_path / "shipped"
    folder.mkdir()
    (folder / "00_start.ipynb").write_text("first")
    (folder / "01_claim_rows.ipynb").write_text("second")
    return folder


def test_notebooks_are_copied_where_there_are_none(
    shipped: Path, tmp_path: Path
) -> None:
    kept = lab.refresh_copy(shipped, tmp_path / "copy")

    assert kept == []
    assert (tmp_path / "copy/00_start.ipynb").read_text() == "first"


def test_an_edited_notebook_is_never_overwritten(shipped: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    lab.refresh_copy(shipped, copy)
    (copy / "00_start.ipynb").write_text("mine")
    (shipped / "00_start.ipynb").write_text("newer")

    kept = lab.refresh_copy(shipped, copy)

    assert kept == ["00_start.ipynb"]
    assert (copy / "00_start.ipynb").read_text() == "mine"


def test_an_untouched_notebook_is_brought_up_to_date(
    shipped: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    lab.refresh_copy(shipped, copy)
    (shipped / "00_start.ipynb").write_text("newer")

    assert lab.refresh_copy(shipped, copy) == []
    assert (copy / "00_start.ipynb").read_text() == "newer"


def test_nothing_is_said_of_an_edited_notebook_while_there_is_no_newer_one(
    shipped: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    lab.refresh_copy(shipped, copy)
    (copy / "00_start.ipynb").write_text("mine")

    assert lab.refresh_copy(shipped, copy) == []
    assert (copy / "00_start.ipynb").read_text() == "mine"


def test_a_file_that_was_there_before_is_kept(shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/00_start.ipynb").write_text("somebody's")

    assert lab.refresh_copy(shipped, tmp_path / "copy") == ["00_start.ipynb"]
    assert (tmp_path / "copy/00_start.ipynb").read_text() == "somebody's"


def test_a_checkout_is_left_alone_and_copied(tmp_path: Path) -> None:
    said: list[str] = []

    folder = lab.notebooks(tmp_path, said.append)

    assert folder == tmp_path / "ermpoll-notebooks"
    shipped = Path(__file__).parents[2] / "notebooks"
    assert sorted(path.name for path in folder.glob("*.ipynb")) == sorted(
        path.name for path in shipped.glob("*.ipynb")
    )
    assert said == []


def test_started_among_the_copies_it_opens_them(tmp_path: Path) -> None:
    folder = lab.notebooks(tmp_path, print)

    assert lab.notebooks(folder, print) == folder


def test_a_kept_notebook_is_named_with_its_place(tmp_path: Path) -> None:
    said: list[str] = []
    mine = tmp_path / "ermpoll-notebooks" / "00_start.ipynb"
    mine.parent.mkdir()
    mine.write_text("mine")

    lab.notebooks(tmp_path, said.append)

    assert len(said) == 1
    assert str(mine) in said[0]
    assert mine.read_text() == "mine"


def test_a_place_that_takes_no_folder_is_named(tmp_path: Path) -> None:
    # root may write anywhere, but not into a file
    here = tmp_path / "file"
    here.write_text("")

    with pytest.raises(UsageError, match=r"can't be written.*folder of yours"):
        lab.notebooks(here, print)


def test_what_is_missing_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lab, "find_spec", lambda name: name != "jupyterlab" or None)

    with pytest.raises(UsageError, match=r"jupyterlab.*pip install \"ermpoll\[lab\]\""):
        lab.check_installed()


def test_options_after_the_dashes_come_last(tmp_path: Path) -> None:
    command = lab.jupyter_command(tmp_path, ["--port=8888"], browser=False)

    assert command[-1] == "--port=8888"
    assert "--no-browser" in command
    assert ("--allow-root" in command) == (os.geteuid() == 0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_lab(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "ermpoll", "lab", "--no-browser", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=folder,
        # what a shell starts in the background ignores Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)


def printed_address(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    read = []
    for line in process.stdout:
        read.append(line)
        if found := re.search(r"JupyterLab: (\S+)", line):
            return found[1]
    pytest.fail("no address was printed:\n" + "".join(read))


@pytest.mark.parametrize(
    "stop",
    [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)],
    ids=["SIGTERM", "SIGINT"],
)
def test_lab_prints_an_address_that_works_and_ends_all_it_started(
    tmp_path: Path, stop: signal.Signals
) -> None:
    catalog, port = "https://example.org/ermrest/catalog/1", free_port()
    with running_lab(tmp_path, "--catalog", catalog, "--", f"--port={port}") as process:
        address = printed_address(process)
        page = urllib.request.urlopen(address, timeout=20).read()
        lab = psutil.Process(process.pid)
        # what forks in JupyterLab goes by its command line until it is itself
        (server,) = (one for one in lab.children() if "jupyterlab" in one.cmdline())
        children = lab.children(recursive=True)
        environment = server.environ()

        process.send_signal(stop)

        assert process.wait(timeout=30) == 0
    assert f":{port}/" in address
    assert b"JupyterLab" in page
    assert b"apputils-extension:announcements" in page
    assert not [child for child in children if child.is_running()]
    assert environment["ERMPOLL_CATALOG"] == catalog
    assert set(json.loads(environment["ERMPOLL_SANDBOX"])) >= {"url", "amqp", "pid"}


@pytest.mark.long
def test_lab_says_when_jupyterlab_does_not_start(tmp_path: Path) -> None:
    with running_lab(tmp_path, "--", "--port=none") as process:
        said, _ = process.communicate(timeout=30)

    assert process.returncode != 0
    assert "JupyterLab:" not in said
