"""RIDs, snapshot ids and the one clock they share with RCT, RMT and ETags."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {
    **{symbol: value for value, symbol in enumerate(_ALPHABET)},
    **{"O": 0, "I": 1, "L": 1},
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode(number: int) -> str:
    """Return `number` in ERMrest's base32: ``encode(1)`` is ``"2"``.

    The codec pads one zero bit, so the last symbol is always an even one; a hyphen
    stands before every fourth symbol from the right.
    """
    return _spell(2 * number)


def decode(text: str) -> int | None:
    """Return the number that `text` spells in any case, or None if it is none."""
    value = _value(text)
    return None if value is None else value // 2


def normalise(text: str) -> str:
    """Return a RID in its one normal spelling; what is no RID comes back as it is."""
    value = _value(text)
    return text if value is None else _spell(value)


def _spell(value: int) -> str:
    symbols = []
    while True:
        value, digit = divmod(value, 32)
        symbols.append(_ALPHABET[digit])
        if not value:
            break
    text = "".join(reversed(symbols))
    head = len(text) % 4
    groups = [text[:head]] if head else []
    groups += [text[at : at + 4] for at in range(head, len(text), 4)]
    return "-".join(groups)


def _value(text: str) -> int | None:
    value = 0
    symbols = text.replace("-", "").upper()
    for symbol in symbols:
        if symbol not in _VALUES:
            return None
        value = value * 32 + _VALUES[symbol]
    return value if symbols and len(symbols) <= 26 else None


def moment(micros: int) -> datetime:
    """Return the UTC time that lies `micros` microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=micros)


def micros_of(at: datetime) -> int:
    """Return the microseconds from 1970 to `at`; a time without zone counts as UTC."""
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - _EPOCH) // timedelta(microseconds=1)


class Clock:
    """A clock in whole microseconds that never shows the same time twice.

    Parameters
    ----------
    last
        The newest time already given out, from a run before this one.
    """

    def __init__(self, last: int = 0) -> None:
        self.last = last

    def tick(self) -> int:
        """Return the time now, in microseconds since 1970, later than ever before."""
        self.last = max(time.time_ns() // 1000, self.last + 1)
        return self.last
