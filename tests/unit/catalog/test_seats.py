"""Who shares the rows of a table on this machine, and which share is whose."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from ermpoll.catalog.machine.seats import SEATS, Seat

pytestmark = pytest.mark.usefixtures("folder")

TABLE = "http://one/ermrest/catalog/1 S:T"
_ANOTHER = """
import sys
from ermpoll.catalog.machine.seats import Seat
seat = Seat({table!r})
seat.take()
print(seat.place(), flush=True)
sys.stdin.readline()
"""


def test_whoever_has_no_seat_is_alone() -> None:
    assert Seat(TABLE).place() == (0, 1)


def test_each_has_its_place_among_those_that_are_taken(folder: Path) -> None:
    seats = [Seat(TABLE) for _ in range(3)]
    for seat in seats:
        seat.take()
        seat.take()
    three = [seat.place() for seat in seats]
    seats[0].leave()
    two = [seat.place() for seat in seats]

    assert three == [(0, 3), (1, 3), (2, 3)]
    assert two == [(0, 1), (0, 2), (1, 2)]
    for seat in seats:
        seat.leave()
    assert list(folder.iterdir()) == []


def test_seats_of_another_table_are_others() -> None:
    one, other = Seat(TABLE), Seat(TABLE + "2")
    one.take()
    other.take()

    assert (one.place(), other.place()) == ((0, 1), (0, 1))
    one.leave()
    other.leave()


def test_who_finds_no_seat_is_as_if_alone() -> None:
    seats = [Seat(TABLE) for _ in range(SEATS + 1)]
    for seat in seats:
        seat.take()

    assert seats[-1].place() == (0, 1)
    assert seats[-2].place() == (SEATS - 1, SEATS)
    for seat in seats:
        seat.leave()


def test_the_seat_of_a_killed_process_is_free_and_its_file_goes(folder: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", _ANOTHER.format(table=TABLE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "(0, 1)\n"
    seat, later = Seat(TABLE), Seat(TABLE)
    seat.take()
    beside = seat.place()
    other.kill()
    other.communicate()
    alone = seat.place()
    later.take()
    again = later.place()
    later.leave()
    seat.leave()

    assert (beside, alone, again) == ((1, 2), (0, 1), (0, 2))
    assert list(folder.iterdir()) == []


def test_who_is_forgotten_leaves_the_seat(folder: Path) -> None:
    seat, forgotten = Seat(TABLE), Seat(TABLE)
    forgotten.take()
    seat.take()
    assert seat.place() == (1, 2)

    del forgotten
    gc.collect()

    assert seat.place() == (0, 1)
    seat.leave()


def test_all_that_were_met_are_named_also_one_that_is_gone(folder: Path) -> None:
    first, second = Seat("a", "a longer name"), Seat("a", "b")
    first.take()
    second.take()
    assert second.names() == {"a longer name", "b"}

    first.leave()
    third = Seat("a", "c")
    third.take()

    assert second.names() == {"a longer name", "b", "c"}
    assert third.names() == {"a longer name", "b", "c"}
    second.leave()
    third.leave()
