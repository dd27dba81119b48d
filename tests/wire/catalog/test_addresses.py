"""No address is longer than what any server between us and a catalog takes."""

from __future__ import annotations

import pytest

import ermpoll
from ermpoll.catalog.paths import LONGEST_ADDRESS, check_size, parts, size
from ermpoll.errors import BadRequest, UsageError
from ermpoll.history.model_then import TablePast
from ermpoll.history.past import Past
from tests.helpers.tables import JOB, OPTIONAL, add, make_table, queue

NEW = {"state": "actionable"}
#: Columns of which all together fill more than an address.
WIDE = [f"{'ü' * 25} {n}" for n in range(40)]


@pytest.fixture
def catalog(box: ermpoll.sandbox.Box) -> ermpoll.Catalog:
    catalog = ermpoll.connect(box.new_catalog())
    make_table(catalog, {**JOB, **dict.fromkeys(WIDE, "text")})
    return catalog


def test_acts_on_many_rows_and_columns_are_sent_in_parts(catalog, peer, door):
    rids = add(catalog, *[NEW] * 260)
    where = f"!name={'x' * 1500};name::null::"
    jobs = queue(door, where=where, columns=WIDE, **OPTIONAL)
    peer.sent.clear()

    assert len(jobs.plan(rows=rids).changes) == 260
    claim = jobs.claim(260, rows=rids)
    assert len(jobs.fail(claim, dict.fromkeys(rids, "no")).won) == 260
    assert len(jobs.retry(rids).won) == 260
    assert len(jobs.rescue(jobs.claim(9).rids, force=True).won) == 9

    assert max(len(sent.path) for sent in peer.sent) <= LONGEST_ADDRESS


def test_the_past_of_many_rows_and_columns_is_read_in_parts(catalog, peer, door):
    rids = add(catalog, *[NEW] * 260)
    table = TablePast(Past(door, rate=None), queue(door).definition)
    now = table.past.now

    # long ones, none of which is there
    rids += [f"{'Z' * 30}-{n}" for n in range(200)]
    for columns in (JOB, WIDE[:12], WIDE):
        assert len(table.these(now, rids, ["RMT", *columns])) == 260
    names = {f"https://auth.example.org/{n}{'/x' * 60}" for n in range(99)}
    assert table.past.names(names).keys() == names

    assert max(len(sent.path) for sent in peer.sent) <= LONGEST_ADDRESS


def test_an_address_of_ones_own_that_is_too_long_is_told_and_not_sent(peer, door):
    with pytest.raises(BadRequest, match=r"nothing was sent.*shorter filter") as raised:
        door.get(f"entity/Ops:Job/name={'ü' * 700}")

    assert raised.value.status == 414
    assert peer.sent == []
    assert door.get(f"entity/Ops:Job/name={'ü' * 600}").rows == []


def test_a_filter_that_is_too_long_is_told_when_the_queue_is_made(peer, door):
    with pytest.raises(UsageError, match=r"where: .* at most 4,000"):
        queue(door, where=f"name={'x' * 4000}")

    assert not any("xxx" in sent.path for sent in peer.sent)


def test_a_result_of_too_many_columns_fails_its_row_and_holds_up_no_other(
    catalog, peer, door
):
    wide, narrow = add(catalog, NEW, NEW)

    def work(row: dict[str, object]) -> dict[str, object]:
        return dict.fromkeys(WIDE, "x") if row["RID"] == wide else {"result": "x"}

    ermpoll.Agent(queue(door, **OPTIONAL), work).run(until_idle=True)

    rows = {row["RID"]: row for row in catalog.rows("entity/Ops:Job")}
    assert rows[narrow]["state"] == "complete"
    assert rows[wide]["state"] == "failed"
    assert "at most 4,000" in str(rows[wide]["error"])
    assert max(len(sent.path) for sent in peer.sent) <= LONGEST_ADDRESS


def test_a_plan_says_which_change_has_too_many_columns(catalog, peer, door):
    wide, narrow = add(catalog, NEW, NEW)
    many = dict.fromkeys(WIDE, "x")
    plan = queue(door, **OPTIONAL).plan(
        lambda row: {"state": "complete", **(many if row["RID"] == wide else {})}
    )

    [problem] = plan.problems
    assert (problem.rid, "at most 4,000" in problem.reason) == (wide, True)
    assert plan.apply().won == (narrow,)
    assert not any(sent.path.count("%C3%BC") > 99 for sent in peer.sent)


def test_values_are_split_where_an_address_is_full():
    assert parts(["a", "b" * 5000, "c"], 0) == [("a",), ("b" * 5000,), ("c",)]
    assert parts(map(str, range(250)), 10) == [
        tuple(map(str, range(0, 100))),
        tuple(map(str, range(100, 200))),
        tuple(map(str, range(200, 250))),
    ]
    assert parts([], 10) == []
    assert [len(part) for part in parts(["ü" * 10] * 20, 3500)] == [4] * 5


def test_the_size_of_a_path_is_what_is_sent():
    assert size("entity/S:T/a=%C3%BC") == size("entity/S:T/a=ü") == 19
    check_size("x" * LONGEST_ADDRESS)
    with pytest.raises(BadRequest, match="4,001 bytes"):
        check_size("x" * (LONGEST_ADDRESS + 1))
