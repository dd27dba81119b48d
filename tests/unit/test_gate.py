"""Tests that need real services skip where they may and fail where they must."""

from __future__ import annotations

import pytest

from tests import conftest


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "which", lambda name, path=None: None)
    monkeypatch.delenv("ERMPOLL_REQUIRE", raising=False)


@pytest.mark.usefixtures("bare_machine")
@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ("rabbitmq", "rabbitmq-server is not installed"),
        ("chromium", "Chromium is not installed"),
        ("long", "run with ERMPOLL_REQUIRE=long"),
    ],
)
def test_what_is_missing_skips_with_the_reason(mark: str, reason: str) -> None:
    with pytest.raises(pytest.skip.Exception, match=reason):
        conftest.check_gate(mark)


@pytest.mark.usefixtures("bare_machine")
@pytest.mark.parametrize("mark", ["rabbitmq", "chromium"])
def test_what_is_missing_fails_when_it_is_required(
    mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERMPOLL_REQUIRE", "long,rabbitmq,chromium")

    with pytest.raises(pytest.fail.Exception, match=f"asks for {mark}"):
        conftest.check_gate(mark)


@pytest.mark.usefixtures("bare_machine")
def test_long_runs_when_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERMPOLL_REQUIRE", "long")

    assert conftest.missing("long") is None


def test_an_unknown_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERMPOLL_REQUIRE", "rabbit")

    with pytest.raises(pytest.UsageError, match="found rabbit"):
        conftest.required()
