from __future__ import annotations

import inspect
import pickle

import pytest

from ermpoll import errors

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_an_error_of_ermpoll_and_drawn_in_the_tree(kind):
    assert issubclass(kind, errors.ErmpollError)
    assert f" {kind.__name__} " in errors.__doc__ or kind is errors.ErmpollError


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_message_the_docstring_is_told(kind):
    if "message" not in inspect.signature(kind).parameters:
        pytest.skip("its message is made of its details")

    assert str(kind()) == inspect.getdoc(kind).splitlines()[0]


def test_details_are_fields_and_travel_to_another_process():
    error = errors.Conflict("no", status=409, url="https://x.example", detail="a key")

    sent = pickle.loads(pickle.dumps(error))

    assert str(sent) == "no"
    assert (sent.status, sent.url, sent.detail) == (409, "https://x.example", "a key")
