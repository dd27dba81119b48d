from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ermpoll.catalog.model import Column, Table
from ermpoll.catalog.paths import Order
from ermpoll.queue import transitions
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.transitions import Held, Transition, stamp

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


def claim(definition=FULL, extra=None) -> Transition:
    [step] = stamp(
        definition,
        [transitions.claim(definition, ROW, extra or {})],
        lambda: TOKEN,
    )
    return step


def test_claiming_writes_state_owner_and_one_more_attempt():
    step = claim(extra={"n": 8})

    assert step.change.after == {"n": 8, "state": "busy", "owner": TOKEN, "tries": 2}
    assert claim(BARE).change.after == {"state": "busy"}


def test_the_claims_of_one_put_share_a_token_and_other_steps_keep_theirs():
    tokens = iter(["first", "second"])
    rows = [{**ROW, "RID": rid} for rid in "AB"]
    steps = [transitions.claim(FULL, row, {}) for row in rows]
    steps.append(transitions.complete(FULL, HELD, {}))

    stamped = stamp(FULL, steps, lambda: next(tokens))
    kept = stamp(FULL, stamped, lambda: next(tokens))
    again = stamp(FULL, stamped, lambda: next(tokens), anew=True)

    assert [step.token for step in stamped] == ["first", "first", TOKEN]
    assert kept == stamped
    assert [step.token for step in again] == ["second", "second", TOKEN]
    assert again[0].change.after["owner"] == "second"


def test_no_token_is_chosen_where_nothing_is_claimed():
    steps = [transitions.complete(FULL, HELD, {})]

    assert stamp(FULL, steps, lambda: pytest.fail("a token was chosen")) == steps


@pytest.mark.parametrize(
    ("later", "seconds"),
    [
        (None, 0.0),
        ("2026-01-01T00:01:00+00:00", 60.0),
        ("2025-01-01T00:00:00+00:00", 0.0),
        ("infinity", None),
        ("0044-03-15 00:00:00+00 BC", 0.0),
        ("294276-12-31 00:00:00+00", None),
        ("-infinity", 0.0),
    ],
)
def test_a_row_is_due_when_its_time_comes_or_never(later, seconds):
    now = datetime(2026, 1, 1, tzinfo=UTC)

    assert transitions.due_s(FULL, {**ROW, "later": later}, now) == seconds


def test_a_lease_without_end_is_no_overflow():
    now = datetime(2026, 1, 1, tzinfo=UTC)

    assert transitions.overdue_s(FULL, ROW, now, 1e300) == -1e300


@pytest.mark.parametrize(
    ("step", "after"),
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
def test_every_step_writes_these_columns(step, after):
    assert step.change.after == after


def test_a_retry_keeps_its_attempt_and_waits():
    at = datetime(2026, 1, 1, 1, tzinfo=UTC)

    assert transitions.retry_later(FULL, HELD, "bad", at).change.after == {
        "state": None,
        "owner": None,
        "why": "bad",
        "later": "2026-01-01T01:00:00.000000+00:00",
    }


def test_done_and_failed_rows_keep_their_token():
    for step in (
        transitions.complete(FULL, HELD, {}),
        transitions.fail(FULL, HELD, "x"),
    ):
        assert "owner" not in step.change.after


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
    ("step", "now", "marked"),
    [
        (
            claim(),
            {"owner": TOKEN, "state": "busy"},
            True,
        ),
        (
            claim(),
            {"owner": "x", "state": "busy"},
            False,
        ),
        (
            claim(),
            {"owner": TOKEN, "state": "hold"},
            False,
        ),
        (
            transitions.renew(FULL, HELD),
            {"owner": TOKEN, "state": "busy", "RMT": THEN},
            False,
        ),
        (
            transitions.complete(FULL, HELD, {}),
            {"owner": TOKEN, "state": "done", "why": None},
            True,
        ),
        (
            transitions.complete(FULL, HELD, {}),
            {"owner": TOKEN, "state": "busy"},
            False,
        ),
        (transitions.complete(FULL, HELD, {}), {"owner": "x", "state": "done"}, False),
        # the state by hand, and not the result; the result, then edited
        (
            transitions.complete(FULL, HELD, {"n": 8}),
            {"owner": TOKEN, "state": "done", "why": None, "n": 7},
            False,
        ),
        (
            transitions.complete(FULL, HELD, {"n": 8}),
            {"owner": TOKEN, "state": "done", "why": None, "n": 9},
            True,
        ),
        (transitions.release(FULL, HELD), {"owner": None, "state": None}, True),
        (transitions.release(FULL, HELD), {"owner": TOKEN, "state": "busy"}, False),
        (transitions.release(FULL, HELD), {"owner": None, "state": "hold"}, False),
        (transitions.renew(FULL, HELD), {"owner": TOKEN, "state": "busy"}, True),
        (claim(BARE), {"state": "busy"}, None),
    ],
)
def test_a_write_is_known_again_by_its_mark(step, now, marked):
    definition = BARE if marked is None else FULL

    assert transitions.is_marked(definition, step, {**ROW, **MOVED, **now}) is marked


def test_a_failure_has_its_reason_where_no_column_takes_it():
    at = datetime(2026, 1, 1, 1, tzinfo=UTC)
    used = {**ROW, "tries": 3}

    assert transitions.fail(BARE, HELD, "bad").reason == "bad"
    assert transitions.retry_later(BARE, HELD, "bad", at).reason == "bad"
    assert "given up after 3" in transitions.rescue(FULL, used).reason
    assert transitions.rescue(FULL, ROW).reason == ""
