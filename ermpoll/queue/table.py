"""The table of a queue: what it is called, what it shows, and rows read from it.

All that reads, writes or draws rows of a queue takes this. It decides nothing, and
writes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from ermpoll import render
from ermpoll.catalog import paths
from ermpoll.catalog.client import Catalog
from ermpoll.catalog.client_context import doing
from ermpoll.catalog.etags import snapshot_id
from ermpoll.errors import BadRequest, Conflict, Denied, NotFound, WriteRefused
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.reading.course import Course
from ermpoll.queue.reading.queries import Queries
from ermpoll.queue.reading.rights import RowRights
from ermpoll.queue.transitions import Whose, origin_of
from ermpoll.records import JSON, SYSTEM_COLUMNS, Row
from ermpoll.redact import one_line
from ermpoll.shown import Shown

if TYPE_CHECKING:
    from ermpoll.render.frames import DataFrame

logger = logging.getLogger(__name__)

#: Which rows of a queue were asked for.
Listing: TypeAlias = Literal["candidates", "held", "failures", "stale", "refused"]


@dataclass(frozen=True, eq=False)
class QueueTable:
    """A queue's definition, its paths, and the catalog they are paths of."""

    definition: QueueDefinition
    queries: Queries
    catalog: Catalog
    rights: RowRights = field(init=False, repr=False)
    #: Rows per state word, whenever they were counted.
    depth: Course = field(init=False, repr=False, default_factory=Course)

    def __post_init__(self) -> None:
        rights = RowRights(self.catalog, self.definition)
        object.__setattr__(self, "rights", rights)

    @property
    def title(self) -> str:
        """The table's name: ``Schema:Table``."""
        return self.definition.table.label

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns shown, in order."""
        return self.shown_columns("candidates")

    def shown_columns(self, listing: Listing) -> tuple[str, ...]:
        """Return the columns shown of candidates, held, failed or stale rows."""
        definition = self.definition
        if definition.columns is None:
            return self._by_use()
        more: tuple[str | None, ...] = {
            "held": (definition.owner, "RMT", "RMB"),
            "stale": (definition.owner, "RMT", "RMB"),
            "failures": (
                definition.state, definition.error, definition.attempts, "RMT",
            ),
        }.get(listing, ())  # fmt: skip
        names = ("RID", *definition.columns, *(name for name in more if name))
        return tuple(dict.fromkeys(names))

    def _by_use(self) -> tuple[str, ...]:
        """All columns: what says how the row stands, what it is, then the catalog's."""
        definition = self.definition
        told = (
            definition.state, definition.owner, definition.error,
            definition.attempts, definition.retry_at,
        )  # fmt: skip
        named = (n for n in definition.table.columns if n not in SYSTEM_COLUMNS)
        names = ("RID", *(name for name in told if name), *named, *SYSTEM_COLUMNS)
        there = definition.table.columns
        return tuple(name for name in dict.fromkeys(names) if name in there)

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that a row of it has in any case."""
        return ("RID", "RMT", self.definition.state)

    @property
    def types(self) -> Mapping[str, str]:
        """The pandas type of each column, by name."""
        columns = self.definition.table.columns
        return {name: column.dtype for name, column in columns.items()}

    @property
    def why_not_writable(self) -> str:
        """Why nothing can be written here, in words; empty when it can."""
        if self.catalog.read_only:
            return self.catalog.why_read_only
        return self._right_missing

    @property
    def _right_missing(self) -> str:
        if self.definition.table.may_update is False:
            return f"this login has no right to update {self.title}"
        if denied := self.definition.columns_denied:
            s = "s" if len(denied) > 1 else ""
            return (
                f"this login has no right to update the column{s} "
                f"{', '.join(map(repr, denied))} of {self.title}, which claiming writes"
            )
        return ""

    def check_right(self) -> None:
        """Raise Denied where nothing can be written for want of a right.

        WriteRefused for a snapshot, which nobody has a right to write to.
        """
        if self.catalog.is_snapshot:
            raise WriteRefused(f"no write was sent: {self.catalog.why_read_only}")
        if missing := self._right_missing:
            raise Denied(
                f"expected the right to update {self.title}, but {missing}; log in as "
                "somebody who has it, or ask the catalog's owner"
            )

    def barred(self, rows: Iterable[Row], *, anew: bool = False) -> dict[str, str]:
        """Say of rows why they are not to be written now: ``{RID: reason}``.

        ``anew``: somebody asked for these rows, so what was refused is tried again.
        """
        rows = tuple(rows)
        paths_ = self.queries.rights(str(row["RID"]) for row in rows)
        return self.rights.barred(rows, paths_, anew=anew)

    def link(self, rid: str) -> str:
        """Return the address of a row's page in Chaise."""
        server, _, number = self.catalog.url.partition("/ermrest/catalog/")
        table = self.definition.table.path
        return f"{server}/chaise/record/#{number}/{table}/RID={paths.quote(rid)}"

    def read_rows(self, rids: Iterable[str]) -> dict[str, dict[str, JSON]]:
        """Read rows whatever their state: ``{RID: row}``, without those gone."""
        return {
            str(row["RID"]): row
            for path in self.queries.rows(rids)
            for row in self.catalog.rows(path, *self.needed)
        }

    def read_columns(
        self, rids: Iterable[str], columns: Iterable[str]
    ) -> dict[str, dict[str, JSON]]:
        """Read version and some columns of rows: ``{RID: row}``."""
        columns = tuple(columns)
        return {
            str(row["RID"]): row
            for path in self.queries.marks(rids, columns)
            for row in self.catalog.rows(path, "RID", "RMT", *columns)
        }

    def columns_at(self, version: str, rid: str, columns: Iterable[str]) -> Row:
        """Read columns of a row as they were at a version; empty where none tells."""
        snapshot = snapshot_id(version)
        if snapshot is None:
            return {}
        [path] = self.queries.marks([rid], columns)
        try:
            page = self.catalog.get(f"{self.catalog.url}@{snapshot}/{path}")
        except (BadRequest, Conflict, Denied, NotFound) as error:
            logger.info("this catalog tells no past: %s", one_line(error))
            return {}
        return page.rows[0] if page and page.rows else {}

    def words_met(self, *words: JSON) -> set[JSON]:
        """Return which of these state words occur in the table; or some of all."""
        name = self.definition.state
        found = (self.catalog.rows(path, name) for path in self.queries.words(*words))
        return {row[name] for rows in found for row in rows}

    @property
    def has_vocabulary(self) -> bool:
        """Whether the state column refers to a table of its words."""
        references = self.definition.table.references
        return any(one.column == self.definition.state for one in references)

    def outside(self, rows: Iterable[Row]) -> dict[str, str]:
        """Say of rows why they are none of this queue's: ``{RID: reason}``."""
        definition, rows = self.definition, tuple(rows)
        rids = [str(row["RID"]) for row in rows]
        found = set(rids)
        if not self.queries.reaches_all:
            pages = map(self.catalog.get, self.queries.within(rids))
            found = {str(row["RID"]) for page in pages if page for row in page.rows}
        narrow = "path" if definition.path else "filter"
        reasons = dict.fromkeys(rids, f"is outside this queue's {narrow}")
        for row in rows:
            if row["RID"] in found:
                del reasons[str(row["RID"])]
                if self._is_anothers(row):
                    reasons[str(row["RID"])] = (
                        "was claimed by another queue of this table, from a ready "
                        "word that is none of this one's"
                    )
        return reasons

    def _is_anothers(self, row: Row) -> bool:
        # in any other state the token tells of a step that is over
        definition = self.definition
        state = row.get(definition.state)
        told = state == definition.claimed or definition.is_failed(state)
        return told and origin_of(definition, row).whose is Whose.ANOTHERS

    def try_rows(self, rids: Iterable[str]) -> dict[str, dict[str, JSON]] | None:
        """Read rows to learn what became of a write; None when they can't be had.

        The write stands all the same: nothing that was learned of it may be lost.
        """
        try:
            return self.read_rows(rids)
        except Exception as error:  # noqa: BLE001  whatever a read meets
            logger.warning("rows can't be read back: %s", one_line(error))
            return None

    def read(self, kind: Listing, path: str, limit: int | None = None) -> Candidates:
        """Read rows of a path that finds one more than ``limit`` at most."""
        with doing(kind):
            rows = self.catalog.rows(path, *self.needed)
            more = limit is not None and len(rows) > limit
            rows = rows[:limit]
            if kind == "candidates":
                refused = self.barred(rows)
                return Candidates(jobs=self, rows=rows, more=more, refused=refused)
            outside = self.outside(rows)
            return Candidates(
                jobs=self, kind=kind, rows=rows, more=more, outside=outside
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates(Shown):
    """Rows of a queue as they were read; iterating gives dicts.

    Examples
    --------
    >>> some = jobs.candidates(2)
    >>> len(some), some.more, some.columns[:2], len(some.frame)
    (2, True, ('RID', 'File_Name'), 2)
    >>> [row["Processing_Status"] for row in some]
    ['new', 'new']
    >>> some.rids == tuple(row["RID"] for row in some.rows)
    True
    """

    jobs: QueueTable = field(repr=False, compare=False)
    kind: Listing = "candidates"
    rows: list[dict[str, JSON]] = field(repr=False)
    #: True when the catalog has more of them than were asked for.
    more: bool = False
    #: ``{RID: reason}`` of rows that are none of this queue's: no act touches them.
    outside: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: ``{RID: reason}`` of rows that the catalog doesn't let this login write.
    refused: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __iter__(self) -> Iterator[dict[str, JSON]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def rids(self) -> tuple[str, ...]:
        """Their RIDs, in order."""
        return tuple(str(row["RID"]) for row in self.rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns shown, in order."""
        return self.jobs.shown_columns(self.kind)

    @property
    def frame(self) -> DataFrame:
        """The rows as a DataFrame: one line a row, real dtypes, RID as text."""
        from ermpoll.render import frames

        return frames.frame(self.rows, self.columns, self.jobs.types)

    def __repr__(self) -> str:
        more = " of more" if self.more else ""
        outside = f", {len(self.outside)} outside it" if self.outside else ""
        return f"<{len(self)}{more} {self.kind} of {self.jobs.title}{outside}>"

    def _repr_html_(self) -> str:
        return render.candidates(self)
