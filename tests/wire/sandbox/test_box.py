"""What users hold: the demo, the log, rows added by others, the end."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

import ermpoll
from ermpoll.sandbox import Box, RowChange
from tests.helpers.sandbox_client import Client

_PUT = "/attributegroup/Imaging:Image/RID;Priority"


def test_the_demo_is_the_same_each_time_and_mostly_done(box: Box, demo: Client) -> None:
    path = "/attributegroup/Imaging:Image/Processing_Status;no:=cnt(*)"
    counts = {row["Processing_Status"]: row["no"] for row in demo.rows(path)}
    columns = "RID,File_Name,Specimen,Bytes,Processing_Status,Metadata"
    first = demo.rows(f"/attribute/Imaging:Image/{columns}@sort(RID)")

    box.reset()

    assert counts == {"new": 36, "in progress": 2, "error": 20, "success": 262}
    assert demo.rows(f"/attribute/Imaging:Image/{columns}@sort(RID)") == first


def test_the_demos_tables_are_linked(demo: Client) -> None:
    path = "/attribute/M:=Imaging:Image/Processing_Status=new"

    datasets = demo.rows(f"{path}/D:=Imaging:Dataset/$M/File_Name,D:Title")
    subjects = demo.rows(f"{path}/S:=(Subject)/$M/File_Name,S:Species")

    assert len(datasets) == len(subjects) == 36
    assert {row["Species"] for row in subjects} == {"Mus musculus"}


def test_rows_are_added_by_somebody_else(box: Box, demo: Client) -> None:
    rids = box.add(3, Priority=9)

    rows = demo.rows("/entity/Imaging:Image/Priority=9@sort(RID)")

    assert sorted(rids) == [row["RID"] for row in rows]
    assert {row["Processing_Status"] for row in rows} == {"new"}
    session = demo
    session.root = ""
    me = session.get("/authn/session").json["client"]["id"]
    assert {row["RCB"] for row in rows}.isdisjoint({me})


def test_rows_that_can_not_be_added_are_told(box: Box) -> None:
    with pytest.raises(ermpoll.UsageError, match="can't be added"):
        box.add(1, Priority="high")


def test_the_log_has_every_committed_write_and_no_other(box: Box, demo: Client) -> None:
    rid = demo.rows("/attribute/Imaging:Image/RID@sort(RID)?limit=1")[0]["RID"]
    before = demo.rows(f"/entity/Imaging:Image/RID={rid}")[0]
    answer = demo.put(_PUT, [{"RID": rid, "Priority": 9}])
    demo.put(_PUT, [{"RID": rid, "Priority": "no"}])
    demo.delete(f"/entity/Imaging:Image/RID={rid}")
    demo.put(_PUT, [])

    update, delete, nothing = box.log

    after = {**before, "Priority": 9, "RMT": update.rows[0].after["RMT"]}
    after["RMB"] = update.who
    assert update.rows == (
        RowChange(table="Imaging:Image", rid=rid, before=before, after=after),
    )
    assert (update.seq, delete.seq, nothing.seq) == (1, 2, 3)
    assert (update.method, update.path) == ("PUT", f"/ermrest/catalog/1{_PUT}")
    assert (update.etag, update.table) == (answer.etag, "Imaging:Image")
    assert update.at.tzinfo is UTC
    assert datetime.fromisoformat(after["RMT"]) == update.at
    assert (delete.rows[0].before, delete.rows[0].after) == (after, None)
    assert (nothing.rows, nothing.table) == ((), "")
    assert box.log_from(2, limit=1) == (delete,)


def test_the_log_is_told_in_the_model_of_its_time(box: Box, demo: Client) -> None:
    demo.put(_PUT, [{"RID": box.add(1)[0], "Priority": 9}])
    demo.post(
        "/schema/Imaging/table/Image/column",
        {
            "name": "Late",
            "type": {"typename": "text"},
        },
    )
    demo.put(_PUT, [{"RID": box.add(1)[0], "Priority": 9}])

    puts = [write for write in box.log if write.path.endswith(_PUT)]

    assert ["Late" in (write.rows[0].after or {}) for write in puts] == [False, True]
    assert [write.method for write in box.log].count("POST") == 3


def test_rows_stay_out_of_reprs(box: Box) -> None:
    box.add(1, File_Name="confidential.czi")

    assert "confidential" not in repr(box.log)


def test_a_bounded_log_forgets_the_oldest() -> None:
    with ermpoll.sandbox.start(keep_log=10) as box:
        for _ in range(201):
            box.add(1)
        numbers = [write.seq for write in box.log]

    assert numbers[-1] == 201
    assert 10 <= len(numbers) <= 110


def test_catalogs_of_one_sandbox_are_apart(box: Box, demo: Client) -> None:
    etag = demo.get("/entity/Imaging:Dataset").etag
    other = Client(box.new_catalog())
    other.table("Job", {"id": "int4"})
    other.post("/entity/Job", [{"id": 1}])

    assert demo.get("/entity/Imaging:Dataset").etag == etag
    assert demo.get("/entity/Ops:Job").status == 409
    assert [write.catalog for write in box.log] == ["2"] * 3
    other.connection.close()


def test_stop_ends_every_thread_and_may_be_called_again() -> None:
    box = ermpoll.sandbox.start()
    assert any(t.name == "ermpoll-sandbox" for t in threading.enumerate())
    client = Client(box.url)
    client.get("/")

    box.stop()
    box.stop()
    client.connection.close()

    with pytest.raises(ermpoll.UsageError, match="stopped"):
        box.add(1)


def test_queue_options_replace_the_demos(box: Box) -> None:
    urgent = box.jobs(where="Priority=1")

    assert len(box.jobs().candidates(limit=50)) == 36
    assert 0 < len(urgent.candidates(limit=50)) < 36


def test_a_taken_port_is_named() -> None:
    with ermpoll.sandbox.start() as box:
        port = int(box.url.split(":")[2].split("/")[0])

        with pytest.raises(ermpoll.UsageError, match=f"{port}.*name another"):
            ermpoll.sandbox.start(port=port)


def test_each_lesson_has_a_fresh_table(box: Box) -> None:
    first, second = box.lesson("Start", 2), box.lesson("Start", 3)
    box.add(1, table=first.table, Specimen="K9")
    first.claim(1)

    assert [first.table, second.table] == ["Imaging:Start", "Imaging:Start_2"]
    assert first.counts()["new"] == 2
    assert second.counts()["new"] == 3
    assert box.jobs().counts()["new"] == 36


def test_users_claim_in_a_lesson_under_their_own_names() -> None:
    with ermpoll.sandbox.start(users=["ann", "bob"]) as box:
        ann = box.lesson("Two", 2, user="ann")
        bob = box.jobs(table=ann.table, user="bob")

        anns, bobs = ann.claim(1), bob.claim(1)

        assert [one.catalog.whoami() for one in (ann, bob)] == ["ann", "bob"]
        assert [one.token.split("~")[0] for one in (anns, bobs)] == ["ann", "bob"]
        assert {write.who.split("/")[-1] for write in box.log[-2:]} == {"ann", "bob"}
        assert not box.jobs(user="ann").writable, "the demo's own table is the owner's"
