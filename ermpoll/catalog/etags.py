"""What an ETag says, and the newest one that is known of a catalog in this process.

An ETag stands for the whole catalog, whatever was asked for: if somebody here heard
it after the news came in, nobody else has to ask again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ermpoll.catalog.clock import parse_time
from ermpoll.catalog.write_lock import Turns
from ermpoll.records import Page

_ETAG = re.compile(r'^(?:W/)?"(?P<roles>[^;]*);(?P<accept>.*);(?P<version>[^;"]*)"$')
_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class SharedETag:
    """The newest ETag heard of one catalog, and when it was asked for."""

    def __init__(self) -> None:
        self._turns = Turns()
        #: ETag, and when it was asked for; one value, so that it is never half new.
        self._known: tuple[str | None, float] = (None, float("-inf"))

    def ask(
        self,
        etag: str,
        since: float,
        get: Callable[[], Page | None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Page | None:
        """Return None if the catalog is still at an ETag, else what ``get`` returns.

        Parameters
        ----------
        etag
            The ETag of the caller's last read; it names the login as well.
        since
            On the monotonic clock: an answer asked for since then will do.
        get
            Asks under the ETag; called by one at a time, unless that one hangs.
        """
        with self._turns.take():
            known, asked_at = self._known
            if known == etag and asked_at >= since:
                return None
            asked_at = monotonic()
            page = get()
            if asked_at >= self._known[1]:
                self._known = (etag if page is None else page.etag, asked_at)
            return page


def etag_time(etag: str | None) -> datetime | None:
    """Return the time of the catalog's newest change that an ETag names, or None.

    The third part of an ERMrest ETag is that time, as text or as a snapshot id;
    anything else gives None.
    """
    match = _ETAG.match(etag or "")
    if match is None:
        return None
    version = match["version"]
    return parse_time(version) or snapshot_time(version)


def etag_login(etag: str | None) -> str | None:
    """Return the part of an ETag that stands for the login's roles, or None."""
    match = _ETAG.match(etag or "")
    return match["roles"] if match else None


def snapshot_id(version: str) -> str | None:
    """Return what names the catalog as it was at a time; None where it is no time."""
    at = parse_time(version)
    return None if at is None else snapshot_of(at)


def snapshot_of(at: datetime) -> str:
    """Return what names the catalog as it was at a moment."""
    passed = at - datetime(1970, 1, 1, tzinfo=UTC)
    value, digits = 2 * (passed // timedelta(microseconds=1)), ""
    while value > 0:
        value, digit = divmod(value, 32)
        digits = _BASE32[digit] + digits
    parts = [digits[max(0, end - 4) : end] for end in range(len(digits), 0, -4)]
    return "-".join(reversed(parts))


def snapshot_time(text: str) -> datetime | None:
    """Return the moment that names a snapshot; None where the text is no such name."""
    digits = text.replace("-", "").upper()
    if not digits or any(digit not in _BASE32 for digit in digits):
        return None
    value = 0
    for digit in digits:
        value = value * 32 + _BASE32.index(digit)
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value // 2)
    except OverflowError:
        return None
