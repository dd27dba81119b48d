from __future__ import annotations

import logging
from datetime import timedelta

import pytest

import ermpoll
from ermpoll.catalog.clock import time_text
from ermpoll.errors import NotFound, Unavailable, UsageError
from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.tables import add, edit, make_table, queue, read

NEW = {"state": "actionable"}


# what it is told


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("Ops:Jb", "table of schema 'Ops', found 'Jb'; did you mean 'Job'"),
        ("Opps:Job", "schema of the catalog, found 'Opps'; did you mean 'Ops'"),
        ("Jobb", "did you mean 'Ops:Job'"),
    ],
)
def test_an_unknown_table_is_named_with_the_closest(catalog, table, message):
    with pytest.raises(UsageError, match=message):
        ermpoll.Queue(catalog, table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"state": "stat"}, "did you mean 'state'"),
        ({"owner": "nosuch"}, "owner: expected a column"),
        ({"state": "priority"}, "state: expected a column of type text"),
        ({"owner": "tags"}, "owner: expected a column of type text"),
        ({"attempts": "name"}, "attempts: expected a column of type an integer"),
        ({"columns": ["nosuch"]}, "columns: expected a column"),
        ({"order": "nosuch"}, "order: expected a column"),
        ({"order": "priority,,name"}, "expected an order"),
        ({"claimed": "actionable"}, "not a ready one"),
        ({"done": "claimed"}, "different words"),
        ({"ready": []}, "at least one ready word"),
        ({"ready": ["actionable", "complete"]}, "not a ready one"),
        ({"failed": "c{error}"}, "which also means 'claimed'"),
        ({"owner": "state"}, "different columns"),
        ({"lease_s": 0.1}, "lease_s"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"where": "priority::gt::3?limit=1"}, "without '@'"),
        ({"where": "nosuch=1"}, "it says: .*nosuch"),
        ({"where": "priority==1"}, "a filter the catalog understands"),
        ({"where": "hold=true", "path": "Ops:Job"}, "where or path, found both"),
        ({"path": "Ops:Nosuch"}, "a filter the catalog understands"),
    ],
)
def test_what_cant_be_is_refused_when_the_queue_is_made(catalog, options, message):
    before = catalog.writes

    with pytest.raises(UsageError, match=message):
        queue(catalog, **options)

    assert catalog.writes == before


def test_a_catalog_that_is_not_there_is_said_so():
    nowhere = ermpoll.connect("http://localhost:9/ermrest/catalog/1", timeout_s=2)

    with pytest.raises(Unavailable, match="localhost:9"):
        ermpoll.Queue(nowhere, "Ops:Job")


def test_a_catalog_that_is_unknown_is_said_so(box):
    other = ermpoll.connect(box.url.replace("catalog/1", "catalog/nosuch"))

    with pytest.raises(NotFound, match="check the address"):
        ermpoll.Queue(other, "Ops:Job")


def test_a_bare_table_name_is_enough_where_it_is_unique(catalog):
    assert ermpoll.Queue(catalog, "Job").title == "Ops:Job"


def test_odd_names_are_quoted_everywhere(catalog):
    state, owner = "st/ate; a:b,ü", 'own"er & (co)'
    make_table(catalog, {state: "text", owner: "text"}, name="Od d/Tab:le")
    jobs = ermpoll.Queue(
        catalog, "Ops:Od d%2FTab%3Ale", state=state, owner=owner, ready="a/b,c"
    )
    [row] = catalog.post("entity/Ops:Od%20d%2FTab%3Ale", [{state: "a/b,c"}]).rows

    with jobs.claim(1) as claim:
        assert claim.rids == (row["RID"],)
        assert jobs.complete(claim).won == claim.rids
    assert jobs.counts() == {"complete": 1}


# reading


def test_candidates_come_in_order_and_say_whether_there_are_more(catalog):
    low, high, none = add(
        catalog,
        {**NEW, "priority": 1},
        {**NEW, "priority": 9},
        {**NEW, "priority": None},
    )
    jobs = queue(catalog, order="priority::desc::")

    assert jobs.candidates(2).rids == (none, high)
    assert (jobs.candidates(2).more, jobs.candidates(3).more) == (True, False)
    assert jobs.candidates().rids[-1] == low
    assert jobs.waiting() == 3


def test_candidates_leave_out_what_waits_and_what_is_used_up(catalog):
    now = catalog.now()
    later = time_text(now + timedelta(hours=1))
    sooner = time_text(now - timedelta(hours=1))
    ok, due, _, _, _ = add(
        catalog,
        NEW,
        {**NEW, "retry_at": sooner, "attempts": 2},
        {**NEW, "retry_at": later},
        {**NEW, "attempts": 3},
        {"state": "other"},
    )

    assert queue(catalog).candidates().rids == (ok, due)


def test_ready_may_be_null_or_several_words(catalog):
    a, b, _ = add(catalog, {"state": None}, {"state": "again"}, {"state": "x"})

    assert queue(catalog, ready=None).candidates().rids == (a,)
    assert queue(catalog, ready=[None, "again"]).candidates().rids == (a, b)


def test_only_the_columns_named_are_fetched(catalog):
    add(catalog, {**NEW, "data": {"large": "x" * 1000}})
    jobs = queue(catalog, columns=["name", "priority"])
    [row] = jobs.candidates().rows

    assert jobs.candidates().columns == ("RID", "name", "priority")
    assert "data" not in row


def test_a_frame_has_real_types(catalog):
    add(catalog, {**NEW, "priority": None, "hold": True, "data": {"k": 1}})

    dtypes = {k: str(v) for k, v in queue(catalog).candidates().frame.dtypes.items()}

    assert dtypes["RID"] == "string"
    assert dtypes["priority"] == "Int64"
    assert dtypes["hold"] == "boolean"
    assert dtypes["retry_at"] == dtypes["RMT"] == "datetime64[us, UTC]"
    assert dtypes["data"] == dtypes["tags"] == "object"


def test_a_joined_path_finds_rows_by_another_table(catalog):
    make_table(
        catalog, {"job": "text", "ok": "boolean"}, name="Check",
    )  # fmt: skip
    a, b = add(catalog, NEW, NEW)
    add(catalog, {"job": a, "ok": True}, {"job": b, "ok": False}, table="Check")
    path = "/entity/M:=Ops:Job/(RID)=(Ops:Check:job)/ok=true/$M"
    jobs = queue(catalog, path=path)

    assert jobs.candidates().rids == (a,)
    assert jobs.waiting() == 1
    claim = jobs.claim(5)
    assert claim.rids == (a,)
    assert jobs.complete(claim).won == (a,)


def test_counts_fold_failures_into_one_word(catalog):
    add(catalog, NEW, {"state": None}, {"state": "error: a"}, {"state": "error: b"})

    counted = queue(catalog, failed="error: {error}").counts()

    assert counted == {"actionable": 1, "NULL": 1, "error: …": 2}


# claiming


def test_a_claim_writes_state_owner_and_attempt(catalog):
    [rid] = add(catalog, {**NEW, "attempts": 1})

    claim = queue(catalog).claim(1)

    row = read(catalog, rid)
    assert (row["state"], row["owner"], row["attempts"]) == ("claimed", claim.token, 2)
    assert claim.token.endswith("~600")
    assert claim.rows[0]["attempts"] == 2


def test_a_claim_is_empty_when_there_is_nothing(catalog):
    claim = queue(catalog).claim(3)

    assert (len(claim), claim.token, list(claim)) == (0, None, [])


def test_every_claim_has_a_token_of_its_own(catalog):
    add(catalog, *[NEW] * 3)
    jobs = queue(catalog)

    assert len({jobs.claim(1).token for _ in range(3)}) == 3


def test_a_claim_takes_extra_changes_with_it(catalog):
    left, taken = add(catalog, {**NEW, "hold": True}, NEW)

    claim = queue(catalog).claim(
        5, transform=lambda row: None if row["hold"] else {"priority": 7}
    )

    assert claim.rids == (taken,)
    assert (read(catalog, taken)["priority"], read(catalog, left)["state"]) == (
        7,
        "actionable",
    )


def test_a_transform_that_raises_claims_nothing(catalog):
    rids = add(catalog, NEW, NEW)
    before = catalog.writes

    with pytest.raises(ermpoll.TransformError, match="KeyError") as caught:
        queue(catalog).claim(2, transform=lambda row: row["nosuch"])

    assert (caught.value.rid, catalog.writes) == (rids[0], before)


@pytest.mark.parametrize("changes", [{"state": "x"}, {"nosuch": 1}, ["list"]])
def test_extra_changes_that_cant_be_are_refused(catalog, changes):
    add(catalog, NEW)

    with pytest.raises(UsageError, match="nothing was written"):
        queue(catalog).claim(1, transform=lambda row: changes)


def test_a_with_block_releases_what_is_unfinished(catalog):
    a, b = add(catalog, NEW, {**NEW, "attempts": 1})
    jobs = queue(catalog)

    with jobs.claim(2) as claim:
        jobs.complete(claim, {a: {"result": "r"}})

    row = read(catalog, b)
    assert (row["state"], row["owner"], row["attempts"]) == ("actionable", None, 1)
    assert read(catalog, a)["state"] == "complete"


def test_a_released_row_goes_back_to_the_word_it_came_from(catalog):
    a, b = add(catalog, {"state": None}, {"state": "again"})

    with queue(catalog, ready=["again", None]).claim(2):
        pass

    assert (read(catalog, a)["state"], read(catalog, b)["state"]) == (None, "again")


def test_two_claims_of_one_row_have_one_winner(catalog):
    [rid] = add(catalog, NEW)
    first, second = queue(catalog), queue(catalog)
    plans = [first.plan(), second.plan()]

    assert [plan.apply().won for plan in plans] == [(rid,), ()]


# finishing


def test_complete_names_the_rows_that_stay_claimed(catalog):
    a, b = add(catalog, NEW, NEW)
    jobs = queue(catalog)
    claim = jobs.claim(2)

    outcome = jobs.complete(claim, {a: None})

    assert (outcome.won, outcome.still_claimed) == ((a,), (b,))
    assert (claim.unfinished, read(catalog, a)["owner"]) == ((b,), claim.token)


@pytest.mark.parametrize("word", ["actionable", "claimed"])
def test_complete_refuses_a_state_that_does_not_finish(catalog, word):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)
    claim = jobs.claim(1)

    with pytest.raises(UsageError, match="state"):
        jobs.complete(claim, {rid: {"state": word}})

    assert jobs.complete(claim, {rid: {"state": "review"}}).won == (rid,)


def test_a_row_that_the_claim_does_not_hold_is_refused(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)
    claim = jobs.claim(1)
    jobs.complete(claim)

    with pytest.raises(UsageError, match=f"{rid} is finished"):
        jobs.fail(claim, {rid: "late"})
    with pytest.raises(UsageError, match="not part of this claim"):
        jobs.complete(claim, {"1-XXXX": {}})


def test_fail_writes_word_and_reason_and_cuts_what_does_not_fit(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)

    jobs.fail(jobs.claim(1), {rid: "bad\0 \ud800" + "x" * 9000})

    row = read(catalog, rid)
    assert row["state"] == "failed"
    assert row["error"].startswith("bad �xxx")
    assert len(row["error"]) == 4000


def test_a_claim_that_was_taken_over_writes_nothing(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)
    first = jobs.claim(1)
    jobs.rescue([rid], force=True)
    second = jobs.claim(1)

    for act in (jobs.complete, jobs.release, jobs.renew):
        outcome = act(first) if first.unfinished else None
        assert outcome is None or outcome.lost == (rid,)

    assert read(catalog, rid)["owner"] == second.token


def test_a_holder_writes_nothing_once_its_lease_is_over(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog, lease_s=1)
    claim = jobs.claim(1)
    wait_until(jobs.stale)
    before = catalog.writes

    outcome = jobs.complete(claim)

    assert outcome.lost == (rid,)
    assert "lease was over" in outcome.reasons[rid]
    assert catalog.writes == before


def test_renewing_makes_the_lease_begin_anew(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog, lease_s=1.5)
    claim = jobs.claim(1)

    for _ in range(3):
        let_pass(0.8)
        assert jobs.renew(claim).won == (rid,)

    assert jobs.complete(claim).won == (rid,)


# by hand


def test_retry_makes_failed_rows_ready_and_no_others(catalog):
    bad, done = add(
        catalog,
        {"state": "failed", "attempts": 3, "owner": "x", "error": "e"},
        {"state": "complete"},
    )
    jobs = queue(catalog)

    outcome = jobs.retry([bad, done, "1-NONE"])

    row = read(catalog, bad)
    assert (row["state"], row["attempts"], row["owner"]) == ("actionable", 0, None)
    assert outcome.won == (bad,)
    assert outcome.reasons == {
        done: "is not failed: state is 'complete'",
        "1-NONE": "is gone",
    }


def test_rescue_frees_only_what_is_overdue_unless_forced(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)
    jobs.claim(1)

    held = jobs.rescue([rid])
    assert (held.won, held.lost) == ((), (rid,))
    assert "force=True" in held.reasons[rid]
    assert jobs.rescue([rid], force=True).won == (rid,)
    assert read(catalog, rid)["state"] == "actionable"


def test_rescue_leaves_a_row_that_was_touched_since_it_was_listed(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog, lease_s=1)
    jobs.claim(1)
    listed = wait_until(jobs.stale)
    edit(catalog, rid, priority=1)
    wait_until(jobs.stale)

    outcome = jobs.rescue(listed)

    assert (listed.rids, outcome.won, outcome.lost) == ((rid,), (), (rid,))


FORMS = {
    "candidates": lambda listed: listed,
    "rows": lambda listed: listed.rows,
    "frame": lambda listed: listed.frame,
    "indexed": lambda listed: listed.frame.set_index("RID"),
}


@pytest.mark.parametrize("columns", [None, ["name"]], ids=["all", "few"])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_retry_leaves_a_row_that_was_touched_since_it_was_listed(
    catalog, form, columns
):
    rids = add(catalog, *[{"state": "failed"}] * 2)
    jobs = queue(catalog, columns=columns)
    listed = form(jobs.failures())
    edit(catalog, rids[1], priority=1)

    outcome = jobs.retry(listed)

    assert (outcome.won, outcome.lost) == ((rids[0],), (rids[1],))
    assert outcome.reasons == {rids[1]: "changed meanwhile"}
    assert jobs.retry([rids[1]]).won == (rids[1],)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_rescue_knows_the_version_in_every_form(catalog, form):
    rids = add(catalog, *[NEW] * 2)
    jobs = queue(catalog)
    jobs.claim(2)
    listed = form(jobs.held())
    edit(catalog, rids[1], priority=1)

    outcome = jobs.rescue(listed, force=True)

    assert (outcome.won, outcome.lost) == ((rids[0],), (rids[1],))


def test_rows_of_a_claim_are_retried_after_they_failed(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)
    claim = jobs.claim(1)
    jobs.fail(claim, {rid: "no"})

    assert jobs.retry(claim).won == (rid,)


def test_rescue_at_the_last_attempt_writes_failed(catalog):
    [rid] = add(catalog, {**NEW, "attempts": 2})
    jobs = queue(catalog)
    jobs.claim(1)

    jobs.rescue([rid], force=True)

    row = read(catalog, rid)
    assert (row["state"], row["attempts"]) == ("failed", 3)
    assert "given up after 3 attempts" in row["error"]


@pytest.mark.parametrize("form", ["rids", "rows", "frame", "indexed", "candidates"])
def test_rows_may_be_handed_over_in_every_form(catalog, form):
    rids = add(catalog, {"state": "failed"}, {"state": "failed"})
    jobs = queue(catalog)
    listed = jobs.failures()
    rows = {
        "rids": rids,
        "rows": listed.rows,
        "frame": listed.frame,
        "indexed": listed.frame.set_index("RID"),
        "candidates": listed,
    }[form]

    assert sorted(jobs.retry(rows).won) == sorted(rids)


@pytest.mark.parametrize("rows", [5, [5], {"a": 1}])
def test_what_are_no_rows_is_refused(catalog, rows):
    with pytest.raises(UsageError, match="expected rows as RIDs"):
        queue(catalog).retry(rows)


def test_acts_are_audited_without_values(catalog, caplog):
    caplog.set_level(logging.INFO, "ermpoll.audit")
    [rid] = add(catalog, {**NEW, "name": "confidential"})
    jobs = queue(catalog)

    jobs.plan(lambda row: {"state": "hold", "result": "confidential"}).apply()

    [record] = [r for r in caplog.records if r.name == "ermpoll.audit"]
    assert (record.event, record.table, record.rids) == ("apply", "Ops:Job", (rid,))
    assert "confidential" not in caplog.text


@pytest.mark.parametrize("action", ["retry", "rescue"])
def test_rows_that_an_act_leaves_alone_are_audited_as_lost(catalog, caplog, action):
    caplog.set_level(logging.INFO, "ermpoll.audit")
    [rid] = add(catalog, NEW)

    outcome = getattr(queue(catalog), action)([rid])

    [record] = [r for r in caplog.records if r.name == "ermpoll.audit"]
    assert record.lost == outcome.lost == (rid,)
    assert "0 won, 1 lost" in record.getMessage()


# plans


def test_a_plan_sends_exactly_what_it_showed(box, catalog):
    rids = add(catalog, *[NEW] * 3)
    plan = queue(catalog).plan(lambda row: {"state": "hold", "result": row["RID"]})
    shown = [(put.path, put.rows) for put in plan.puts]

    outcome = plan.apply()

    written = [w for w in box.log if w.method == "PUT"]
    assert [w.path.partition("/attributegroup")[2] for w in written] == [
        path.partition("attributegroup")[2] for path, _ in shown
    ]
    assert sorted(outcome.won) == sorted(rids)
    assert plan.frame.shape == (6, 4)


def test_a_plan_is_applied_once(catalog):
    add(catalog, NEW)
    plan = queue(catalog).plan(lambda row: {"state": "hold"})
    plan.apply()

    with pytest.raises(UsageError, match="not applied yet"):
        plan.apply()


def test_what_a_plan_has_claimed_can_be_finished(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(catalog)

    claim = jobs.plan().apply().claim

    assert claim.rids == (rid,)
    assert jobs.complete(claim, {rid: {"result": "r"}}).won == (rid,)
    assert read(catalog, rid)["owner"] == claim.token


def test_a_row_with_a_problem_is_not_sent(catalog):
    bad, good = add(catalog, {**NEW, "name": "bad"}, NEW)
    plan = queue(catalog).plan(
        lambda row: {"state": "hold", "priority": "high" if row["name"] else 1}
    )

    assert [c.rid for c in plan.problems] == [bad]
    assert plan.apply().won == (good,)
    assert read(catalog, bad)["state"] == "actionable"


def test_a_change_that_leaves_the_row_a_candidate_is_a_problem(catalog):
    add(catalog, {**NEW, "hold": False})

    [problem] = queue(catalog).plan(lambda row: {"result": "r"}).problems

    assert "stay a candidate" in problem.reason
    held = queue(catalog, where="hold=false").plan(lambda row: {"hold": True})
    assert held.problems == ()


def test_undo_puts_back_what_was_and_leaves_what_changed_since(catalog):
    a, b = add(catalog, {**NEW, "data": None, "result": "old"}, {**NEW, "data": [1]})
    jobs = queue(catalog)
    outcome = jobs.plan(
        lambda row: {"state": "hold", "result": "new", "data": {"k": 2}}
    ).apply()
    edit(catalog, b, priority=5)

    undone = outcome.undo().apply()

    assert (undone.won, undone.lost) == ((a,), (b,))
    row = read(catalog, a)
    assert (row["state"], row["result"], row["data"]) == ("actionable", "old", None)
    assert len(catalog.get(f"entity/Ops:Job/RID={a}/data::null::").rows) == 1


def test_a_plan_of_rows_looks_at_them_whatever_their_state(catalog):
    rids = add(catalog, {"state": "complete"}, NEW)

    plan = queue(catalog).plan(lambda row: {"result": "r", "state": "x"}, rows=rids)

    assert [(c.rid, c.kind) for c in plan.changes] == [(r, "changed") for r in rids]


def test_planning_sends_no_write(catalog):
    add(catalog, *[NEW] * 5)
    jobs = queue(catalog)
    before = catalog.writes

    jobs.plan()
    jobs.plan(lambda row: {"state": "hold"})

    assert catalog.writes == before


def test_a_read_only_catalog_refuses_to_write(catalog):
    [rid] = add(catalog, NEW)
    jobs = queue(ermpoll.connect(catalog.url, read_only=True))

    with pytest.raises(ermpoll.WriteRefused, match="read-only"):
        jobs.claim(1)

    assert (jobs.writable, jobs.catalog.writes) == (False, 0)
    assert read(catalog, rid)["state"] == "actionable"


# why


def test_why_says_in_a_sentence_what_keeps_a_row(catalog):
    later = time_text(catalog.now() + timedelta(minutes=10))
    ok, wait, used, done, failed, other, filtered, held, legacy = add(
        catalog,
        {**NEW, "hold": False},
        {**NEW, "hold": False, "retry_at": later},
        {**NEW, "hold": False, "attempts": 3},
        {"state": "complete"},
        {"state": "failed"},
        {"state": "review"},
        {**NEW, "hold": True},
        {**NEW, "hold": False, "priority": 99},
        {"state": "claimed", "owner": "robot"},
    )
    jobs = queue(catalog, where="hold=false")
    jobs.claim(rows=[held])

    told = {
        ok: "nothing keeps the next claim",
        wait: "waits another 10 min to retry",
        used: "attempts are used up (3 of 3)",
        done: "is done",
        failed: "has failed",
        other: "state is 'review', not actionable",
        filtered: "the filter hold=false does not hold",
        held: "for another 10 min",
        legacy: "without a lease",
        "1-NONE": "is not there",
    }
    for rid, words in told.items():
        assert words in jobs.why(rid)
        assert jobs.why(rid).startswith(rid)


def test_many_rows_need_few_requests(box, catalog):
    rids = add(catalog, *[{"state": "failed"}] * 230)
    jobs = queue(catalog)

    outcome = jobs.retry(rids)

    assert len(outcome.won) == 230
    assert len([w for w in box.log if w.method == "PUT"]) == 1
