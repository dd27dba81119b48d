from __future__ import annotations

from datetime import UTC, datetime

from ermpoll.agent.memory.attempts import ATTEMPTS, Attempts, FailedAttempt

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def failed(rid, reason="ValueError: no"):
    return FailedAttempt(rid=rid, at=NOW, reason=reason, traceback="secret place")


def test_the_attempts_of_a_row_are_kept_the_oldest_first():
    kept = Attempts()
    for n in range(3):
        kept.add(f"token {n}", failed("1-A", f"error {n}"))

    assert [one.reason for one in kept.of("1-A")] == ["error 0", "error 1", "error 2"]
    assert kept.of("1-B") == ()


def test_an_attempt_that_is_told_again_is_one():
    kept = Attempts()
    for _ in range(3):
        kept.add("token", failed("1-A"))

    assert len(kept.of("1-A")) == 1


def test_memory_is_bounded_by_rows_and_by_attempts():
    kept = Attempts(rows=10)
    for n in range(100):
        kept.add(f"token {n}", failed(f"1-{n % 20}"))
        kept.add(f"first {n}", failed("1-first"))

    assert kept.of("1-0") == ()
    assert len(kept.of("1-19")) <= ATTEMPTS
    assert len(kept.of("1-first")) == ATTEMPTS


def test_a_traceback_stands_in_no_repr():
    assert "secret place" not in repr(failed("1-A"))
