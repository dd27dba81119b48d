"""The referee finds each kind of broken promise, and a storm breaks none."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.chaos.__main__ import tell
from tests.end_to_end.chaos.planted import PLANTED
from tests.end_to_end.chaos.record import Entry, Machine
from tests.end_to_end.chaos.referee import Referee
from tests.end_to_end.chaos.storm import Report, Setting, Storm

LEASE_S = 2.0
TOKENS = [f"worker~{n:016x}~{LEASE_S:g}" for n in range(3)]


class Record:
    """A synthetic record of one row, written by hand."""

    def __init__(self) -> None:
        self.referee = Referee(Machine(people=frozenset(["person"])))
        self.row: dict[str, Any] | None = None
        self.seq = 0
        self.at = 0.0
        new = {"state": "new", "owner": None, "attempts": 0, "retry_at": None}
        self.write("feeder", note="", **new)

    def write(self, who: str, after_s: float = 0.1, **changes: Any) -> None:
        self.at += after_s
        self.seq += 1
        before = self.row
        self.row = {**(before or {}), **changes}
        self.referee.see(
            Entry(
                seq=self.seq,
                at=self.at,
                who=who,
                rid="1",
                before=before,
                after=self.row,
            )
        )

    def claim(self, who: str = "a", token: str = TOKENS[0], **more: Any) -> None:
        attempts = (self.row or {})["attempts"] + 1
        self.write(who, state="claimed", owner=token, attempts=attempts, **more)

    @property
    def kinds(self) -> list[str]:
        return [violation.kind for violation in self.referee.violations]

    def end(self) -> list[str]:
        self.referee.end(self.at)
        return self.kinds


@pytest.fixture
def record() -> Record:
    return Record()


def test_a_lawful_life_is_not_objected_to(record: Record) -> None:
    record.claim()
    record.write("a", owner=TOKENS[0])
    record.write("person", note="seen")
    record.write("b", after_s=LEASE_S, state="new", owner=None)
    record.claim("b", TOKENS[1])
    record.write("b", state="new", owner=None, attempts=1)
    record.write("person", state="hold")
    record.write("person", state="new")
    record.write("daemon", state="claimed")
    record.write("person", state="new")
    record.claim("b", TOKENS[2])
    record.write("b", state="done")

    assert record.end() == []
    assert record.referee.counts["rescues"] == 1


@pytest.mark.parametrize("meanwhile", ["taken", "finished", "nothing"])
def test_an_old_daemon_may_finish_what_a_person_took_from_it(
    record: Record, meanwhile: str
) -> None:
    record.write("daemon", state="claimed")
    record.write("person", state="new")
    if meanwhile != "nothing":
        record.claim()
    if meanwhile == "finished":
        record.write("a", state="done")

    record.write("daemon", state="done")

    assert record.end() == []


@pytest.mark.parametrize("state", ["done", "claimed"])
def test_a_holder_may_finish_or_renew_what_a_daemon_took_under_its_token(
    record: Record, state: str
) -> None:
    record.claim()
    record.write("person", state="hold")
    record.write("person", state="new")
    record.write("daemon", state="claimed")
    record.write("a", state=state)
    record.write("daemon", state="done")

    assert record.end() == []


def test_nobody_else_may_renew_what_a_daemon_took(record: Record) -> None:
    record.claim()
    record.write("person", state="hold")
    record.write("person", state="new")
    record.write("daemon", state="claimed")
    record.write("b", state="claimed")

    assert record.kinds == ["two holders"]


def test_nobody_else_may_finish_what_a_daemon_took(record: Record) -> None:
    record.claim()
    record.write("person", state="hold")
    record.write("person", state="new")
    record.write("daemon", state="claimed")
    record.write("b", state="done")

    assert "two holders" in record.kinds


@pytest.mark.parametrize("who", ["a", "b"])
def test_an_overdue_claim_at_its_last_attempt_may_be_given_up(
    record: Record, who: str
) -> None:
    record.claim()
    record.write(who, after_s=LEASE_S, state="failed", owner=None)

    assert record.end() == []


@pytest.mark.parametrize("who", ["a", "b"])
def test_a_claim_that_is_given_up_before_its_lease_is_over_is_found(
    record: Record, who: str
) -> None:
    record.claim()
    record.write(who, after_s=LEASE_S - 0.5, state="failed", owner=None)

    assert record.kinds == ["two holders"]


def test_a_claim_over_a_token_of_before_looks_like_an_overdue_one(
    record: Record,
) -> None:
    record.claim()
    record.write("person", state="hold")
    record.write("person", state="new")
    record.write("daemon", state="claimed")
    record.write("b", after_s=LEASE_S, state="new", owner=None)
    record.claim("b", TOKENS[1])
    record.write("b", state="done")
    record.write("daemon", state="done")

    assert record.end() == []


def test_a_claim_over_a_token_of_before_is_not_freed_early(record: Record) -> None:
    record.claim()
    record.write("person", state="hold")
    record.write("person", state="new")
    record.write("daemon", state="claimed")
    record.write("b", after_s=LEASE_S - 0.5, state="new", owner=None)

    assert record.kinds == ["robbed"]


def test_an_agent_may_not_finish_what_a_person_took_from_it(record: Record) -> None:
    record.claim()
    record.write("person", state="hold")
    record.write("person", state="new")
    record.write("a", state="done")

    assert record.kinds == ["machine"]


def test_a_step_outside_the_machine_is_found(record: Record) -> None:
    record.write("a", state="done")

    assert record.kinds == ["machine"]


def test_a_finished_row_that_goes_on_is_found(record: Record) -> None:
    record.claim()
    record.write("a", state="done")
    record.write("a", state="new", owner=None)

    assert record.kinds == ["machine"]


def test_a_claim_that_counts_no_attempt_is_found(record: Record) -> None:
    record.write("a", state="claimed", owner=TOKENS[0], attempts=0)

    assert record.kinds == ["machine"]


def test_a_second_claim_of_a_held_row_is_found(record: Record) -> None:
    record.claim("a", TOKENS[0])
    record.claim("b", TOKENS[1])

    assert record.kinds == ["two holders"]


def test_a_rescue_before_the_lease_is_over_is_found(record: Record) -> None:
    record.claim()
    record.write("b", after_s=LEASE_S - 0.01, state="new", owner=None)

    assert record.kinds == ["two holders"]


def test_a_rescue_too_early_after_a_renewal_is_found(record: Record) -> None:
    record.claim()
    record.write("a", after_s=LEASE_S - 0.5, owner=TOKENS[0])
    record.write("b", after_s=0.6, state="new", owner=None)

    assert record.kinds == ["two holders"]


def test_a_row_finished_by_another_is_found(record: Record) -> None:
    record.claim("a")
    record.write("b", state="done")

    assert record.kinds == ["two holders"]


def test_a_claim_without_a_lease_that_is_freed_is_found(record: Record) -> None:
    record.write("daemon", state="claimed")
    record.write("a", after_s=1e6, state="new", owner=None)

    assert record.kinds == ["robbed"]


def test_a_finish_without_its_claims_token_is_found(record: Record) -> None:
    record.claim()
    record.write("a", state="done", owner=None)

    assert record.kinds == ["token"]


def test_a_token_used_twice_is_found(record: Record) -> None:
    record.claim()
    record.write("a", state="new", owner=None, attempts=0)
    record.claim()

    assert record.kinds == ["token"]


def test_a_token_used_by_two_is_found(record: Record) -> None:
    record.claim("a", TOKENS[0])
    record.write("person", state="hold")
    record.write("person", state="new")
    record.claim("b", TOKENS[0])

    assert record.kinds == ["token"]


def test_an_edit_written_over_is_found(record: Record) -> None:
    record.claim()
    record.write("person", note="seen")
    record.write("a", state="done", note="")

    assert record.kinds == ["edit"]


def test_a_row_taken_from_a_persons_hold_is_found(record: Record) -> None:
    record.claim()
    record.write("person", state="hold")
    record.write("a", state="done")

    assert record.kinds == ["edit"]


@pytest.mark.parametrize("state", ["new", "claimed"])
def test_a_row_that_is_left_is_found(record: Record, state: str) -> None:
    if state == "claimed":
        record.claim()

    assert record.end() == ["lost"]


def test_a_row_left_under_an_overdue_claim_is_lawful(record: Record) -> None:
    record.claim()
    record.at += LEASE_S

    assert record.end() == []


def test_a_deleted_row_is_found(record: Record) -> None:
    record.referee.see(
        Entry(seq=9, at=9, who="a", rid="1", before=record.row, after=None)
    )

    assert record.kinds == ["lost"]


def test_a_record_with_a_gap_is_found(record: Record) -> None:
    assert record.row is not None
    record.row["note"] = "written, and not recorded"
    record.referee.see(
        Entry(
            seq=9,
            at=9,
            who="person",
            rid="1",
            before={**record.row, "note": "?"},
            after=record.row,
        )
    )

    assert record.kinds == ["record"]


#: What a storm must have had, or it was none.
HAZARDS = (
    "agents killed",
    "claims without token",
    "edit of claimed",
    "gust: replies dropped",
    "gust: 500 after commit",
    "gust: 504 after commit",
    "gust: aborts",
    "gust: commits late",
    "gust: 503 storm",
    "gust: server frozen",
    "gust: server killed",
    "gust: agent frozen",
    "gust: takeover, then no reads",
    "gust: bad dates",
    "gust: bad ETags",
    "kernels restarted",
    "poison",
)


def weather(setting: Setting, folder: Path) -> Report:
    report = Storm(setting, folder).run()
    said = tell(report, setting)
    assert not report.violations, said
    assert not report.crashes, said
    missing = [name for name in HAZARDS if not report.counts[name]]
    assert not missing, f"{missing} {said}"
    return report


def seed() -> int:
    return int(os.environ.get("ERMPOLL_CHAOS_SEED") or int.from_bytes(os.urandom(4)))


@pytest.mark.timeout(150)
def test_a_storm_of_2000_claims_breaks_no_promise(tmp_path: Path) -> None:
    report = weather(Setting(claims=2000, seed=seed()), tmp_path)

    assert report.counts["claims"] >= 1900


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_storm_of_100000_claims_breaks_no_promise(tmp_path: Path) -> None:
    setting = Setting(claims=100_000, seed=seed(), seconds=60, longest_s=300)

    report = weather(setting, tmp_path)

    # on a busy machine the time is over before all rows are in
    assert report.counts["claims"] >= 20_000
    assert report.counts["processes of a pool died"] > 0
    # a short storm may happen to kill none but idle agents
    assert report.counts["rescues"] > 0
    assert report.counts["renewals"] > 0


@pytest.mark.long
@pytest.mark.timeout(150)
def test_a_storm_where_nothing_says_whose_a_row_is_breaks_no_promise(
    tmp_path: Path,
) -> None:
    setting = Setting(claims=2000, seed=seed(), owner=False)

    report = weather(setting, tmp_path)

    # neither the killed ones' rows nor those of a lost answer are anybody's again
    assert report.counts["end held without lease"] > 0
    assert report.counts["claims without token"] >= 1500


#: Faults that a real process shows, each in agents of its own; two in one storm must
#: not hide each other.
IN_PROCESSES = {
    "work": (
        "works_without_having_won",
        # every other one has a pool
        "fails_a_row_for_the_executor",
        "drops_a_result",
        "works_twice_under_a_claim",
        "is_done_without_working",
        "says_more_than_it_did",
    ),
    "claims": (
        "counts_no_attempt",
        "mixes_up_the_results_of_a_batch",
        "finishes_without_its_token",
        "uses_a_token_again",
        "robs_live_claims",
    ),
    # whoever robs it would hide it, and so would bad weather
    "liveness": ("forgets_what_it_claimed", ""),
}


@pytest.mark.long
@pytest.mark.timeout(200)
@pytest.mark.parametrize("names", IN_PROCESSES.values(), ids=IN_PROCESSES)
def test_faults_planted_into_processes_are_found(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    setting = Setting(
        # so many that each agent claims some of its own rows a second time
        claims=4000,
        seed=seed(),
        agents=len(names),
        planted=names,
        mild=not all(names),
        kill_s=math.inf,
        seconds=25,
        calm_s=30,
    )

    report = Storm(setting, tmp_path).run()

    told = {str(violation) for violation in report.violations}
    faults = [PLANTED[name] for name in names if name]
    missed = [f.plant for f in faults if not any(f.found in text for text in told)]
    assert not missed, tell(report, setting)
