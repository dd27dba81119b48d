"""All that failed: paged, grouped, in a drawer, retried alike."""

from __future__ import annotations

import pytest

import ermpoll
from ermpoll.errors import UsageError
from ermpoll.render.tables import rid_of
from ermpoll.widgets.parts.failed_rows import GROUPED
from tests.helpers import pages
from tests.helpers.conditions import wait_until


def fail(jobs, reasons):
    """So many rows fail with these reasons; returns their RIDs."""
    put = "attributegroup/Imaging:Image/RID;Processing_Status,Processing_Error"
    rids = jobs.candidates(len(reasons)).rids
    jobs.catalog.put(
        put,
        [
            {"RID": rid, "Processing_Status": "error", "Processing_Error": text}
            for rid, text in zip(rids, reasons, strict=True)
        ],
    )
    return rids


@pytest.fixture
def failing(jobs, box, agent, keep):
    box.add(120)
    bus = [f"GPU {n % 4} fell off the bus at 0x{n:08x}" for n in range(80)]
    fail(jobs, [*bus, *["out of memory"] * 6])
    monitor = keep(ermpoll.monitor(agent))
    wait_until(lambda: monitor._table.failed.groups)
    return monitor


def section(monitor):
    return monitor._table.failed


def test_all_failed_rows_can_be_reached_and_their_number_is_the_bars(failing, jobs):
    failed = section(failing)
    total = jobs.counts()["error"]
    seen = [rid_of(row) for row in failed.table.page.rows]
    while failed.table.page.more:
        failed.table.turn(1)
        seen += [rid_of(row) for row in failed.table.page.rows]

    assert len(set(seen)) == len(seen) == total
    assert f"error {total}" in pages.text_of(failing._table.counts.value)
    assert f"Failed: {total}" in pages.text_of(failing._repr_html_()) or (
        f"Failed: {total}" in pages.text_of(failing._table._captions[0].value)
    )


def test_rows_that_failed_alike_are_one_line_and_are_retried_together(failing, jobs):
    failed = section(failing)
    assert failed.groups[0].text == "GPU … fell off the bus at …"
    assert failed.table.chips[0].text == "80: GPU … fell off the bus at …"

    failed.table.press(failed.groups[0].text)
    failing.refresh()
    assert failing.buttons.retry_alike.description == "Retry these 80"
    assert "fell off the bus" in pages.text_of(failing._table._group.value)
    outcome = failing.retry_alike()

    assert len(outcome.won) == 80
    assert "80 rows ready again" in pages.text_of(failing._table.answer.value)
    # the reading that follows at once has it
    assert "GPU" not in {group.text.split()[0] for group in failed.groups}


def test_a_row_that_was_touched_since_it_was_grouped_is_left_alone(failing, jobs):
    failed = section(failing)
    failed.table.press(failed.groups[0].text)
    rid = rid_of(failed.groups[0].rows[3])
    put = "attributegroup/Imaging:Image/RID;Specimen"
    jobs.catalog.put(put, [{"RID": rid, "Specimen": "mine"}])

    outcome = failing.retry_alike()

    assert (len(outcome.won), outcome.lost) == (79, (rid,))


def test_without_an_error_that_is_picked_it_says_what_to_do(failing):
    with pytest.raises(UsageError, match="an error that was picked"):
        failing.retry_alike()


def test_an_error_is_found_by_a_word_and_rows_sort_by_a_head(failing):
    failed = section(failing)
    failed.table.search("out of mem")
    assert failed.table.total == 6

    failed.table.search("")
    failed.table.sort("Processing_Error")
    reasons = [row["Processing_Error"] for row in failed.table.page.rows]
    assert reasons == sorted(reasons, key=lambda text: text or "")


def test_a_drawer_tells_how_the_work_failed_here(jobs, keep):
    def convert(row):
        raise ValueError("no such series 3")

    agent = ermpoll.Agent(jobs, convert)
    agent.run_once()
    monitor = keep(ermpoll.monitor(agent))
    [rid] = [one.rid for one in agent.status.failures]

    monitor.select([rid])
    if rid in monitor.selected:
        monitor.open()
        details = section(monitor).table.widget.page["details"][rid]
    else:
        details = section(monitor).drawer(jobs.read_rows([rid])[rid])

    text = pages.text_of(details)
    assert "ValueError: no such series 3" in text
    assert "in convert" in text


def test_a_page_is_read_at_each_change_and_all_errors_more_rarely(
    failing, jobs, monkeypatch
):
    asked = []
    rows = jobs.catalog.rows
    failed = section(failing)
    monkeypatch.setattr(
        jobs.catalog, "rows", lambda path, *a: asked.append(path) or rows(path, *a)
    )
    failed._due_at = float("inf")

    reasons = jobs.queries.failure_reasons(GROUPED)

    failed.follow(1_000_000, anew=False)
    assert asked
    assert reasons not in asked
    failed.follow(failed.count, anew=True)
    assert reasons in asked


def test_an_error_of_an_act_stands_beside_the_rows(failing):
    failing.buttons.retry.click()

    wait_until(lambda: "tick one" in failing._table.answer.value)
    assert failing._error_line.value == ""


def test_errors_that_were_not_grouped_in_a_storm_are_when_it_is_over(failing, jobs):
    failed = section(failing)
    failed._due_at = float("inf")
    fail(jobs, ["a new one"])
    failed.follow(failed.count + 1, anew=False)
    assert "a new one" not in {group.text for group in failed.groups}
    assert failed.due_s == float("inf")

    failed._due_at = 0.0
    failing.refresh()

    wait_until(lambda: "a new one" in {group.text for group in failed.groups})
    assert failed.due_s is None
