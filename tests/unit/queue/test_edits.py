from __future__ import annotations

from dataclasses import replace

import pytest

from ermpoll.queue import edits, transitions
from tests.unit.queue.test_transitions import BARE, FULL, HELD, TOKEN

NOW = {**HELD.row, "RMT": "later", "owner": TOKEN, "RMB": "ann"}


def step(on_edit="keep", **changes):
    return transitions.complete(FULL, HELD, changes, on_edit)


def finish(now, meant, past=None):
    return edits.finish(FULL, meant, {**NOW, **now}, past or {})


@pytest.mark.parametrize(
    ("on_edit", "after", "kept"),
    [
        ("keep", {"state": "done", "why": None}, ("n",)),
        ("overwrite", {"state": "done", "why": None, "n": 5}, ()),
    ],
)
def test_an_edited_column_is_kept_or_overwritten(on_edit, after, kept):
    found = finish({"n": 777}, step(on_edit, n=5))

    assert (found.step.change.after, found.kept) == (after, kept)
    assert found.step.change.rmt == "later"


def test_an_edited_column_may_fail_the_row():
    found = finish({"n": 777}, step("fail", n=5))

    assert found.step.kind == "fail"
    assert found.step.change.after["state"] == "failed"
    assert "n" in found.step.reason
    assert "n" not in found.step.change.after


@pytest.mark.parametrize("on_edit", ["keep", "fail"])
@pytest.mark.parametrize(
    "now",
    [{}, {"n": 5}, {"later": "2026-01-01T00:00:00+00:00"}, {"why": "x", "tries": 9}],
    ids=["no edit", "edited to the same", "another column", "own columns"],
)
def test_what_nobody_edited_is_written(on_edit, now):
    found = finish(now, step(on_edit, n=5))

    assert found.step.change.after == {"state": "done", "why": None, "n": 5}
    assert found.kept == ()


def test_own_columns_are_never_kept():
    found = finish({"why": "a note", "tries": 9}, step(why="by work", tries=0))

    assert found.step.change.after == {"state": "done", "why": "by work", "tries": 0}


def test_true_is_an_edit_of_one():
    held = replace(HELD, row={**HELD.row, "n": 1})
    meant = transitions.complete(FULL, held, {"n": 5})

    assert edits.finish(FULL, meant, {**NOW, "n": True}, {}).kept == ("n",)
    assert edits.finish(FULL, meant, {**NOW, "n": 1.0}, {}).kept == ()


def test_a_column_that_the_claim_did_not_read_is_compared_with_the_past():
    row = {name: value for name, value in HELD.row.items() if name != "n"}
    meant = transitions.complete(FULL, replace(HELD, row=row), {"n": 5})
    now = {**NOW, "n": 7}

    assert edits.unknown_of(FULL, meant) == ("n",)
    assert edits.finish(FULL, meant, now, {"n": 7}).kept == ()
    assert edits.finish(FULL, meant, now, {"n": 6}).kept == ("n",)
    assert edits.finish(FULL, meant, now, {}).kept == ("n",)


@pytest.mark.parametrize(
    ("definition", "now", "words"),
    [
        (FULL, None, "was deleted"),
        (FULL, {"state": "hold"}, "state was set to 'hold' by ann"),
        (FULL, {"owner": "eve~0123456789abcdef~600"}, "is held by eve now"),
        (FULL, {"owner": None}, "owner was set by ann"),
        (BARE, {"n": 8}, "was written to by ann meanwhile; without an owner column"),
    ],
)
def test_a_row_that_is_lost_is_told_as_what_became_of_it(definition, now, words):
    now = None if now is None else {**NOW, **now}

    assert words in edits.why_lost(definition, step(), now)
