from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ermpoll.catalog.model import Column, Table
from ermpoll.catalog.paths import Order
from ermpoll.queue import transitions
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.transitions import Held

TYPES = {
    "RID": "text", "RMT": "timestamptz", "state": "text", "owner": "text",
    "tries": "int4", "why": "text", "later": "timestamptz", "n": "int4",
}  # fmt: skip
TABLE = Table(
    schema="S",
    name="T",
    columns={n: Column(name=n, typename=t, base=t) for n, t in TYPES.items()},
    keys=(("RID",),),
    references=(),
    may_update=True,
)
BASE: dict[str, Any] = {
    "table": TABLE, "state": "state", "ready": ("new", None), "claimed": "busy",
    "done": "done", "failed": "failed", "order": Order("RID"),
}  # fmt: skip
FULL = QueueDefinition(
    **BASE, owner="owner", attempts="tries", error="why", retry_at="later", lease_s=600
)
BARE = QueueDefinition(**{**BASE, "failed": "error: {error}"})
THEN = "2026-01-01T00:00:00+00:00"
ROW = {
    "RID": "A", "RMT": THEN, "state": None, "owner": "", "tries": 1, "why": "before",
    "later": None, "n": 7,
}  # fmt: skip
TOKEN = "me~0123456789abcdef~600"
HELD = Held(
    rid="A", rmt=THEN, token=TOKEN, row={**ROW, "state": "busy"}, was=None, attempts=1
)


def test_claiming_writes_state_owner_and_one_more_attempt():
    move = transitions.claim(FULL, ROW, TOKEN, {"n": 8})

    assert move.change.after == {"n": 8, "state": "busy", "owner": TOKEN, "tries": 2}
    assert transitions.claim(BARE, ROW, None, {}).change.after == {"state": "busy"}


@pytest.mark.parametrize(
    ("move", "after"),
    [
        (
            transitions.complete(FULL, HELD, {"n": 9}),
            {"state": "done", "why": None, "n": 9},
        ),
        (transitions.complete(FULL, HELD, {"state": "x"}), {"state": "x", "why": None}),
        (transitions.fail(FULL, HELD, "bad"), {"state": "failed", "why": "bad"}),
        (transitions.fail(BARE, HELD, "bad"), {"state": "error: bad"}),
        (transitions.release(FULL, HELD), {"state": None, "owner": None, "tries": 1}),
        (transitions.release(BARE, HELD), {"state": None}),
        (transitions.renew(FULL, HELD), {"owner": TOKEN}),
        (transitions.renew(BARE, HELD), {"state": "busy"}),
        (
            transitions.retry(FULL, ROW),
            {"state": "new", "owner": None, "tries": 0, "later": None},
        ),
        (transitions.rescue(FULL, ROW), {"state": "new", "owner": None}),
    ],
)
def test_every_step_writes_these_columns(move, after):
    assert move.change.after == after


def test_a_retry_keeps_its_attempt_and_waits():
    at = datetime(2026, 1, 1, 1, tzinfo=UTC)

    assert transitions.retry_later(FULL, HELD, "bad", at).change.after == {
        "state": None,
        "owner": None,
        "why": "bad",
        "later": "2026-01-01T01:00:00.000000+00:00",
    }


def test_done_and_failed_rows_keep_their_token():
    for move in (
        transitions.complete(FULL, HELD, {}),
        transitions.fail(FULL, HELD, "x"),
    ):
        assert "owner" not in move.change.after


@pytest.mark.parametrize(
    ("token", "lease_s", "seconds", "overdue_s"),
    [
        (TOKEN, None, 700, 100),
        ("me~0123456789abcdef~3600", None, 700, -2900),
        ("robot", None, 700, 100),
        (None, None, 700, 100),
        (TOKEN, 60, 700, 640),
    ],
)
def test_a_lease_is_the_one_in_the_token(token, lease_s, seconds, overdue_s):
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)

    assert (
        transitions.overdue_s(FULL, {**ROW, "owner": token}, now, lease_s) == overdue_s
    )


MOVED = {"RMT": "2026-01-01T00:00:09+00:00"}


@pytest.mark.parametrize(
    ("move", "now", "marked"),
    [
        (
            transitions.claim(FULL, ROW, TOKEN, {}),
            {"owner": TOKEN, "state": "busy"},
            True,
        ),
        (
            transitions.claim(FULL, ROW, TOKEN, {}),
            {"owner": "x", "state": "busy"},
            False,
        ),
        (
            transitions.claim(FULL, ROW, TOKEN, {}),
            {"owner": TOKEN, "state": "hold"},
            False,
        ),
        (
            transitions.renew(FULL, HELD),
            {"owner": TOKEN, "state": "busy", "RMT": THEN},
            False,
        ),
        (transitions.complete(FULL, HELD, {}), {"owner": TOKEN, "state": "done"}, True),
        (
            transitions.complete(FULL, HELD, {}),
            {"owner": TOKEN, "state": "busy"},
            False,
        ),
        (transitions.complete(FULL, HELD, {}), {"owner": "x", "state": "done"}, False),
        (transitions.release(FULL, HELD), {"owner": None, "state": None}, True),
        (transitions.release(FULL, HELD), {"owner": TOKEN, "state": "busy"}, False),
        (transitions.renew(FULL, HELD), {"owner": TOKEN, "state": "busy"}, True),
        (transitions.claim(BARE, ROW, None, {}), {"state": "busy"}, None),
    ],
)
def test_a_write_is_known_again_by_its_mark(move, now, marked):
    spec = BARE if marked is None else FULL

    assert transitions.is_marked(spec, move, {**ROW, **MOVED, **now}) is marked


def test_the_second_fence_names_token_and_state():
    [put] = transitions.fence_puts(FULL, [transitions.complete(FULL, HELD, {"n": 1})])

    assert put.path == ("attributegroup/S:T/RID,held:=owner,was:=state;n,state,why")
    assert put.rows == (
        {
            "RID": "A",
            "held": TOKEN,
            "was": "busy",
            "n": 1,
            "state": "done",
            "why": None,
        },
    )


def test_the_second_fence_never_sends_a_missing_token():
    lone = Held(rid="A", rmt=THEN, token=None, row=ROW, was=None)

    assert transitions.fence_puts(FULL, [transitions.complete(FULL, lone, {})]) == []
    assert transitions.fence_puts(BARE, [transitions.complete(BARE, HELD, {})]) == []
