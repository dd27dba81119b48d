from __future__ import annotations

import pytest

import ermpoll
from ermpoll.errors import UsageError
from ermpoll.render.tables import rid_of
from tests.helpers import pages
from tests.helpers.conditions import wait_until


def seen(panel):
    return pages.text_of(panel._repr_html_())


def listed(table):
    """The RIDs of the rows that a table shows."""
    return tuple(rid_of(row) for row in table.page.rows)


def drawer(monitor, rid):
    details = monitor._table.failed.table.widget.page["details"]
    return pages.text_of(details[rid])


def answer(monitor):
    return pages.text_of(monitor._table.answer.value)


def test_failed_rows_are_opened_and_retried(monitor, jobs):
    failures = jobs.failures(limit=10)
    rid = failures.rids[0]
    monitor.select([rid])

    said = monitor.open()

    assert said == failures.rows[0]["Processing_Error"]
    assert said in drawer(monitor, rid)
    outcome = monitor.retry()
    assert outcome.won == (rid,)
    assert "1 row ready again" in answer(monitor)
    assert rid not in jobs.failures().rids


def test_overdue_claims_are_rescued_as_they_were_listed(monitor, jobs):
    put = "attributegroup/Imaging:Image/RID;Processing_Status,Processing_Owner"
    row = jobs.candidates().rids[0]
    owner = "gone~0123456789abcdef~0"
    body = {"RID": row, "Processing_Status": "in progress", "Processing_Owner": owner}
    jobs.catalog.put(put, [body])
    monitor._table.reader.read()
    monitor.refresh()
    assert row in listed(monitor._table.stale)

    monitor.select([row])
    outcome = monitor.rescue()

    assert outcome.won == (row,)
    assert row in jobs.candidates().rids


def test_acts_without_a_selection_say_what_to_do(monitor):
    with pytest.raises(UsageError, match="expected a row to retry, found none"):
        monitor.retry()

    assert monitor.buttons.retry.tooltip == "Tick a row first"


def test_ticked_rows_stay_ticked_while_the_table_changes(monitor, jobs):
    rids = listed(monitor._table.failed.table)
    monitor.select(rids[:1])

    jobs.retry(rids[1:3])
    monitor._table.reader.read()
    monitor.refresh()

    assert not set(rids[1:3]) & set(listed(monitor._table.failed.table))
    assert monitor.selected == rids[:1]


def fail_more(jobs, n):
    """So many rows fail, and are the newest failures; returns their RIDs."""
    put = "attributegroup/Imaging:Image/RID;Processing_Status"
    rids = jobs.candidates().rids[:n]
    rows = [{"RID": rid, "Processing_Status": "error"} for rid in rids]
    jobs.catalog.put(put, rows)
    return rids


def read_again(monitor):
    monitor._table.reader.read()
    monitor.refresh()


@pytest.mark.parametrize("newer", [3, 12])
def test_acts_are_on_what_was_ticked_whatever_failed_meanwhile(monitor, jobs, newer):
    fail_more(jobs, 6)
    read_again(monitor)
    ticked = listed(monitor._table.failed.table)[-5:]
    monitor.select(ticked)

    arrived = fail_more(jobs, newer)
    read_again(monitor)
    opened = monitor.open()
    outcome = monitor.retry()

    assert len(opened.splitlines()) == 5
    assert sorted(outcome.won) == sorted(ticked)
    assert "5 rows ready again" in answer(monitor)
    assert monitor.selected == ()
    assert set(listed(monitor._table.failed.table)) & set(arrived)


def test_ticked_rows_that_can_t_be_retried_are_named_with_the_reason(monitor, jobs):
    fail_more(jobs, 4)
    read_again(monitor)
    good, edited, ready, gone = listed(monitor._table.failed.table)[:4]
    monitor.select([good, edited, ready, gone])
    catalog, image = jobs.catalog, "attributegroup/Imaging:Image/RID;"
    catalog.put(f"{image}Specimen", [{"RID": edited, "Specimen": "mine"}])
    catalog.put(
        f"{image}Processing_Status", [{"RID": ready, "Processing_Status": "new"}]
    )
    catalog.delete(f"entity/Imaging:Image/RID={gone}")
    read_again(monitor)

    monitor.buttons.retry.click()
    wait_until(lambda: "ready again" in answer(monitor))

    said = answer(monitor)
    assert "1 row ready again, 3 left alone" in said
    assert f"{edited}: changed meanwhile" in said
    assert f"{ready}: is not failed: Processing_Status is 'new'" in said
    assert f"{gone}: is gone" in said


def test_an_overdue_claim_that_its_holder_renewed_is_left_alone_and_named(
    monitor, jobs
):
    put = "attributegroup/Imaging:Image/RID;Processing_Status,Processing_Owner"
    row, live = jobs.candidates().rids[:2]
    owner = "gone~0123456789abcdef~0"
    body = {"Processing_Status": "in progress", "Processing_Owner": owner}
    jobs.catalog.put(put, [{"RID": rid, **body} for rid in (row, live)])
    read_again(monitor)
    monitor.select([row, live])

    jobs.catalog.put(put, [{"RID": live, **body}])
    read_again(monitor)
    outcome = monitor.rescue()

    assert (outcome.won, outcome.lost) == ((row,), (live,))
    said = answer(monitor)
    assert f"1 row freed, 1 left alone: {live}: changed meanwhile" in said


def test_ticks_stay_when_an_act_could_not_be_tried(monitor, box):
    rids = listed(monitor._table.failed.table)[:2]
    monitor.select(rids)
    wait_until(lambda: monitor._table.failed.groups)
    box.faults(status=503, methods=["GET"])

    with pytest.raises(ermpoll.CatalogError):
        monitor.retry()

    assert monitor.selected == rids


def test_rows_ticked_in_a_monitor_are_acted_on_as_they_were_listed(monitor, jobs):
    rid = listed(monitor._table.failed.table)[0]
    monitor.select([rid])
    put = "attributegroup/Imaging:Image/RID;Specimen"
    jobs.catalog.put(put, [{"RID": rid, "Specimen": "mine"}])

    assert jobs.retry(monitor).lost == (rid,)
