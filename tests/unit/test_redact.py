from __future__ import annotations

import pytest

from ermpoll.redact import (
    clipped,
    hidden,
    one_line,
    printable,
    redacted,
    traceback_places,
)


@pytest.mark.parametrize(
    "text",
    [
        "amqp://ann:s3cret@broker.example/",
        "Authorization: Bearer s3cret",
        "Cookie: webauthn=s3cret; path=/",
        "password=s3cret&user=ann",
        "?token=s3cret",
    ],
)
def test_a_login_is_not_repeated(text):
    assert "s3cret" not in redacted(text)
    assert "[secret]" in redacted(text)


def test_an_error_is_told_on_one_line():
    assert one_line(ValueError("no\n  such\tseries")) == "ValueError: no such series"
    assert one_line(TimeoutError()) == "TimeoutError"


def test_a_log_learns_the_places_and_no_text():
    def inner():
        raise ValueError("Ada Lovelace")

    with pytest.raises(ValueError, match="Ada") as caught:
        inner()

    told = traceback_places(caught.value)
    assert told.startswith("ValueError < test_redact.py:")
    assert "in inner" in told
    assert "Ada" not in told


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc", "a b c"),
        ("\x1b[2J\x1b]0;owned\x07", "⟨U+001B⟩[2J⟨U+001B⟩]0;owned⟨U+0007⟩"),
        ("\x9b31m", "⟨U+009B⟩31m"),
        ("user\u202egpj.exe", "user⟨U+202E⟩gpj.exe"),
        ("naïve Ångström 日本", "naïve Ångström 日本"),
    ],
)
def test_a_text_is_one_line_that_no_terminal_obeys(text, shown):
    assert printable(text) == clipped(text) == shown
    assert one_line(ValueError(text)) == f"ValueError: {shown}"


def test_what_may_hold_a_login_is_itself_but_does_not_show_it():
    given = {"bearer-token": "s3cret", "cookie": "webauthn=s3cret", "n": 1}
    kept = hidden(given)

    assert kept == given
    assert "s3cret" not in repr(kept)
    assert hidden("amqp://ann:s3cret@host/") == "amqp://ann:s3cret@host/"
    assert repr(hidden("amqp://ann:s3cret@host/")) == "'amqp://[secret]@host/'"
    assert hidden(None) is None
