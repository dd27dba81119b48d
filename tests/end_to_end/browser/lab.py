"""JupyterLab in a real browser: started for the tests, driven by its own commands."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import chromium_path
from tests.helpers.conditions import wait_until

ROOT = Path(__file__).parents[3]
#: Whether a notebook is on the page.
_IS_OPEN = "() => window.jupyterapp?.shell?.currentWidget?.content"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A running JupyterLab."""

    url: str
    token: str
    folder: Path
    #: Where it looks for kernels, besides those of the machine.
    kernels: Path
    root: Path = ROOT

    def copy(self, name: str) -> None:
        """Put a notebook of the course into its folder."""
        shutil.copy(ROOT / "notebooks" / name, self.folder / name)

    def write(self, name: str, cells: Sequence[str], kernel: str = "python3") -> None:
        """Put a notebook of code cells into its folder."""
        book = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": kernel, "display_name": kernel}},
        )
        nbformat.write(book, self.folder / name)


@dataclass(slots=True, kw_only=True)
class Book:
    """A notebook open in the browser, and what its page complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def run_all(self) -> None:
        """Run all cells, and wait until the kernel is idle."""
        self.command("notebook:run-all-cells")
        self.idle()

    def run_cell(self, index: int) -> None:
        """Run one cell again."""
        self.page.evaluate(
            # in one go: a focus that comes late would make another cell the active one
            """index => {
                const notebook = window.jupyterapp.shell.currentWidget.content;
                notebook.activeCellIndex = index;
                return window.jupyterapp.commands.execute('notebook:run-cell');
            }""",
            index,
        )
        self.idle()

    def execute(self, code: str) -> str:
        """Run code in the kernel, outside of the cells; returns what it prints."""
        return self.page.evaluate(
            """async code => {
                const context = window.jupyterapp.shell.currentWidget.sessionContext;
                const future = context.session.kernel.requestExecute({ code });
                const said = [];
                future.onIOPub = message => {
                    const { text, evalue } = message.content;
                    said.push(text || evalue || '');
                };
                await future.done;
                return said.join('');
            }""",
            code,
        )

    def panel(self, text: str) -> Any:
        """Find the panel that shows a text; the last one."""
        return self.page.locator(".ermpoll-live", has_text=text).last

    def command(self, name: str, **options: Any) -> None:
        """Run one of JupyterLab's commands."""
        self.page.evaluate(
            "([name, options]) => window.jupyterapp.commands.execute(name, options)",
            [name, options],
        )

    def idle(self, timeout_s: float = 60) -> None:
        """Wait until the kernel is there and has nothing to do."""
        self.page.wait_for_function(
            """() => {
                const context = window.jupyterapp.shell.currentWidget?.sessionContext;
                return context?.isReady && context.session?.kernel?.status === 'idle';
            }""",
            timeout=timeout_s * 1000,
        )

    def restart(self) -> None:
        """Restart the kernel without asking."""
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()"
        )
        self.idle()

    def reload(self) -> None:
        """Load the page again, as somebody does who comes back to it."""
        self.page.reload()
        self.page.wait_for_function(_IS_OPEN)
        self.idle()

    def theme(self, name: str) -> None:
        """Switch to "JupyterLab Dark" or "JupyterLab Light"."""
        self.command("apputils:change-theme", theme=name)
        light = "false" if "Dark" in name else "true"
        self.page.wait_for_selector(
            f'body[data-jp-theme-light="{light}"]', state="attached"
        )

    def button(self, name: str, exact: bool = True) -> Any:
        """Find a panel's button that can be seen; the last where several are alike."""
        panels = self.page.locator(".ermpoll-live")
        return panels.get_by_role("button", name=name, exact=exact).last

    def errors(self) -> list[str]:
        """Give the error outputs on the page."""
        return self.page.locator(
            '[data-mime-type="application/vnd.jupyter.error"], '
            '.jp-RenderedText[data-mime-type$="stderr"]'
        ).all_inner_texts()


@contextmanager
def lab(folder: Path, settings: Path) -> Iterator[Lab]:
    """Start a JupyterLab with settings of its own, and end it."""
    token, port = secrets.token_hex(16), _free_port()
    _quiet(settings)
    names = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    env = os.environ | {f"JUPYTER_{name}": str(settings / name) for name in names}
    env |= {
        "JUPYTERLAB_SETTINGS_DIR": str(settings / "user"),
        "JUPYTERLAB_WORKSPACES_DIR": str(settings / "workspaces"),
        "IPYTHONDIR": str(settings / "ipython"),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", "--ip=127.0.0.1"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    command += ["--LabApp.expose_app_in_browser=True"]
    command += [f"--LabApp.app_settings_dir={settings / 'app'}"]
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        made = Lab(
            url=f"http://127.0.0.1:{port}",
            token=token,
            folder=folder,
            kernels=settings / "DATA_DIR" / "kernels",
        )
        _until_it_answers(made, process)
        yield made
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the machine's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(),
            headless=True,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser, lab: Lab, name: str, *, width: int = 1280, height: int = 1000
) -> Iterator[Book]:
    """Open a notebook in a new page; its kernel ends with it.

    Else who opens a notebook of that name later would have the same kernel.
    """
    context = browser.new_context(
        viewport={"width": width, "height": height}, timezone_id="Europe/Berlin"
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    book = Book(page=page)
    page.on("pageerror", lambda error: book.complaints.append(str(error)))
    page.on("console", lambda line: _heard(book, line))
    workspace = secrets.token_hex(4)
    page.goto(
        f"{lab.url}/lab/workspaces/{workspace}/tree/{name}?reset&token={lab.token}"
    )
    page.wait_for_function(_IS_OPEN)
    book.idle()
    try:
        yield book
    finally:
        page.evaluate("() => window.jupyterapp.serviceManager.sessions.shutdownAll()")
        context.close()


def _heard(book: Book, line: Any) -> None:
    if line.type == "error" and "favicon" not in line.text:
        book.complaints.append(line.text)


def _quiet(settings: Path) -> None:
    """No news, no update checks; cells stay in the page when they are scrolled away."""
    overrides = settings / "app" / "overrides.json"
    overrides.parent.mkdir(parents=True, exist_ok=True)
    news = {"fetchNews": "false", "checkForUpdates": False}
    made = {
        "@jupyterlab/apputils-extension:notification": news,
        "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    }
    overrides.write_text(json.dumps(made))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until_it_answers(made: Lab, process: subprocess.Popen[bytes]) -> None:
    address = f"{made.url}/api?token={made.token}"

    def answers() -> bool:
        assert process.poll() is None, "JupyterLab ended at once"
        with suppress(OSError), urllib.request.urlopen(address, timeout=2):
            return True
        return False

    wait_until(answers, 60)
