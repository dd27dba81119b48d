from __future__ import annotations

import threading

import ermpoll
from tests.helpers import pages
from tests.helpers.conditions import wait_until


def test_the_dry_run_of_an_agent_shows_claim_and_results_and_writes_nothing(
    jobs, keep, box
):
    def writes(row):
        path = "attributegroup/Imaging:Image/RID;Priority"
        jobs.catalog.put(path, [{"RID": row["RID"], "Priority": 99}])

    console = keep(ermpoll.console(jobs, lambda row: writes(row) or {"Priority": 4}))
    claim_only = console.dry_run.run()
    assert len(claim_only.changes) == 5
    assert console.dry_run.result.results == {}

    console.dry_run.work()

    text = pages.text_of(console.dry_run._repr_html_())
    assert "5 writes refused" in text
    assert "What work returned" in text
    assert box.log == ()


def test_the_dry_run_of_an_agent_is_cancelled(jobs, keep):
    begun, go = threading.Event(), threading.Event()
    console = keep(
        ermpoll.console(jobs, lambda row: begun.set() or (go.wait(20) and None))
    )

    console.dry_run.buttons.work.click()
    assert begun.wait(5)
    console.dry_run.buttons.cancel.click()

    wait_until(lambda: "cancelled after" in console.dry_run._title.value)
    assert console.dry_run.result is None
    go.set()
