"""Make the README's pictures from the page.

``python -m tests.end_to_end.browser.screenshots``

Takes some three minutes, so that the courses over time have something to show.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.end_to_end.browser.lab import ROOT, Book, chromium, lab, opened
from tests.helpers.conditions import let_pass

DOCS = ROOT / "docs"
MINUTES = 2.6
SETUP = """import random, threading
import ermpoll
box = ermpoll.sandbox.start()
jobs = box.jobs()"""
CONSOLE = """def convert(row):
    threading.Event().wait(random.uniform(1, 6))
    if random.random() < 0.04:
        raise ValueError("converter: no such series 3")
    return {"Result": {"levels": 3}}

console = ermpoll.console(jobs, convert, workers=4, notices=box.amqp_url,
                          name="convert images")
console"""
DRY_RUN = """def plan(row):
    if row["Modality"] == "brightfield":
        return None
    if row["Modality"] == "micro-CT":
        raise MemoryError("a volume does not fit")
    first = "high" if row["Bytes"] < 1e9 and row["File_Name"].endswith("h5") else 1
    return {"Processing_Status": "in progress", "Priority": first}

for _ in range(3):
    box.add(100)
ermpoll.dry_run(jobs, plan, limit=1000)"""

RACE = """import ermpoll
box = ermpoll.sandbox.start(users=["ann", "bob"])
ann, bob = box.catalog(user="ann"), box.catalog(user="bob")
race = ermpoll.teach.race(ann, bob, guard="row version",
                          stories=("loses the answer", "claims"))
race.play("abaaba")
race"""


def main(folder: Path = DOCS) -> None:
    """Write the console in both themes and three widths, a dry run and the race."""
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home, chromium() as browser:
        books = Path(home, "books")
        books.mkdir()
        with lab(books, Path(home, "settings")) as running:
            running.write("pictures.ipynb", [SETUP, DRY_RUN, CONSOLE])
            running.write("race.ipynb", [RACE])
            with opened(browser, running, "race.ipynb", height=1200) as book:
                take_race(book, folder)
            with opened(browser, running, "pictures.ipynb", height=1600) as book:
                take(book, folder)


def take(book: Book, folder: Path) -> None:
    """Run the notebook, keep it busy for a while, and take the pictures."""
    book.command("application:toggle-left-area")
    book.theme("JupyterLab Light")
    book.run_all()
    panels = book.page.locator(".ermpoll-live")
    # a table is as high as the window lets it
    book.page.set_viewport_size({"width": 1280, "height": 1000})
    shoot(panels.filter(has_text="Dry run").first, folder / "dry-run.png")
    book.page.set_viewport_size({"width": 1280, "height": 1600})
    console = panels.filter(has_text="convert images").first
    console.get_by_role("button", name="Start").click()
    for _ in range(int(MINUTES * 60 / 4)):
        book.execute("box.add(random.randint(1, 9))")
        let_pass(4)
    console.get_by_text("Running now (4 of 4").wait_for()
    shoot(console, folder / "console-light.png")
    book.theme("JupyterLab Dark")
    book.page.wait_for_timeout(1000)
    shoot(console, folder / "console-dark.png")
    for name, width, height in (("narrow", 600, 2700), ("wide", 2200, 1300)):
        book.page.set_viewport_size({"width": width, "height": height})
        book.page.wait_for_timeout(1500)
        shoot(console, folder / f"console-{name}.png")
        book.theme("JupyterLab Light")
    book.execute("console.stop()")


def take_race(book: Book, folder: Path) -> None:
    """Run the race's notebook and take it in both themes."""
    book.command("application:toggle-left-area")
    book.run_all()
    race = book.page.locator(".ermpoll-live").first
    race.get_by_role("button", name="Play all orders").click()
    race.get_by_text("All 12 orders").wait_for()
    shoot(race, folder / "race-light.png")
    book.theme("JupyterLab Dark")
    book.page.wait_for_timeout(1000)
    shoot(race, folder / "race-dark.png")


def shoot(place: Any, path: Path) -> None:
    """Save a picture of one panel."""
    place.screenshot(path=path)
    size = path.stat().st_size
    assert size < 300_000, f"{path} has {size} bytes"


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS)
