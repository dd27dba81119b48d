from __future__ import annotations

import sys
import types

import pandas as pd
import pytest

import ermpoll
from ermpoll.errors import UsageError
from tests.helpers import pages
from tests.helpers.conditions import wait_until


def hold(row):
    return {"Processing_Status": "hold"} if row["Priority"] != 1 else None


def test_a_dry_run_shows_what_would_change_and_writes_nothing(jobs, keep, box):
    panel = keep(ermpoll.dry_run(jobs, hold))

    assert {change.kind for change in panel.plan.changes} == {"changed", "skipped"}
    text = pages.text_of(panel._repr_html_())
    assert "0 writes sent" in text
    assert "new hold" in text
    assert box.log == ()


def test_problems_and_failures_follow_the_changes_with_a_traceback(jobs, keep):
    def transform(row):
        if row["RID"] == rids[1]:
            raise KeyError("series")
        if row["RID"] == rids[2]:
            return {"Priority": "high", "Processing_Status": "hold"}
        return hold(row)

    rids = jobs.candidates().rids
    panel = keep(ermpoll.dry_run(jobs, transform))

    text = pages.text_of(panel._repr_html_())
    assert "1 failed · 1 problem" in text
    first, second = text.index(f"problem {rids[2]}"), text.index(f"failed {rids[1]}")
    assert text.index(f"changed {rids[0]}") < first < second
    assert "<details><summary>KeyError" in panel._repr_html_()
    assert "dry_run_task" not in panel._repr_html_()


def test_the_question_names_table_rows_and_columns_before_applying(jobs, keep):
    panel = keep(ermpoll.dry_run(jobs, hold, limit=4))
    changes = len(panel.plan.puts[0].rows)

    panel.arm()

    assert panel._arming.layout.display is None
    assert (
        f"Apply writes {changes} rows of Imaging:Image, columns Processing_Status."
        in panel._question.value
    )
    panel.disarm()
    assert panel._arming.layout.display == "none"


def test_columns_that_the_transform_looked_at_stand_beside_those_that_change(
    jobs, keep
):
    def transform(row):
        large = row["Bytes"] > 10 and row.get("Modality")
        return {"Processing_Status": "hold"} if large else None

    panel = keep(ermpoll.dry_run(jobs, transform))
    assert panel.plan is not None
    panel.refresh()

    heads = panel._table.table.widget.page["heads"]
    shown = ["RID", "File_Name", "Modality", "Bytes", "Processing_Status"]
    assert [head.get("name") for head in heads][1:] == shown


def test_the_question_names_just_the_columns_that_are_sent(jobs, keep):
    def transform(row):
        if row["Priority"] == 1:
            return {"Priority": "huge"}
        return {"Processing_Status": "hold"}

    panel = keep(ermpoll.dry_run(jobs, transform))
    assert panel.plan.columns == ("Priority", "Processing_Status")

    panel.arm()

    assert "columns Processing_Status." in panel._question.value


def test_applying_writes_what_is_shown_and_undoing_sets_it_back(jobs, keep, box):
    panel = keep(ermpoll.dry_run(jobs, hold))
    changed = {change.rid for change in panel.plan.changes if change.after}

    outcome = panel.apply()

    assert set(outcome.won) == changed
    assert f"{len(changed)} written" in panel._result.value
    assert "1 write sent" in panel._title.value
    assert {row.after["Processing_Status"] for row in box.log[0].rows} == {"hold"}
    undone = panel.undo()
    assert set(undone.won) == changed
    assert {row.after["Processing_Status"] for row in box.log[1].rows} == {"new"}
    assert "2 writes sent" in panel._title.value
    assert jobs.catalog.writes == 2
    panel.run()
    assert "0 writes sent" in panel._title.value


def test_a_row_that_changed_meanwhile_is_shown_with_what_changed(jobs, keep):
    panel = keep(ermpoll.dry_run(jobs, hold))
    rid = next(change.rid for change in panel.plan.changes if change.after)
    put = "attributegroup/Imaging:Image/RID;Priority"
    jobs.catalog.put(put, [{"RID": rid, "Priority": 77}])

    outcome = panel.apply()

    assert outcome.lost == (rid,)
    text = pages.text_of(panel._result.value)
    assert "1 changed meanwhile" in text
    assert "77" in text


def test_a_plan_is_applied_once(jobs, keep):
    panel = keep(ermpoll.dry_run(jobs, hold))
    panel.apply()

    with pytest.raises(UsageError, match="not applied yet"):
        panel.apply()

    assert panel.buttons.arm.disabled
    assert panel.buttons.arm.tooltip == "Applied; run again for more"


def test_apply_and_undo_work_by_clicks_alone(jobs, keep, box):
    panel = keep(ermpoll.dry_run(jobs, hold))
    assert panel.plan is not None

    panel.buttons.arm.click()
    wait_until(lambda: panel._arming.layout.display is None)
    panel.buttons.apply.click()
    wait_until(lambda: panel.outcome is not None)
    wait_until(lambda: panel.buttons.arm_undo.layout.display is None)
    panel.buttons.arm_undo.click()
    wait_until(lambda: panel.buttons.undo.layout.display is None)
    panel.buttons.undo.click()

    wait_until(lambda: len(box.log) == 2)
    wait_until(lambda: panel.outcome.action == "undo")


def test_run_again_takes_a_function_as_the_notebook_defined_it_last(
    jobs, keep, monkeypatch
):
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    exec("def change(row): return {'Processing_Status': 'hold'}", main.__dict__)
    panel = keep(ermpoll.dry_run(jobs, main.change))
    assert panel.plan is not None
    exec("def change(row): return {'Processing_Status': 'review'}", main.__dict__)

    plan = panel.run()

    assert plan.changes[0].after == {"Processing_Status": "review"}


@pytest.mark.parametrize("made", [[1, 2], "text", 5, pd.DataFrame({"Priority": [1]})])
def test_a_transform_that_returns_no_dict_is_a_problem_in_words(jobs, keep, made):
    panel = keep(ermpoll.dry_run(jobs, lambda row: made))

    assert {change.kind for change in panel.plan.changes} == {"problem"}
    assert "expected a dict of changes or None" in panel._repr_html_()
    assert panel.buttons.arm.disabled


def test_a_dry_run_of_nothing_but_the_claim_shows_the_claim(jobs, keep):
    panel = keep(ermpoll.dry_run(jobs, limit=3))

    assert len(panel.plan.changes) == 3
    assert "in progress" in panel._repr_html_()


def test_rows_narrow_a_dry_run_to_what_was_selected(jobs, keep):
    rids = jobs.candidates().rids

    panel = keep(ermpoll.dry_run(jobs, hold, rows=rids[3:5]))

    assert [change.rid for change in panel.plan.changes] == list(rids[3:5])


def test_without_the_right_to_write_apply_is_disabled_and_says_why(box, keep):
    jobs = ermpoll.Queue(
        box.catalog(read_only=True),
        "Imaging:Image",
        state="Processing_Status",
        ready="new",
        claimed="in progress",
        done="success",
        failed="error",
    )
    panel = keep(ermpoll.dry_run(jobs, hold))
    assert panel.plan is not None
    panel.refresh()

    assert panel.buttons.arm.disabled
    assert panel.buttons.arm.tooltip == jobs.why_not_writable


def test_the_same_is_tried_on_the_rows_of_another_time_and_not_applied(jobs, keep):
    [rid] = jobs.claim(1).rids
    then = jobs.history(rid, rate=None).versions[0].at
    panel = keep(ermpoll.dry_run(jobs, hold))
    assert rid not in {change.rid for change in panel.plan.changes}

    plan = panel.travel(then)

    assert rid in {change.rid for change in plan.changes}
    assert f"as of {then:%Y-%m-%dT%H:%M:%S} UTC" in panel._title.value
    assert panel.buttons.arm.disabled
    assert "snapshot" in panel.buttons.arm.tooltip
    assert not panel.outcome
    panel.travel(None)
    assert not panel.buttons.arm.disabled
    assert "as of" not in panel._title.value


def test_the_menu_runs_it_as_of_then(jobs, keep):
    panel = keep(ermpoll.dry_run(jobs, hold))
    assert panel.plan.changes

    panel._as_of.value = "30 d"

    # this sandbox is younger than a month
    wait_until(lambda: "travel: NoHistory" in panel.error)
    panel._as_of.value = ""
    wait_until(lambda: panel.when is None and not panel.is_running)
