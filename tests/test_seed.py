from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import ermpoll
from ermpoll import seed
from ermpoll.errors import (
    CatalogError,
    Conflict,
    Denied,
    PreconditionFailed,
    TransformError,
    Unavailable,
    UsageError,
    WriteRefused,
)
from ermpoll.notices import LocalNotices
from ermpoll.sandbox import Box
from ermpoll.weather import is_weather
from tests.bench.common import deriva_catalog
from tests.sandbox.client import Client, closing
from tests.tables import add, make_table, read

ROOT = Path(__file__).parents[1]
COLUMNS = {
    "name": "text",
    "state": "text",
    "owner": "text",
    "note": "text",
    "data": "jsonb",
}
UPDATE = "attributegroup/Ops:Job/RID;state"


def query(limit: int | None = None) -> str:
    return "entity/Ops:Job/state=new@sort(RID)" + (f"?limit={limit}" if limit else "")


def claim(row: Any) -> dict[str, Any]:
    return {"RID": row["RID"], "state": "claimed"}


@pytest.fixture
def catalog(shared_box: Box) -> Iterator[ermpoll.Catalog]:
    """A catalog with five new rows in Ops:Job, and a table to touch."""
    shared_box.faults()
    catalog = ermpoll.connect(shared_box.new_catalog(), {})
    make_table(catalog, COLUMNS, keys=[["name"]])
    make_table(catalog, {"text": "text"}, name="Other")
    add(catalog, *({"name": f"job {n}", "state": "new"} for n in range(5)))
    yield catalog
    shared_box.faults()
    catalog.close()


@pytest.fixture
def theirs(catalog: ermpoll.Catalog) -> Any:
    """deriva-py's own class on the same catalog."""
    return deriva_catalog(catalog.url)


@pytest.fixture
def somebody(catalog: ermpoll.Catalog) -> Iterator[ermpoll.Catalog]:
    """Another client of the same catalog."""
    other = ermpoll.connect(catalog.url, {})
    yield other
    other.close()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A patience that a test can outwait."""
    monkeypatch.setattr(seed, "PATIENCE_S", 0.4)


def states(catalog: ermpoll.Catalog) -> dict[str, int]:
    page = catalog.get("entity/Ops:Job")
    assert page is not None
    return dict(Counter(str(row["state"]) for row in page.rows))


def written(box: Box, catalog: ermpoll.Catalog) -> list[str]:
    """The RIDs of Ops:Job that were written to, once for each write."""
    number = catalog.url.rpartition("/")[2]
    return [
        change.rid
        for write in box.log
        if write.catalog == number and write.method == "PUT"
        for change in write.rows
    ]


def touching(
    somebody: ermpoll.Catalog, times: int = 1
) -> Callable[[Any], dict[str, Any]]:
    """A transform during whose first calls somebody writes to another table."""
    left = [times]

    def transform(row: Any) -> dict[str, Any]:
        if left[0]:
            left[0] -= 1
            add(somebody, {"text": "touched"}, table="Other")
        return claim(row)

    return transform


# what it does


def test_rows_are_claimed_and_come_with_what_the_server_wrote(catalog):
    etag, batch = ermpoll.state_change_once(catalog, query(), UPDATE, claim)

    assert states(catalog) == {"claimed": 5}
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

    assert (batch, states(catalog)) == ([], {"new": 5})
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
    assert states(catalog) == {"new": 3, "claimed": 2}


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

    with pytest.raises(seed.LostRace, match="without other writers") as lost:
        ermpoll.state_change_once(catalog, query(1), UPDATE, transform)

    assert catalog.writes - before < 40
    assert lost.value.status == 412
    assert states(catalog) == {"new": 5}


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
    assert states(catalog) == {"seen": 5}


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


# defect 6: a lost answer


def test_deriva_py_claims_rows_for_nobody_when_an_answer_is_lost(
    shared_box, catalog, theirs
):
    from deriva.core import ConcurrentUpdate

    shared_box.faults(drop_reply=1)

    with pytest.raises(ConcurrentUpdate):
        theirs.state_change_once(f"/{query(2)}", f"/{UPDATE}", claim)

    assert states(catalog) == {"new": 3, "claimed": 2}


@pytest.mark.parametrize(
    "fault",
    [
        {"drop_reply": 1},
        {"drop_reply": 3},
        {"drop_reply": 1, "status_after": 500},
        {"drop_reply": 1, "status_after": 502},
        {"drop_reply": 1, "status_after": 503},
        {"drop_reply": 1, "status_after": 504},
        {"drop_reply": 2, "abort": 0.5, "seed": 5},
    ],
    ids=str,
)
@pytest.mark.parametrize("update", [UPDATE, "entity/Ops:Job"])
def test_rows_are_ours_although_the_answer_was_lost(shared_box, catalog, fault, update):
    def change(row: Any) -> dict[str, Any]:
        return {**row, "state": "claimed"} if update != UPDATE else claim(row)

    shared_box.faults(**fault)

    etag, batch = ermpoll.state_change_once(catalog, query(2), update, change)

    assert len(batch) == 2
    assert {row["RID"] for row, _ in batch} == set(written(shared_box, catalog))
    assert len(written(shared_box, catalog)) == 2
    assert etag is None


def test_a_request_that_comes_late_does_not_write_twice(shared_box, catalog):
    slow = ermpoll.connect(catalog.url, {}, timeout_s=0.2)
    shared_box.faults(delay_s=0.5, methods=["PUT"])
    quick_again = threading.Timer(0.3, shared_box.faults)
    quick_again.start()

    _, batch = ermpoll.state_change_once(slow, query(2), UPDATE, claim)

    quick_again.join()
    assert len(batch) == 2
    assert len(written(shared_box, catalog)) == 2
    slow.close()


def racing(
    shared_box: Box, rival: ermpoll.Catalog, **values: Any
) -> Callable[[Any], dict[str, Any]]:
    """A transform during which a rival is quicker; our refusal is then lost."""
    done: list[bool] = []

    def transform(row: Any) -> dict[str, Any]:
        if not done:
            done.append(True)
            rows = rival.get(query(int(values.pop("limit", 1))))
            assert rows is not None
            columns = ",".join(["state", *values])
            rival.put(
                f"attributegroup/Ops:Job/RID;{columns}",
                [{**claim(found), **values} for found in rows.rows],
            )
            shared_box.faults(drop_reply=1)
        return {**claim(row), "owner": "we"}

    return transform


def test_rows_of_a_rival_who_wrote_other_values_are_not_ours(
    shared_box, catalog, somebody
):
    transform = racing(shared_box, somebody, owner="they")
    update = "attributegroup/Ops:Job/RID;state,owner"

    _, batch = ermpoll.state_change_once(catalog, query(1), update, transform)

    assert [read(catalog, row["RID"])["owner"] for row, _ in batch] == ["we"]
    assert states(catalog) == {"new": 3, "claimed": 2}


def test_rows_of_a_rival_who_took_more_than_we_asked_for_are_not_ours(
    shared_box, catalog, somebody
):
    transform = racing(shared_box, somebody, limit=2)

    _, batch = ermpoll.state_change_once(catalog, query(1), UPDATE, transform)

    assert len(batch) == 1
    assert states(catalog) == {"new": 2, "claimed": 3}


def test_rows_of_a_rival_with_another_login_are_not_ours():
    with ermpoll.sandbox.start(token="ours", tokens={"theirs": "rival"}) as box:
        url = box.new_catalog()
        ours = ermpoll.connect(url, {"bearer-token": "ours"})
        rival = ermpoll.connect(url, {"bearer-token": "theirs"})
        with closing(Client(url, {"Authorization": "Bearer ours"})) as owner:
            for right in ("enumerate", "select", "update"):
                assert owner.put(f"/acl/{right}", ["rival"]).status < 300
        make_table(ours, COLUMNS)
        add(ours, {"state": "new"}, {"state": "new"})

        transform = racing(box, rival)
        _, batch = ermpoll.state_change_once(ours, query(1), UPDATE, transform)

        assert [read(ours, row["RID"])["RMB"] for row, _ in batch] == [
            "https://sandbox.example.org/id/ada"
        ]
        assert states(ours) == {"claimed": 2}


@pytest.mark.usefixtures("hurried")
def test_an_answer_that_never_comes_is_told_as_doubtful(shared_box, catalog):
    shared_box.faults(drop_reply=True, methods=["PUT"])

    with pytest.raises(Unavailable) as lost:
        ermpoll.state_change_once(catalog, query(1), UPDATE, claim)

    assert lost.value.doubtful


def test_a_refused_write_is_not_sent_again(catalog):
    before = catalog.writes

    with pytest.raises(Conflict):
        ermpoll.state_change_once(
            catalog, query(1), "attributegroup/Ops:Job/RID;nonsense", claim
        )

    assert catalog.writes - before == 1


def test_a_settled_answer_is_logged_without_row_contents(shared_box, catalog, caplog):
    shared_box.faults(drop_reply=1)

    with caplog.at_level(logging.DEBUG, logger="ermpoll"):
        ermpoll.state_change_once(catalog, query(1), UPDATE, claim)

    (record,) = (r for r in caplog.records if getattr(r, "event", "") == "settled")
    assert record.rows == 1
    assert "claimed" not in caplog.text


def test_processes_with_lost_answers_never_claim_a_row_twice(shared_box, catalog):
    add(catalog, *({"state": "new"} for _ in range(45)))
    shared_box.faults(drop_reply=0.2, abort=0.2, seed=11)

    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.seed_worker", catalog.url, f"w{n}"],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        for n in range(3)
    ]
    told = [json.loads(worker.communicate(timeout=40)[0]) for worker in workers]

    won = [rid for rids in told for rid in rids]
    assert sorted(won) == sorted(set(won))
    assert len(won) == 50
    assert sorted(written(shared_box, catalog)) == sorted(won)


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
    assert states(catalog) == {"new": 5}


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


# the loop


def test_the_loop_consumes_all_there_is_and_stops(catalog):
    stop, taken = threading.Event(), []

    def look() -> bool:
        _, batch = ermpoll.state_change_once(catalog, query(2), UPDATE, claim)
        taken.extend(batch)
        if not batch:
            stop.set()
        return bool(batch)

    ermpoll.blocking_poll(look, stop=stop)

    assert len(taken) == 5


def test_the_loop_stops_soon_while_it_waits():
    stop, looked = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=ermpoll.blocking_poll, args=[looked.set], kwargs={"stop": stop}
    )
    thread.start()
    assert looked.wait(5)

    began = time.perf_counter()
    stop.set()
    thread.join(5)

    assert time.perf_counter() - began < 0.5
    assert not thread.is_alive()


def test_a_notice_wakes_the_loop():
    notices, stop = LocalNotices(), threading.Event()
    looks: list[float] = []
    first = threading.Event()

    def look() -> bool:
        looks.append(time.perf_counter())
        first.set()
        if len(looks) == 2:
            stop.set()
        return False

    thread = threading.Thread(
        target=ermpoll.blocking_poll,
        args=[look],
        kwargs={"notices": notices, "stop": stop},
    )
    thread.start()
    assert first.wait(5)
    notices.notify()
    thread.join(5)

    assert len(looks) == 2


def test_faults_of_the_network_are_waited_out(shared_box, catalog):
    shared_box.faults(status=503, times=2)
    stop, looks = threading.Event(), []

    def look() -> bool:
        looks.append(1)
        _, batch = ermpoll.state_change_once(catalog, query(), UPDATE, claim)
        stop.set()
        return bool(batch)

    ermpoll.blocking_poll(look, stop=stop)

    assert len(looks) >= 3
    assert states(catalog) == {"claimed": 5}


def test_a_race_that_is_lost_for_long_does_not_end_the_loop(
    catalog, somebody, monkeypatch
):
    monkeypatch.setattr(seed, "PATIENCE_S", 0.0)
    transform, stop = touching(somebody, times=3), threading.Event()
    outcomes: list[str] = []

    def look() -> bool:
        try:
            ermpoll.state_change_once(catalog, query(1), UPDATE, transform)
        except seed.LostRace:
            outcomes.append("lost")
            raise
        outcomes.append("won")
        stop.set()
        return False

    ermpoll.blocking_poll(look, stop=stop)

    assert outcomes == ["lost"] * 3 + ["won"]


class FromRequests(OSError):
    """As requests' errors look, without loading it."""

    def __init__(self, status: int | None = None) -> None:
        super().__init__()
        self.response = status and SimpleNamespace(status_code=status)


FromRequests.__module__ = "requests.exceptions"
NoAnswer = type(
    "ConnectionError", (FromRequests,), {"__module__": "requests.exceptions"}
)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (Unavailable("gone"), True),
        (Denied("log in", status=401), True),
        (Denied("not yours", status=403), False),
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (OSError(113, "No route to host"), True),
        (OSError(2, "no such file"), False),
        (NoAnswer(), True),
        (FromRequests(503), True),
        (FromRequests(401), True),
        (FromRequests(409), False),
        (FromRequests(), False),
        (seed.LostRace("lost"), True),
        (PreconditionFailed("of the job"), False),
        (ValueError("a defect"), False),
    ],
    ids=repr,
)
def test_which_errors_pass_by_themselves(error, passes):
    assert is_weather(error) is passes


# defects 9 and 10: see also test_compat


def test_a_second_run_on_the_same_object_works(theirs):
    theirs.amqp_connection = SimpleNamespace(is_open=True)
    with pytest.raises(UnboundLocalError):
        theirs.blocking_poll(lambda: False)

    for _ in range(2):
        stop = threading.Event()
        ermpoll.blocking_poll(stop.set, stop=stop)


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


def test_a_transform_that_returns_no_row_is_refused(catalog):
    with pytest.raises(UsageError, match="found list"):
        ermpoll.state_change_once(catalog, query(), UPDATE, lambda row: [row])

    assert states(catalog) == {"new": 5}


def test_a_dry_run_refuses_it(catalog):
    with catalog.dry_run() as would, pytest.raises(WriteRefused):
        ermpoll.state_change_once(catalog, query(), UPDATE, claim)

    assert would == [f"would PUT {UPDATE}"]
    assert states(catalog) == {"new": 5}


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

    assert states(catalog) == {"claimed": 5}


def test_rows_without_an_etag_are_never_written(catalog):
    class Bare:
        url = catalog.url

        def get(self, path: str, *, etag: str | None = None) -> Any:
            return SimpleNamespace(rows=[{"RID": "1"}], etag=None)

    with pytest.raises(CatalogError, match="expected an ETag"):
        ermpoll.state_change_once(Bare(), query(), UPDATE, claim)  # type: ignore[arg-type]
