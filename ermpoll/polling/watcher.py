"""Looking at the rows of a query again and again: what came, what went, what is due.

Knows what a look has found; it writes nothing. What is asked of the catalog is
`ConditionalReader`'s. Knows no thread and no schedule.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ermpoll.catalog.conditional import ConditionalReader, Reads
from ermpoll.records import JSON, LookResult, Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is looked at."""

    #: Makes the path; called for each look, since it may hold the present time.
    path: Callable[[], str]
    #: The path asks for one row more than this, so that ``more`` is known.
    limit: int
    #: What a row is called in words.
    noun: str = "row"
    #: Reads how many seconds from now a row changes by time alone, or None.
    due_s: Callable[[], float | None] = lambda: None


class QueryWatcher:
    """The rows of a query, as of the last look.

    An ETag stands for the whole catalog, so a look may still bring the same rows.

    Parameters
    ----------
    log_in, monotonic
        As for `ConditionalReader`.
    """

    def __init__(
        self,
        catalog: Reads,
        query: Query,
        *,
        log_in: Callable[[str | None, float | None], None] = lambda name, left_s: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._query = query
        self._reader = ConditionalReader(catalog, log_in=log_in, monotonic=monotonic)
        #: The rows of the last look, at most ``limit``; None before the first.
        self.rows: list[dict[str, JSON]] | None = None
        #: True when there are more of them.
        self.more = False

    @property
    def is_idle(self) -> bool:
        """Whether it is certain that there is no row, and that none comes by time.

        The whole query was read, under the login that was there at the start.
        """
        whole = self.rows == [] and not self.more
        return whole and self._reader.is_as_expected and self._reader.due_s() is None

    def look(self, unconditional: bool = False) -> LookResult:
        """Read the rows, unless the catalog says that nothing was written.

        Parameters
        ----------
        unconditional
            True: read them in any case. A stored time that has come does the same,
            which a conditional read can't see.

        Raises
        ------
        CatalogError
            As the read does; the next look is as if this one had not been.
        """
        reader = self._reader
        page = reader.read(self._query.path(), unconditional=unconditional)
        if page is None:
            words, due_s = "304, nothing new", reader.due_s()
            return LookResult(outcome="unchanged", due_s=due_s, detail=words)
        reader.keep(page.etag, self._query.due_s())
        return self._looked(page)

    def _looked(self, page: Page) -> LookResult:
        first, old = self.rows is None, _rids(self.rows or [])
        self.rows = page.rows[: self._query.limit]
        self.more = len(page.rows) > self._query.limit
        new = _rids(self.rows)
        return LookResult(
            found=not first and new != old,
            due_s=self._reader.due_s(),
            outcome="rows" if new else "empty",
            etag_moved=self._reader.moved,
            detail=self._words(new, old, first),
        )

    def _words(self, new: set[str], old: set[str], first: bool) -> str:
        noun = self._query.noun + ("" if len(new) == 1 else "s")
        words = f"looked, {len(new):,} {noun}" + " and more" * self.more
        if first or new == old:
            return words
        return f"{words}: {len(new - old):,} came, {len(old - new):,} went"


def _rids(rows: list[dict[str, JSON]]) -> set[str]:
    return {str(row["RID"]) for row in rows}
