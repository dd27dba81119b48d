from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ermpoll
from ermpoll.compat import recovery
from ermpoll.errors import Conflict, Unavailable
from ermpoll.sandbox import Box
from tests.helpers.peers import Reply, serving
from tests.helpers.sandbox_client import Client, closing
from tests.helpers.tables import add, count_states, make_table, read
from tests.wire.compat.state_change.place import (
    COLUMNS,
    UPDATE,
    claim,
    query,
    written,
)

WORKER = "tests.wire.compat.state_change.worker"
ROOT = Path(__file__).parents[4]
#: Compares the word that it replaces.
SWAP = "attributegroup/Ops:Job/RID,was:=state;state"


# defect 6: a lost answer


def test_deriva_py_claims_rows_for_nobody_when_an_answer_is_lost(
    shared_box, catalog, theirs
):
    from deriva.core import ConcurrentUpdate

    shared_box.faults(drop_reply=1)

    with pytest.raises(ConcurrentUpdate):
        theirs.state_change_once(f"/{query(2)}", f"/{UPDATE}", claim)

    assert count_states(catalog) == {"new": 3, "claimed": 2}


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
@pytest.mark.parametrize("update", [UPDATE, SWAP, "entity/Ops:Job"])
def test_rows_are_ours_although_the_answer_was_lost(shared_box, catalog, fault, update):
    def change(row: Any) -> dict[str, Any]:
        if update == "entity/Ops:Job":
            return {**row, "state": "claimed"}
        return {**claim(row), **({"was": row["state"]} if update == SWAP else {})}

    shared_box.faults(**fault)

    etag, batch = ermpoll.state_change_once(catalog, query(2), update, change)

    assert len(batch) == 2
    assert {row["RID"] for row, _ in batch} == set(written(shared_box, catalog))
    assert len(written(shared_box, catalog)) == 2
    assert etag is None


def test_a_json_value_s_answer_may_be_lost_as_well(shared_box, catalog):
    shared_box.faults(drop_reply=1)

    _, batch = ermpoll.state_change_once(
        catalog,
        query(1),
        "attributegroup/Ops:Job/RID;state,data",
        lambda row: {**claim(row), "data": {"a": [1]}},
    )

    assert [update["data"] for _, update in batch] == [{"a": [1]}]
    assert count_states(catalog) == {"new": 4, "claimed": 1}


def test_an_aborted_write_is_made_again(shared_box, catalog):
    shared_box.faults(abort=1.0)
    end = threading.Timer(0.1, shared_box.faults)
    end.start()

    _, batch = ermpoll.state_change_once(catalog, query(2), UPDATE, claim)

    end.join()
    assert len(batch) == 2
    assert len(written(shared_box, catalog)) == 2


def test_rows_whose_key_can_t_be_told_are_not_taken_for_ours(shared_box, catalog):
    def nameless(row: Any) -> dict[str, Any]:
        return {"name": row["name"], "state": "claimed"}

    shared_box.faults(drop_reply=1)

    _, batch = ermpoll.state_change_once(catalog, query(1), "entity/Ops:Job", nameless)

    assert [row["name"] for row, _ in batch] == ["job 1"]


def test_reading_back_waits_for_the_server(shared_box, catalog):
    class Flaky:
        """The catalog, but for two reads after the write."""

        url = catalog.url
        reads = 0

        def get(self, path: str, *, etag: str | None = None) -> Any:
            self.reads += 1
            if self.reads in (2, 3):
                raise Unavailable("restarting")
            return catalog.get(path, etag=etag)

        put = staticmethod(catalog.put)
        session = staticmethod(catalog.session)

    shared_box.faults(drop_reply=1)

    _, batch = ermpoll.state_change_once(Flaky(), query(1), UPDATE, claim)

    assert [row["name"] for row, _ in batch] == ["job 0"]


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
    assert count_states(catalog) == {"new": 3, "claimed": 2}


def test_rows_of_a_rival_who_took_more_than_we_asked_for_are_not_ours(
    shared_box, catalog, somebody
):
    transform = racing(shared_box, somebody, limit=2)

    _, batch = ermpoll.state_change_once(catalog, query(1), UPDATE, transform)

    assert len(batch) == 1
    assert count_states(catalog) == {"new": 2, "claimed": 3}


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
        assert count_states(ours) == {"claimed": 2}


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
            [sys.executable, "-m", WORKER, catalog.url, f"w{n}"],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        for n in range(3)
    ]
    answers = [worker.communicate(timeout=40)[0] for worker in workers]

    told = [json.loads(answer) for answer in answers]
    won = [rid for rids in told for rid in rids]
    assert sorted(won) == sorted(set(won))
    assert len(won) == 50
    assert sorted(written(shared_box, catalog)) == sorted(won)


# what the rows themselves tell


def asked(catalog: ermpoll.Catalog, *rids: str) -> tuple[recovery.Update, list[Any]]:
    rows = [claim({"RID": rid}) for rid in rids]
    update = recovery.parse(UPDATE, rows)
    assert update is not None
    return update, rows


def test_rows_written_at_one_moment_after_the_guard_are_ours(catalog, somebody):
    page = catalog.get(query(2))
    update, rows = asked(catalog, *(row["RID"] for row in page.rows))
    somebody.put(UPDATE, rows)

    found = recovery.written_by(catalog, update, rows, since=page.etag, client=None)

    assert found == rows


def test_rows_written_one_by_one_are_not_ours(catalog, somebody):
    page = catalog.get(query(2))
    update, rows = asked(catalog, *(row["RID"] for row in page.rows))
    for row in rows:
        somebody.put(UPDATE, [row])

    assert not recovery.written_by(catalog, update, rows, since=page.etag, client=None)


def test_rows_that_were_so_before_the_guard_are_not_ours(catalog, somebody):
    page = catalog.get(query(2))
    update, rows = asked(catalog, *(row["RID"] for row in page.rows))
    written = somebody.put(UPDATE, rows)

    found = recovery.written_by(catalog, update, rows, since=written.etag, client=None)

    assert found is None


def test_rows_of_which_one_is_not_as_asked_are_not_ours(catalog, somebody):
    page = catalog.get(query(2))
    update, rows = asked(catalog, *(row["RID"] for row in page.rows))
    somebody.put(UPDATE, rows[:1])

    assert not recovery.written_by(catalog, update, rows, since=page.etag, client=None)


def test_a_table_without_system_columns_tells_nothing(catalog):
    update, rows = asked(catalog, "1")
    missing = replace(update, table="Ops:Nonsense")

    assert not recovery.written_by(catalog, missing, rows, since=None, client=None)


def test_a_server_that_is_gone_before_the_write_is_told_at_once():
    row = '[{"RID": "1", "state": "new"}]'
    headers = {"ETag": '"r;a;2026-01-01 00:00:00+00:00"', "Connection": "close"}
    with ExitStack() as stack:
        peer = stack.enter_context(serving(Reply(body=row, headers=headers)))
        door = ermpoll.connect(peer.url, {})

        def transform(row: Any) -> dict[str, Any]:
            stack.close()
            return claim(row)

        with pytest.raises(Unavailable, match="refused") as gone:
            ermpoll.state_change_once(door, query(1), UPDATE, transform)

    assert not gone.value.doubtful
