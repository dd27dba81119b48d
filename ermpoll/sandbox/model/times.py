"""Dates and times in the forms that PostgreSQL reads, and in the one that it writes.

An instant is kept as microseconds since 1970, a date and a time as their ISO text.
`INFINITY` and its negative stand for the times after and before all others.
"""

from __future__ import annotations

import re
import time as clock
from datetime import datetime, time, timedelta, timezone
from functools import lru_cache

from ermpoll.sandbox.model.identifiers import micros_of, moment

INFINITY = 2**63 - 1
_DAY = 86_400_000_000
_MONTHS = {
    name: number
    for number, name in enumerate(
        [
            "jan",
            "feb",
            "mar",
            "apr",
            "may",
            "jun",
            "jul",
            "aug",
            "sep",
            "oct",
            "nov",
            "dec",
        ],
        1,
    )
}
_NUMBER_FORMS = (
    r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})",
    r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)",
    r"(?P<m>\d{1,2})[-/](?P<d>\d{1,2})[-/](?P<y>\d{4})",
)
_WORD = r"(?P<word>[a-z]{3,9})\.?"
_WORD_FORMS = (
    rf"{_WORD}\s*[-\s]\s*(?P<d>\d{{1,2}}),?\s+(?P<y>\d{{4}})",
    rf"(?P<d>\d{{1,2}})[-\s]+{_WORD}[-,\s]+(?P<y>\d{{4}})",
    rf"(?P<y>\d{{4}})[-\s]+{_WORD}[-\s]+(?P<d>\d{{1,2}})",
)
_CLOCK = (
    r"(?P<H>\d{1,2})(?::(?P<M>\d{1,2})(?::(?P<S>\d{1,2})(?P<f>\.\d*)?)?"
    r"|(?P<M2>\d\d)(?P<S2>\d\d)(?P<f2>\.\d*)?)\s*(?P<half>[ap]m)?"
)
_ZONE = r"(?P<zone>z|utc|gmt|zulu|[-+]\d{1,2}(?::?\d\d(?::\d\d)?)?)"
_INSTANTS = tuple(
    re.compile(rf"{form}(?:(?:\s*t\s*|\s+)(?:{_CLOCK}))?\s*{_ZONE}?")
    for form in (*_NUMBER_FORMS, *_WORD_FORMS)
)
_TIME = re.compile(rf"(?:t\s*)?{_CLOCK}\s*{_ZONE}?")
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}


def read_instant(text: str, *, zoned: bool) -> int:
    """Return the microseconds from 1970 to an instant, or raise ValueError.

    Parameters
    ----------
    zoned
        False: a zone in the text is passed over, as PostgreSQL does for times without.
    """
    word = text.strip().lower()
    if word in ("infinity", "-infinity"):
        return INFINITY if word[0] == "i" else -INFINITY
    if word == "epoch":
        return 0
    now = clock.time_ns() // 1000
    if word == "now":
        return now
    if word in _DAYS:
        return now - now % _DAY + _DAYS[word] * _DAY
    return _read_instant(word, zoned)


@lru_cache(maxsize=8192)
def _read_instant(text: str, zoned: bool) -> int:
    for form in _INSTANTS:
        found = form.fullmatch(text)
        if found is not None:
            return _instant(found, zoned)
    raise ValueError("no instant")


def _instant(found: re.Match[str], zoned: bool) -> int:
    parts = found.groupdict()
    month = _month(parts["word"]) if parts.get("word") else int(parts["m"])
    day = datetime(int(parts["y"]), month, int(parts["d"]))
    micros = micros_of(day) + (_clock(parts) if parts["H"] else 0)
    zone = parts["zone"]
    return micros - (_offset(zone) if zone and zoned else 0)


def _month(word: str) -> int:
    if word[:3] not in _MONTHS:
        raise ValueError("no month")
    return _MONTHS[word[:3]]


def _clock(parts: dict[str, str]) -> int:
    """Return the microseconds since midnight; a seventh digit is rounded."""
    hour = int(parts["H"])
    minute = int(parts["M"] or parts["M2"] or 0)
    second = int(parts["S"] or parts["S2"] or 0)
    if parts["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("no hour")
        hour = hour % 12 + (12 if parts["half"] == "pm" else 0)
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and minute + second):
        raise ValueError("no time of day")
    fraction = parts["f"] or parts["f2"] or "."
    micros = 0 if fraction == "." else round(float(fraction) * 1_000_000)
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros


def _offset(zone: str) -> int:
    """Return the microseconds that a zone is ahead of UTC."""
    if zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "")
    digits = digits.zfill(2) if len(digits) < 3 else digits
    hour, minute, second = (int(digits[at : at + 2] or 0) for at in (0, 2, 4))
    if hour > 15 or minute > 59:
        raise ValueError("no zone")
    span = (hour * 3600 + minute * 60 + second) * 1_000_000
    return -span if zone[0] == "-" else span


def read_date(text: str) -> str:
    """Return the ISO form of a date, or raise ValueError."""
    micros = read_instant(text, zoned=False)
    return _infinite(micros) or moment(micros).date().isoformat()


def read_time(text: str) -> str:
    """Return the ISO form of a time of day, or raise ValueError."""
    return _time(text)[0]


def read_timetz(text: str) -> str:
    """Return PostgreSQL's form of a time of day in a zone, or raise ValueError."""
    shown, zone = _time(text)
    if not zone:
        return f"{shown}+00"
    ahead = timezone(timedelta(microseconds=_offset(zone)))
    # Its minutes are left off if there are none.
    return shown + time(0, tzinfo=ahead).isoformat()[8:].removesuffix(":00")


def _time(text: str) -> tuple[str, str]:
    found = _TIME.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError("no time of day")
    micros = _clock(found.groupdict())
    if micros == _DAY:
        return "24:00:00", found["zone"] or ""
    return _shorter(moment(micros).time()), found["zone"] or ""


def _shorter(at: time | datetime) -> str:
    """Return the ISO form of `at`, without trailing zeros in the fraction."""
    text = at.isoformat()
    if "." not in text:
        return text
    head, tail = text.split(".")
    digits = tail[:6].rstrip("0")
    return f"{head}{'.' if digits else ''}{digits}{tail[6:]}"


def _infinite(kept: int) -> str:
    if abs(kept) == INFINITY:
        return "infinity" if kept > 0 else "-infinity"
    return ""


@lru_cache(maxsize=8192)
def write_zoned(kept: int) -> str:
    """Return ``2024-02-03T02:05:06.789+00:00`` for microseconds since 1970."""
    return _infinite(kept) or _shorter(moment(kept))


def write_unzoned(kept: int) -> str:
    """Return ``2024-02-03T02:05:06.789`` for microseconds since 1970."""
    return _infinite(kept) or _shorter(moment(kept).replace(tzinfo=None))
