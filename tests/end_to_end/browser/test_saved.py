"""Panels in a notebook that was saved, and is opened without the kernel they had."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.chromium, pytest.mark.long, pytest.mark.timeout(150)]

CELLS = [
    "import ermpoll\nbox = ermpoll.sandbox.start()\njobs = box.jobs()\n"
    "agent = ermpoll.Agent(jobs, lambda row: None, poll_s=1, name='night')\n"
    "panel = agent.panel()\npanel",
    "done = agent.run(until_idle=True).done",
]


@pytest.fixture
def saved(open_book):
    """A notebook with a panel whose agent is done, saved."""
    from playwright.sync_api import expect

    book = open_book("saved.ipynb", *CELLS)
    book.run_all()
    done = book.execute("print(done)").strip()
    expect(book.panel("night").get_by_text(done).first).to_be_visible()
    # it is written every five seconds at most
    still = book.page.locator("[class^=ermpoll-still]").first
    expect(still).to_contain_text(done, timeout=15_000)
    expect(still).to_be_hidden()
    book.command("docmanager:save")
    return book, done


def told_missing(book):
    """What is in sight of a widget that has no model."""
    told = book.page.get_by_text("model not found").all()
    return [one.inner_text() for one in told if one.is_visible()]


def test_reopened_it_shows_its_last_state_and_what_to_do(saved):
    from playwright.sync_api import expect

    book, done = saved
    book.execute("box.stop()")
    book.restart()
    book.command("docmanager:save")
    book.reload()

    still = book.page.locator("[class^=ermpoll-still]").first
    expect(still).to_be_visible()
    expect(still).to_contain_text("run the cell for a live panel")
    expect(still).to_contain_text(done)
    assert told_missing(book) == []


def test_after_a_restart_it_says_so_and_has_no_broken_icons(saved):
    from playwright.sync_api import expect

    book, done = saved
    book.restart()
    panel = book.panel("night")

    expect(panel.get_by_text("The kernel of this panel is gone")).to_be_visible()
    expect(panel.get_by_text(done).first).to_be_visible()
    icons = """() => [...document.querySelectorAll('.jupyter-widgets-disconnected')]
        .filter(e => getComputedStyle(e, '::before').display !== 'none').length"""
    assert book.page.evaluate(icons) == 0


def test_in_an_untrusted_notebook_it_is_static(saved, running_lab):
    from playwright.sync_api import expect

    book, done = saved
    path = running_lab.folder / "saved.ipynb"
    doc = json.loads(path.read_text())
    # whatever was not run here is not trusted
    doc["cells"][0]["source"] += "\n# edited elsewhere"
    doc["cells"][0]["metadata"].pop("trusted", None)
    path.write_text(json.dumps(doc))
    book.execute("box.stop()")
    book.restart()
    book.reload()

    shown = book.page.locator(".jp-OutputArea").first
    expect(shown).to_contain_text("night")
    expect(shown).to_contain_text(done)
    assert told_missing(book) == []
