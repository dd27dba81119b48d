from __future__ import annotations

import contextlib
import threading

import ermpoll
from tests.helpers.conditions import wait_until


def hold(row):
    return {"Processing_Status": "hold"} if row["Priority"] != 1 else None


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
