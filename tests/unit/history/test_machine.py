from __future__ import annotations

import pytest

from ermpoll.history import RowPhase
from ermpoll.history.machine import mark_in
from ermpoll.queue.tokens import new_token
from tests.helpers.lives import OTHER, TOKEN, at, machine


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        ("actionable", RowPhase.READY),
        ("claimed", RowPhase.CLAIMED),
        ("complete", RowPhase.DONE),
        ("error: no disk\nat all", RowPhase.FAILED),
        ("error", RowPhase.OTHER),
        ("review", RowPhase.OTHER),
        (None, RowPhase.OTHER),
        (3, RowPhase.OTHER),
    ],
)
def test_a_state_word_means_what_was_declared(word, phase):
    declared = machine(failed="error: {error}")

    assert declared.phase({"state": word}) is phase


def test_null_may_be_the_ready_word():
    assert machine(ready=(None,)).phase({"state": None}) is RowPhase.READY


def test_states_have_words_for_people():
    declared = machine(failed="error: {error}")

    assert declared.word({"state": "error: x"}) == "error: …"
    assert declared.word({"state": None}) == "NULL"
    assert declared.word({"state": "review"}) == "review"


def test_a_token_is_read_as_it_was_written():
    written = str(new_token("ada@host:1", 90).of("actionable"))

    mark = mark_in(written)

    assert (mark.text, mark.name, mark.lease_s) == (written, "ada@host:1", 90)
    assert machine().is_ours(mark)
    assert not machine(ready=("new",)).is_ours(mark)


def test_an_older_token_may_be_anybodys():
    mark = mark_in(TOKEN)

    assert mark.lease_s == 600
    assert machine(ready=("new",)).is_ours(mark)


@pytest.mark.parametrize(
    "text",
    [
        None, "", "robot", "a~b~c", "a~" + "g" * 16 + "~600", "a~" + "1" * 15 + "~600",
        "a~" + "1" * 16 + "~", "a~" + "1" * 16 + "~1.2.3", "a~" + "1" * 16 + "~1e9",
        "a~" + "1" * 16 + "~99999999999", "x~a~" + "1" * 16 + "~600",
    ],
)  # fmt: skip
def test_any_other_text_is_no_token(text):
    assert mark_in(text) is None


def test_a_lease_is_counted_from_the_rows_last_write_by_its_own_token():
    row = {"RMT": at(0).isoformat(), "owner": OTHER}

    assert machine().over_s(row, at(500)) == -100
    assert machine().over_s(row, at(700)) == 100
    assert machine().over_s({**row, "owner": "robot"}, at(700)) is None


def test_what_the_catalog_sets_is_no_change():
    before = {"RID": "1", "RMT": "x", "n": 1, "gone": 1}
    after = {"RID": "1", "RMT": "y", "n": 1.0, "new": None}

    assert machine().changed(before, after) == ("gone",)
