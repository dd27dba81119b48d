"""The cases that break naive claiming and waiting, on the service and on the kit.

Each first shows what the protocol does, then that our rule holds against it.
"""

from __future__ import annotations

import math
import threading
from datetime import timedelta

import pytest

import ermpoll
from ermpoll.catalog.clock import parse_time, time_text
from ermpoll.catalog.etags import etag_time
from ermpoll.errors import BadRequest, Conflict, UsageError
from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.tables import JOB, OPTIONAL, add, edit, make_table, queue, read

NEW = {"state": "actionable"}


def claimed_by(catalog: ermpoll.Catalog, rid: str) -> tuple[object, object]:
    row = read(catalog, rid)
    return row["state"], row["owner"]


def test_1_a_writes_own_etag_hides_what_others_wrote_before(catalog):
    [done] = add(catalog, {"state": "complete"})
    idle = catalog.get("entity/Ops:Job/state=actionable")

    add(catalog, NEW)
    own = catalog.put("attributegroup/Ops:Job/RID;name", [{"RID": done, "name": "x"}])

    assert catalog.get("entity/Ops:Job/state=actionable", etag=own.etag) is None
    assert catalog.get("entity/Ops:Job/state=actionable", etag=idle.etag).rows


def test_2_a_conditional_read_cant_see_that_time_passes(catalog):
    soon = catalog.now() + timedelta(seconds=3600)
    add(catalog, {**NEW, "retry_at": time_text(soon)})
    jobs = queue(catalog)
    before = catalog.get(jobs.queries.candidates(soon - timedelta(seconds=1), 9))
    later = jobs.queries.candidates(soon + timedelta(seconds=1), 9)

    assert before.rows == []
    assert catalog.get(later, etag=before.etag) is None
    assert len(catalog.get(later).rows) == 1


def test_2_an_agent_takes_a_row_when_its_time_comes(box, catalog):
    [rid] = add(catalog, {**NEW, "retry_at": time_text(catalog.now())})
    edit(catalog, rid, retry_at=time_text(catalog.now() + timedelta(seconds=3)))
    done = threading.Event()
    agent = ermpoll.Agent(
        queue(catalog), lambda row: done.set(), notices=box.amqp_url, poll_s=600
    )

    with agent:
        assert done.wait(15)

    assert agent.status.looks.get("unchanged", 0) <= 2


def test_3_a_missing_key_is_written_as_null(catalog):
    a, b = add(catalog, {"attempts": 1, "tags": None}, {"result": "old"})

    catalog.put(
        "attributegroup/Ops:Job/RID;result,attempts,tags",
        [{"RID": a, "result": "r"}, {"RID": b, "attempts": 2}],
    )

    assert (read(catalog, a)["attempts"], read(catalog, b)["result"]) == (None, None)
    assert read(catalog, a)["tags"] == []


def test_3_a_plan_keeps_what_a_row_does_not_change(catalog):
    a, b = add(
        catalog,
        {**NEW, "attempts": 1, "result": "keep", "data": {"k": 1}},
        {**NEW, "attempts": 2, "result": "old"},
    )
    changes = {
        a: {"state": "hold", "attempts": 5},
        b: {"state": "hold", "result": "new", "data": None},
    }
    jobs = queue(catalog)

    outcome = jobs.plan(lambda row: changes[row["RID"]]).apply()

    assert sorted(outcome.won) == sorted([a, b])
    kept = read(catalog, a)
    assert (kept["attempts"], kept["result"], kept["data"]) == (5, "keep", {"k": 1})
    assert (read(catalog, b)["attempts"], read(catalog, b)["result"]) == (2, "new")


def test_3_none_for_json_is_null_and_not_json_null(catalog):
    [rid] = add(catalog, {**NEW, "data": {"k": 1}})

    queue(catalog).plan(lambda row: {"state": "hold", "data": None}).apply()

    assert len(catalog.get("entity/Ops:Job/data::null::").rows) == 1
    assert read(catalog, rid)["data"] is None


def test_4_a_claim_misses_a_row_that_was_edited_since_it_was_read(catalog):
    [rid] = add(catalog, {**NEW, "hold": False})
    jobs = queue(catalog, where="hold=false")
    plan = jobs.plan()

    edit(catalog, rid, hold=True, attempts=7)
    outcome = plan.apply()

    assert outcome.lost == (rid,)
    assert outcome.meanwhile[rid] == {"hold": (False, True), "attempts": (None, 7)}
    assert claimed_by(catalog, rid) == ("actionable", None)


def test_5_an_edited_row_is_finished_by_its_token_and_named(catalog):
    a, b = add(catalog, NEW, NEW)
    jobs = queue(catalog)
    claim = jobs.claim(2)
    edit(catalog, a, priority=9)

    outcome = jobs.complete(claim, {a: {"result": "r"}, b: {"result": "r"}})

    assert sorted(outcome.won) == sorted([a, b])
    assert outcome.edited == (a,)
    assert (read(catalog, a)["state"], read(catalog, a)["priority"]) == ("complete", 9)


def test_6_a_claim_whose_answer_is_lost_is_settled_by_its_token(box, catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)

    box.faults(drop_reply=True, times=1, methods=("PUT",))
    claim = jobs.claim(1)

    assert claim.rids == (rid,)
    assert claimed_by(catalog, rid) == ("claimed", claim.token)
    assert jobs.complete(claim).won == (rid,)


def test_6_a_claim_that_commits_after_the_client_gave_up_counts_once(box, catalog):
    [rid] = add(catalog, NEW)
    hasty = ermpoll.connect(catalog.url, timeout_s=0.4)
    jobs = queue(hasty)

    box.faults(delay_s=1.0, times=1, methods=("PUT",))
    claim = jobs.claim(1)

    assert claim.rids == (rid,)
    writes = [w for w in box.log if w.method == "PUT" and w.rows]
    assert [w.rows[0].rid for w in writes] == [rid]


def test_7_a_late_release_does_not_free_a_row_that_was_claimed_again(box, catalog):
    [rid] = add(catalog, NEW)
    hasty = ermpoll.connect(catalog.url, timeout_s=0.4)
    jobs, other = queue(hasty), queue(catalog)
    claim = jobs.claim(1)

    box.faults(delay_s=1.2, times=1, methods=("PUT",))
    assert jobs.release(claim).won == (rid,)
    again = other.claim(1)
    let_pass(1.5)

    assert again.rids == (rid,)
    assert again.token != claim.token
    assert claimed_by(catalog, rid) == ("claimed", again.token)


def test_8_with_a_state_column_only_a_broken_chain_of_versions_writes_nothing(catalog):
    [rid] = add(catalog, NEW)
    jobs = ermpoll.Queue(catalog, "Ops:Job")
    a = jobs.claim(1)
    jobs.rescue([rid], force=True)
    b = jobs.claim(1)

    assert jobs.complete(a).lost == (rid,)
    assert jobs.complete(b).won == (rid,)


def test_9_a_daemon_without_a_token_is_not_robbed(catalog):
    [rid] = add(catalog, NEW)
    edit(catalog, rid, state="claimed", owner="daemon 7")
    jobs = queue(catalog, lease_s=1)
    agent = ermpoll.Agent(jobs, lambda row: None)
    wait_until(jobs.stale)

    assert agent.run_once() == 0

    assert claimed_by(catalog, rid) == ("claimed", "daemon 7")
    assert jobs.stale().rids == (rid,)
    assert jobs.rescue(jobs.stale()).won == (rid,)


def test_10_a_claim_is_judged_by_the_lease_in_its_own_token(catalog):
    [rid] = add(catalog, NEW)
    long, short = queue(catalog, lease_s=3600), queue(catalog, lease_s=1)
    claim = long.claim(1)
    let_pass(1.2)

    ermpoll.Agent(short, lambda row: None).run_once()

    assert short.stale().rids == ()
    assert claimed_by(catalog, rid) == ("claimed", claim.token)


def test_11_a_finish_whose_answer_is_lost_is_known_again_by_its_token(box, catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)
    claim = jobs.claim(1)

    box.faults(drop_reply=True, times=1, methods=("PUT",))
    outcome = jobs.complete(claim, {rid: {"result": "r"}})

    assert outcome.won == (rid,)
    assert claimed_by(catalog, rid) == ("complete", claim.token)


def test_12_an_empty_owner_is_no_hindrance(catalog):
    [rid] = add(catalog, {**NEW, "owner": ""})

    assert queue(catalog).claim(1).rids == (rid,)


@pytest.mark.parametrize("bad", [2**31, "\0", "\ud800"])
def test_13_one_bad_value_fails_a_whole_put(catalog, bad):
    good, other = add(catalog, NEW, NEW)
    column = "priority" if isinstance(bad, int) else "name"
    body = [{"RID": good, column: None}, {"RID": other, column: bad}]

    with pytest.raises(BadRequest):
        catalog.put(f"attributegroup/Ops:Job/RID;{column}", body)


def test_13_a_bad_row_stands_alone(catalog):
    rids = add(catalog, *[NEW] * 9)
    jobs = queue(catalog)
    # what the checks here let through, since only the catalog can tell
    wrong = "2026-02-30T00:00:00+00:00"
    plan = jobs.plan(
        lambda row: {
            "state": "hold",
            "retry_at": wrong if row["RID"] == rids[4] else "2026-02-03T00:00:00Z",
        }
    )

    outcome = plan.apply()

    assert outcome.lost == (rids[4],)
    assert len(outcome.won) == 8
    assert outcome.reasons[rids[4]]


def test_13_nan_is_refused_before_sending(catalog):
    [rid] = add(catalog, NEW)
    sent = catalog.writes

    with pytest.raises(UsageError, match="NaN"):
        catalog.put("attributegroup/Ops:Job/RID;data", [{"RID": rid, "data": math.nan}])

    assert catalog.writes == sent + 1 or catalog.writes == sent


def test_14_a_word_that_the_vocabulary_lacks_is_found_at_once(catalog):
    make_table(catalog, {"name": "text"}, name="Word", keys=[["name"]])
    add(catalog, {"name": "actionable"}, {"name": "claimed"}, table="Word")
    column = {"schema_name": "Ops", "table_name": "Step", "column_name": "state"}
    word = {"schema_name": "Ops", "table_name": "Word", "column_name": "name"}
    make_table(
        catalog,
        JOB,
        name="Step",
        references=[{"foreign_key_columns": [column], "referenced_columns": [word]}],
    )

    with pytest.raises(UsageError, match="'complete', 'failed'"):
        ermpoll.Queue(catalog, "Ops:Step")


def test_14_a_unique_owner_is_found_at_once(catalog):
    make_table(catalog, JOB, name="Solo", keys=[["owner"]])

    with pytest.raises(UsageError, match="is a key"):
        ermpoll.Queue(catalog, "Ops:Solo", owner="owner")


def test_15_a_rid_stands_once_in_a_put(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)

    plan = jobs.plan(lambda row: {"state": "hold"}, rows=[rid, rid, {"RID": rid}])

    assert [put.rids for put in plan.puts] == [(rid,)]


def test_16_aliases_keep_clear_of_the_tables_columns(catalog):
    make_table(catalog, {**JOB, "was": "text", "held": "text"}, name="Odd")
    [rid] = add(catalog, NEW, table="Odd")
    jobs = ermpoll.Queue(catalog, "Ops:Odd", **OPTIONAL)
    claim = jobs.claim(1)
    edit(catalog, rid, table="Odd", priority=1)

    with pytest.raises(Conflict):
        catalog.put(
            "attributegroup/Ops:Odd/RID,was:=state;state",
            [{"RID": rid, "was": "x", "state": "y"}],
        )
    assert jobs.complete(claim).edited == (rid,)


def test_17_rows_that_a_transform_refuses_are_paged_past(catalog):
    rids = add(catalog, *[NEW] * 30)
    jobs = queue(catalog)
    wanted = rids[-1]

    claim = jobs.claim(2, transform=lambda row: {} if row["RID"] == wanted else None)

    assert claim.rids == (wanted,)


def test_17_an_agent_pages_past_them_too(catalog):
    rids = add(catalog, *[NEW] * 12)
    agent = ermpoll.Agent(
        queue(catalog),
        lambda row: None,
        transform=lambda row: {} if row["RID"] == rids[-1] else None,
    )

    assert agent.run_once() == 1
    assert read(catalog, rids[-1])["state"] == "complete"


def test_20_the_servers_time_is_that_of_its_writes(catalog):
    [rid] = add(catalog, NEW)

    written = parse_time(read(catalog, rid)["RMT"])

    assert abs((catalog.now() - written).total_seconds()) < 1


def test_21_a_time_without_a_zone_is_no_retry_at(catalog):
    make_table(catalog, {**JOB, "retry_at": "timestamp"}, name="Zoneless")

    with pytest.raises(UsageError, match="timestamptz"):
        ermpoll.Queue(catalog, "Ops:Zoneless", retry_at="retry_at")


def test_22_a_write_of_nothing_is_a_write(catalog):
    [rid] = add(catalog, NEW)
    before = catalog.get("entity/Ops:Job").etag

    catalog.put("attributegroup/Ops:Job/RID;name", [])
    lost = catalog.put(
        "attributegroup/Ops:Job/RID,state;name",
        [{"RID": rid, "state": "nosuch", "name": "x"}],
    )

    assert lost.rows == []
    assert lost.etag != before


def test_22_a_look_that_finds_nothing_writes_nothing(box, catalog):
    agent = ermpoll.Agent(queue(catalog), lambda row: None)

    assert agent.run_once() == 0

    assert catalog.writes == 1  # the table


def test_23_a_writes_etag_is_the_next_reads_and_its_rows_version(catalog):
    [rid] = add(catalog, NEW)

    put = catalog.put("attributegroup/Ops:Job/RID;name", [{"RID": rid, "name": "x"}])

    assert catalog.get(f"entity/Ops:Job/RID={rid}").etag == put.etag
    assert parse_time(read(catalog, rid)["RMT"]) == etag_time(put.etag)
