"""Plays a race on a sandbox: every step is a request, every meeting a fresh row.

Decides nothing: which step comes next says `script`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ermpoll.catalog import Catalog
from ermpoll.errors import CatalogError, PreconditionFailed, Unavailable, UsageError
from ermpoll.queue.tokens import new_token
from ermpoll.sandbox.box import box_of
from ermpoll.teach.script import (
    CLAIMED,
    READY,
    WORKERS,
    Act,
    ClaimGuard,
    Heard,
    Move,
    Played,
    RowNow,
    Story,
    every_order,
)

if TYPE_CHECKING:
    from ermpoll.records import Page
    from ermpoll.sandbox import Box

#: Seconds that a claim of a race counts, as its token says.
LEASE_S = 600.0
_SYSTEM = ("RID", "RCT", "RMT", "RCB", "RMB")
_KEYS = {
    ClaimGuard.NONE: "RID",
    ClaimGuard.STATE: "RID,was:=State",
    ClaimGuard.ETAG: "RID",
    ClaimGuard.VERSION: "RID,RMT",
}


@dataclass(slots=True, kw_only=True)
class Hand:
    """What one worker keeps in mind while it plays."""

    row: dict[str, Any]
    etag: str | None = None
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request and its answer."""

    request: str
    answer: str
    heard: Heard


class Stage:
    """A table of a sandbox, two workers with a login each, and who looks on."""

    def __init__(self, box: Box, workers: tuple[Catalog, Catalog]) -> None:
        self.box, self.workers = box, workers
        self.names = _names(workers)
        self._owner = box.catalog()
        self.table = f"Imaging:Race_{secrets.token_hex(3)}"
        self._owner.post("schema", [_table(self.table, _clients(workers))])

    def begin(self, guard: ClaimGuard, stories: tuple[Story, Story]) -> Take:
        """Add a fresh row to meet at."""
        [row] = self._owner.post(f"entity/{self.table}", [{"State": READY}]).rows
        return Take(self, guard, stories, str(row["RID"]))

    def play(self, guard: ClaimGuard, stories: tuple[Story, Story], order: str) -> Take:
        """Play just these steps, on a fresh row.

        Raises
        ------
        UsageError
            The order names a worker that has nothing left to do.
        """
        take = self.begin(guard, stories)
        for who in order:
            take.step(who)
        return take

    def play_out(
        self, guard: ClaimGuard, stories: tuple[Story, Story], order: str
    ) -> Take:
        """Play these steps on a fresh row, and go on to the end."""
        take = self.play(guard, stories, order)
        while choices := take.played.choices:
            take.step(choices[0])
        return take

    def play_all(
        self, guard: ClaimGuard, stories: tuple[Story, Story]
    ) -> tuple[Played, ...]:
        """Play every order there is, each on a fresh row."""
        play = lambda order: self.play_out(guard, stories, order).played  # noqa: E731
        return tuple(every_order(play))

    def look(self, rid: str) -> RowNow:
        """Read the row as one who looks on."""
        [row] = self._owner.rows(f"entity/{self.table}/RID={rid}", "RMT", "State")
        state, token = str(row["State"]), str(row["Owner"] or "")
        return RowNow(state=state, version=str(row["RMT"]), token=token)


class Take:
    """One meeting at one row, as far as it was played."""

    def __init__(
        self, stage: Stage, guard: ClaimGuard, stories: tuple[Story, Story], rid: str
    ) -> None:
        self._stage = stage
        self._hands = {who: Hand(row={"RID": rid}) for who in WORKERS}
        begun = stage.look(rid)
        self.played = Played(guard=guard, stories=stories, rid=rid, begun=begun)

    def step(self, who: str) -> Move:
        """Let a worker make its next step.

        Raises
        ------
        UsageError
            It has nothing left to do.
        CatalogError
            The sandbox answers otherwise than any story has it.
        """
        act = self.played.next_act(who) if who in tuple(WORKERS) else None
        if act is None:
            able = " or ".join(self.played.choices) or "nobody: all is played"
            raise UsageError(f"expected a worker with a step to make ({able}): {who!r}")
        sent = self._acts[act](self, who)
        made = Move(
            who=who,
            act=act,
            request=sent.request,
            answer=sent.answer,
            heard=sent.heard,
            before=self.played.row,
            after=self._stage.look(self.played.rid),
        )
        self.played = replace(self.played, steps=(*self.played.steps, made))
        return made

    def _catalog(self, who: str) -> Catalog:
        return self._stage.workers[WORKERS.index(who)]

    def _read(self, who: str) -> Sent:
        page = self._get(who)
        row, hand = page.rows[0], self._hands[who]
        hand.row, hand.etag = row, page.etag
        heard = Heard.FREE if row["State"] == READY else Heard.TAKEN
        return self._told("GET", self._row_path, f"200, {row['State']}", heard)

    def _ask(self, who: str) -> Sent:
        row = self._get(who).rows[0]
        mine = row["Owner"] == self._hands[who].token
        heard = Heard.WON if mine else Heard.TOO_LATE
        answer = f"200, {'my' if mine else 'not my'} token"
        return self._told("GET", self._row_path, answer, heard)

    def _claim(self, who: str) -> Sent:
        self._hands[who].token = str(new_token(self._name(who), LEASE_S))
        with self._weather(who):
            return self._again(who)

    def _again(self, who: str) -> Sent:
        hand, guard = self._hands[who], self.played.guard
        keys = {"RID": hand.row["RID"], "was": READY, "RMT": hand.row["RMT"]}
        row = {**keys, "State": CLAIMED, "Owner": hand.token}
        named = f"{_KEYS[guard]};State,Owner"
        kept = {name: row[name] for name in _columns(named)}
        etag = hand.etag if guard is ClaimGuard.ETAG else None
        return self._put(who, named, kept, Heard.WON, etag)

    def _back(self, who: str) -> Sent:
        token, rid = self._hands[who].token, self.played.rid
        row = {"RID": rid, "mine": token, "State": READY, "Owner": None}
        return self._put(who, "RID,mine:=Owner;State,Owner", row, Heard.GIVEN)

    def _put(
        self,
        who: str,
        named: str,
        row: dict[str, Any],
        good: Heard,
        etag: str | None = None,
    ) -> Sent:
        path = f"attributegroup/{self._stage.table}/{named}"
        try:
            page = self._catalog(who).put(path, [row], guard=etag)
        except PreconditionFailed:
            answer, heard = "412", Heard.TOO_LATE
        except Unavailable as error:
            heard = Heard.DOUBT if error.doubtful else Heard.NOTHING
            answer = f"{error.status}, {error.detail}" if error.status else "none came"
        else:
            heard = good if page.rows else Heard.TOO_LATE
            answer = "200, the row" if page.rows else "200, no row"
        shown = f"{path}, If-Match: {etag}" if etag else path
        return self._told("PUT", shown, answer, heard)

    def _get(self, who: str) -> Page:
        page = self._catalog(who).get(self._row_path)
        if page is None or not page.rows:
            raise CatalogError(f"expected the row {self.played.rid}, found it gone")
        return page

    @contextmanager
    def _weather(self, who: str) -> Iterator[None]:
        """Let one write fail as the worker's story has it."""
        story, box = self.played.stories[WORKERS.index(who)], self._stage.box
        plans: dict[Story, dict[str, Any]] = {
            Story.ABORTED: {"status": 503, "detail": "Transaction aborted."},
            Story.LOST: {"drop_reply": True},
        }
        if story not in plans:
            yield
            return
        box.faults(times=1, methods=["PUT"], **plans[story])
        try:
            yield
        finally:
            box.faults()

    @property
    def _row_path(self) -> str:
        return f"entity/{self._stage.table}/RID={self.played.rid}"

    def _name(self, who: str) -> str:
        return self._stage.names[WORKERS.index(who)]

    @staticmethod
    def _told(method: str, path: str, answer: str, heard: Heard) -> Sent:
        return Sent(request=f"{method} {path}", answer=answer, heard=heard)

    _acts: dict[Act, Callable[[Take, str], Sent]] = {  # noqa: RUF012  never changed
        Act.READ: _read,
        Act.CLAIM: _claim,
        Act.AGAIN: _again,
        Act.ASK: _ask,
        Act.BACK: _back,
    }


def stage_of(a: object, b: object) -> Stage:
    """Return a stage in the sandbox of two workers.

    Raises
    ------
    UsageError
        They are no catalogs or queues, or of no sandbox of this process, or of two.
        Nothing was sent.
    """
    first, second = _catalog_of(a), _catalog_of(b)
    boxes = [box_of(one.url) for one in (first, second)]
    for one, box in zip((first, second), boxes, strict=True):
        if box is None:
            raise UsageError(
                "expected workers of a sandbox of this notebook "
                f"(ermpoll.sandbox.start), found the catalog {one.url}: a race writes "
                "to what it plays on, so nothing was sent there"
            )
    if boxes[0] is None or boxes[0] is not boxes[1]:
        raise UsageError("expected two workers of one sandbox, found two sandboxes")
    return Stage(boxes[0], (first, second))


def _catalog_of(worker: object) -> Catalog:
    found = getattr(worker, "catalog", worker)
    if isinstance(found, Catalog):
        return found
    kind = type(worker).__name__
    raise UsageError(
        f"expected a worker's catalog (box.catalog(user=...)) or queue, found {kind}"
    )


def _names(workers: tuple[Catalog, Catalog]) -> tuple[str, str]:
    first, second = (one.whoami() or "nobody" for one in workers)
    if first == second:
        return f"{first} 1", f"{second} 2"
    return first.capitalize(), second.capitalize()


def _clients(workers: tuple[Catalog, Catalog]) -> list[str]:
    sessions = [one.session() for one in workers]
    return [session.id for session in sessions if session is not None]


def _columns(named: str) -> list[str]:
    """Return the names in a path's ``key,alias:=column;targets``."""
    return [part.split(":=")[0] for part in named.replace(";", ",").split(",")]


def _table(table: str, clients: list[str]) -> dict[str, Any]:
    schema, name = table.split(":")
    types = {**{one: f"ermrest_{one.lower()}" for one in _SYSTEM}}
    types |= {"State": "text", "Owner": "text"}
    columns = [
        {"name": one, "type": {"typename": kind}, "nullok": one not in _SYSTEM[:3]}
        for one, kind in types.items()
    ]
    return {
        "schema_name": schema,
        "table_name": name,
        "kind": "table",
        "comment": "Rows that two workers meet at",
        "column_definitions": columns,
        "keys": [{"unique_columns": ["RID"]}],
        "acls": {"update": clients},
    }
