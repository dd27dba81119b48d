from __future__ import annotations

import csv

import pytest

import ermpoll
from ermpoll.errors import UsageError
from ermpoll.queue import Queue
from tests.helpers import pages
from tests.helpers.conditions import wait_until
from tests.helpers.pasts import alter
from tests.helpers.tables import add


def hold(row):
    return {"Processing_Status": "hold"} if row["Priority"] != 1 else None


def test_a_saved_page_shows_the_first_run(jobs, keep):
    bundle = keep(ermpoll.dry_run(jobs, hold))._repr_mimebundle_()

    assert "-new +hold" in bundle["text/plain"]
    assert "<del>new</del> <ins>hold</ins>" in bundle["text/html"]


def test_the_second_run_shows_what_it_would_write_differently(jobs, keep):
    panel = keep(ermpoll.dry_run(jobs, lambda row: {"Processing_Status": "hold"}))
    rid = panel.plan.changes[0].rid

    panel.run(
        lambda row: {"Processing_Status": "review" if row["RID"] == rid else "hold"}
    )

    text = pages.text_of(panel._result.value)
    assert "1 cell would be written differently, in 1 row" in text
    assert f"other {rid} Processing_Status new hold review other" in text
    assert text.count("Processing_Status new hold hold") == 0


def test_two_claims_are_no_change_though_their_tokens_differ(jobs, keep):
    panel = keep(ermpoll.dry_run(jobs))
    # the first run is over, or it would come second
    assert panel.plan is not None

    assert panel.run() is not None

    assert "Since the run before: no change" in panel._result.value


def test_a_plan_of_when_the_table_had_another_name_is_not_compared(catalog, keep):
    add(catalog, {"state": "actionable"})
    then = catalog.now()
    alter(catalog, "schema/Ops", {"schema_name": "Lab"})
    jobs = Queue(catalog, "Lab:Job", done="complete")
    panel = keep(ermpoll.dry_run(jobs, lambda row: {"state": "complete"}))
    assert panel.plan.changes

    old = panel.travel(then)

    assert old.jobs.title == "Ops:Job"
    assert "Since the run before" not in panel._repr_html_()


def test_a_new_panel_compares_itself_with_the_one_before_over_that_table(jobs, keep):
    first = keep(ermpoll.dry_run(jobs, lambda row: {"Processing_Status": "hold"}))
    assert first.plan is not None

    second = keep(ermpoll.dry_run(jobs, lambda row: {"Processing_Status": "hold"}))

    assert second.plan is not None
    assert "Since the run before: no change" in second._repr_html_()


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
    with pytest.raises(UsageError, match=r"changes.csv.*File exists"):
        panel.csv(path)


def test_csv_names_its_file_by_table_and_time(jobs, keep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    panel = keep(ermpoll.dry_run(jobs, hold, limit=1))

    path = panel.csv()

    assert path.name.startswith("dry-run-Imaging-Image-")
    assert f"saved {path}" in panel._title.value
    assert panel.buttons.download.layout.display is None
    panel.download()


def test_acts_before_a_finished_run_say_what_to_do(jobs, keep):
    panel = keep(ermpoll.widgets.DryRunPanel(jobs, hold))

    for act in (panel.apply, panel.arm, panel.csv, panel.download, panel.undo):
        with pytest.raises(UsageError, match="found none"):
            act()
