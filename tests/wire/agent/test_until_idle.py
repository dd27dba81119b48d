"""A run that ends when idle waits for what is soon to come, and says what is left."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta

import pytest

import ermpoll
from ermpoll.agent import execution
from ermpoll.errors import UsageError
from tests.helpers.tables import add, edit, queue, read

NEW = {"state": "actionable", "attempts": 0}


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


class FailsFirst:
    """Work that raises the first time that it gets a row."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, row):
        self.seen.append(row["RID"])
        if self.seen.count(row["RID"]) == 1:
            raise ValueError("not yet")


@pytest.fixture
def short_retries(monkeypatch):
    monkeypatch.setattr(execution, "RETRY_FIRST_S", 0.4)


@pytest.mark.parametrize("options", [{}, {"retry_at": None}], ids=["later", "at once"])
@pytest.mark.parametrize("rows", [1, 5])
def test_it_goes_on_for_a_failure_that_its_last_look_made_ready_again(
    catalog, short_retries, options, rows
):
    rids = add(catalog, *[NEW] * rows)
    agent = ermpoll.Agent(queue(catalog, **options), FailsFirst(), workers=2)

    done = agent.run(until_idle=True)

    assert [read(catalog, rid)["state"] for rid in rids] == ["complete"] * rows
    assert (done.done, done.failed, done.retried, done.exit_code) == (rows, 0, rows, 0)
    assert f"{rows} raised, were retried" in str(done)


def test_it_waits_for_a_row_that_is_due_soon(catalog):
    [rid] = add(catalog, {**NEW, "retry_at": in_seconds(0.5)})

    done = ermpoll.Agent(queue(catalog), lambda row: None).run(until_idle=True)

    assert read(catalog, rid)["state"] == "complete"
    assert (done.done, done.due_at) == (1, None)


@pytest.mark.parametrize(
    ("seconds", "wait_s"), [(3600, None), (30, None), (5, 1), (7e10, 60)]
)
def test_it_does_not_wait_for_a_row_that_is_due_late_and_says_when(
    catalog, seconds, wait_s
):
    # the longest wait that three attempts can give is 20 s
    [rid] = add(catalog, {**NEW, "retry_at": in_seconds(seconds)})
    begun = time.monotonic()

    done = ermpoll.Agent(queue(catalog), lambda row: None).run(
        until_idle=True, wait_s=wait_s
    )

    assert time.monotonic() - begun < 4
    assert read(catalog, rid)["state"] == "actionable"
    assert done.due_at is not None
    assert done.due_at > datetime.now(UTC)
    assert "the next row is due at 2" in str(done)


def test_it_does_not_wait_for_the_claims_of_others_and_says_so(catalog):
    add(catalog, NEW, NEW)
    other = queue(catalog, lease_s=300).claim(1)
    begun = time.monotonic()

    done = ermpoll.Agent(queue(catalog), lambda row: None).run(until_idle=True)

    assert time.monotonic() - begun < 4
    assert (done.done, len(other)) == (1, 1)
    assert done.others_until is not None
    assert done.others_until > datetime.now(UTC) + timedelta(seconds=250)
    assert "others hold rows" in str(done)


def test_it_waits_for_the_claims_of_others_where_it_is_told_to(catalog):
    [rid] = add(catalog, NEW)
    queue(catalog, lease_s=1).claim(1)

    done = ermpoll.Agent(queue(catalog, lease_s=1), lambda row: None).run(
        until_idle=True, wait_for="all"
    )

    assert read(catalog, rid)["state"] == "complete"
    assert done.done == 1


def test_a_large_batch_of_which_all_ended_at_once_is_not_the_end(catalog):
    add(catalog, *[NEW] * 1100)
    agent = ermpoll.Agent(queue(catalog), lambda row: None, workers=2, prefetch=498)

    assert agent.run(until_idle=True).done == 1100


@pytest.mark.parametrize(
    "options", [{"wait_for": "me"}, {"wait_s": -1}, {"wait_s": float("nan")}]
)
def test_an_option_that_cannot_be_is_told_before_anything_is_claimed(catalog, options):
    [rid] = add(catalog, NEW)

    with pytest.raises(UsageError, match=r"expected .* found"):
        ermpoll.Agent(queue(catalog), lambda row: None).run(until_idle=True, **options)

    assert read(catalog, rid)["state"] == "actionable"


def test_a_summary_is_of_its_own_run_alone(catalog):
    add(catalog, NEW)
    agent = ermpoll.Agent(queue(catalog, max_attempts=1), FailsFirst())
    first = agent.run(until_idle=True)
    [rid] = add(catalog, {**NEW, "state": "hold"})
    edit(catalog, rid, state="actionable")

    agent.work.seen.append(rid)
    second = agent.run(until_idle=True)

    assert (first.failed, first.done, first.exit_code) == (1, 0, 1)
    assert (second.failed, second.done, second.exit_code) == (0, 1, 0)


def test_one_row_is_told_as_one(catalog, caplog):
    add(catalog, NEW)

    with caplog.at_level(logging.INFO, logger="ermpoll"):
        ermpoll.Agent(queue(catalog), lambda row: None).run(until_idle=True)

    said = [record.getMessage() for record in caplog.records]
    assert any(line.endswith("claimed 1 row") for line in said)
