from __future__ import annotations

import pytest

from ermpoll.catalog.clock import parse_time
from ermpoll.history import DeclaredMachine
from ermpoll.history.spreads import read_spreads, spread_of
from tests.helpers.pasts import recorded, table_past
from tests.helpers.tables import add, edit, queue

NEW = {"state": "actionable"}


def spreads(jobs, most=500, requests=100):
    table = table_past(jobs)
    period = table.past.period("1 h")
    return read_spreads(
        table, DeclaredMachine.of(jobs.definition), period, most, requests
    )


def test_a_spread_says_what_parts_of_the_sample_took():
    spread = spread_of([float(n) for n in range(1, 101)], 1000)

    assert (spread.rows, spread.of) == (100, 1000)
    assert (spread.p10_s, spread.p50_s, spread.p90_s, spread.longest_s) == (
        10, 50, 90, 100,
    )  # fmt: skip


def test_an_empty_sample_is_one_of_no_rows():
    assert spread_of([], 7).rows == 0
    assert spread_of([], 7).longest_s == 0


def test_waiting_and_working_are_what_the_record_says(box, catalog):
    jobs = queue(catalog)
    [rid] = add(catalog, NEW)
    claim = jobs.claim(1)
    jobs.renew(claim)
    edit(catalog, rid, priority=1)
    jobs.complete(claim)
    born, claimed, *_, done = (
        parse_time(row["RMT"]) for row in recorded(box, catalog) if row["RID"] == rid
    )

    waiting, working = spreads(jobs)

    assert waiting.p50_s == pytest.approx((claimed - born).total_seconds())
    assert working.p50_s == pytest.approx((done - claimed).total_seconds())
    assert (waiting.rows, waiting.of) == (1, 1)


def test_rows_of_one_write_share_their_requests(catalog):
    jobs = queue(catalog)
    add(catalog, *[NEW] * 50)
    jobs.complete(jobs.claim(50))

    waiting, _ = spreads(jobs, requests=3)

    assert (waiting.rows, waiting.of) == (50, 50)


def test_no_more_is_asked_than_allowed_and_the_sample_is_smaller(catalog):
    jobs = queue(catalog)
    add(catalog, *[NEW] * 10)
    for _ in range(10):
        jobs.complete(jobs.claim(1))
    table = table_past(jobs)
    period = table.past.period("1 h")
    before = table.past.requests

    waiting, _ = read_spreads(
        table, DeclaredMachine.of(jobs.definition), period, 500, 6
    )

    assert table.past.requests - before <= 6 + 2
    assert (waiting.rows, waiting.of) == (3, 10)


def test_rows_that_nobody_had_claimed_are_no_part_of_it(catalog):
    jobs = queue(catalog)
    [rid] = add(catalog, NEW)
    edit(catalog, rid, state="complete")

    waiting, working = spreads(jobs)

    assert (waiting.rows, working.rows, waiting.of) == (0, 0, 1)


def test_nothing_is_sampled_where_nothing_is_wanted(catalog):
    jobs = queue(catalog)
    assert spreads(jobs, most=0)[0].of == 0
