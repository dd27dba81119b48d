"""Which rows this login may not write: what the catalog tells, and what it refused.

Reads, and keeps what it read; it writes nothing.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping

from ermpoll.backoff import backoff_s
from ermpoll.catalog import paths
from ermpoll.catalog.client import Catalog
from ermpoll.catalog.etags import etag_login
from ermpoll.errors import BadRequest, Conflict, NotFound
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.set_aside import FIRST_S, LONGEST_S, SetAside
from ermpoll.records import JSON, Row, rows
from ermpoll.redact import clipped, one_line

logger = logging.getLogger(__name__)

#: What is said of a row that the catalog tells may not be written.
NO_RIGHT = "this login has no right to update this row"


class RowRights:
    """What keeps single rows of a queue from being written.

    Where a right depends on the row the catalog can tell of each, if it is one that
    knows ``trs``: that is found out by asking, since not all that say so do. What it
    refused in spite of that is set aside.
    """

    def __init__(self, catalog: Catalog, definition: QueueDefinition) -> None:
        self._catalog = catalog
        self._definition = definition
        #: From when on the catalog is asked, and how often in a row it told nothing.
        self._ask_at = -math.inf if definition.rights_by_row else math.inf
        self._untold = 0
        self._model: tuple[str, str] = ("", "")
        self._etag: str | None = None
        self.set_aside = SetAside()

    def barred(
        self, rows: Iterable[Row], queries: Iterable[str], *, anew: bool = False
    ) -> dict[str, str]:
        """Return ``{RID: reason}`` of rows that are not to be written now.

        Parameters
        ----------
        rows
            As they were read just now.
        queries
            The paths that ask for the rights to them.
        anew
            Rows that were refused may be tried again: somebody asked for them.

        Raises
        ------
        CatalogError
            The catalog can't be reached.
        """
        rows = tuple(rows)
        known = {str(row["RID"]): str(row["RMT"]) for row in rows}
        barred = {} if anew else self.left_alone(rows)
        left = known.keys() - barred.keys()
        if left and self._now() >= self._ask_at:
            told = self._told(queries)
            for rid in left & told.keys():
                if told[rid]:
                    self.set_aside.forget([rid])
                    continue
                barred[rid] = NO_RIGHT
                # listed, and not waited for: the catalog tells when it changes
                self.set_aside.put(rid, known[rid], NO_RIGHT, self._now(), wait_s=0)
        return {rid: barred[rid] for rid in known if rid in barred}

    def left_alone(self, rows: Iterable[Row]) -> dict[str, str]:
        """Return ``{RID: reason}`` of rows that were refused, and wait for their time.

        Raises
        ------
        CatalogError
            The catalog can't be reached.
        """
        if self._etag is not None and not len(self.set_aside):
            return {}
        login, model = self._known()
        aside, now = self.set_aside, self._now()
        return {
            rid: aside.why(rid)
            for rid, rmt in ((str(row["RID"]), str(row["RMT"])) for row in rows)
            if aside.holds(rid, rmt, login, model, now)
        }

    def refused(self, rid: str, rmt: str, reason: str, *, own: bool = False) -> None:
        """Take note of a row that the catalog refused to write.

        ``own``: that version of it is of a write of ours. Who was refused, and under
        which model, is what was known before: if that had changed, it is tried again.
        """
        login, model = self._model
        self.set_aside.put(
            rid, rmt, reason, self._now(), login=login, model=model, own=own
        )

    def summary(self) -> str:
        """Say how many rows are left alone, and why the last of them is; or ""."""
        if not (refused := self.set_aside.rows):
            return ""
        last = clipped(refused[-1].reason)
        return f"{rows(len(refused))} refused by the catalog, left alone: {last}"

    def due_s(self) -> float | None:
        """Return the seconds until the next refused row may be tried, or None."""
        return self.set_aside.due_s(self._now())

    def waiting(self, rids: Iterable[str]) -> set[str]:
        """Return those of our own rows that were refused, and wait for their time.

        Raises
        ------
        CatalogError
            The catalog can't be reached.
        """
        refused = [rid for rid in rids if self.again_s(rid)]
        if not refused:
            return set()
        login, model = self._known()
        aside, now = self.set_aside, self._now()
        return {rid for rid in refused if aside.waits(rid, login, model, now)}

    def again_s(self, rid: str) -> float:
        """Return in how many seconds a row that was refused is tried again."""
        return self.set_aside.again_s(rid, self._now())

    def _now(self) -> float:
        # it counts through a suspend, as the lease of a row does
        return self._catalog.clock.reading()

    def _known(self) -> tuple[str, str]:
        """Return the login and the model, as far as ETags tell them apart."""
        table = self._definition.table
        path = f"schema/{paths.quote(table.schema)}/table/{paths.quote(table.name)}"
        page = self._catalog.get(path, etag=self._etag)
        if page is not None:
            self._etag = page.etag
            self._model = (etag_login(page.etag) or "", page.etag or "")
        return self._model

    def _told(self, queries: Iterable[str]) -> dict[str, bool]:
        """Ask for the rights to rows; none where the catalog doesn't know of such.

        Then it is asked again after a growing time: the model may have changed just
        then, or the service does.
        """
        try:
            pages = [self._catalog.get(path) for path in queries]
        except (BadRequest, Conflict, NotFound) as error:
            self._untold += 1
            self._ask_at = self._now() + backoff_s(self._untold, FIRST_S, LONGEST_S)
            logger.info("this catalog tells no rights of rows: %s", one_line(error))
            return {}
        self._untold = 0
        return {
            str(row["RID"]): allowed
            for page in pages
            for row in (page.rows if page else ())
            if (allowed := self._allowed(row)) is not None
        }

    def _allowed(self, row: Row) -> bool | None:
        """Read the rights to a row; None where they are none."""
        rights: JSON = next((row[name] for name in row if name != "RID"), None)
        update = rights.get("update") if isinstance(rights, Mapping) else None
        if not (isinstance(rights, Mapping) and isinstance(update, bool)):
            return None
        columns = rights.get("column_update")
        cells = columns if isinstance(columns, Mapping) else {}
        own = self._definition.own_columns
        return update and all(cells.get(name, True) for name in own)
