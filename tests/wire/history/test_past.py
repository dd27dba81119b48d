from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

import ermpoll
from ermpoll.backoff import Clocks
from ermpoll.catalog.etags import snapshot_of
from ermpoll.errors import CatalogError, NoHistory, ReadingStopped, UsageError
from ermpoll.history import Past
from ermpoll.history.past import ONE_US, forget_answers
from tests.helpers.pasts import send
from tests.helpers.tables import add, edit

NEW = {"state": "actionable"}


class Clock:
    """A clock that nobody waits for; waiting makes it later."""

    def __init__(self):
        self.at = 0.0
        self.waits = []

    def wait(self, stop, seconds):
        self.waits.append(seconds)
        self.at += seconds
        return stop.is_set()


def paced(catalog, rate):
    clock = Clock()
    clocks = Clocks(monotonic=lambda: clock.at, wait=clock.wait)
    return Past(catalog, rate=rate, clocks=clocks), clock


def test_rows_are_read_as_they_were(catalog):
    [rid] = add(catalog, NEW)
    past = Past(catalog, rate=None)
    then = past.last
    edit(catalog, rid, priority=5)

    [row] = past.rows(then, f"attribute/Ops:Job/RID={rid}/RID,priority", "RID")

    assert row["priority"] is None
    assert past.rows(None, f"attribute/Ops:Job/RID={rid}/priority") == [{"priority": 5}]


def test_no_more_requests_are_sent_in_a_second_than_told(catalog):
    past, clock = paced(catalog, 5.0)
    for number in range(11):
        past.rows(None, f"attribute/Ops:Job/priority={number}/RID")

    assert past.requests == 11
    assert clock.at == pytest.approx(2.0)


def test_without_a_rate_nothing_waits(catalog):
    past, clock = paced(catalog, None)
    for _ in range(5):
        past.rows(None, "attribute/Ops:Job/RID")

    assert clock.waits == []


def test_a_rate_of_nothing_is_refused(catalog):
    with pytest.raises(UsageError, match="requests a second above 0"):
        Past(catalog, rate=0)


def test_a_reading_that_is_to_stop_ends_before_its_next_request(box, catalog):
    stop = threading.Event()
    past = Past(catalog, rate=None, stop=stop)
    past.rows(None, "attribute/Ops:Job/RID")
    stop.set()

    with pytest.raises(ReadingStopped):
        past.rows(None, "attribute/Ops:Job/RID")
    with pytest.raises(ReadingStopped):
        past.step(1, 2, "rows")
    assert past.requests == 1


def test_progress_is_told_with_the_requests_so_far(catalog):
    told = []
    past = Past(catalog, rate=None, progress=told.append)
    past.rows(None, "attribute/Ops:Job/RID")
    past.step(3, 7, "rows")

    [one] = told
    assert (one.done, one.of, one.text, one.requests) == (3, 7, "rows", 1)


def test_an_answer_of_the_past_is_asked_for_once(catalog):
    add(catalog, NEW)
    first = Past(catalog, rate=None)
    then = first.last
    path = "attribute/Ops:Job/RID"
    rows = first.rows(then, path)
    again = Past(catalog, rate=None)

    assert again.rows(then, path) == rows
    assert again.requests == 1  # the range alone
    forget_answers()
    assert again.rows(then, path) == rows
    assert again.requests == 2


def test_what_may_still_be_written_to_is_asked_for_again(catalog):
    past = Past(catalog, rate=None)
    later = past.last + timedelta(hours=1)
    path = "attribute/Ops:Job/RID"

    assert past.rows(later, path) == []
    [rid] = add(catalog, NEW)
    assert past.rows(later, path) == [{"RID": rid}]


def test_what_was_kept_goes_when_history_is_amended_or_cut(catalog):
    [rid] = add(catalog, {**NEW, "result": "a secret"})
    past = Past(catalog, rate=None)
    then, first = past.last, past.first
    path = "attribute/Ops:Job/result"
    edit(catalog, rid, result="gone")
    assert past.rows(then, path) == [{"result": "a secret"}]
    document = catalog.document("schema/Ops/table/Job")
    column = next(c for c in document["column_definitions"] if c["name"] == "result")
    now = snapshot_of(Past(catalog, rate=None).last)
    send(
        catalog, "DELETE",
        f"history/{snapshot_of(first)},{now}/attribute/{column['RID']}",
    )  # fmt: skip

    assert Past(catalog, rate=None).rows(then, path) == [{"result": None}]


def test_moments_are_told_in_many_ways(catalog):
    past = Past(catalog, rate=None)
    at = past.last

    same = [at, at.isoformat(), snapshot_of(at), at.isoformat().replace("+00:00", "Z")]
    assert {past.moment(when) for when in same} == {at}


@pytest.mark.parametrize(
    "when", ["yesterday", "2026-01-01T00:00", datetime(2026, 1, 1), 5]
)
def test_what_is_no_moment_is_refused_with_what_is(catalog, when):
    with pytest.raises(UsageError, match="expected a time with its zone"):
        Past(catalog, rate=None).moment(when)


def test_a_moment_later_than_the_catalogs_time_is_now_and_told(catalog):
    past = Past(catalog, rate=None)

    at = past.moment(datetime.now(UTC) + timedelta(hours=3))

    assert at <= datetime.now(UTC)
    assert any("later than the catalog's time" in told for told in past.told)


def test_a_time_before_all_history_is_said_to_be(catalog):
    past = Past(catalog, rate=None)

    with pytest.raises(NoHistory, match="tell nothing from before"):
        past.rows(past.first - ONE_US, "attribute/Ops:Job/RID")
    with pytest.raises(NoHistory):
        past.moment("1000 d")


def test_a_period_is_clamped_to_what_is_known_and_told(catalog):
    past = Past(catalog, rate=None)

    period = past.period("7 d")

    assert period.since == past.first
    assert any("can tell nothing from before" in told for told in past.told)


def test_history_cut_by_its_owner_is_known_from_the_cut_on(catalog):
    [rid] = add(catalog, NEW)
    edit(catalog, rid, priority=1)
    cut = Past(catalog, rate=None).last
    edit(catalog, rid, priority=2)
    send(catalog, "DELETE", f"history/,{snapshot_of(cut)}")

    past = Past(catalog, rate=None)

    assert past.first == cut
    with pytest.raises(NoHistory):
        past.rows(cut - ONE_US, "attribute/Ops:Job/RID")


def test_a_catalog_without_history_is_refused_in_words(box, catalog):
    box.faults(status=404, times=1)

    with pytest.raises(NoHistory, match="expected a catalog that tells its history"):
        Past(catalog, rate=None).first  # noqa: B018


def test_a_period_ends_after_it_begins(catalog):
    past = Past(catalog, rate=None)
    with pytest.raises(UsageError, match="begins before it ends"):
        past.period(past.last, past.first)


def test_a_busy_catalog_is_asked_again(box, catalog):
    box.faults(status=503, times=2)
    past, clock = paced(catalog, None)

    assert past.rows(None, "attribute/Ops:Job/RID") == []
    assert past.requests == 3
    assert len(clock.waits) == 2


def test_a_query_that_takes_too_long_is_not_asked_again(box, catalog):
    box.faults(status=400, detail="Query run time limit exceeded.")
    past, _ = paced(catalog, None)

    with pytest.raises(CatalogError):
        past.rows(None, "attribute/Ops:Job/RID")
    assert past.requests == 1


def test_logins_have_names_where_they_can_be_read(catalog):
    [rid] = add(catalog, NEW)
    [row] = catalog.get(f"entity/Ops:Job/RID={rid}").rows
    past = Past(catalog, rate=None)

    named = past.names([row["RMB"], "nobody-ever"])

    assert named[row["RMB"]] != row["RMB"]
    assert named["nobody-ever"] == "nobody-ever"


def test_logins_keep_their_ids_where_names_are_refused(box, catalog):
    box.faults(status=403, times=1)
    past = Past(catalog, rate=None)

    assert past.names(["x"]) == {"x": "x"}
    assert any("names of logins" in told for told in past.told)


def test_a_snapshot_of_a_catalog_has_the_time_of_then_and_is_not_written_to(catalog):
    then = Past(catalog, rate=None).last - timedelta(milliseconds=1)
    snapshot = catalog.at(then)

    assert snapshot.now() == then
    assert ermpoll.connect(snapshot.url).now() == then
    assert snapshot.live.url == catalog.url
    with pytest.raises(ermpoll.WriteRefused):
        snapshot.put("attributegroup/Ops:Job/RID;state", [])
