from __future__ import annotations

import pytest

import ermpoll
from ermpoll.errors import UsageError
from tests.helpers import pages
from tests.helpers.conditions import wait_until
from tests.helpers.tables import states


@pytest.fixture
def preview(jobs, keep):
    return keep(ermpoll.preview(jobs))


def test_a_preview_shows_candidates_and_how_many_there_are(preview, jobs):
    text = pages.text_of(preview._repr_html_())

    assert f"{jobs.waiting()} rows" in text
    assert f"{jobs.waiting()} candidates" in preview._title.value
    assert preview.candidates.rids[0] in preview.table.widget.page["html"]


def test_the_pages_of_a_preview_have_each_candidate_once_and_none_is_long(
    jobs, keep, box
):
    box.add(100)

    preview = keep(ermpoll.preview(jobs))

    seen = list(preview.candidates.rids)
    while preview.table.page.more:
        preview.table.turn(1)
        assert len(preview.shown) <= 50
        seen += preview.candidates.rids
    assert seen == list(jobs.candidates(limit=1000).rids)
    assert f"{len(seen)} candidates" in preview._title.value
    assert f"showing 36 of {len(seen)} rows" in preview._repr_html_()


def test_searching_filtering_and_sorting_narrow_and_order_what_is_shown(preview):
    preview.table.search("CONFOCAL")
    preview.table.filter("Bytes", "..1_000_000_000")
    for _ in range(2):
        preview.table.sort("Bytes")
    preview.refresh()

    sizes = [row["Bytes"] for row in preview.shown]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) <= 1_000_000_000
    assert {row["Modality"] for row in preview.shown} == {"confocal"}
    assert f"{len(sizes)} that match" in preview.table.widget.bar["count"]
    assert "36 candidates" in preview._title.value


def test_claiming_takes_just_the_selected_rows_and_releasing_gives_them_back(
    preview, jobs
):
    rids = preview.candidates.rids
    preview.select([rids[2], rids[4]])

    claim = preview.claim()

    assert set(claim.rids) == {rids[2], rids[4]}
    assert states(jobs.catalog, [rids[2]], "Imaging:Image") == ["in progress"]
    assert rids[2] not in preview.candidates.rids
    preview.release()
    assert states(jobs.catalog, [rids[2]], "Imaging:Image") == ["new"]


def test_ticked_rows_that_others_took_are_named_with_the_reason(preview, jobs):
    mine, taken = preview.candidates.rids[:2]
    preview.select([mine, taken])
    with jobs.claim(rows=[taken]):
        claim = preview.claim()

    said = pages.text_of(preview._note.value)
    assert claim.rids == (mine,)
    assert "claimed 1 of 2 rows" in said
    # what was said goes, what is held stays told
    preview._tell("")
    preview.refresh()
    assert "1 row claimed here and not finished" in preview._note.value
    assert f"not claimed: {taken}: is no candidate: Processing_Status is" in said


def test_released_rows_that_were_lost_are_named_with_the_reason(preview, jobs):
    kept, robbed = preview.candidates.rids[:2]
    preview.select([kept, robbed])
    preview.claim()
    jobs.rescue([robbed], force=True)

    preview.release()

    said = pages.text_of(preview._note.value)
    assert f"released 1 row, 1 left alone: {robbed}: " in said


def test_release_gives_back_all_that_the_panel_claimed(preview, jobs):
    first, second = preview.candidates.rids[:2]
    for rid in (first, second):
        preview.select([rid])
        preview.claim()
    assert preview.claimed.unfinished == (first, second)

    outcome = preview.release()

    assert sorted(outcome.won) == sorted([first, second])
    assert states(jobs.catalog, [first, second], "Imaging:Image") == ["new", "new"]


def test_why_says_of_each_selected_row_why_it_would_be_taken(preview):
    rid = preview.candidates.rids[0]
    preview.select([rid])

    said = preview.why()

    assert said.startswith(f"{rid} is a candidate")
    assert "File_Name" in pages.text_of(preview.table.widget.page["details"][rid])


def test_acts_without_a_selection_say_what_to_do(preview):
    with pytest.raises(UsageError, match="tick one"):
        preview.claim()

    assert preview.buttons.arm.disabled
    assert preview.buttons.arm.tooltip == "Tick a row first"


def test_without_the_right_to_write_claiming_is_disabled_and_says_why(box, keep):
    catalog = box.catalog(read_only=True)
    jobs = box.jobs().__class__(catalog, "Imaging:Image", **QUEUE)

    preview = keep(ermpoll.preview(jobs))
    preview.select(preview.candidates.rids[:1])

    assert preview.buttons.arm.disabled
    assert preview.buttons.arm.tooltip == jobs.why_not_writable


QUEUE = {
    "state": "Processing_Status",
    "ready": "new",
    "claimed": "in progress",
    "done": "success",
    "failed": "error",
}


def test_a_button_does_what_its_method_does(preview, box):
    before = preview.total
    box.add(3)

    preview.buttons.look_now.click()

    wait_until(lambda: preview.total == before + 3)


def test_a_button_that_fails_says_so_in_the_panel_and_the_next_click_clears_it(
    preview, box
):
    box.faults(status=500, times=1)
    preview.buttons.look_now.click()
    wait_until(lambda: "500" in preview._error_line.value)
    assert preview.error.startswith("look now: Unavailable")

    preview.buttons.look_now.click()

    wait_until(lambda: not preview._error_line.value)


def test_the_selection_of_a_preview_serves_as_rows(preview, jobs):
    preview.select(preview.candidates.rids[:2])

    assert len(jobs.plan(rows=preview.selected).changes) == 2


def test_a_closed_preview_is_static_html(preview):
    preview.close()
    preview.close()

    assert set(preview._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_an_open_preview_is_a_widget_with_html_and_text_behind_it(preview):
    bundle = preview._repr_mimebundle_()

    view = bundle["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"] == preview.widget.model_id
    assert bundle["text/plain"].splitlines()[1].startswith("RID  File_Name")
    assert repr(preview) == "<PreviewPanel 'preview of Imaging:Image'>"


def test_previewing_what_is_no_queue_says_what_to_give():
    with pytest.raises(UsageError, match=r"expected an ermpoll\.Queue, found str"):
        ermpoll.preview("Imaging:Image")


def test_claiming_by_click_asks_first_and_names_table_rows_and_columns(preview, jobs):
    rids = preview.candidates.rids[:2]
    preview.select(rids)

    preview.buttons.arm.click()

    wait_until(lambda: preview._asking.layout.display is None)
    said = pages.text_of(preview._question.value)
    assert "Claim takes 2 rows of Imaging:Image: Processing_Status becomes" in said
    assert states(jobs.catalog, rids, "Imaging:Image") == ["new", "new"]
    preview.buttons.disarm.click()
    wait_until(lambda: preview._asking.layout.display == "none")
    preview.arm()
    preview.buttons.claim.click()
    wait_until(lambda: preview.claimed and set(preview.claimed.rids) == set(rids))
    assert preview.selected == ()


def test_all_that_match_are_those_of_the_moment_of_the_question(preview, jobs, box):
    box.add(60, Specimen="K900")
    preview.table.filter("Specimen", "K900")
    preview.table.tick_all()
    preview.refresh()
    assert preview.buttons.arm.description == "Claim 60…"

    preview.arm()
    later = box.add(1, Specimen="K900")
    claim = preview.claim()

    assert len(claim) == 60
    assert later[0] not in claim.rids


def test_a_row_tells_beside_it_why_it_would_be_taken(preview, jobs):
    rid = preview.candidates.rids[1]

    preview.table.open(rid)
    preview.refresh()

    told = pages.text_of(preview.table.widget.page["details"][rid])
    assert f"{rid} is a candidate" in told
    preview.table.open(rid)
    preview.refresh()
    assert preview.table.widget.page["details"] == {}


def test_no_candidates_are_said_in_words(jobs, keep):
    jobs.plan(lambda row: {"Processing_Status": "hold"}, limit=500).apply()

    preview = keep(ermpoll.preview(jobs))

    assert "No row is a candidate now." in preview._note.value


def test_releasing_before_a_claim_says_so(preview):
    with pytest.raises(UsageError, match="claimed by this panel, found none"):
        preview.release()
