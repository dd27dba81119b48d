"""JupyterLab on the notebooks, with a sandbox of its own beside it.

Owns two child processes and ends both; knows nothing of catalogs.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from ermpoll.errors import UsageError

_NEEDED = ("jupyterlab", "ipykernel", "tornado", "lark", "regex")
_FIRST = "00_start.ipynb"
_FOLDER = "ermpoll-notebooks"
#: What was copied, by name: tells an edited notebook from one of an older version.
_RECORD = ".ermpoll-copied.json"


def run(options: Sequence[str], *, browser: bool, say: Callable[[str], None]) -> int:
    """Serve until JupyterLab ends or KeyboardInterrupt comes, then end both.

    Parameters
    ----------
    options
        Handed to JupyterLab as they are.
    browser
        Whether JupyterLab opens a browser.
    say
        Gets the lines for the person who waits: the address first of all.

    Returns
    -------
    int
        JupyterLab's exit code.

    Raises
    ------
    UsageError
        The ``lab`` extra is not installed, or the sandbox did not start.
    """
    check_installed()
    folder = notebooks(Path.cwd(), say)
    with _sandbox() as announced, TemporaryDirectory() as quiet:
        no_news(Path(quiet))
        environment = {**os.environ, "ERMPOLL_SANDBOX": announced}
        environment["JUPYTER_CONFIG_PATH"] = os.pathsep.join(
            filter(None, [str(quiet), os.environ.get("JUPYTER_CONFIG_PATH")])
        )
        command = jupyter_command(folder, options, browser=browser)
        with _child(command, env=environment) as jupyter:
            say(f"Sandbox:    {json.loads(announced)['url']}")
            say(f"Notebooks:  {folder}")
            if address := _wait_for_address(jupyter):
                say(f"JupyterLab: {address}")
                say("Ctrl-C ends both.")
            return jupyter.wait()


def check_installed() -> None:
    """Raise UsageError, with what to install, where the ``lab`` extra is missing."""
    missing = [name for name in _NEEDED if not find_spec(name)]
    if missing:
        raise UsageError(
            f"this needs {', '.join(missing)}, not installed here."
            ' Install with: pip install "ermpoll[lab]"'
        )


def notebooks(here: Path, say: Callable[[str], None]) -> Path:
    """Return the folder to open: copies of the lessons, below ``here``.

    It is ``ermpoll-notebooks``, or ``here`` itself where that is one, so that a
    checkout stays as it is and all that a lesson writes has a place. A notebook there
    that differs from what was copied was edited: it is kept. One that was not is
    brought up to date.

    Raises
    ------
    UsageError
        Nothing can be written there.
    """
    shipped = Path(__file__).parent / "notebooks"
    if not shipped.is_dir():
        shipped = Path(__file__).parents[1] / "notebooks"  # a checkout
    target = here if (here / _RECORD).exists() else here / _FOLDER
    try:
        kept = refresh_copy(shipped, target)
    except OSError as error:
        raise UsageError(
            f"expected to copy the notebooks to {target}, found that it can't be"
            f" written ({error.strerror}); start this in a folder of yours"
        ) from error
    for name in kept:
        say(f"Kept your own {target / name}; delete it to get the new one.")
    return target


def refresh_copy(shipped: Path, target: Path) -> list[str]:
    """Copy the notebooks that nobody edited; return the names of those kept.

    A kept one is named only when the shipped notebook is a newer version.
    """
    target.mkdir(exist_ok=True)
    record = target / _RECORD
    copied = json.loads(record.read_text()) if record.exists() else {}
    kept = []
    for source in sorted(shipped.glob("*.ipynb")):
        goal = target / source.name
        if not goal.exists() or _digest(goal) == copied.get(source.name):
            shutil.copyfile(source, goal)
            copied[source.name] = _digest(source)
        elif copied.get(source.name) != _digest(source) != _digest(goal):
            kept.append(source.name)
    record.write_text(json.dumps(copied, indent=1))
    return kept


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def no_news(folder: Path) -> None:
    """Make a folder of configuration in which JupyterLab asks nobody about news."""
    page = folder / "labconfig" / "page_config.json"
    page.parent.mkdir()
    off = {"@jupyterlab/apputils-extension:announcements": True}
    page.write_text(json.dumps({"disabledExtensions": off}))


def jupyter_command(
    folder: Path, options: Sequence[str], *, browser: bool
) -> list[str]:
    """Return the command line that starts JupyterLab on ``folder``."""
    command = [
        sys.executable,
        *("-m", "jupyterlab"),
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{_FIRST}",
        # Ours says the address; what is left on its log is worth reading.
        "--ServerApp.log_level=WARN",
    ]
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    return [*command, *options]


@contextmanager
def _sandbox() -> Iterator[str]:
    """Run a sandbox in a process of its own and give the line that announces it."""
    command = [sys.executable, "-m", "ermpoll", "sandbox", "--control"]
    with _child(command, stdout=subprocess.PIPE, text=True) as child:
        line = child.stdout.readline().strip() if child.stdout else ""
        if not line.startswith("{"):
            raise UsageError(
                f"expected the sandbox to say where it is, found {line!r}"
                f" (exit code {child.wait(10)}). Try: ermpoll sandbox"
            )
        yield line


@contextmanager
def _child(command: list[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    """Run a child that hears of Ctrl-C from us alone, and end it."""
    # In a session of its own: JupyterLab answers Ctrl-C with a question.
    child = subprocess.Popen(command, start_new_session=True, **options)  # type: ignore[call-overload]
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout:
            child.stdout.close()


def _wait_for_address(jupyter: subprocess.Popen[str]) -> str | None:
    """Return JupyterLab's address once it serves, or None if it ended first."""
    from jupyter_server.serverapp import list_running_servers

    while True:
        try:
            jupyter.wait(0.1)
        except subprocess.TimeoutExpired:
            for server in list_running_servers():
                if server["pid"] == jupyter.pid:
                    return _address(server)
        else:
            return None


def _address(server: dict[str, str]) -> str:
    """The page of the first notebook, with the login JupyterLab made."""
    page = f"{server['url']}lab/tree/{_FIRST}"
    if not server.get("token"):
        return page
    return f"{page}?{urlencode({'token': server['token']})}"
