"""Choosing candidates: pages of rows, a transform's word on each, moves to send."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ermpoll.catalog.client import Catalog
from ermpoll.queue import plan as planning
from ermpoll.queue import transitions
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.queries import RIDS, Queries
from ermpoll.queue.tokens import new_token
from ermpoll.queue.transitions import Transition
from ermpoll.records import JSON, Change, Row, Transform


class Selector:
    """Finds the rows that a claim or plan is about."""

    def __init__(
        self, spec: QueueDefinition, queries: Queries, catalog: Catalog
    ) -> None:
        self._spec = spec
        self._queries = queries
        self._catalog = catalog

    def candidates(
        self, limit: int, rids: Sequence[str] | None = None
    ) -> Iterator[dict[str, JSON]]:
        """Read candidates in order, a page at a time, for as long as they are asked.

        Rows that are refused are so paged past; ``limit`` is the size of a page.
        """
        if rids is None:
            yield from self.after(None, limit)
            return
        now = self._catalog.now()
        for start in range(0, len(rids), RIDS):
            part = rids[start : start + RIDS]
            page = self._catalog.get(
                self._queries.candidates(now, len(part), rids=part)
            )
            yield from page.rows if page else ()

    def after(
        self, last: dict[str, JSON] | None, limit: int, shard: str = ""
    ) -> Iterator[dict[str, JSON]]:
        """Read the candidates behind a row, or all, ``limit`` to a page."""
        now = self._catalog.now()
        while True:
            path = self._queries.candidates(now, limit, after=last, shard=shard)
            page = self._catalog.get(path)
            rows = page.rows if page else []
            yield from rows
            if len(rows) < limit:
                return
            last = rows[-1]

    def claims(
        self,
        rows: Iterable[dict[str, JSON]],
        limit: int,
        transform: Transform | None,
        token: Callable[[], str],
    ) -> list[Transition]:
        """Decide which rows to claim: at most ``limit`` moves that write.

        Rows that fail or ask for what can't be come along as moves whose change is
        of kind ``failed`` or ``problem``; they don't count.
        """
        chosen: list[Transition] = []
        taken = 0
        for row in rows:
            change = self._claim_change(row, transform)
            if change.kind in ("skipped", "unchanged") and transform is not None:
                continue
            chosen.append(Transition(act="claim", change=change))
            taken += change.kind == "changed"
            if taken >= limit:
                break
        return _with_tokens(self._spec, chosen, token)

    def applies(
        self, rows: Iterator[dict[str, JSON]], limit: int, transform: Transform
    ) -> list[Transition]:
        """Decide what a transform changes: one move per row looked at."""
        spec = self._spec
        return [
            Transition(
                act="apply",
                change=planning.plan_row(row, transform, spec.table, self._stays),
            )
            for row, _ in zip(rows, range(limit), strict=False)
        ]

    def _claim_change(self, row: Row, transform: Transform | None) -> Change:
        spec = self._spec
        claim = transitions.claim(spec, row, None, {}).change
        if transform is None:
            return claim
        extra = planning.plan_row(row, transform, spec.table, self._collides)
        if extra.kind in ("changed", "unchanged"):
            return transitions.claim(spec, row, None, extra.after).change
        return extra

    def _collides(self, row: Row, changes: Row) -> str | None:
        spec = self._spec
        own = {spec.state, spec.owner, spec.attempts} & set(changes)
        if not own:
            return None
        return f"{', '.join(sorted(map(str, own)))}: is written by the claim itself"

    def _stays(self, row: Row, changes: Row) -> str | None:
        """Say that a change leaves the row a candidate: it would come up for ever."""
        spec = self._spec
        if not spec.is_ready(row.get(spec.state)):
            return None
        if not spec.is_ready(changes.get(spec.state, row.get(spec.state))):
            return None
        filtered = spec.path or spec.where
        if any(name in filtered for name in changes) or (
            spec.retry_at and changes.get(spec.retry_at)
        ):
            return None
        return (
            f"the row would stay a candidate: {spec.state} stays "
            f"{changes.get(spec.state, row.get(spec.state))!r}"
        )


def _with_tokens(
    spec: QueueDefinition, chosen: list[Transition], token: Callable[[], str]
) -> list[Transition]:
    """Give each PUT's worth of claims a token of its own."""
    if not spec.owner:
        return chosen
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, move in enumerate(chosen):
        if move.change.kind == "changed":
            groups.setdefault(tuple(sorted(move.change.after)), []).append(place)
    marked = list(chosen)
    for places in groups.values():
        for start in range(0, len(places), planning.BATCH):
            text = token()
            for place in places[start : start + planning.BATCH]:
                before, after = chosen[place].change.before, chosen[place].change.after
                marked[place] = transitions.claim(spec, before, text, after)
    return marked


def tokens_of(name: str, lease_s: float) -> Callable[[], str]:
    """Return a source of tokens that no claim has had before."""
    return lambda: new_token(name, lease_s)
