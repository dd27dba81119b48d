from __future__ import annotations

from datetime import UTC, datetime

from ermpoll.agent.memory.attempts import FailedAttempt
from ermpoll.records import Doubt, KeptEdit
from ermpoll.render import failures
from ermpoll.render.groups import grouped
from tests.helpers import pages

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROW = {"RID": "1-A", "Filename": "<b>a</b>.czi", "RMB": "ann", "owner": "w1~x~60"}


def drawer(*attempts, **told):
    whole = {
        "error": "ValueError: <i>no</i>\nsecond line",
        "why": "1-A has failed.",
        "owner": "owner",
        "columns": ("RID", "Filename"),
    }
    return failures.drawer(pages.jobs(), ROW, attempts=attempts, **{**whole, **told})


def test_a_drawer_tells_error_why_who_attempts_traceback_and_row():
    attempts = [
        FailedAttempt(
            rid="1-A", at=NOW, reason="ValueError: no", attempt=n, worked_s=1.5,
            traceback=f"in convert, line {n}\n  <u>",
        )
        for n in (1, 2)
    ]  # fmt: skip
    shown = drawer(*attempts)
    text = pages.text_of(shown)

    assert "ValueError: <i>no</i> second line" in text
    assert "1-A has failed." in text
    assert "claimed last by w1, changed last by ann" in text
    assert "1 1.5 s ValueError: no" in text
    assert "in convert, line 2 <u>" in text
    assert "convert, line 1" not in text
    assert "Filename <b>a</b>.czi" in text


def test_a_drawer_of_a_row_that_another_process_failed_says_what_is_missing():
    assert "not remembered here" in pages.text_of(drawer())


def test_groups_stand_with_number_first_and_last():
    rows = [
        {
            "RID": f"1-{n}",
            "RMT": f"2026-01-01T00:00:0{n}+00:00",
            "error": f"GPU {n} <x>",
        }
        for n in (3, 2, 1)
    ]
    made = grouped(rows, "error")

    text = pages.text_of(failures.groups(made))
    assert "3 GPU … <x> 2026-01-01 00:00:01 2026-01-01 00:00:03" in text
    text = pages.text_of(failures.group(made[0]))
    assert "last 2026-01-01 00:00:03 : 1-3, 1-2, 1-1" in text


def test_rows_that_did_not_fail_and_want_to_be_known_of_stand_beside():
    shown = failures.beside(
        pages.jobs(),
        {"1-R": "a trigger <says> no"},
        [Doubt(rid="1-D", at=NOW)],
        [KeptEdit(rid="1-K", columns=("Priority", "Note"), at=NOW)],
    )
    text = pages.text_of(shown)

    assert "Refused by the catalog, left alone for now: 1" in text
    assert "1-R a trigger <says> no" in text
    assert "1-D 2026-01-01 00:00:00 rescue() frees it by hand" in text
    assert "not overwritten: Priority, Note" in text


def test_nothing_stands_beside_where_there_is_nothing():
    assert failures.beside(pages.jobs(), {}, (), ()).strip() == ""
