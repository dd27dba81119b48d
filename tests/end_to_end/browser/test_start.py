"""The first notebook as a newcomer has it: in JupyterLab, by clicks."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.chromium

THREADS = """
import threading
for view in (watch, panel):  # what they say would leave by itself, later
    view.close()
box.stop()
for thread in threading.enumerate():
    if thread.name.startswith("ermpoll-"):
        thread.join(5)
        assert not thread.is_alive(), f"{thread.name}, after {len(In)} cells"
print("none left")
"""


@pytest.mark.timeout(150)
def test_the_first_notebook_runs_and_is_steered_by_clicks(running_lab, open_book):
    from playwright.sync_api import expect

    running_lab.copy("00_start.ipynb")
    book = open_book("00_start.ipynb")
    book.run_all()

    expect(book.panel("36 candidates")).to_be_visible()
    changed = book.panel("Dry run").locator("ins", has_text="larger than 8 GB")
    expect(changed.first).to_be_visible()

    watch = book.panel("watch of Imaging:Start")
    watch.get_by_role("button", name="Start").click()
    expect(watch.get_by_text("· push").first).to_be_visible()
    expect(watch.get_by_role("button", name="Stop")).to_be_visible()
    added = book.execute("print(box.add(1, table=jobs.table)[0])").strip()
    expect(watch.get_by_text("1 came, 0 went").first).to_be_visible()
    expect(watch.get_by_role("link", name=added)).to_be_visible()

    agent = book.panel("jobs/min")
    agent.get_by_role("button", name="Start").click()
    expect(agent.get_by_text("took 1").first).to_be_visible()
    expect(watch.get_by_role("link", name=added)).not_to_be_attached()
    for panel in (agent, watch):
        panel.get_by_role("button", name="Stop").click()
        expect(panel.get_by_text("stopped since")).to_be_visible()

    assert book.execute("print(len(ermpoll.agents()))").strip() == "0"
    assert book.execute(THREADS).strip() == "none left"
    assert (book.errors(), book.complaints) == ([], [])
