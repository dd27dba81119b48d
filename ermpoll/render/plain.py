"""A page of ours as plain text, for terminals and for files without HTML.

Reads only what `render` made: known tags, no nesting of tables.
"""

from __future__ import annotations

from html.parser import HTMLParser

_CUT = 32
#: The last one has the room that is left.
_CUT_LAST = 100
#: What is not read out: of drawings, the words that stand beside them.
_SILENT = ("style", "title", "text")
_BLOCKS = ("p", "div", "li", "tr", "table", "caption", "pre", "details", "summary")


def plain(html: str) -> str:
    """Turn a page made by `render` into lines of text.

    Tables keep their columns, each at most 32 characters wide, the last 100; what a
    change takes away stands as ``-new``, what it writes as ``+done``.
    """
    reader = _PageReader()
    reader.feed(html)
    reader.close()
    return "\n".join(reader.lines())


class _PageReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []
        self._words: list[str] = []
        self._table: list[list[str]] | None = None
        self._silent = False

    def lines(self) -> list[str]:
        self._break()
        return self._lines

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in _SILENT:
            self._silent = True
        elif tag in ("del", "ins"):
            self._words.append("-" if tag == "del" else "+")
        elif tag == "tr" and self._table is not None:
            self._table.append([])
        elif tag in ("td", "th") and self._table is not None:
            self._words.clear()
        elif tag in _BLOCKS:
            self._break()
        if tag == "thead":
            self._break()
            self._table = []

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = False
        elif tag in ("td", "th") and self._table is not None:
            self._table[-1].append(self._taken())
        elif tag == "table" and self._table is not None:
            self._lines += _columns(self._table)
            self._table = None
        elif tag in _BLOCKS and self._table is None:
            self._break()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._words.append(data)

    def _taken(self) -> str:
        text = " ".join("".join(self._words).split())
        self._words.clear()
        return text

    def _break(self) -> None:
        text = self._taken()
        if text:
            self._lines.append(text)


def _columns(rows: list[list[str]]) -> list[str]:
    cut = [[*(_short(text, _CUT) for text in row[:-1]), *_ends(row)] for row in rows]
    count = max(map(len, cut), default=0)
    widths = [
        max((len(row[at]) for row in cut if at < len(row) - 1), default=0)
        for at in range(count)
    ]
    return [
        "  ".join(
            text.ljust(width) for text, width in zip(row, widths, strict=False)
        ).rstrip()
        for row in cut
    ]


def _ends(row: list[str]) -> list[str]:
    return [_short(text, _CUT_LAST) for text in row[-1:]]


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
