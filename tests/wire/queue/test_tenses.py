from __future__ import annotations

import inspect

import pytest

import ermpoll
from ermpoll.queue.reading.tenses import Tenses
from tests.helpers.tables import queue


def test_each_tense_says_what_it_returns_and_what_it_raises():
    told = [f for n, f in inspect.getmembers(Tenses, inspect.isfunction) if n[0] != "_"]

    assert told
    for one in told:
        assert "Raises\n" in inspect.getdoc(one)
        assert "reading" in inspect.signature(one).parameters


def test_an_option_of_reading_that_there_is_not_is_refused(catalog):
    with pytest.raises(TypeError, match="speed"):
        queue(catalog).at("1 s", speed=3)


def test_a_time_that_is_none_is_refused(catalog):
    with pytest.raises(ermpoll.UsageError, match="expected a time with its zone"):
        queue(catalog).at("noon")
