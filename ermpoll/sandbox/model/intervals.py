"""Intervals of time in PostgreSQL's words: ``1 year 2 mons 3 days 04:05:06``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MICROS = 1_000_000
_DAY = 86_400 * _MICROS
#: Unit to its months, days and microseconds, of which one is not 0.
_UNITS = {
    "millennium": (12_000, 0, 0),
    "century": (1_200, 0, 0),
    "decade": (120, 0, 0),
    "year": (12, 0, 0),
    "month": (1, 0, 0),
    "week": (0, 7, 0),
    "day": (0, 1, 0),
    "hour": (0, 0, 3_600 * _MICROS),
    "minute": (0, 0, 60 * _MICROS),
    "second": (0, 0, _MICROS),
    "millisecond": (0, 0, 1_000),
    "microsecond": (0, 0, 1),
}
_ALIASES = {
    **dict.fromkeys(("millennia", "mil", "mils"), "millennium"),
    **dict.fromkeys(("centuries", "cent", "c"), "century"),
    **dict.fromkeys(("dec", "decs"), "decade"),
    **dict.fromkeys(("y", "yr", "yrs"), "year"),
    **dict.fromkeys(("mon", "mons"), "month"),
    "w": "week",
    "d": "day",
    **dict.fromkeys(("h", "hr", "hrs"), "hour"),
    **dict.fromkeys(("m", "min", "mins"), "minute"),
    **dict.fromkeys(("s", "sec", "secs"), "second"),
    **dict.fromkeys(("ms", "msec", "msecs"), "millisecond"),
    **dict.fromkeys(("us", "usec", "usecs"), "microsecond"),
}
_ISO_UNITS = {"Y": "year", "M": "month", "W": "week", "D": "day"}
_ISO_CLOCK = {"H": "hour", "M": "minute", "S": "second"}
_NUMBER = r"[-+]?\d+(?:\.\d*)?"
_PIECE = re.compile(
    rf"\s*(?:(?P<clock>[-+]?\d+:\d+(?::\d+(?:\.\d*)?)?)|(?P<span>{_NUMBER})"
    r"\s*(?P<unit>[a-z]+)?)"
)
_ISO = re.compile(rf"P(?:{_NUMBER}[YMWD])*(?:T(?:{_NUMBER}[HMS])+)?", re.IGNORECASE)


@dataclass(slots=True)
class _Sum:
    months: float = 0
    days: float = 0
    micros: float = 0

    def add(self, number: float, unit: str) -> None:
        """Add a number of units; what is left of a month or day goes down a unit."""
        months, days, micros = (number * part for part in _UNITS[unit])
        whole = int(months)
        self.months += whole
        days += 30 * (months - whole)
        whole = int(round(days, 9))
        self.days += whole
        self.micros += micros + round((days - whole) * _DAY)

    def text(self, *, negated: bool = False) -> str:
        sign = -1 if negated else 1
        return _text(
            sign * int(self.months), sign * int(self.days), sign * round(self.micros)
        )


def read(text: str) -> str:
    """Return PostgreSQL's text of an interval, or raise ValueError."""
    text = text.strip()
    if _ISO.fullmatch(text) and len(text) > 1:
        return _read_iso(text.upper())
    text = text.lower().removeprefix("@").strip()
    negated = text.endswith("ago")
    text = text.removesuffix("ago").rstrip()
    found, at = _Sum(), 0
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            raise ValueError("no interval")
        _add(found, piece)
        at = piece.end()
    if not at:
        raise ValueError("no interval")
    return found.text(negated=negated)


def _add(found: _Sum, piece: re.Match[str]) -> None:
    if piece["clock"]:
        hours, minutes, seconds = [*piece["clock"].lstrip("-+").split(":"), "0"][:3]
        span = float(hours) * 3600 + float(minutes) * 60 + float(seconds or 0)
        sign = -1 if piece["clock"].startswith("-") else 1
        found.micros += sign * round(span * _MICROS)
        return
    unit = piece["unit"] or "second"
    unit = _ALIASES.get(unit) or unit
    unit = unit if unit in _UNITS else unit.removesuffix("s")
    if unit not in _UNITS:
        raise ValueError("no unit of time")
    found.add(float(piece["span"]), unit)


def _read_iso(text: str) -> str:
    found = _Sum()
    days, _, clock = text[1:].partition("T")
    for part, units in ((days, _ISO_UNITS), (clock, _ISO_CLOCK)):
        for number, letter in re.findall(rf"({_NUMBER})([A-Z])", part):
            found.add(float(number), units[letter])
    return found.text()


def _text(months: int, days: int, micros: int) -> str:
    sign = -1 if months < 0 else 1
    years, months = sign * (abs(months) // 12), sign * (abs(months) % 12)
    words: list[str] = []
    is_before = False
    for count, unit in ((years, "year"), (months, "mon"), (days, "day")):
        if count:
            plus = "+" if is_before and count > 0 else ""
            words.append(f"{plus}{count} {unit}{'s' if count != 1 else ''}")
            is_before = count < 0
    if micros or not words:
        seconds, fraction = divmod(abs(micros), _MICROS)
        tail = f".{fraction:06}".rstrip("0") if fraction else ""
        minutes, seconds = divmod(seconds, 60)
        mark = "-" if micros < 0 else "+" if is_before else ""
        words.append(f"{mark}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{tail}")
    return " ".join(words)


def length(text: str) -> int:
    """Return how long an interval is in microseconds; a month counts as 30 days."""
    found = _Sum()
    for piece in _PIECE.finditer(text):
        _add(found, piece)
    return int((found.months * 30 + found.days) * _DAY + found.micros)
