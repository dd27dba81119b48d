"""The race of two workers, by clicks and by keys."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.chromium, pytest.mark.long, pytest.mark.timeout(150)]

RACE = """import ermpoll
box = ermpoll.sandbox.start(users=["ann", "bob"])
race = ermpoll.teach.race(box.catalog(user="ann"), box.catalog(user="bob"))
race"""


def serious(book):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(book.page, context=".ermpoll-live").response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def test_a_race_is_stepped_taken_back_and_played_by_keys_alone(open_book):
    from playwright.sync_api import expect

    book = open_book("race.ipynb", RACE)
    book.run_all()
    race = book.panel("Ann and Bob at row")

    def press(name):
        button = race.get_by_role("button", name=name)
        expect(button).to_be_enabled()
        button.focus()
        book.page.keyboard.press("Enter")

    for name in ("Ann reads", "Bob reads", "Ann claims"):
        press(name)
    expect(race.get_by_role("button", name="Ann is done")).to_be_disabled()
    press("Back")
    expect(race.get_by_role("button", name="Ann claims")).to_be_enabled()
    for name in ("Ann claims", "Bob claims"):
        press(name)
    expect(race.get_by_text("both believe they hold it")).to_be_visible()

    race.get_by_label("Guard").select_option("row version")
    expect(race.get_by_text("guard: row version")).to_be_visible()
    press("Play all orders")
    expect(race.get_by_text("All 6 orders: exactly one wins (6)")).to_be_visible()
    race.get_by_label("Order").select_option(index=2)
    press("Play to the end")
    expect(race.locator("td").get_by_text("too late").first).to_be_visible()

    reached = set()
    race.get_by_label("Guard").focus()
    for _ in range(12):
        book.page.keyboard.press("Tab")
        reached.add(book.page.evaluate("document.activeElement.textContent.trim()"))
    assert {"Play all orders", "Play to the end"} <= reached
    assert (book.errors(), book.complaints) == ([], [])


def test_axe_finds_nothing_serious_in_a_race(open_book):
    book = open_book("axe-race.ipynb", RACE, "race.play('abab'); race.play_all()")
    book.run_all()
    book.panel("Ann and Bob at row").get_by_text("All 6 orders").wait_for()

    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        book.theme(theme)
        assert (theme, serious(book)) == (theme, [])
