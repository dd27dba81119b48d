"""What a panel leaves in a saved notebook: a static output beside the living one.

A page that finds no kernel shows for a widget only that its model was not found. So a
panel is two outputs: a still one, which hides the one below it, and the living one,
which hides the still one and shows itself. The still one is written anew as the panel
changes: who opens the file later sees its last state.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup

from ermpoll.render.page import fill
from ermpoll.render.plain import plain

#: Seconds from one writing to the next, at least.
EVERY_S = 5.0
VIEW = "application/vnd.jupyter.widget-view+json"


def put(bundle: Mapping[str, object], **more: Any) -> Any:
    """Display a bundle by its MIME types (`IPython.display.display`)."""
    from IPython.display import display

    made: Callable[..., Any] = display
    return made(bundle, raw=True, **more)


class Still:
    """The static outputs of one panel.

    Parameters
    ----------
    page
        Gives the panel as static HTML.
    monotonic
        Rising seconds.
    show
        Puts a bundle on the page; with ``display_id`` it returns what can write it
        anew (`IPython.display.display`).
    """

    def __init__(
        self,
        page: Callable[[], str],
        monotonic: Callable[[], float],
        show: Callable[..., Any] = put,
    ) -> None:
        self._page, self._monotonic, self._put = page, monotonic, show
        #: What the two outputs know each other by.
        self.name = f"ermpoll-still-{secrets.token_hex(6)}"
        self._handles: list[Any] = []
        self._written, self._written_at = "", float("-inf")
        #: Whether it was asked to be written too soon.
        self._owed = False

    def begin(self, view: Mapping[str, object]) -> None:
        """Put both outputs into the cell that runs; ``view`` is the living one's."""
        self._written = self._page()
        handle = self._put(self._bundle(self._written), display_id=True)
        self._handles = [*self._handles[-9:], handle]
        self._written_at = self._monotonic()
        # the text is for what shows no widgets: there the still one stands above it
        self._put({VIEW: view, "text/plain": ""})

    @property
    def due_s(self) -> float | None:
        """Seconds until it is to be written, as it was asked to be; None: it is."""
        return self._left_s if self._owed else None

    @property
    def _left_s(self) -> float:
        return max(self._written_at + EVERY_S - self._monotonic(), 0.0)

    def write(self, *, last: bool = False) -> None:
        """Write it anew where it has changed; not too often, but for the last time."""
        self._owed = bool(self._handles and self._left_s and not last)
        if not self._handles or self._owed:
            return
        self._written_at = self._monotonic()
        page = self._page()
        if page == self._written:
            return
        self._written = page
        for handle in self._handles:
            handle.update(self._bundle(page), raw=True)

    def _bundle(self, page: str) -> dict[str, str]:
        html = fill("still.html", name=self.name, page=Markup(page))
        return {"text/html": html, "text/plain": plain(page)}


def in_kernel() -> bool:
    """Whether a front end shows what this process displays."""
    from IPython.core.getipython import get_ipython

    return hasattr(get_ipython(), "kernel")
