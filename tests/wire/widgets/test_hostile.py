"""Nothing a catalog, a person or a broker says becomes a tag on the page."""

from __future__ import annotations

import contextlib

import ipywidgets as W
import pytest

import ermpoll
from ermpoll.notices.base import LocalNotices
from ermpoll.render.values import clean
from ermpoll.widgets.parts.sheet import Sheet
from tests.helpers import pages, tables
from tests.helpers.conditions import wait_until

HOSTILE = [
    "<img src=x onerror=window.PWN=1>",
    "\"'><script>window.PWN=1</script>",
    "</style></table><svg/onload=window.PWN=1>",
    "a\nb\tc \u202e\u200b javascript:alert(1)",
    "{{ 7*7 }} {% raw %} &lt;b&gt; `$(x)`",
]


def htmls(widget):
    """All HTML that a panel has put on the page."""
    if isinstance(widget, W.HTML):
        yield widget.value
    if isinstance(widget, Sheet):
        yield widget.page["html"]
        yield from widget.page.get("details", {}).values()
    for child in getattr(widget, "children", ()):
        yield from htmls(child)


@pytest.fixture(params=HOSTILE)
def text(request):
    return request.param


@pytest.fixture
def jobs(box, text):
    """A queue whose table, columns, state words and values are all hostile."""
    catalog = ermpoll.connect(box.new_catalog())
    names = {name: f"{name} {text}" for name in ("state", "owner", "error", "name")}
    # A colon parts schema and table.
    table = f"Job {text}".replace(":", ".")
    tables.make_table(catalog, dict.fromkeys(names.values(), "text"), name=table)
    words = {word: f"{word} {text}" for word in ("ready", "claimed", "done", "failed")}
    made = ermpoll.Queue(
        catalog,
        f"Ops:{table}",
        **{name: names[name] for name in ("state", "owner", "error")},
        **words,
    )
    rows = [
        {names["state"]: state, names["name"]: text, names["error"]: text}
        for state in (words["ready"], words["failed"], words["claimed"])
        for _ in range(2)
    ]
    catalog.post(f"entity/{made.definition.table.path}", rows)
    return made


@pytest.fixture
def panels(jobs, text, keep):
    rids = jobs.candidates().rids

    def transform(row):
        if row["RID"] == rids[0]:
            raise ValueError(text)
        return {jobs.definition.state: text}

    def work(row):
        raise ValueError(text)

    notices = LocalNotices()
    agent = ermpoll.Agent(jobs, work, name=f"agent {text}", notices=notices)
    shadow = ermpoll.shadow(jobs, transform, rate=None)
    made = [
        keep(ermpoll.preview(jobs)),
        keep(ermpoll.dry_run(jobs, transform)),
        keep(ermpoll.monitor(agent)),
        keep(ermpoll.console(jobs)),
        keep(ermpoll.console([agent])),
        keep(ermpoll.watch(jobs)),
        keep(ermpoll.compare(jobs.plan(), jobs.plan(transform)).panel()),
        keep(shadow.panel()),
    ]
    yield made
    shadow.stop()
    agent.stop()


def test_no_hostile_text_becomes_a_tag_in_any_panel(panels, jobs, text):
    preview, dry_run, monitor, console, fleet, watch, _, beside = panels
    beside.start()
    wait_until(lambda: beside.agent.comparison.since)
    preview.select(preview.candidates.rids)
    preview.why()
    assert dry_run.plan is not None
    dry_run.arm()
    rows = monitor._table.failed.table.page.rows
    monitor.select([row["RID"] for row in rows])
    monitor.open()
    fleet.monitors[0].unfold()
    dry_run.apply()
    monitor.start()
    watch.start()
    console.dry_run.run()
    wait_until(lambda: monitor.agent.status.failed or monitor.agent.status.looks)
    with contextlib.suppress(ValueError):
        monitor._fail("look now", ValueError(text))

    for panel in panels:
        panel.refresh()
        for html in (*htmls(panel.widget), panel._repr_html_()):
            pages.text_of(html)
            html.encode()
        assert "\u202e" not in panel._repr_mimebundle_()["text/plain"]


def test_hostile_words_reach_the_page_as_text(panels, text):
    preview = panels[0]

    shown = pages.text_of(preview._repr_html_())

    assert clean(text)[:5].strip() in shown
