from __future__ import annotations

import contextlib
import csv
import sys
import threading
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


def test_a_saved_page_shows_the_first_run(jobs, keep):
    bundle = keep(ermpoll.dry_run(jobs, hold))._repr_mimebundle_()

    assert "-new +hold" in bundle["text/plain"]
    assert "<del>new</del> <ins>hold</ins>" in bundle["text/html"]


def test_failures_and_problems_come_first_with_their_traceback_folded(jobs, keep):
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
    assert first < second < text.index(f"changed {rids[0]}")
    assert "<details><summary>KeyError" in panel._repr_html_()


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


def test_the_second_run_shows_what_it_would_write_differently(jobs, keep):
    panel = keep(ermpoll.dry_run(jobs, lambda row: {"Processing_Status": "hold"}))
    rid = panel.plan.changes[0].rid

    panel.run(
        lambda row: {"Processing_Status": "review" if row["RID"] == rid else "hold"}
    )

    text = pages.text_of(panel._result.value)
    assert "Since the run before: 1 cell would be written differently" in text
    assert f"{rid} Processing_Status hold review" in text


def test_a_new_panel_compares_itself_with_the_one_before_over_that_table(jobs, keep):
    first = keep(ermpoll.dry_run(jobs, lambda row: {"Processing_Status": "hold"}))
    assert first.plan is not None

    second = keep(ermpoll.dry_run(jobs, lambda row: {"Processing_Status": "hold"}))

    assert second.plan is not None
    assert "Since the run before: no change" in second._repr_html_()


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


def test_a_transform_that_hangs_is_cancelled_and_the_panel_goes_on(jobs, keep):
    begun = threading.Event()

    def hang(row):
        begun.set()
        while True:
            pass

    panel = keep(ermpoll.dry_run(jobs, hang))
    assert begun.wait(5)
    panel.buttons.cancel.click()
    wait_until(lambda: not panel.is_running)

    assert panel.plan is None
    wait_until(lambda: "cancelled after" in panel._title.value)
    assert panel.run(hold) is not None


def test_a_transform_that_cannot_be_ended_is_given_up(jobs, keep):
    begun, go = threading.Event(), threading.Event()

    def hang(row):
        begun.set()
        while not go.is_set():
            with contextlib.suppress(BaseException):
                go.wait(20)

    panel = keep(ermpoll.dry_run(jobs, hang))
    assert begun.wait(5)

    panel.cancel()

    assert not panel.is_running
    wait_until(lambda: "hangs in a call" in panel._title.value)
    panel.cancel()
    go.set()


def test_a_run_is_cancelled_while_the_candidates_are_read(jobs, keep, box):
    box.faults(delay_s=0.3, methods=("GET",))
    panel = keep(ermpoll.dry_run(jobs, hold))
    wait_until(lambda: panel.is_running)

    panel.cancel()
    box.faults()

    wait_until(lambda: "cancelled after 0 rows" in panel._title.value)
    assert panel.plan is None


def test_a_run_is_cancelled_between_two_rows_as_well(jobs, keep):
    begun, go = threading.Event(), threading.Event()

    def deaf(row):
        begun.set()
        with contextlib.suppress(BaseException):
            while not go.is_set():
                pass

    panel = keep(ermpoll.dry_run(jobs, deaf))
    assert begun.wait(5)

    panel.cancel()

    wait_until(lambda: "cancelled after 1 row" in panel._title.value)
    go.set()


def test_a_text_that_looks_like_json_and_numbers_are_saved_as_they_are(
    jobs, keep, tmp_path
):
    def transform(row):
        return {"Processing_Status": "hold", "Priority": -5, "Specimen": None}

    panel = keep(ermpoll.dry_run(jobs, transform, limit=1))
    text = panel.csv(tmp_path / "changes.csv").read_text(encoding="utf-8")

    lines = {line.split(",")[1]: line for line in text.splitlines()}
    assert lines["Priority"].endswith(",-5")
    assert lines["Specimen"].endswith(",")


@pytest.mark.parametrize("made", [[1, 2], "text", 5, pd.DataFrame({"Priority": [1]})])
def test_a_transform_that_returns_no_dict_is_a_problem_in_words(jobs, keep, made):
    panel = keep(ermpoll.dry_run(jobs, lambda row: made))

    assert {change.kind for change in panel.plan.changes} == {"problem"}
    assert "expected a dict of changes or None" in panel._repr_html_()
    assert panel.buttons.arm.disabled


def test_a_write_of_the_transform_itself_is_refused_and_listed(jobs, keep, box):
    def transform(row):
        path = "attributegroup/Imaging:Image/RID;Priority"
        jobs.catalog.put(path, [{"RID": row["RID"], "Priority": 99}])
        return {"Processing_Status": "hold"}

    panel = keep(ermpoll.dry_run(jobs, transform, limit=3))

    assert {change.kind for change in panel.plan.changes} == {"failed"}
    assert panel.would == ("would PUT attributegroup/Imaging:Image/RID;Priority",) * 3
    assert "3 writes refused" in panel._repr_html_()
    assert box.log == ()


def test_what_a_running_agent_writes_meanwhile_is_told_apart(jobs, keep):
    agent = ermpoll.Agent(jobs, lambda row: None)
    panel = keep(
        ermpoll.widgets.DryRunPanel(
            jobs, lambda row: wait_until(lambda: agent.status.completed)
        )
    )

    with agent:
        panel.run()

    assert "sent meanwhile, by running agents" in panel._title.value
    assert panel.would == ()


def test_a_dry_run_of_nothing_but_the_claim_shows_the_claim(jobs, keep):
    panel = keep(ermpoll.dry_run(jobs, limit=3))

    assert len(panel.plan.changes) == 3
    assert "in progress" in panel._repr_html_()


def test_rows_narrow_a_dry_run_to_what_was_selected(jobs, keep):
    rids = jobs.candidates().rids

    panel = keep(ermpoll.dry_run(jobs, hold, rows=rids[3:5]))

    assert [change.rid for change in panel.plan.changes] == list(rids[3:5])


def test_a_catalog_that_is_away_is_said_in_the_panel(jobs, keep, box):
    box.faults(status=503, times=50)

    panel = keep(ermpoll.dry_run(jobs, hold))

    wait_until(lambda: "503" in panel._error_line.value, 10)
    assert panel.plan is None
    box.faults()


def test_changes_are_saved_as_csv_without_formulas(jobs, keep, tmp_path):
    def transform(row):
        return {"Processing_Status": "hold", "Specimen": "=HYPERLINK(1)"}

    panel = keep(ermpoll.dry_run(jobs, transform, limit=1))
    path = panel.csv(tmp_path / "changes.csv")

    rid = panel.plan.changes[0].rid
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["RID", "column", "before", "after"]
    assert [rid, "Processing_Status", "new", "hold"] in rows
    assert rows[-1][3] == "'=HYPERLINK(1)"
    with pytest.raises(FileExistsError):
        panel.csv(path)


def test_csv_names_its_file_by_table_and_time(jobs, keep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    panel = keep(ermpoll.dry_run(jobs, hold, limit=1))

    path = panel.csv()

    assert path.name.startswith("dry-run-Imaging-Image-")
    assert f"saved {path}" in panel._title.value


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


def test_acts_before_a_finished_run_say_what_to_do(jobs, keep):
    panel = keep(ermpoll.widgets.DryRunPanel(jobs, hold))

    for act in (panel.apply, panel.arm, panel.csv, panel.undo):
        with pytest.raises(UsageError, match="found none"):
            act()
