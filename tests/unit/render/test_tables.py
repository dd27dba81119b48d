from __future__ import annotations

import pytest

from ermpoll import render
from ermpoll.records import PlannedPut
from tests.helpers import pages


def test_candidates_show_each_value_by_its_type_with_a_link_to_the_record():
    row = {"RID": "1-A", "Filename": "a.czi", "Priority": 5}
    row["RMT"] = "2026-11-24T09:32:07.123456+00:00"

    html = render.candidates(pages.candidates([row]))

    assert pages.text_of(html) == (
        "Imaging:Image: candidates, 1 row; times in UTC RID Filename Priority RMT "
        "1-A a.czi 5 2026-11-24 09:32:07"
    )
    assert 'href="https://data.example/chaise/record/#1/S:T/RID=1-A"' in html
    assert '<time datetime="2026-11-24T09:32:07.123456Z">' in html
    assert '<td class="ermpoll-number">5</td>' in html


def test_candidates_say_how_many_are_shown_of_how_many():
    rows = [{"RID": f"1-{number}"} for number in range(3214)]

    assert "showing 50 of 3,214 rows" in render.candidates(pages.candidates(rows))
    assert "there are more" in render.candidates(pages.candidates(rows[:50], more=True))


def test_a_plan_shows_before_and_after_of_each_cell_and_changed_rows_first():
    shown = pages.plan(
        [
            pages.change("1-A"),
            pages.change("1-B", "skipped"),
            pages.change(
                "1-C", "failed", reason="KeyError: 'x'", traceback="line 1\nline 2"
            ),
            pages.change("1-D", "problem", reason="Priority: 'high' is no int4"),
        ],
        puts=(PlannedPut(path="attributegroup/S:T/RID,RMT;state", rows=({}, {})),),
    )

    html = render.plan(shown)

    text = pages.text_of(html)
    assert "1 changed · 1 left alone · 1 failed · 1 problem · nothing written" in text
    assert text.index("1-A") < text.index("1-D") < text.index("1-C")
    assert "<del>new</del> <ins>done</ins>" in html
    assert "<details><summary>KeyError: &#39;x&#39;</summary>" in html
    assert "line 1\nline 2</pre>" in html
    assert "PUT attributegroup/S:T/RID,RMT;state 2 rows" in text


def test_what_stops_many_rows_is_told_once_with_their_number():
    changes = [
        pages.change(f"1-{n}", "problem", reason="Priority: 'huge' is no int4")
        for n in range(396)
    ]

    text = pages.text_of(render.plan(pages.plan([*changes, pages.change("2-A")])))

    assert "396 problems : Priority: 'huge' is no int4" in text
    assert "showing 50 of 397 rows" in text
    assert "changed 2-A" in text


def test_an_applied_plan_says_what_became_of_each_row_and_first_what_went_wrong():
    shown = pages.plan(
        [
            pages.change("1-A"),
            pages.change("1-B"),
            pages.change("1-C"),
            pages.change("1-D", "skipped"),
        ],
        applied=pages.outcome(won=("1-A",), lost=("1-B",), unknown=("1-C",)),
    )

    text = pages.text_of(render.plan(shown))

    first, second = text.index("not known 1-C"), text.index("not written 1-B")
    assert first < second < text.index("written 1-A") < text.index("left alone 1-D")


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (3, "3", '<del>3</del> <ins>"3"</ins>'),
        (None, "", "<del>NULL</del> <ins>empty text</ins>"),
        ("new", "new ", "<del>new</del> <ins>new␣</ins>"),
        ("new", "n\u200bew", "<del>new</del> <ins>n⟨U+200B⟩ew</ins>"),
        ("a" * 500 + "b", "a" * 500 + "c", 'b"</del> <ins>…'),
        ({"a": 1}, {"a": 2}, '<del>{"a": 1}</del> <ins>{"a": 2}</ins>'),
        (True, "true", '<del>true</del> <ins>"true"</ins>'),
    ],
)
def test_a_difference_can_be_seen(before, after, shown):
    changed = pages.change("1-A", before={"state": before}, after={"state": after})

    html = render.plan(pages.plan([changed]))

    plain = html.replace("&#34;", '"')
    for tag in ('<span class="ermpoll-null">', '<span class="ermpoll-empty">'):
        plain = plain.replace(tag, "")
    plain = (
        plain.replace("</span>", "").replace("<code>{", "{").replace("}</code>", "}")
    )
    assert shown in plain


def test_times_of_a_millisecond_apart_are_told_apart():
    before, after = "2026-11-24T09:32:07.001+00:00", "2026-11-24T09:32:07.002+00:00"
    changed = pages.change("1-A", before={"RMT": before}, after={"RMT": after})

    text = pages.text_of(render.plan(pages.plan([changed])))

    assert ".001+00:00" in text
    assert ".002+00:00" in text
