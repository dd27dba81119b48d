from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import ermpoll
from ermpoll.compat import state_change
from ermpoll.errors import (
    CatalogError,
    PreconditionFailed,
    TransformError,
    UsageError,
    WriteRefused,
)
from tests.helpers.tables import add, count_states
from tests.wire.compat.state_change.place import UPDATE, claim, query, touching

# what it does


def test_rows_are_claimed_and_come_with_what_the_server_wrote(catalog):
    etag, batch = ermpoll.state_change_once(catalog, query(), UPDATE, claim)

    assert count_states(catalog) == {"claimed": 5}
    assert etag is not None
    assert [update for _, update in batch] == [claim(row) for row, _ in batch]
    assert {row["state"] for row, _ in batch} == {"new"}


def test_an_unchanged_catalog_is_no_work(catalog):
    calls: list[Any] = []
    etag, _ = ermpoll.state_change_once(catalog, query(), UPDATE, claim)

    again = ermpoll.state_change_once(catalog, query(), UPDATE, calls.append, etag)

    assert again == (etag, [])
    assert calls == []


def test_a_new_row_ends_the_idleness(catalog, somebody):
    etag, _ = ermpoll.state_change_once(catalog, query(), UPDATE, claim)
    (rid,) = add(somebody, {"state": "new"})

    _, batch = ermpoll.state_change_once(catalog, query(), UPDATE, claim, etag)

    assert [row["RID"] for row, _ in batch] == [rid]


def test_rows_that_the_transform_leaves_are_not_written(catalog):
    etag, batch = ermpoll.state_change_once(catalog, query(), UPDATE, lambda row: None)

    assert (batch, count_states(catalog)) == ([], {"new": 5})
    assert etag is not None


def test_only_rows_that_the_server_wrote_are_returned(catalog, theirs):
    def astray(row: Any) -> dict[str, Any]:
        return claim({"RID": f"{row['RID']}-GONE"})

    _, told = theirs.state_change_once(f"/{query(1)}", f"/{UPDATE}", astray)
    _, batch = ermpoll.state_change_once(catalog, query(1), UPDATE, astray)

    assert len(told) == 1, "deriva-py tells of what it asked for"
    assert batch == []


def test_whole_rows_can_be_written_as_well(catalog):
    def whole(row: Any) -> dict[str, Any]:
        return {**row, "state": "claimed"}

    _, batch = ermpoll.state_change_once(catalog, query(2), "entity/Ops:Job", whole)

    assert len(batch) == 2
    assert count_states(catalog) == {"new": 3, "claimed": 2}


def test_keys_may_have_other_names_in_the_body(catalog):
    _, batch = ermpoll.state_change_once(
        catalog,
        query(2),
        "attributegroup/Ops:Job/RID,was:=state;state",
        lambda row: {"RID": row["RID"], "was": "new", "state": "claimed"},
    )

    assert [update["state"] for _, update in batch] == ["claimed", "claimed"]


# defect 4: any write anywhere voids a claim


def test_a_write_elsewhere_does_not_end_a_claim(catalog, theirs, somebody):
    from deriva.core import ConcurrentUpdate

    with pytest.raises(ConcurrentUpdate):
        theirs.state_change_once(f"/{query()}", f"/{UPDATE}", touching(somebody))

    _, batch = ermpoll.state_change_once(catalog, query(), UPDATE, touching(somebody))

    assert len(batch) == 5


@pytest.mark.usefixtures("hurried")
def test_lost_races_are_tried_again_with_pauses_and_an_end(catalog, somebody):
    transform = touching(somebody, times=10_000)
    before = catalog.writes

    with pytest.raises(state_change.LostRace, match="without other writers") as lost:
        ermpoll.state_change_once(catalog, query(1), UPDATE, transform)

    assert catalog.writes - before < 40
    assert lost.value.status == 412
    assert count_states(catalog) == {"new": 5}


def test_deriva_py_tries_again_at_once_without_end(theirs):
    from deriva.core import ConcurrentUpdate

    tries: list[float] = []

    def look() -> bool:
        tries.append(time.perf_counter())
        if len(tries) < 1000:
            raise ConcurrentUpdate
        return False

    theirs._run_notice_event(look)

    assert tries[-1] - tries[0] < 0.5


def test_threads_of_one_process_lose_no_race(catalog):
    add(catalog, *({"state": "new"} for _ in range(35)))
    before = catalog.writes
    won: list[Any] = []

    def work() -> None:
        while batch := ermpoll.state_change_once(catalog, query(1), UPDATE, claim)[1]:
            won.extend(row["RID"] for row, _ in batch)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(won) == sorted(set(won))
    assert len(won) == 40
    assert catalog.writes - before == 40


def test_a_transform_may_itself_change_states(catalog):
    def nested(row: Any) -> dict[str, Any]:
        def other(found: Any) -> dict[str, Any]:
            return {"RID": found["RID"], "state": "seen"}

        ermpoll.state_change_once(
            catalog, f"entity/Ops:Job/RID={row['RID']}/state=new", UPDATE, other
        )
        return claim(row)

    ermpoll.state_change_once(catalog, query(1), UPDATE, nested)

    # the inner change voids the outer one, which then takes the next row, and so on
    assert count_states(catalog) == {"seen": 5}


# defect 5: rows beyond the limit


def test_rows_beyond_the_limit_are_taken_by_the_next_calls(catalog, theirs):
    assert taken_in_a_loop(
        lambda etag: theirs.state_change_once(f"/{query(2)}", f"/{UPDATE}", claim, etag)
    ) == [2], "deriva-py stalls"

    assert taken_in_a_loop(
        lambda etag: ermpoll.state_change_once(catalog, query(2), UPDATE, claim, etag)
    ) == [2, 1]


def taken_in_a_loop(step: Callable[[Any], tuple[Any, list[Any]]]) -> list[int]:
    etag, sizes = None, []
    while True:
        etag, batch = step(etag)
        if not batch:
            return sizes
        sizes.append(len(batch))


# defect 7: errors of the job itself


@pytest.mark.parametrize("error", [PreconditionFailed, KeyError, TransformError])
def test_what_the_transform_raises_is_passed_on_and_nothing_written(catalog, error):
    calls: list[Any] = []

    def failing(row: Any) -> None:
        calls.append(row)
        raise error("mine")

    with pytest.raises(error):
        ermpoll.state_change_once(catalog, query(), UPDATE, failing)

    assert len(calls) == 1
    assert count_states(catalog) == {"new": 5}


def test_a_lost_race_of_the_job_itself_is_not_swallowed(theirs):
    from deriva.core import ConcurrentUpdate

    def look() -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise ConcurrentUpdate("of the job itself")
        return False

    calls: list[int] = []
    theirs._run_notice_event(look)
    assert len(calls) == 2, "deriva-py drops it"

    calls = []
    with pytest.raises(ConcurrentUpdate, match="of the job itself"):
        ermpoll.blocking_poll(look)
    assert len(calls) == 1

    with pytest.raises(PreconditionFailed, match="mine"):
        ermpoll.blocking_poll(raising(PreconditionFailed("mine")))


def raising(error: BaseException) -> Callable[[], bool]:
    def look() -> bool:
        raise error

    return look


# defect 11: what is written to the log


def test_no_row_contents_reach_stderr_or_the_log(catalog, theirs, capfd, caplog):
    def noting(row: Any) -> dict[str, Any]:
        return {**claim(row), "note": "confidential"}

    update = "attributegroup/Ops:Job/RID;state,note"
    theirs.state_change_once(f"/{query(1)}", f"/{update}", noting)
    assert "confidential" in capfd.readouterr().err, "deriva-py writes whole rows"

    with caplog.at_level(logging.DEBUG):
        ermpoll.state_change_once(catalog, query(1), update, noting)

    captured = capfd.readouterr()
    assert "confidential" not in captured.err + captured.out + caplog.text


# what it points out, and what it refuses


def test_values_that_would_be_swallowed_or_nulled_are_pointed_out(catalog, caplog):
    def careless(row: Any) -> dict[str, Any]:
        return {**claim(row), "owner": "me"}

    update = "attributegroup/Ops:Job/RID;state,note"
    ermpoll.state_change_once(catalog, query(1), update, careless)

    told = [r.columns for r in caplog.records if getattr(r, "event", "") == "swallowed"]
    assert told == [["owner"], ["note"]]
    assert "not written" in caplog.text
    assert "become NULL" in caplog.text


def test_a_whole_row_with_a_column_missing_is_pointed_out(catalog, caplog):
    ermpoll.state_change_once(catalog, query(1), "entity/Ops:Job", claim)

    (told,) = (r.columns for r in caplog.records if hasattr(r, "columns"))
    assert told == ["data", "name", "note", "owner"]


def test_a_whole_row_s_system_columns_are_pointed_out_as_not_written(catalog, caplog):
    def antedated(row: Any) -> dict[str, Any]:
        return {**row, "state": "claimed", "RCT": "2020-01-01T00:00:00+00:00"}

    ermpoll.state_change_once(catalog, query(1), "entity/Ops:Job", antedated)

    (told,) = (r.columns for r in caplog.records if hasattr(r, "columns"))
    assert told == ["RCT"]


def test_a_transform_that_returns_no_row_is_refused(catalog):
    with pytest.raises(UsageError, match="found list"):
        ermpoll.state_change_once(catalog, query(), UPDATE, lambda row: [row])

    assert count_states(catalog) == {"new": 5}


def test_a_catalog_that_is_not_ours_is_refused_with_what_to_do(theirs):
    with pytest.raises(UsageError, match="found PollingErmrestCatalog; connect"):
        ermpoll.state_change_once(theirs, query(), UPDATE, claim)


def test_a_transform_that_is_no_function_is_refused_before_reading(catalog):
    with pytest.raises(UsageError, match="transform: expected a function"):
        ermpoll.state_change_once(catalog, "entity/Ops:Nonsense", UPDATE, None)


def test_a_dry_run_refuses_it(catalog):
    with catalog.dry_run() as would, pytest.raises(WriteRefused):
        ermpoll.state_change_once(catalog, query(), UPDATE, claim)

    assert would == [f"would PUT {UPDATE}"]
    assert count_states(catalog) == {"new": 5}


def test_a_dry_run_beside_the_loop_does_not_hinder_it(catalog, somebody):
    stop = threading.Event()

    def look() -> bool:
        ermpoll.state_change_once(catalog, query(), UPDATE, claim)
        stop.set()
        return False

    with catalog.dry_run():
        loop = threading.Thread(
            target=ermpoll.blocking_poll, args=[look], kwargs={"stop": stop}
        )
        loop.start()
        loop.join(10)

    assert count_states(catalog) == {"claimed": 5}


def test_rows_without_an_etag_are_never_written(catalog):
    class Bare:
        url = catalog.url

        def get(self, path: str, *, etag: str | None = None) -> Any:
            return SimpleNamespace(rows=[{"RID": "1"}], etag=None)

    with pytest.raises(CatalogError, match="expected an ETag"):
        ermpoll.state_change_once(Bare(), query(), UPDATE, claim)  # type: ignore[arg-type]
