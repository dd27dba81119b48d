"""One JupyterLab and one Chromium for the browser tests of a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.conftest import check_gate


@pytest.fixture(scope="session")
def running_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    check_gate("chromium")
    from tests.end_to_end.browser.lab import lab

    with lab(tmp_path_factory.mktemp("books"), tmp_path_factory.mktemp("set")) as made:
        yield made


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    check_gate("chromium")
    from tests.end_to_end.browser.lab import chromium

    with chromium() as made:
        yield made


@pytest.fixture
def open_book(running_lab: Any, browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a notebook by name, or one made of cells; its kernel ends with the test."""
    from tests.end_to_end.browser.lab import opened

    with ExitStack() as stack:

        def made(name: str, *cells: str, **options: Any) -> Any:
            if cells:
                running_lab.write(name, cells)
            return stack.enter_context(opened(browser, running_lab, name, **options))

        yield made
