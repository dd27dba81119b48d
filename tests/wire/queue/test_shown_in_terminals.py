"""What a terminal shows of the objects that people print, IPython's own included."""

from __future__ import annotations

import io

import pytest

import ermpoll
from ermpoll.shown import MOST_LINES
from tests.helpers.tables import add

MANY = [{"state": "actionable", "name": f"row {n}"} for n in range(40)]
EVIL = {"state": "actionable", "name": "\x1b[2J\x1b]0;owned\x07 <b>bold</b>"}


@pytest.fixture
def jobs(catalog: ermpoll.Catalog) -> ermpoll.Queue:
    add(catalog, EVIL, *MANY)
    return ermpoll.Queue(
        catalog, "Ops:Job", owner="owner", columns=["name", "state", "priority"]
    )


SHOWN = {
    "candidates": (lambda jobs: jobs.candidates(), "row 3"),
    "plan": (lambda jobs: jobs.plan(), "-actionable +claimed"),
    "claim": (lambda jobs: jobs.claim(30), "row 3"),
    "outcome": (lambda jobs: jobs.plan(limit=2).apply(), "2 written"),
    "dry run": (
        lambda jobs: ermpoll.Agent(jobs, lambda row: None).dry_run(30),
        "+claimed",
    ),
    "agent": (lambda jobs: ermpoll.Agent(jobs, lambda row: None), "not started"),
    "queue": (lambda jobs: jobs, "actionable"),
    "catalog": (lambda jobs: jobs.catalog, "/ermrest/catalog/"),
}


def in_ipython(shown: object) -> str:
    from IPython.lib.pretty import RepresentationPrinter

    out = io.StringIO()
    printer = RepresentationPrinter(out)
    printer.pretty(shown)
    printer.flush()
    return out.getvalue()


@pytest.mark.parametrize("name", SHOWN)
def test_a_terminal_shows_it_as_a_table_of_a_screen_at_most(jobs, name):
    make, word = SHOWN[name]
    shown = make(jobs)

    text = str(shown)

    assert word in text
    assert 1 <= len(text.splitlines()) <= MOST_LINES
    assert in_ipython(shown) == text
    assert all(c.isprintable() or c == "\n" for c in text)
    assert len(repr(shown).splitlines()) == 1
    # a frozen one still takes no attribute
    assert not hasattr(shown, "anything")


def test_what_runs_is_a_table_too(jobs):
    with ermpoll.Agent(jobs, lambda row: None, name="the night shift"):
        shown = ermpoll.agents()

        assert "the night shift" in str(shown)
        assert in_ipython(shown) == str(shown)
        assert len(shown) == 1


def test_a_queue_and_a_catalog_are_pages_that_tell_no_secret(jobs):
    catalog = ermpoll.connect(jobs.catalog.url, {"bearer-token": "s3cret-token"})

    page = jobs._repr_html_() + catalog._repr_html_()

    assert "Ops:Job, by its column state" in page
    assert "attempts column" in page
    assert "s3cret" not in page + str(catalog)
    assert "read-only" in str(ermpoll.connect(catalog.url, read_only=True))
