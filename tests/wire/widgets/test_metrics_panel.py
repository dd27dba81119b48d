from __future__ import annotations

import ermpoll
from ermpoll.widgets.panels.metrics_panel import MetricsPanel
from tests.helpers import pages
from tests.helpers.conditions import wait_until


def work(row):
    return {"Priority": 1}


def test_the_pictures_follow_the_agent_while_somebody_looks(jobs, keep):
    console = keep(ermpoll.console(jobs, work, workers=2))
    console._tabs.selected_index = 3
    console.start()
    wait_until(lambda: console.agent.status.completed)

    wait_until(lambda: "ermpoll-accent" in console.pictures._pictures.value)
    console.stop()
    text = pages.text_of(console.pictures._repr_html_())
    assert f"working {console.agent.metrics.working.n:,} " in text


def test_pictures_that_nobody_sees_are_not_drawn(jobs, keep):
    agent = ermpoll.Agent(jobs, work)
    seen = []
    panel = keep(MetricsPanel(agent, watched=lambda: bool(seen)))
    assert panel._pictures.value == ""

    seen.append(True)
    panel.refresh()
    assert "Jobs a minute" in panel._pictures.value


def test_what_a_panel_counts_is_drawn_as_rows_per_state(jobs, keep):
    agent = ermpoll.Agent(jobs, work)
    jobs.counts()
    jobs.counts()

    shown = keep(MetricsPanel(agent))._repr_html_()
    assert 'aria-label="rows per state:' in shown
    assert "times in UTC" in shown or "(UTC)" in shown
