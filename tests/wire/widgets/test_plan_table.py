from __future__ import annotations

from datetime import UTC

import pytest

from ermpoll.render.tables import WHY
from ermpoll.widgets.parts.plan_table import PlanTable, context
from tests.helpers import pages


def decide(row):
    """Three kinds of rows, and one that fails."""
    if row["Priority"] == 1:
        return {"Priority": "huge"}
    if row["Priority"] == 2:
        return {"Processing_Status": "hold"}
    if row["Modality"] == "confocal":
        raise MemoryError("a volume does not fit")
    return None


@pytest.fixture
def plan(jobs, box):
    box.add(100)
    return jobs.plan(decide, limit=500)


@pytest.fixture
def shown(jobs, plan):
    made = PlanTable(jobs, changed=lambda: None, later=lambda word, act: act(), keys={})
    made.show(plan, ["Priority", "Modality"])
    yield made
    made.close()


def count(plan, kind):
    return sum(change.kind == kind for change in plan.changes)


def words(table):
    """What each row on every page says it is."""
    table.turn(0)
    found = [row[":what"] for row in table.page.rows]
    while table.page.more:
        table.turn(1)
        found += [row[":what"] for row in table.page.rows]
    return found


def test_every_row_is_on_some_page_and_those_that_change_come_first(shown, plan):
    found = words(shown.table)

    assert len(found) == len(plan.changes)
    assert found[: count(plan, "changed")] == ["changed"] * count(plan, "changed")
    assert {"problem", "failed", "left alone"} == set(found) - {"changed"}


@pytest.mark.parametrize(
    ("kind", "word", "said"),
    [
        ("changed", "changed", "changed"),
        ("problem", "problem", "problems"),
        ("failed", "failed", "failed"),
        ("skipped", "left alone", "left alone"),
    ],
)
def test_each_count_is_a_filter(shown, plan, kind, word, said):
    n = count(plan, kind)
    chips = {chip.key: chip.text for chip in shown.table.chips}
    assert chips[kind] == f"{n} {said}"

    shown.table.press(kind)

    assert shown.table.total == n
    assert set(words(shown.table)) == {word}
    shown.table.press(kind)
    assert shown.table.total == len(plan.changes)


def test_equal_problems_are_one_line_which_shows_just_them(shown, plan):
    lines = {chip.text: chip for chip in shown.table.chips if chip.line}
    n = count(plan, "problem")

    shown.table.press(lines[f"{n} rows: Priority: 'huge' is no int4"].key)

    assert {row[WHY] for row in shown.table.page.rows} == {
        "Priority: 'huge' is no int4"
    }
    assert shown.table.total == n


def test_problems_that_differ_in_names_and_numbers_are_one_line(shown, jobs, box):
    def work(row):
        raise ValueError(f"no {row['File_Name']} for {row['RID']}")

    box.add(30)
    plan = jobs.plan(work, limit=500)
    shown.show(plan, ["Priority"])

    [line] = [chip for chip in shown.table.chips if chip.line]
    assert line.text == f"{len(plan.changes)} rows: ValueError: no … for …"
    shown.table.press(line.key)
    assert shown.table.total == len(plan.changes) > 1


def test_columns_tell_which_row_it_is_and_what_the_transform_looked_at(shown, plan):
    assert context(plan, ["Modality", "Priority", "RID"]) == ("File_Name", "Modality")

    shown.table.press("changed")
    shown.draw(UTC)
    heads = [head.get("label") for head in shown.table.widget.page["heads"]]
    shown.table.press("problem")
    shown.draw(UTC)
    with_why = [head.get("label") for head in shown.table.widget.page["heads"]]

    columns = ["File_Name", "Modality", "Priority", "Processing_Status"]
    named = [None, *(f"filter {name}" for name in ("RID", *columns))]
    assert heads == named
    assert with_why == [*named, "filter why"]


def test_a_changed_cell_is_found_by_what_it_was_and_what_it_becomes(shown, plan):
    for word in ("new", "hold"):
        shown.table.filter("Processing_Status", f"={word}")
        shown.table.press("changed")
        assert shown.table.total == count(plan, "changed")
        shown.table.press("changed")
    assert shown.table.total == count(plan, "changed")


def test_after_applying_each_row_says_what_became_of_it(shown, plan, jobs):
    rid = next(change.rid for change in plan.changes if change.kind == "changed")
    put = "attributegroup/Imaging:Image/RID;Priority"
    jobs.catalog.put(put, [{"RID": rid, "Priority": 77}])
    shown.table.press("changed")
    plan.apply()

    shown.show(plan)

    assert [chip.text for chip in shown.table.chips][:2] == [
        "1 not written",
        f"{count(plan, 'changed') - 1} written",
    ]
    assert shown.table.page.rows[0]["RID"] == rid
    assert not shown.table.view.narrows
    shown.table.open(rid)
    shown.draw(UTC)
    for text in (
        shown.table.widget.page["html"],
        shown.table.widget.page["details"][rid],
    ):
        assert "Priority is 77 and was 2, by " in pages.text_of(text)


def test_a_row_opens_with_its_traceback_and_all_that_changes(shown, plan):
    for kind in ("failed", "changed"):
        shown.table.press(kind)
        shown.table.open(shown.table.page.rows[0]["RID"])
        shown.draw(UTC)
        [told] = shown.table.widget.page["details"].values()
        text = pages.text_of(told)
        if kind == "failed":
            assert "MemoryError: a volume does not fit" in text
            assert "decide" in text
        else:
            assert "Processing_Status new hold" in text
        shown.table.shut()
