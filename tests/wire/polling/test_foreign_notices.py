"""Notices of what others write: how often they are looked at, and what they put off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import ermpoll
from ermpoll.polling.watcher import Query, QueryWatcher
from ermpoll.records import LookResult
from tests.helpers.conditions import wait_until
from tests.helpers.tables import add, make_table

NEW = {"state": "actionable"}
PATH = "entity/Ops:Job/state=actionable@sort(RID)?limit=101"
COALESCE_S = 0.1


@dataclass(slots=True)
class Looks:
    """A poller that listens, and its looks."""

    watcher: QueryWatcher
    at: list[float] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)

    def look(self) -> LookResult:
        self.at.append(time.monotonic())
        looked = self.watcher.look()
        self.outcomes.append(looked.outcome)
        return looked

    def saw(self, rid: str) -> bool:
        return any(row["RID"] == rid for row in self.watcher.rows or ())


@contextmanager
def looking(box: ermpoll.sandbox.Box, catalog: ermpoll.Catalog) -> Iterator[Looks]:
    looks = Looks(QueryWatcher(catalog, Query(path=lambda: PATH, limit=100)))
    poller = ermpoll.Poller(looks.look, notices=box.amqp_url, coalesce_s=COALESCE_S)
    with poller:
        wait_until(lambda: poller.status.notices.state == "push")
        wait_until(lambda: poller.status.state == "waiting" and looks.outcomes)
        yield looks


def stream(catalog: ermpoll.Catalog, until: Callable[[], object]) -> None:
    """Others write, one write after the other, until something is so."""
    deadline = time.monotonic() + 30
    while not until():
        assert time.monotonic() < deadline
        add(catalog, {"state": "theirs"})


def test_what_other_catalogs_write_neither_floods_nor_puts_off_the_looks(box, catalog):
    other = ermpoll.connect(box.new_catalog())
    make_table(other)

    with looking(box, catalog) as looks:
        began, first = time.monotonic(), len(looks.at)
        stream(other, lambda: len(looks.at) >= first + 8)
        took_s = time.monotonic() - began
        seen, of_theirs = len(looks.at) - first, looks.outcomes[first:]
        [rid] = add(catalog, NEW)
        wait_until(lambda: looks.saw(rid))

    assert seen <= took_s / COALESCE_S + 2
    assert set(of_theirs) == {"unchanged"}


def test_what_others_write_to_the_catalog_is_looked_at_ever_less(box, catalog):
    with looking(box, catalog) as looks:
        stream(catalog, lambda: any(b - a >= 0.35 for a, b in pairwise(looks.at[2:])))
        [rid] = add(catalog, NEW)
        wait_until(lambda: looks.saw(rid))

    assert "empty" in looks.outcomes
