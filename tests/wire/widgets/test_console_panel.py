from __future__ import annotations

from datetime import timedelta

import pytest

import ermpoll
from ermpoll.errors import UsageError
from tests.helpers import pages
from tests.helpers.conditions import wait_until


def work(row):
    return {"Priority": 1}


def test_a_console_of_a_queue_and_work_runs_an_agent_from_its_buttons(jobs, keep):
    console = keep(ermpoll.console(jobs, work, workers=2))
    assert console.agent.status.state == "stopped"

    console.monitor.buttons.start.click()
    wait_until(lambda: console.agent.status.completed)
    console.pause()
    console.resume()
    console.look_now()
    console.stop()

    assert console.agent.status.state == "stopped"


def test_a_console_shows_monitor_preview_and_dry_run_on_one_page(jobs, keep):
    console = keep(ermpoll.console(jobs, work))
    console.dry_run.run()

    text = pages.text_of(console._repr_html_())
    assert "not started" in text
    assert "Imaging:Image: candidates" in text
    assert "Dry run on Imaging:Image" in text
    preview = f"Preview {jobs.waiting()}"
    assert console._tabs.titles == (
        "Monitor", preview, "Dry run", "Pictures", "Acts",
    )  # fmt: skip


def test_a_console_without_work_watches_and_tries_what_the_preview_selected(jobs, keep):
    console = keep(ermpoll.console(jobs))
    rids = console.preview.candidates.rids[2:4]
    console.preview.select(rids)

    plan = console.dry_run.run()

    assert console.selected == rids
    assert [change.rid for change in plan.changes] == list(rids)
    assert type(console.monitor).__name__ == "WatchPanel"


def test_a_console_of_an_agent_shows_that_agent(jobs, keep):
    agent = ermpoll.Agent(jobs, work)

    assert keep(ermpoll.console(agent)).agent is agent


def test_a_console_of_agents_has_a_head_line_each_and_opens_one(jobs, keep):
    agents = [ermpoll.Agent(jobs, work, name=name) for name in ("one", "two")]
    console = keep(ermpoll.console(agents))
    first = console.monitors[0]
    assert first._sections.layout.display == "none"

    first.unfold()

    assert first._sections.layout.display is None
    text = pages.text_of(console._repr_html_())
    assert "one ○ not started" in text
    assert "two ○ not started" in text


def test_looking_now_reads_the_preview_again(jobs, keep, box):
    console = keep(ermpoll.console(jobs, work))
    before = console.preview.total
    box.add(2)

    console.look_now()

    assert console.preview.total == before + 2
    wait_until(lambda: console._tabs.titles[1] == f"Preview {before + 2}")


def test_re_running_a_cell_with_a_console_never_runs_two_agents(jobs, keep):
    first = keep(ermpoll.console(jobs, work))
    first.start()
    second = keep(ermpoll.console(jobs, work))

    second.start()

    assert ermpoll.agents() == [second.agent]
    second.stop()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda jobs: ermpoll.console("x"), "expected an ermpoll.Queue, found str"),
        (lambda jobs: ermpoll.console(jobs, workers=3), "found workers alone"),
        (
            lambda jobs: ermpoll.console(ermpoll.Agent(jobs, work), work),
            "found them with an agent",
        ),
        (lambda jobs: ermpoll.console([], work), "found them with an agent"),
    ],
)
def test_a_call_that_cannot_be_right_says_what_to_do(jobs, make, message):
    with pytest.raises(UsageError, match=message):
        make(jobs)


def test_a_console_of_no_agents_says_so(keep):
    text = pages.text_of(keep(ermpoll.console([]))._repr_html_())

    assert text == "No agents were given"


def test_turning_to_an_old_preview_reads_it_again_unless_rows_are_ticked(
    jobs, keep, box
):
    console = keep(ermpoll.console(jobs, work))
    before = console.preview.total
    box.add(1)
    old = console.preview.read_at - timedelta(minutes=1)

    console.preview.read_at = old
    console.preview.select(console.preview.candidates.rids[:1])
    console._tabs.selected_index = 1
    assert console._reads.words == frozenset()
    console.preview.select(())
    console._tabs.selected_index = 0
    console._tabs.selected_index = 1

    wait_until(lambda: console.preview.total == before + 1)


def test_several_agents_have_a_line_of_totals(jobs, keep):
    agents = [
        ermpoll.Agent(jobs, work, name=name, workers=2) for name in ("one", "two")
    ]
    console = keep(ermpoll.console(agents))
    text = pages.text_of(console._totals.value)
    assert text.startswith("2 agents · 2 stopped · 0 of 4 workers at work · 0 held")

    agents[0].run_once()

    wait_until(lambda: "2 completed" in console._totals.value)


def test_the_tab_of_the_preview_has_the_number_of_the_monitors_reading(jobs, keep, box):
    console = keep(ermpoll.console(jobs, work))
    box.add(3)

    console.monitor.read()

    n = console.monitor.waiting
    assert n == jobs.waiting()
    wait_until(lambda: console._tabs.titles[1] == f"Preview {n}")
