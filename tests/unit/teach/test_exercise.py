"""An answer is not tried, wrong in words, or right."""

from __future__ import annotations

import pytest

import ermpoll
from ermpoll.teach.exercise import Grade, untouched

NAMES_VERSION = (lambda key: "RMT" in key, "Your claim names the RID alone.")


def stub(row: dict[str, object]) -> object: ...


def stub_with_words(row: dict[str, object]) -> object:
    """What an image needs."""


def reads_a_misspelt_column(row: dict[str, object]) -> object:
    return row["bytes"]


@pytest.mark.parametrize("answer", [..., stub, stub_with_words])
def test_what_the_lesson_put_there_is_not_tried_yet(answer: object) -> None:
    checked = ermpoll.teach.check(answer, NAMES_VERSION)

    assert checked.grade is Grade.NOT_TRIED
    assert not checked
    assert repr(checked).startswith("Not tried yet")


@pytest.mark.parametrize("answer", [None, "", 0, reads_a_misspelt_column])
def test_an_answer_is_not_taken_for_an_untouched_one(answer: object) -> None:
    assert not untouched(answer)


def test_the_first_rule_that_does_not_hold_is_told() -> None:
    never = (lambda key: False, "never")

    checked = ermpoll.teach.check("RID", NAMES_VERSION, never)

    assert repr(checked) == "Not yet: Your claim names the RID alone."


def test_a_right_answer_is_told_as_that() -> None:
    checked = ermpoll.teach.check("RID,RMT", NAMES_VERSION, right="It is safe.")

    assert checked
    assert repr(checked) == "Right: It is safe."


def test_a_misspelt_column_is_answered_in_words() -> None:
    rule = (lambda work: work({"Bytes": 1}), "Work takes a row.")

    checked = ermpoll.teach.check(reads_a_misspelt_column, rule)

    assert repr(checked).startswith("Not yet: Work takes a row. It asks for 'bytes'")


def test_what_an_answer_raises_is_a_wrong_answer() -> None:
    checked = ermpoll.teach.check(1, (lambda n: n / 0, "Divide."))

    assert checked.grade is Grade.WRONG
    assert "ZeroDivisionError" in checked.text


def test_what_is_said_is_escaped_on_the_page() -> None:
    checked = ermpoll.teach.check(1, (lambda n: False, "<b>no</b>"))

    assert "&lt;b&gt;no" in checked._repr_html_()
