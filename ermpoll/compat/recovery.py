"""An update path and the rows for it: what it names, and what became of it.

Knows how ``attributegroup/T/key;target`` and ``entity/T`` name columns. Reads where
it must; never writes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from urllib.parse import unquote

from ermpoll.catalog import paths
from ermpoll.catalog.clock import parse_time
from ermpoll.catalog.conditional import Reads
from ermpoll.catalog.etags import etag_time
from ermpoll.catalog.transport import with_columns
from ermpoll.errors import BadRequest, Conflict, NotFound
from ermpoll.records import JSON, SYSTEM_COLUMNS, Page, Row

logger = logging.getLogger(__name__)

_GROUP = re.compile(
    r"/?attributegroup/(?P<table>[^/?]+)/(?P<keys>[^;/?]+);(?P<targets>[^/?]+)(?:\?.*)?"
)
_ENTITY = re.compile(r"/?entity/(?P<table>[^/?]+)/?(?:\?.*)?")


class Door(Reads, Protocol):
    """What reads and writes: a catalog."""

    def put(self, path: str, rows: Sequence[Row], *, guard: str | None = None) -> Page:
        """Write rows under an ETag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """An update path taken apart."""

    #: As given.
    path: str
    #: As it stands in the path: ``S:T``, quoted.
    table: str
    #: The name in a row's body -> the column it is compared with.
    keys: Mapping[str, str]
    #: The name in a row's body -> the column it is written to.
    targets: Mapping[str, str]
    #: Whether each row is written whole: columns it doesn't name become NULL.
    whole: bool = False


def parse(path: str, rows: Sequence[Row]) -> Update | None:
    """Take an update path apart; None where its keys can't be told.

    Parameters
    ----------
    rows
        The rows to write: an ``entity`` path names no columns, they do.
    """
    if group := _GROUP.fullmatch(path):
        keys, targets = _items(group["keys"]), _items(group["targets"])
        return Update(path=path, table=group["table"], keys=keys, targets=targets)
    entity = _ENTITY.fullmatch(path)
    if entity is None or not all("RID" in row for row in rows):
        return None
    names = {name for row in rows for name in row if name not in SYSTEM_COLUMNS}
    return Update(
        path=path,
        table=entity["table"],
        keys={"RID": "RID"},
        targets={name: name for name in sorted(names)},
        whole=True,
    )


def point_out(update: Update | None, plan: Sequence[tuple[Row, Row]]) -> None:
    """Warn of what the catalog would swallow, or set to NULL without being asked."""
    if update is None:
        return
    for what, names in (
        ("are not in the update path: not written", _swallowed(update, plan)),
        ("are missing in some rows: they become NULL", _nulled(update, plan)),
    ):
        if names:
            listed = sorted(names)
            extra = {"event": "swallowed", "columns": listed}
            logger.warning(
                "%s: %s %s", update.path, ", ".join(listed), what, extra=extra
            )


def _swallowed(update: Update, plan: Sequence[tuple[Row, Row]]) -> set[str]:
    """Return the names that rows give new values for, and the path doesn't write."""
    named = {*update.keys, *update.targets}
    return {
        name
        for candidate, asked in plan
        for name, value in asked.items()
        if name not in named and candidate.get(name) != value
    }


def _nulled(update: Update, plan: Sequence[tuple[Row, Row]]) -> set[str]:
    """Return the names that would become NULL in a row that doesn't name them."""
    named = {*update.keys, *update.targets}
    missing: set[str] = set()
    for candidate, asked in plan:
        wanted = named.union(candidate) if update.whole else named
        missing |= wanted.difference(asked)
    return missing.difference(SYSTEM_COLUMNS)


def pairs(
    update: Update | None, plan: Sequence[tuple[Row, Row]], written: Sequence[Row]
) -> list[tuple[Row, Row]]:
    """Pair each candidate with its row as written; those not written are left out."""
    keys = list(update.keys) if update else []
    answers = {_key(row, keys): row for row in written} if keys else {}
    found: list[tuple[Row, Row]] = []
    for candidate, asked in plan:
        answer = answers.get(_key(asked, keys))
        if answer is not None:
            found.append((candidate, {**asked, **answer}))
        elif len(written) >= len(plan):
            # all were written, and the answer spells this key in another way
            found.append((candidate, asked))
    return found


def read_back(
    catalog: Door, update: Update, rows: Sequence[Row], *, since: str
) -> Page | None:
    """Return the rows of an update whose answer was lost, if `written_by` finds them.

    The page has no ETag: that of a read would hide what others wrote meanwhile.
    """
    login = catalog.session()
    client = login.id if login else None
    found = written_by(catalog, update, rows, since=since, client=client)
    logger.warning(
        "%s: an answer was lost; the rows %s",
        update.path,
        "were not written by us" if found is None else "were written",
        extra={"event": "settled", "rows": len(found or ())},
    )
    return found if found is None else Page(rows=found, etag=None, url="")


def written_by(
    catalog: Reads,
    update: Update,
    rows: Sequence[Row],
    *,
    since: str | None,
    client: str | None,
) -> list[dict[str, JSON]] | None:
    """Read whether an update whose answer was lost was committed.

    Parameters
    ----------
    since
        The ETag that guarded it.
    client
        The id of this login, or None when it isn't known.

    Returns
    -------
    list of rows, or None
        The rows as written, if all of them, and no other row of the table, were
        written at one moment after ``since`` by this login and hold what was asked
        for. None otherwise.

    Notes
    -----
    The table keeps no more than that. Another process with the same login that
    wrote the same words to the same rows while our write was under way looks the
    same; a value of one's own among the targets (a host name, a random text) tells
    them apart.
    """
    try:
        traces = [_trace(catalog, update, row) for row in rows]
        moments = {at for at, _ in traces}
        at = next(iter(moments))
        before = etag_time(since)
        if len(moments) != 1 or at is None or (before is not None and at <= before):
            return None
        if client is not None and any(who != client for _, who in traces):
            return None
        if _count(catalog, update.table, at) != len(rows):
            return None
    except (BadRequest, Conflict, NotFound):
        return None  # a table without system columns tells nothing
    named = (*update.keys, *update.targets)
    return [{name: row.get(name) for name in named} for row in rows]


def _trace(catalog: Reads, update: Update, row: Row) -> tuple[datetime | None, JSON]:
    """Return when and by whom the row was written last, if it holds what was asked."""
    # a key that is itself a target holds the new value already
    fixed = {n: c for n, c in update.keys.items() if c not in update.targets.values()}
    wanted = [*fixed.items(), *update.targets.items()]
    # None may have become NULL or JSON's null, so it counts only if all are None
    told = [item for item in wanted if row.get(item[0]) is not None] or wanted
    filters = [_is(column, row.get(name)) for name, column in told]
    page = catalog.get(
        paths.join("attribute", update.table, *filters, "RMT,RMB?limit=2")
    )
    if page is None or len(page.rows) != 1:
        return None, None
    [found] = with_columns(page, "RMT", "RMB").rows
    return parse_time(found["RMT"]), found["RMB"]


def _count(catalog: Reads, table: str, at: datetime) -> JSON:
    moment = paths.equals("RMT", at.isoformat())
    page = catalog.get(paths.join("aggregate", table, moment, "n:=cnt(RID)"))
    return with_columns(page, "n").rows[0]["n"] if page and page.rows else None


def _is(column: str, value: JSON) -> str:
    if value is None or isinstance(value, str | bool | int | float):
        return paths.equals(column, value)
    return f"!{paths.quote(column)}::null::"


def _key(row: Row, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(row.get(name)) for name in names)


def _items(text: str) -> dict[str, str]:
    parts = (item.rpartition(":=") for item in text.split(","))
    return {unquote(name or column): unquote(column) for name, _, column in parts}
