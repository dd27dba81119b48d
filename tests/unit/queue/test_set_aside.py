from __future__ import annotations

import pytest

from ermpoll.queue.set_aside import FIRST_S, LONGEST_S, SetAside

WHO = {"login": "me", "model": "m"}


def refused(times: int = 1, now: float = 0.0) -> SetAside:
    aside = SetAside()
    for _ in range(times):
        aside.put("A", "v1", "no right", now, **WHO)
    return aside


@pytest.mark.parametrize(
    ("rmt", "login", "model", "held"),
    [
        ("v1", "me", "m", True),
        ("v2", "me", "m", False),
        ("v1", "you", "m", False),
        ("v1", "me", "n", False),
    ],
)
def test_a_refused_row_is_left_alone_until_row_login_or_model_changes(
    rmt, login, model, held
):
    assert refused().holds("A", rmt, login, model, 1.0) is held
    assert not refused().holds("B", rmt, login, model, 1.0)


def test_each_refusal_of_the_same_row_waits_longer_up_to_an_hour():
    waits = [refused(times).rows[0].until for times in range(1, 9)]

    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert (FIRST_S, LONGEST_S) == (60, 3600)


def test_a_row_that_changed_begins_anew():
    aside = refused(5)
    aside.put("A", "v2", "no right", 100.0, **WHO)

    [row] = aside.rows
    assert (row.times, row.until) == (1, 160)


def test_its_time_is_due_and_then_it_is_tried():
    aside = refused(now=10.0)

    assert aside.due_s(30.0) == 40.0
    assert not aside.holds("A", "v1", "me", "m", 70.0)
    assert aside.due_s(70.0) is None
    aside.put("A", "v1", "no right", 70.0, **WHO)
    assert aside.due_s(70.0) == 120.0


def test_a_row_that_the_catalog_tells_of_is_listed_and_not_waited_for():
    aside = SetAside()
    aside.put("A", "v1", "no right", 5.0, wait_s=0, **WHO)

    assert [(row.rid, row.reason) for row in aside.rows] == [("A", "no right")]
    assert aside.due_s(5.0) is None
    assert not aside.holds("A", "v1", "me", "m", 5.0)


def test_what_was_written_is_forgotten():
    aside = refused()
    aside.forget(["A", "B"])

    assert (len(aside), aside.rows, aside.why("A")) == (0, (), "")
