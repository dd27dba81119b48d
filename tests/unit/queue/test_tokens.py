from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ermpoll.queue.tokens import (
    Token,
    clean_name,
    mark_of,
    new_token,
    parse_token,
    worker_name,
)


@given(st.text(), st.floats(0.001, 1e9))
def test_a_token_is_taken_apart_into_what_it_was_made_of(name, lease_s):
    chosen = new_token(name, lease_s, lambda: "0123456789abcdef").of("new")
    token = parse_token(str(chosen))

    assert token is not None
    assert token.mark == mark_of("new")
    assert token.name == clean_name(name)
    assert token.random == "0123456789abcdef"
    assert token.lease_s == pytest.approx(lease_s, abs=0.0006)


@pytest.mark.parametrize(
    ("lease_s", "text"),
    [
        (600, "600"),
        (0.5, "0.5"),
        (1_000_000, "1000000"),
        (1 / 3, "0.333"),
        (100, "100"),
    ],
)
def test_a_lease_is_written_for_people(lease_s, text):
    assert str(new_token("a", lease_s)).rpartition("~")[2] == text


def test_a_token_says_which_ready_word_the_row_came_from():
    token = new_token("a", 600)
    texts = {str(token.of(word)) for word in (None, "", "new", "New", "NULL", "\ud800")}

    assert len(texts) == 6
    assert {len(text) for text in texts} == {len("a~") + 24 + len("~600")}
    assert {text[2:18] for text in texts} == {token.random}


def test_an_older_token_without_that_is_still_read():
    token = parse_token("a~0123456789abcdef~600")

    assert token == Token(name="a", random="0123456789abcdef", lease_s=600)


def test_no_two_tokens_are_the_same():
    assert len({new_token("a", 600) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "tiff-converter@imaging-2",
        "a~b~c",
        "a~0123456789abcdef~",
        "a~0123456789abcdef~.",
        "a~0123456789abcdef~1.2.3",
        "a~0123456789abcdef~-5",
        "a~0123~600",
        "a~0123456789abcdef01~600",
        "a~0123456789abcdef0123456789~600",
        "a~0123456789abcdef~600\n",
        "a~b~0123456789abcdef~600",
        f"a~0123456789abcdef~{'9' * 400}",
    ],
)
def test_other_texts_are_no_tokens(text):
    assert parse_token(text) is None


@given(st.text())
def test_any_text_is_taken_apart_or_not(text):
    token = parse_token(text)

    assert token is None or isinstance(token, Token)


@given(st.text())
def test_a_name_is_clean_short_and_never_empty(name):
    clean = clean_name(name)

    assert 1 <= len(clean) <= 80
    assert "~" not in clean
    assert clean.isprintable()


def test_a_worker_is_called_by_user_host_and_process():
    assert clean_name(worker_name()) == worker_name()
    assert "@" in worker_name()


def test_a_worker_without_a_user_has_a_name_all_the_same(monkeypatch):
    def unknown() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", unknown)

    assert worker_name().startswith("somebody@")
