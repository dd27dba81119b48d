from __future__ import annotations

import pytest

from ermpoll.teach.script import (
    Act,
    ClaimGuard,
    End,
    Heard,
    Move,
    Played,
    RowNow,
    Story,
    end_of,
    every_order,
    next_act,
    order_in_words,
)

CALM = (Story.CLAIMS, Story.CLAIMS)


def row(version):
    return RowNow(state="new", version=version, token="")


def step(who, act, heard, before="1", after=None):
    return Move(
        who=who,
        act=act,
        request="",
        answer="",
        heard=heard,
        before=row(before),
        after=row(after or before),
    )


READ_A = step("a", Act.READ, Heard.FREE)
READ_B = step("b", Act.READ, Heard.FREE)


def played(*steps, stories=CALM):
    return Played(
        guard=ClaimGuard.NONE, stories=stories, rid="1", begun=row("1"), steps=steps
    )


@pytest.mark.parametrize(
    ("story", "own", "act"),
    [
        (Story.CLAIMS, [], Act.READ),
        (Story.CLAIMS, [READ_A], Act.CLAIM),
        (Story.CLAIMS, [step("a", Act.READ, Heard.TAKEN)], None),
        (Story.CLAIMS, [step("a", Act.CLAIM, Heard.WON)], None),
        (Story.BACK, [step("a", Act.CLAIM, Heard.WON)], Act.BACK),
        (Story.BACK, [step("a", Act.BACK, Heard.GIVEN)], None),
        (Story.ABORTED, [step("a", Act.CLAIM, Heard.NOTHING)], Act.AGAIN),
        (Story.LOST, [step("a", Act.CLAIM, Heard.DOUBT)], Act.AGAIN),
    ],
)
def test_a_worker_goes_on_by_what_it_was_told(story, own, act):
    assert next_act(story, own) is act


def test_who_was_told_of_nothing_asks_only_when_an_answer_was_lost():
    late = step("a", Act.AGAIN, Heard.TOO_LATE)

    doubted = next_act(Story.LOST, [step("a", Act.CLAIM, Heard.DOUBT), late])
    aborted = next_act(Story.ABORTED, [step("a", Act.CLAIM, Heard.NOTHING), late])

    assert (doubted, aborted) == (Act.ASK, None)


def test_two_who_won_and_hold_is_both():
    wins = [step(who, Act.CLAIM, Heard.WON) for who in "ab"]

    assert end_of([READ_A, READ_B, *wins]) is End.BOTH


@pytest.mark.parametrize(
    ("read", "end"), [("1", End.STALE), ("3", End.TURNS)], ids=["old", "fresh"]
)
def test_a_second_winner_is_judged_by_what_it_had_read(read, end):
    steps = [
        READ_A,
        step("a", Act.CLAIM, Heard.WON, "1", "2"),
        step("a", Act.BACK, Heard.GIVEN, "2", "3"),
        step("b", Act.READ, Heard.FREE, read),
        step("b", Act.CLAIM, Heard.WON, "3", "4"),
    ]

    assert end_of(steps) is end


def test_nobody_wins_where_all_came_too_late():
    assert end_of([READ_A, step("a", Act.CLAIM, Heard.TOO_LATE)]) is End.NOBODY


def test_what_is_not_over_has_no_end_yet():
    assert played(READ_A).end is End.OPEN
    assert played(READ_A).choices == "ab"


def test_each_order_of_two_steps_each_is_played_once():
    def play(order):
        steps = []
        while True:
            one = played(*steps)
            if not one.choices:
                return one
            who = order[len(steps)] if len(steps) < len(order) else one.choices[0]
            act = one.next_act(who)
            heard = Heard.FREE if act is Act.READ else Heard.WON
            steps.append(step(who, act, heard))

    orders = [one.order for one in every_order(play)]

    assert orders == ["aabb", "abab", "abba", "baab", "baba", "bbaa"]


def test_an_order_is_told_in_words():
    told = order_in_words(
        played(READ_A, step("a", Act.CLAIM, Heard.WON)), ["Ann", "Bob"]
    )

    assert told == "Ann reads · Ann claims: won"
