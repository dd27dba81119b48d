from __future__ import annotations

import pytest

from ermpoll.redact import one_line, redacted, traceback_places


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
