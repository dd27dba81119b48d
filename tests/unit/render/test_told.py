from __future__ import annotations

from ermpoll.render.told import named, told
from tests.helpers import pages


def test_an_act_is_told_by_its_numbers_and_what_was_left_out_by_name() -> None:
    done = pages.outcome(
        won=("1A", "1B"),
        lost=("2A", "2B", "2C"),
        unknown=("3A",),
        reasons={"2A": "is gone", "2B": "is not failed", "2C": "is gone"},
    )

    said = told(done, "{rows} ready again")

    assert said == (
        "2 rows ready again, 3 left alone: 2A, 2C: is gone; 2B: is not failed, "
        "1 not known: 3A"
    )


def test_many_rows_left_out_alike_are_not_all_named() -> None:
    rids = [f"{n:X}" for n in range(100)]

    said = named(rids, dict.fromkeys(rids, "is gone"))

    assert said.endswith(": is gone")
    assert len(said) < 200
