from __future__ import annotations

import pytest

from ermpoll.catalog.slots import MEMBER_S, SHARE, SLOT_S, Slot, slot_of

#: Some moment of a catalog, in seconds.
NOW = 1_000_000.0


def begins(slot: Slot, now: float) -> float:
    return now + slot.wait_s(now)


@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_writes_of_all_that_have_slots_never_overlap(n):
    taken = []
    for k in range(n):
        for step in range(200):
            begin = begins(Slot(k, n), NOW + step * 0.0137)
            taken.append((k, begin, begin + SHARE * SLOT_S))

    for k, begin, end in taken:
        assert not [
            one for one in taken if one[0] != k and begin < one[2] and one[1] < end
        ]


@pytest.mark.parametrize("k", range(4))
def test_everybody_has_a_turn_in_each_round(k):
    waits = [Slot(k, 4).wait_s(NOW + step / 1000) for step in range(600)]

    assert max(waits) <= 4 * SLOT_S
    assert any(wait == 0 for wait in waits)


def test_who_is_alone_waits_for_nobody():
    assert slot_of("a", {}, (), NOW) is None
    assert slot_of("a", {"a": NOW}, (), NOW) is None


def test_mates_take_turns_by_the_lock_alone():
    seen = {"a": NOW, "b": NOW, "c": NOW}

    assert slot_of("a", seen, {"b", "c"}, NOW) is None
    # once there is a stranger, each has a slot of its own: he knows of no mates
    assert slot_of("b", {**seen, "d": NOW}, {"a", "c"}, NOW) == Slot(1, 4)


def test_all_find_the_same_order():
    names = {"b", "a", "c"}
    seen = dict.fromkeys(names, NOW)

    slots = {name: slot_of(name, seen, (), NOW) for name in names}

    assert slots == {"a": Slot(0, 3), "b": Slot(1, 3), "c": Slot(2, 3)}


def test_who_has_not_written_for_long_has_left():
    seen = {"b": NOW - MEMBER_S - 1}

    assert slot_of("a", seen, (), NOW) is None


def test_a_slot_that_was_told_counts_while_there_are_others():
    assert slot_of("a", {"b": NOW}, (), NOW, given=(3, 8)) == Slot(3, 8)
    assert slot_of("a", {}, (), NOW, given=(3, 8)) is None
