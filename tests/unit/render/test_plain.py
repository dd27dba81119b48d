from __future__ import annotations

from ermpoll import render
from ermpoll.records import Change
from ermpoll.render.plain import plain
from tests.helpers import pages


def test_a_plan_reads_as_aligned_text_in_a_terminal():
    changes = [
        Change(rid="1-A", rmt="t", before={"s": "new"}, after={"s": "done"}),
        Change(
            rid="1-BCD", rmt="t", before={"s": "x" * 50}, after={}, kind="unchanged"
        ),
    ]

    text = plain(render.plan(pages.plan(changes)))

    assert text.splitlines() == [
        "Plan for Imaging:Image 1 changed · 1 unchanged · nothing written yet",
        "2 rows",
        "what       RID    s",
        "changed    1-A    -new +done",
        "unchanged  1-BCD  " + "x" * 50,
    ]


def test_lists_and_sentences_stand_on_lines_of_their_own():
    done = pages.outcome(lost=("1-B",), reasons={"1-B": "changed meanwhile"})

    text = plain(render.outcome(done))

    assert text.splitlines() == [
        "Applied: 1 written, 1 changed meanwhile or refused and left alone",
        "1-B: changed meanwhile",
    ]


def test_only_the_last_column_may_be_wide():
    cells = "".join(f"<td>{letter * 200}</td>" for letter in "ab")
    text = plain(f"<table><thead></thead><tr>{cells}</tr></table>")

    assert text == "a" * 31 + "…  " + "b" * 99 + "…"
