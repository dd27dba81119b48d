"""RIDs, snapshot ids and the clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ermpoll.sandbox.model.identifiers import (
    Clock,
    decode,
    encode,
    micros_of,
    moment,
    normalise,
)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (1, "2"), (16, "10"), (524287, "ZZZY"), (524288, "1-0000")],
)
def test_numbers_are_spelled_as_ermrest_does(number: int, text: str) -> None:
    assert encode(number) == text
    assert decode(text) == number


@given(st.integers(min_value=0, max_value=2**64))
def test_decoding_undoes_encoding_in_any_case_and_without_hyphens(number: int) -> None:
    text = encode(number)

    assert decode(text) == decode(text.lower()) == decode(text.replace("-", ""))
    assert decode(text) == number


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("1-o0O0", "1-0000"),
        ("10000", "1-0000"),
        ("l0", "10"),
        ("i-l", "11"),
        ("", ""),
        ("no!", "no!"),
        ("U", "U"),
    ],
)
def test_spellings_are_normalised_and_other_text_is_left(
    text: str, normal: str
) -> None:
    assert normalise(text) == normal


def test_a_clock_never_shows_a_time_twice_and_goes_on_from_the_last() -> None:
    far = micros_of(datetime(9000, 1, 1, tzinfo=UTC))
    clock = Clock(far)

    assert [clock.tick(), clock.tick()] == [far + 1, far + 2]
    assert moment(far).year == 9000
