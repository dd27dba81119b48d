"""Calling the work of a row, and what is written for how that ended."""

from __future__ import annotations

import asyncio
import pickle
import threading
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ermpoll.agent.execution import (
    Report,
    acting_for,
    checked,
    do,
    do_dry,
    fault_of,
    finishing_step,
    here,
    is_acting_for,
    report_of,
)
from ermpoll.catalog.clock import parse_time
from ermpoll.errors import Unreadable
from ermpoll.queue.transitions import Held
from tests.helpers.bad_results import Mute

ROW = {"RID": "A"}


class TwoArguments(Exception):
    """What pickle can't make again."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


def raises(error: BaseException) -> Any:
    def work(row: object) -> None:
        raise error

    return work


def test_a_result_is_read_where_the_work_is_done():
    tags = ["a"]

    report = do(lambda row: {"tags": tags}, ROW, here())
    tags.append("b")

    assert report == Report(result={"tags": ["a"]})


def test_a_coroutine_is_awaited():
    async def work(row: object) -> dict[str, int]:
        await asyncio.sleep(0)
        return {"n": 1}

    assert do(work, ROW, here()) == Report(result={"n": 1})


@pytest.mark.parametrize(
    ("error", "report"),
    [
        (ValueError("no series"), Report(error="ValueError: no series")),
        (TwoArguments("no", "series"), Report(error="TwoArguments: no")),
        (Unreadable("it is a list"), Report(error="it is a list", final=True)),
        (SystemExit(3), Report(error="SystemExit: 3")),
        (Mute(), Report(error="Mute: (its text can't be read)")),
    ],
)
@pytest.mark.parametrize("home", [here(), "elsewhere 1"], ids=["here", "elsewhere"])
def test_whatever_work_raises_travels_as_text(error, report, home):
    told = do(raises(error), ROW, home)

    assert told == report
    assert pickle.loads(pickle.dumps(told)) == report


def test_an_interrupt_in_another_process_is_not_the_rows_fault():
    assert do(raises(KeyboardInterrupt()), ROW, "elsewhere 1").fault == "interrupted"
    assert do(raises(KeyboardInterrupt()), ROW, here()).error == "KeyboardInterrupt"


def test_a_dry_call_tells_the_writes_that_were_refused():
    assert do_dry(lambda row: None, ROW, here()) == (Report(), [])


def test_work_knows_for_whom_it_is_done():
    asked = []

    def work(row: object) -> None:
        asked.append((is_acting_for("a"), is_acting_for("b")))
        with acting_for("b"):
            asked.append((is_acting_for("a"), is_acting_for("b")))

    do(work, ROW, here(), "a")

    assert asked == [(True, False), (False, True)]
    assert not is_acting_for("a")


def test_another_thread_acts_for_nobody():
    asked: list[bool] = []
    with acting_for("a"):
        thread = threading.Thread(target=lambda: asked.append(is_acting_for("a")))
        thread.start()
        thread.join()

    assert asked == [False]


def test_what_an_executor_says_of_a_call_is_read():
    done, raised, cancelled, other = Future(), Future(), Future(), Future()
    done.set_result(Report(result={"n": 1}))
    raised.set_exception(OSError("the worker is gone"))
    cancelled.cancel()
    other.set_result(7)

    assert report_of(done) == Report(result={"n": 1})
    assert report_of(raised).fault == "OSError: the worker is gone"
    assert report_of(cancelled).fault == "the call was cancelled by somebody else"
    assert report_of(other).fault == "expected what was called, found int"
    assert fault_of(other) == ""


# what is written

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def held(tried: int = 1) -> Held:
    row = {"RID": "A", "RMT": "t", "state": "claimed", "attempts": tried, "name": "n"}
    return Held(rid="A", rmt="t", token="k", row=row, was="actionable", attempts=0)


def test_a_job_that_ended_well_completes_its_row(spec):
    step = finishing_step(spec, held(), Report(result={"name": "m"}), NOW, 0.5)

    assert (step.kind, step.change.after["name"]) == ("complete", "m")
    assert finishing_step(spec, held(), Report(), NOW, 0.5).kind == "complete"


def test_one_that_the_executor_did_not_do_goes_back_without_an_attempt(spec):
    step = finishing_step(spec, held(), Report(fault="gone"), NOW, 0.5)

    assert (step.kind, step.change.after["attempts"]) == ("release", 0)


@pytest.mark.parametrize(("tried", "longest_s"), [(1, 10), (2, 20), (1025, 3600)])
def test_an_error_is_tried_again_later_with_full_jitter(spec_of, tried, longest_s):
    spec = spec_of(max_attempts=2000)

    step = finishing_step(spec, held(tried), Report(error="E"), NOW, 0.5)

    assert step.kind == "retry later"
    at = parse_time(step.change.after["retry_at"])
    assert at == NOW + timedelta(seconds=longest_s / 2)


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (Report(error="E", final=True), "E"),
        (Report(result={"nosuch": 1}), "no column 'nosuch'"),
        (Report(result={"priority": "high"}), "'high' is no int4"),
        (Report(result={"state": "actionable"}), "candidate again"),
    ],
)
def test_what_no_retry_mends_fails_at_once(spec, report, reason):
    step = finishing_step(spec, held(), report, NOW, 0.5)

    assert step.kind == "fail"
    assert reason in step.reason
    assert reason in checked(spec, held().row, report)[1]


def test_the_last_attempt_fails_for_good(spec_of):
    step = finishing_step(spec_of(max_attempts=3), held(3), Report(error="E"), NOW, 0.5)

    assert (step.kind, step.reason) == ("fail", "E")
