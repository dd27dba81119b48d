"""How one value reads on a page: cut, cleaned and put into words.

Everything here returns plain text; escaping is the templates' job. Knows no
HTML, no catalog and no clock: the moment to count from is an argument.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Literal

from ermpoll.records import JSON
from ermpoll.redact import HIDDEN

#: Characters that are shown of one value.
TEXT_LIMIT = 120

_SIGNS = {"\n": "↵", "\r": "␍", "\t": "⇥"}
_EDGES = re.compile(r"^ +| +$")

Kind = Literal["text", "number", "flag", "null", "empty", "json", "time"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One value, ready for a template."""

    text: str
    kind: Kind = "text"
    #: The moment in ISO form, for ``<time datetime>``; only of times.
    iso: str = ""


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """Cut a text and mark what can't be seen.

    Line breaks and tabs become signs, spaces at either end ``␣``, other controls
    and characters that turn or hide text ``⟨U+202E⟩``. What is cut says how long
    the text is.
    """
    marked = _EDGES.sub(lambda found: "␣" * len(found[0]), text[: limit + 1])
    marked = HIDDEN.sub(_sign, marked)
    if len(text) <= limit and len(marked) <= limit:
        return marked
    return f"{marked[:limit]}… ({len(text):,} characters)"


def line(text: str, limit: int = 300) -> str:
    """Clean a sentence for one line: no signs for spaces and line breaks."""
    return clean(" ".join(text.split()), limit)


def block(text: str, limit: int = 4000) -> str:
    """Clean a text of several lines; keeps its end, where tracebacks say why."""
    kept = text if len(text) <= limit else "…" + text[-limit:]
    return "\n".join(map(mark, kept.splitlines()))


def is_time(dtype: str) -> bool:
    """Tell whether values of a pandas type are shown in a zone."""
    return dtype == "datetime64[us, UTC]"


def cell(
    value: JSON,
    dtype: str = "",
    *,
    limit: int = TEXT_LIMIT,
    zone: tzinfo = UTC,
) -> Cell:
    """Put a value of a pandas type into words."""
    if value is None:
        return Cell(text="NULL", kind="null")
    if isinstance(value, bool):
        return Cell(text="true" if value else "false", kind="flag")
    if isinstance(value, int | float | Decimal):
        return Cell(text=_number(value, limit), kind="number")
    if dtype == "object" or not isinstance(value, str):
        return Cell(text=mark(_json_start(value, limit)), kind="json")
    if is_time(dtype):
        return _time(value, limit, zone)
    if not value:
        return Cell(text="empty text", kind="empty")
    return Cell(text=clean(value, limit))


def pair(
    before: JSON,
    after: JSON,
    dtype: str = "",
    *,
    limit: int = TEXT_LIMIT,
    zone: tzinfo = UTC,
) -> tuple[Cell, Cell]:
    """Put two values into words so that their difference can be seen.

    Where they would read the same (a late difference in a long text, ``3`` and
    ``"3"``, a millisecond), both show the part that differs, as JSON.
    """
    old = cell(before, dtype, limit=limit, zone=zone)
    new = cell(after, dtype, limit=limit, zone=zone)
    if old.text[:limit] != new.text[:limit]:
        return old, new
    texts = [_json(value) for value in (before, after)]
    start = max(0, _common(*texts) - limit // 3)
    windows = [("…" if start else "") + text[start:] for text in texts]
    return (
        Cell(text=clean(windows[0], limit), kind=old.kind),
        Cell(text=clean(windows[1], limit), kind=new.kind),
    )


def duration(seconds: float) -> str:
    """Put seconds into words: ``41 s``, ``3 min 02 s``, ``2 h 05 min``, ``3 d 4 h``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def clock(moment: datetime, now: datetime, zone: tzinfo = UTC) -> Cell:
    """Put a moment into words: the time of day, with the date unless it is today."""
    local = moment.astimezone(zone)
    same_day = local.date() == now.astimezone(zone).date()
    text = f"{local:%H:%M:%S}" if same_day else f"{local:%Y-%m-%d %H:%M:%S}"
    return Cell(text=text, kind="time", iso=_iso(moment))


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 row``, ``1,204 rows``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def joined(words: Iterable[str], limit: int = 10) -> str:
    """Join words with commas; says how many are left out."""
    words = list(words)
    shown = ", ".join(clean(word, 40) for word in words[:limit])
    left = len(words) - limit
    return f"{shown} and {left:,} more" if left > 0 else shown


def mark(text: str) -> str:
    """Mark controls and characters that turn or hide text; keep the rest."""
    return HIDDEN.sub(_sign, text)


def _sign(found: re.Match[str]) -> str:
    return _SIGNS.get(found[0], f"⟨U+{ord(found[0]):04X}⟩")


def _number(value: int | float | Decimal, limit: int) -> str:
    # A Python integer may be too long to be turned into digits at all.
    if isinstance(value, int) and abs(value) > 10**40:
        return f"an integer of {value.bit_length():,} bits"
    whole, point, part = str(value).partition(".")
    # 2026 may be a year
    if whole.lstrip("-").isdecimal() and len(whole.lstrip("-")) > 4:
        whole = f"{int(whole):,}"
    return clean(whole + point + part, limit)


def _json_start(value: JSON, limit: int) -> str:
    # Encoded piece by piece and only as far as shown: a cell may hold megabytes.
    made, length = [], 0
    try:
        for piece in _ENCODER.iterencode(value):
            made.append(piece)
            length += len(piece)
            if length > limit:
                return "".join(made)[:limit] + "…"
    except (ValueError, RecursionError):
        return _placeholder(value)
    return "".join(made)


def _common(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _json(value: JSON) -> str:
    try:
        return json.dumps(value, ensure_ascii=True, default=_placeholder)
    except (ValueError, RecursionError):
        return _placeholder(value)


def _placeholder(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    return f"a {type(value).__name__}"


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_placeholder)


def _time(value: str, limit: int, zone: tzinfo) -> Cell:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return Cell(text=clean(value, limit))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        local = moment.astimezone(zone)
    except OverflowError:
        return Cell(text=clean(value, limit))
    return Cell(text=f"{local:%Y-%m-%d %H:%M:%S}", kind="time", iso=_iso(moment))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
