"""`state_change_once` and `blocking_poll`: deriva-py's contract, without its defects.

For code that was written to ``PollingErmrestCatalog``. New code is better off with
`Queue` and `Agent`: a claim here is guarded by the whole catalog's ETag, so that
any write to any table makes it start over.
"""

from __future__ import annotations

import logging
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import unquote

from ermpoll import paths, permits
from ermpoll.errors import (
    Aborted,
    Denied,
    PreconditionFailed,
    Unavailable,
    UsageError,
)
from ermpoll.notices import Notices
from ermpoll.poller import Poller
from ermpoll.records import JSON, Looked, Page, Row, Transform

logger = logging.getLogger(__name__)

#: Seconds that a change of state is tried again after lost races or lost answers.
PATIENCE_S = 60.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.02, 2.0


class Door(Protocol):
    """What reads and writes: a catalog."""

    def get(self, path: str, *, etag: str | None = None) -> Page | None:
        """Read rows; None for 304."""

    def put(self, path: str, rows: Sequence[Row], *, guard: str | None = None) -> Page:
        """Write rows under an ETag."""


def state_change_once(
    catalog: Door,
    query: str,
    update: str,
    transform: Transform,
    idle_etag: str | None = None,
) -> tuple[str | None, list[tuple[Row, Row]]]:
    """Read candidates, transform them, write the changes if nobody wrote since.

    Parameters
    ----------
    query
        Path of the candidates: ``entity/Foo/state=actionable?limit=5``.
    update
        Path of the update: ``attributegroup/Foo/id;state``.
    transform
        From a candidate to the row to write, or None to leave it alone.
    idle_etag
        From the call before: no-op while the catalog is still at it.

    Returns
    -------
    idle_etag
        For the next call; None when there may be more rows than ``limit``.
    list
        ``(candidate, row as written)`` for each row that the server wrote.

    Raises
    ------
    PreconditionFailed
        Others kept writing for a minute; nothing was written.
    CatalogError
        By status. What the transform raises is passed on; nothing was written.

    Notes
    -----
    A lost answer is settled by reading the rows back: they count as written by us
    if all hold what was asked for, from one moment. Two workers that write the
    same words can't be told apart so; a `Queue` with an owner column can.
    """
    deadline = time.monotonic() + PATIENCE_S
    pause, tries = threading.Event(), 0
    while True:
        page = catalog.get(query, etag=idle_etag)
        if page is None:
            return idle_etag, []
        plan = _planned(page.rows, transform)
        full = _is_full(query, page.rows)
        if not plan:
            return None if full else page.etag, []
        _point_out(update, plan)
        try:
            written = _put_once(catalog, update, plan, page.etag)
        except (PreconditionFailed, Aborted) as error:
            tries += 1
            if time.monotonic() > deadline:
                error.ermpoll_weather = True  # type: ignore[union-attr]
                raise
            longest = min(FIRST_WAIT_S * 2 ** min(tries, 10), LONGEST_WAIT_S)
            pause.wait(longest * random.random())
            continue
        # our own PUT carried the baseline as its guard, so its ETag hides nothing
        return None if full else written.etag, _pairs(update, plan, written.rows)


def blocking_poll(
    look: Callable[[], object],
    *,
    notices: str | Notices | None = None,
    polling_seconds: float = 600,
    coalesce_seconds: float = 0.1,
    stop: threading.Event | None = None,
) -> None:
    """Call ``look`` whenever there might be work, until stopped.

    Parameters
    ----------
    look
        True: there may be more, look again at once.
    notices
        ``amqp://...``, a Notices object, or None for the timer alone.
    polling_seconds, coalesce_seconds
        The longest and the shortest time between two looks.
    stop
        Set it to end the call.

    Raises
    ------
    Exception
        Whatever ``look`` raises ends the call, but for faults of the network, the
        broker or the login, and races lost by `state_change_once`: those are
        waited out.
    """
    ended: list[BaseException] = []

    def guarded() -> bool | Looked:
        try:
            return bool(look())
        except Exception as error:
            if is_weather(error):
                raise
            ended.append(error)
            poller.stop()
            return False

    poller = Poller(
        guarded,
        notices=notices,
        poll_s=polling_seconds,
        coalesce_s=coalesce_seconds,
    )
    poller.run(stop=stop)
    if ended:
        raise ended[0]


def is_weather(error: BaseException) -> bool:
    """Whether an error of a look passes by itself: network, broker, login, a race."""
    if getattr(error, "ermpoll_weather", False):
        return True
    if isinstance(error, Unavailable | Denied | ConnectionError | TimeoutError):
        return not isinstance(error, Denied) or error.status == 401
    if isinstance(error, socket.gaierror):
        return True
    status = getattr(getattr(error, "response", None), "status_code", None)
    foreign = type(error).__module__.partition(".")[0] in ("requests", "urllib3")
    return foreign and (status is None or status in (401, 408, 429) or status >= 500)


def _planned(
    rows: Sequence[dict[str, JSON]], transform: Transform
) -> list[tuple[Row, Row]]:
    plan: list[tuple[Row, Row]] = []
    for row in rows:
        asked = transform(row)
        if asked is None:
            continue
        if not isinstance(asked, Mapping):
            raise UsageError(
                "expected the transform to return a row or None, found "
                f"{type(asked).__name__}; nothing was written"
            )
        plan.append((row, asked))
    return plan


def _put_once(
    catalog: Door, update: str, plan: Sequence[tuple[Row, Row]], etag: str | None
) -> Page:
    """Send the PUT until its answer is certain."""
    rows = [asked for _, asked in plan]
    deadline, pause, tries = time.monotonic() + PATIENCE_S, threading.Event(), 0
    doubtful = False
    while True:
        try:
            with permits.real():
                return catalog.put(update, rows, guard=etag)
        except PreconditionFailed:
            written = _read_back(catalog, update, rows) if doubtful else None
            if written is None:
                raise
            return written
        except Aborted:
            if not doubtful:
                raise
        except Unavailable as error:
            doubtful = doubtful or error.doubtful
            if not error.doubtful or time.monotonic() > deadline:
                raise
        tries += 1
        longest = min(FIRST_WAIT_S * 2 ** min(tries, 10), LONGEST_WAIT_S)
        pause.wait(longest * random.random())


def _read_back(catalog: Door, update: str, rows: Sequence[Row]) -> Page | None:
    """Return the rows as written, if all hold what was asked for, from one moment."""
    parts = _parts(update)
    if parts is None:
        return None
    table, keys, targets = parts
    moments, found = set(), []
    for row in rows:
        # the key may itself be a target: it then holds the new value already
        fixed = {k: c for k, c in keys.items() if c not in targets.values()}
        wanted = [*fixed.items(), *targets.items()]
        path = "/".join(_is(column, row.get(name)) for name, column in wanted)
        page = catalog.get(f"entity/{table}/{path}")
        if page is None or len(page.rows) != 1:
            return None
        moments.add(page.rows[0].get("RMT"))
        found.append({name: row.get(name) for name in (*keys, *targets)})
    # the ETag of a read would hide what others wrote meanwhile: none is given
    return Page(rows=found, etag=None, url=update) if len(moments) == 1 else None


def _is(column: str, value: JSON) -> str:
    if value is None or isinstance(value, str | bool | int | float):
        return paths.equals(unquote(column), value)
    return f"!{column}::null::"


def _pairs(
    update: str, plan: Sequence[tuple[Row, Row]], written: Sequence[Row]
) -> list[tuple[Row, Row]]:
    """Pair each candidate with its row as written; those not written are left out."""
    parts = _parts(update)
    if parts is None:  # by whole row: the catalog writes all or none
        return list(plan)
    keys = list(parts[1])
    answers = {tuple(map(_plain, (row.get(k) for k in keys))): row for row in written}
    pairs: list[tuple[Row, Row]] = []
    for candidate, asked in plan:
        answer = answers.get(tuple(map(_plain, (asked.get(k) for k in keys))))
        if answer is not None:
            pairs.append((candidate, {**asked, **answer}))
    return pairs


def _plain(value: Any) -> str:
    return str(value)


def _parts(update: str) -> tuple[str, dict[str, str], dict[str, str]] | None:
    """Take an attributegroup path apart: table, keys and targets by body name."""
    match = re.fullmatch(
        r"/?attributegroup/(?P<table>[^/?]+)/(?P<keys>[^;/?]+);(?P<targets>[^/?]+)"
        r"(?:\?.*)?",
        update,
    )
    if match is None:
        return None

    def items(text: str) -> dict[str, str]:
        pairs = (item.rpartition(":=") for item in text.split(","))
        return {unquote(name or column): column for name, _, column in pairs}

    return match["table"], items(match["keys"]), items(match["targets"])


def _is_full(query: str, rows: Sequence[object]) -> bool:
    """Whether the query's limit may have cut something off."""
    limit = re.search(r"[?&;]limit=(\d+)", query)
    return limit is not None and len(rows) >= int(limit[1])


def _point_out(update: str, plan: Sequence[tuple[Row, Row]]) -> None:
    """Warn of what the catalog would swallow, or set to NULL without being asked."""
    parts = _parts(update)
    if parts is None:
        return
    named = {*parts[1], *parts[2]}
    for what, names in (
        ("are not in the update path and will not be written", _strange(plan, named)),
        ("are missing in some rows and will become NULL", _missing(plan, named)),
    ):
        if names:
            logger.warning(
                "%s: %s %s", update, ", ".join(sorted(names)), what,
                extra={"event": "swallowed", "columns": sorted(names)},
            )  # fmt: skip


def _strange(plan: Sequence[tuple[Row, Row]], named: set[str]) -> set[str]:
    return {
        name
        for candidate, asked in plan
        for name, value in asked.items()
        if name not in named and candidate.get(name) != value
    }


def _missing(plan: Sequence[tuple[Row, Row]], named: set[str]) -> set[str]:
    return {name for _, asked in plan for name in named if name not in asked}
