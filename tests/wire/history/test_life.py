from __future__ import annotations

import threading

import pytest

import ermpoll
from ermpoll.errors import ReadingStopped
from ermpoll.history import ClaimEnd, StepKind
from tests.helpers.pasts import rename, send
from tests.helpers.tables import add, edit, queue

NEW = {"state": "actionable"}


@pytest.fixture
def lived(catalog):
    """A row that failed, was retried, edited and completed; its queue and RID."""
    jobs = queue(catalog)
    [rid] = add(catalog, {**NEW, "name": "a"})
    jobs.fail(jobs.claim(1), {rid: "no <disk>"})
    jobs.retry([rid])
    claim = jobs.claim(1)
    edit(catalog, rid, priority=4)
    jobs.complete(claim, {rid: {"result": "ok"}})
    return jobs, rid


def test_a_row_tells_each_version_who_when_and_what(lived):
    jobs, rid = lived

    told = jobs.history(rid, rate=None)

    assert [one.kind for one in told.versions] == [
        StepKind.BORN, StepKind.CLAIMED, StepKind.FAILED, StepKind.RETRIED,
        StepKind.CLAIMED, StepKind.EDITED, StepKind.COMPLETED,
    ]  # fmt: skip
    assert told.versions[2].changes["error"] == (None, "no <disk>")
    assert told.versions[5].changes == {"priority": (None, 4)}
    assert {told.names[one.by] for one in told.versions} == {"Ada Lovelace"}
    assert [(one.end, one.reason) for one in told.claims] == [
        (ClaimEnd.FAILED, "no <disk>"), (ClaimEnd.COMPLETED, ""),
    ]  # fmt: skip
    assert told.requests <= len(told.versions) + 4


def test_the_time_in_each_state_adds_up_to_its_life(lived):
    jobs, rid = lived

    told = jobs.history(rid, rate=None)

    words = [span.word for span in told.states]
    assert words == [
        "actionable", "claimed", "failed", "actionable", "claimed", "complete",
    ]  # fmt: skip
    assert set(told.seconds) == {"actionable", "claimed", "failed", "complete"}
    whole = told.period.until - told.versions[0].at
    assert sum(told.seconds.values()) == pytest.approx(whole.total_seconds())


def test_a_frame_has_a_line_for_each_cell_that_changed(lived):
    jobs, rid = lived

    told = jobs.history(rid, rate=None)

    frame = told.frame
    assert list(frame.columns) == ["at", "by", "what", "column", "before", "after"]
    edits = frame[frame.what == "edited"]
    assert edits[["column", "after"]].values.tolist() == [["priority", 4]]
    assert list(told.claims_frame["end"]) == ["failed", "completed"]
    assert str(told.claims_frame["since"].dtype) == "datetime64[us, UTC]"


def test_text_and_page_tell_the_same_and_are_escaped(lived):
    jobs, rid = lived

    told = jobs.history(rid, rate=None)

    text, page = str(told), told._repr_html_()
    assert "error: NULL -> no <disk>" in text
    assert "claimed by Ada Lovelace" in text
    assert "no &lt;disk&gt;" in page
    assert "<disk>" not in page
    assert "<svg" in page
    assert "<script" not in page


def test_part_of_a_life_begins_with_what_was_then(lived):
    jobs, rid = lived
    whole = jobs.history(rid, rate=None)
    since = whole.versions[3].at

    told = jobs.history(rid, since, rate=None)

    assert [one.kind for one in told.versions] == [
        one.kind for one in whole.versions[4:]
    ]
    assert [one.end for one in told.claims] == [ClaimEnd.COMPLETED]


def test_the_newest_versions_are_told_of_a_long_life(lived):
    jobs, rid = lived

    told = jobs.history(rid, most=3, rate=None)

    assert [one.kind for one in told.versions][-1] is StepKind.COMPLETED
    assert len(told.versions) == 2  # the third is where they begin
    assert any("only the newest 3 versions" in one for one in told.told)


def test_a_deleted_row_is_told_to_its_end(catalog):
    jobs = queue(catalog)
    [rid] = add(catalog, NEW)
    jobs.claim(1)
    catalog.delete(f"entity/Ops:Job/RID={rid}")

    told = jobs.history(rid, rate=None)

    assert told.deleted_at is not None
    assert [one.end for one in told.claims] == [ClaimEnd.DELETED]
    assert "by whom is not kept" in str(told)


def test_a_column_that_is_gone_is_told_by_its_name_of_then(catalog):
    jobs = queue(catalog)
    [rid] = add(catalog, {**NEW, "result": "x", "priority": 1})
    edit(catalog, rid, result="y")
    send(catalog, "DELETE", "schema/Ops/table/Job/column/result")
    rename(catalog, "priority", "urgency")
    edit(catalog, rid, urgency=2)
    jobs = queue(catalog)

    told = jobs.history(rid, rate=None)

    assert told.versions[1].changes == {"result": ("x", "y")}
    assert told.versions[2].changes == {"urgency": (1, 2)}
    assert any("'result' was dropped" in one for one in told.told)


def test_forty_versions_cost_less_than_sixty_requests(catalog):
    jobs = queue(catalog)
    [rid] = add(catalog, NEW)
    for number in range(39):
        edit(catalog, rid, priority=number)

    told = jobs.history(rid, rate=None)

    assert len(told.versions) == 40
    assert told.requests < 60


def test_a_life_that_is_no_longer_wanted_ends_before_its_next_request(lived):
    jobs, rid = lived
    stop = threading.Event()
    seen = []

    def progress(at):
        seen.append(at.done)
        if at.done == 3:
            stop.set()

    with pytest.raises(ReadingStopped):
        jobs.history(rid, rate=None, progress=progress, stop=stop)
    assert seen == [1, 2, 3]


def test_a_row_of_another_table_is_refused(catalog):
    with pytest.raises(ermpoll.UsageError, match="does not have"):
        queue(catalog).history("1-NONE", rate=None)
