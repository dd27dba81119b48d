"""The page's side of a paged table: our own table, with controls a browser adds.

The rows are HTML of our templates, as in a saved notebook; `sheet.js` puts boxes,
heads that sort, fields and keys to it and tells what a person does. anywidget has its
door here and in `browser`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import anywidget
import traitlets

Told = Callable[[Mapping[str, Any]], None]


class Sheet(anywidget.AnyWidget):
    """A table on the page.

    Attributes
    ----------
    page
        ``html`` (of our templates alone), ``rids`` and ``names`` of its lines,
        ``heads`` of its columns, ``details`` by RID; whether it ``ticks``, ``opens``.
    bar
        What stands above it: texts, buttons, whether there are other pages.
    ticked
        The RIDs that are ticked, by whoever ticks them.
    """

    page = traitlets.Dict({"html": ""}).tag(sync=True)
    bar = traitlets.Dict().tag(sync=True)
    ticked = traitlets.List(trait=traitlets.Unicode()).tag(sync=True)

    def __init__(self, told: Told, ticked: Callable[[], None]) -> None:
        super().__init__(_esm=_script())
        self.on_msg(lambda _, content, __: told(content))
        self.observe(lambda _: ticked(), "ticked")


@cache
def _script() -> str:
    # as text: as a path it would be watched, and the widget never freed
    return Path(__file__).with_name("sheet.js").read_text(encoding="utf-8")
