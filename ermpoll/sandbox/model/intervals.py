"""Intervals of time in PostgreSQL's words: ``1 year 2 mons 3 days 04:05:06``."""

from __future__ import annotations

import re

_UNIT_MONTHS = {"year": 12, "mon": 1, "month": 1, "decade": 120, "century": 1200}
_UNIT_DAYS = {"day": 1, "week": 7}
_UNIT_MICROS = {
    "hour": 3_600_000_000,
    "minute": 60_000_000,
    "min": 60_000_000,
    "second": 1_000_000,
    "sec": 1_000_000,
    "millisecond": 1000,
}
_SPAN = re.compile(r"([-+]?\d+(?:\.\d+)?)\s*([a-z]+)")
_CLOCK = re.compile(r"([-+]?)(\d+):(\d\d)(?::(\d\d(?:\.\d{1,6})?))?")


def read(text: str) -> str:
    """Return PostgreSQL's text of an interval, or raise ValueError."""
    text = text.strip().lower()
    months = days = micros = 0.0
    clock = _CLOCK.search(text)
    if clock:
        sign, hours, minutes, seconds = clock.groups()
        span = int(hours) * 3600 + int(minutes) * 60 + float(seconds or 0)
        micros += (-1 if sign == "-" else 1) * span * 1_000_000
        text = text.replace(clock.group(0), "")
    if _SPAN.sub("", text).strip() or not (clock or text):
        raise ValueError("no interval")
    for number, unit in _SPAN.findall(text):
        unit = unit if unit in _UNIT_MONTHS or unit == "s" else unit.rstrip("s")
        months += float(number) * _UNIT_MONTHS.get(unit, 0)
        days += float(number) * _UNIT_DAYS.get(unit, 0)
        micros += float(number) * _UNIT_MICROS.get(unit, 0)
        if not (unit in _UNIT_MONTHS or unit in _UNIT_DAYS or unit in _UNIT_MICROS):
            raise ValueError("no interval")
    return _interval_text(int(months), int(days), int(micros))


def _interval_text(months: int, days: int, micros: int) -> str:
    years, months = divmod(months, 12)
    words = [
        f"{count} {unit}{'s' if count != 1 else ''}"
        for count, unit in ((years, "year"), (months, "mon"), (days, "day"))
        if count
    ]
    if micros or not words:
        seconds, fraction = divmod(abs(micros), 1_000_000)
        tail = f".{fraction:06}".rstrip("0") if fraction else ""
        minutes, seconds = divmod(seconds, 60)
        clock = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{tail}"
        words.append(f"{'-' if micros < 0 else ''}{clock}")
    return " ".join(words)
