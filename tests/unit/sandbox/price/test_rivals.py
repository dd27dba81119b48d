"""Which of two writers wins."""

from __future__ import annotations

from ermpoll.sandbox.price.rivals import Rivals, Target, Turn

JOB = Target.of("/ermrest/catalog/1/attributegroup/Ops:Job/RID;state")
OTHER = Target.of("/ermrest/catalog/1/entity/Ops:Other?defaults=RID")
ELSEWHERE = Target.of("/ermrest/catalog/2/entity/Ops:Job")


def test_a_place_is_a_table_of_a_catalog() -> None:
    assert (JOB.table, OTHER.table, ELSEWHERE.table) == (
        "Ops:Job",
        "Ops:Other",
        "Ops:Job",
    )
    assert JOB.catalog == OTHER.catalog != ELSEWHERE.catalog
    assert Target.of("/ermrest/catalog/1/schema").table == ""


def test_the_second_waits_for_the_lock_and_has_it_when_it_is_given_back() -> None:
    rivals = Rivals()

    assert rivals.turn(JOB, 1.0) is Turn.GO
    assert rivals.turn(JOB, 2.0) is Turn.WAIT
    rivals.unlock(JOB)
    assert rivals.turn(JOB, 2.0) is Turn.GO


def test_each_table_has_its_own_lock() -> None:
    rivals = Rivals()

    assert [rivals.turn(target, 1.0) for target in (JOB, OTHER, ELSEWHERE)] == [
        Turn.GO
    ] * 3


def test_a_commit_anywhere_in_the_catalog_is_the_end_of_those_under_way() -> None:
    rivals = Rivals()

    rivals.commit(OTHER, 5.0)

    assert rivals.turn(JOB, 4.0) is Turn.LOST
    assert rivals.turn(JOB, 5.0) is Turn.GO
    assert rivals.turn(ELSEWHERE, 4.0) is Turn.GO
