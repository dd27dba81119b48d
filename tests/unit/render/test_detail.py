from __future__ import annotations

from types import SimpleNamespace

from ermpoll import render
from ermpoll.render import detail
from ermpoll.render.page import Caps
from tests.helpers import pages


def test_a_dry_run_lists_writes_that_were_refused_and_what_work_returned():
    shown = SimpleNamespace(
        plan=pages.plan([pages.change("1-A")]),
        would=("would PUT entity/S:T",),
        results={"1-A": {"Score": 1}},
        errors={"1-B": "ValueError: no"},
    )

    text = pages.text_of(render.dry_run(shown))

    assert "1 write refused that your function would have sent:" in text
    assert "would PUT entity/S:T" in text
    assert "What work returned RID Score 1-B ValueError: no 1-A 1" in text


def test_a_row_that_the_work_refused_stands_once():
    errors = {"1-B": "ValueError: no"}

    html = detail.results({"1-A": None, "1-B": None}, errors, pages.jobs(), Caps())

    text = pages.text_of(html)
    assert text.count("1-B") == text.count("1-A") == 1


def test_a_change_in_full_has_its_reason_and_what_changes_before_the_rest():
    change = pages.change(
        "1-A",
        "problem",
        before={"state": "new", "Filename": "a.czi"},
        after={"state": "done"},
        reason="state: no such word",
        traceback="line 1\nline 2",
    )

    html = detail.change(pages.plan([change]), change, ["state", "Filename"])

    text = pages.text_of(html)
    assert text.startswith("state: no such word line 1 line 2")
    assert text.endswith("state new done Filename a.czi")
