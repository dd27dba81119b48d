"""The door to the page: templates, the stylesheet and the limits on size.

Every string that reaches a page goes through `fill`, which escapes it and marks
what can't be seen. The only module that imports jinja2. Knows no record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
from markupsafe import Markup

from ermpoll.render.values import Cell, counted, duration, line, mark

_TEMPLATES = Path(__file__).parent / "templates"

#: The most bytes of HTML that one object may put into a notebook, its style (some
#: 6 KB) left out.
SIZE_LIMIT = 190_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How much of a table is shown."""

    rows: int = 50
    columns: int = 20
    #: Characters of one value.
    text: int = 120


#: Tried in turn until the page is small enough; the last one always is.
_LADDER = (
    Caps(),
    Caps(text=60),
    Caps(text=24),
    Caps(rows=25, text=24),
    Caps(rows=10, columns=10, text=24),
    Caps(rows=3, columns=5, text=12),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of a table."""

    rid: str
    cells: Sequence[Any] = ()
    #: The address of the row's own page, or "".
    link: str = ""
    #: In words what the row is, with the class that colours it.
    word: str = ""
    tone: str = ""
    #: Instead of cells: why there are none.
    reason: str = ""
    traceback: str = ""


def fill(template: str, **values: Any) -> str:
    """Fill a template: the way of every string to a page."""
    return _environment().get_template(template).render(values)


def standalone(body: str) -> str:
    """Wrap filled templates as one object of a saved notebook, with its style."""
    return fill("page.html", body=Markup(body), style=Markup(stylesheet()))


@cache
def stylesheet(*, live: bool = False) -> str:
    """The stylesheet: JupyterLab's theme variables, with values to fall back on."""
    names = ("style.css", "live.css") if live else ("style.css",)
    return "".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in names)


def fitted(make: Callable[[Caps], str], *, rows: int | None = None) -> str:
    """Make a page with the widest caps that keep it within `SIZE_LIMIT` bytes.

    ``rows``: so many are shown whatever it takes, 50 at most, since each can be
    acted on; columns and texts give way instead.
    """
    ladder = _LADDER if rows is None else _of_rows(rows)
    for caps in ladder[:-1]:
        made = make(caps)
        if len(made.encode()) <= SIZE_LIMIT:
            return made
    return make(ladder[-1])


def _of_rows(rows: int) -> tuple[Caps, ...]:
    caps = dict.fromkeys(replace(caps, rows=rows) for caps in _LADDER)
    return tuple(caps)


def safe_link(url: str | None) -> str:
    """Return the address if a browser may be sent there, else ""."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return ""
    return (url or "") if parts.scheme in ("http", "https") and parts.netloc else ""


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        autoescape=True,
        finalize=_finalize,
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        counted=counted, duration=duration, line=line, link=safe_link
    )
    environment.tests["cell"] = lambda value: isinstance(value, Cell)
    return environment


def _finalize(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Markup):
        # A traceback keeps its line breaks; all else was made one line before.
        return "\n".join(map(mark, value.split("\n")))
    return value
