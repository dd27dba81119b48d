from __future__ import annotations

import ermpoll
from ermpoll.widgets.panels.acts_panel import ActsPanel
from tests.helpers import pages


def test_acts_on_a_queue_and_its_agent_stand_in_a_table_the_newest_first(jobs, keep):
    agent = ermpoll.Agent(jobs, lambda row: None, name="convert images")
    panel = keep(ActsPanel([jobs.title, agent.name]))
    assert "Nothing was done" in pages.text_of(keep(ActsPanel([]))._repr_html_())

    agent.start()
    agent.workers = 3
    agent.stop()
    done = jobs.retry(jobs.failures(1))

    panel.refresh()
    text = pages.text_of(panel._table.value)
    assert [act.event for act in panel.acts[:4]] == [
        "retry",
        "stop",
        "workers",
        "start",
    ]
    assert f"1 won, 0 lost, 0 unknown {done.won[0]}" in text


def test_acts_of_others_and_what_nobody_sees_are_not_drawn(jobs, keep):
    panel = keep(ActsPanel(["another table"], watched=lambda: False))
    jobs.retry(jobs.failures(1))

    panel.refresh()
    assert panel._table.value == ""
    assert panel.acts == ()
