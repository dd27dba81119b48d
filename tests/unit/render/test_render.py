from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ermpoll import render
from ermpoll.records import Change, NoticesStatus, PlannedPut, Running, Status, Wake
from ermpoll.render.page import fitted
from tests.helpers import pages

NOW = datetime(2026, 11, 24, 9, 32, 7, tzinfo=UTC)
HOSTILE = "<img src=x onerror=window.PWN=1>\"'`&</style><script>{{7*7}}\u202e\x00"


def candidates(rows, **changed):
    made = {"jobs": pages.jobs(), "kind": "candidates", "rows": rows, "more": False}
    made["columns"] = made["jobs"].columns
    return SimpleNamespace(**made | changed)


def change(rid, kind="changed", **changed):
    after = {"state": "done"} if kind == "changed" else {}
    made = {"rid": rid, "rmt": "t", "before": {"state": "new"}, "after": after}
    return Change(**made | {"kind": kind} | changed)


def test_candidates_show_each_value_by_its_type_with_a_link_to_the_record():
    row = {"RID": "1-A", "Filename": "a.czi", "Priority": 5}
    row["RMT"] = "2026-11-24T09:32:07.123456+00:00"

    html = render.candidates(candidates([row]))

    assert pages.text_of(html) == (
        "Imaging:Image: candidates, 1 row; times in UTC RID Filename Priority RMT "
        "1-A a.czi 5 2026-11-24 09:32:07"
    )
    assert 'href="https://data.example/chaise/record/#1/S:T/RID=1-A"' in html
    assert '<time datetime="2026-11-24T09:32:07.123456Z">' in html
    assert '<td class="ermpoll-number">5</td>' in html


def test_candidates_say_how_many_are_shown_of_how_many():
    rows = [{"RID": f"1-{number}"} for number in range(3214)]

    assert "showing 50 of 3,214 rows" in render.candidates(candidates(rows))
    assert "there are more" in render.candidates(candidates(rows[:50], more=True))


def test_no_candidates_are_said_in_words():
    text = pages.text_of(render.candidates(candidates([], kind="stale")))

    assert text.startswith("Imaging:Image: claimed and overdue")
    assert "0 rows" in text


def test_a_table_of_300_columns_with_cells_of_a_megabyte_stays_small():
    names = tuple(f"column <{number}>" for number in range(300))
    rows = [{"RID": "1-A", **dict.fromkeys(names, "<&" * 500_000)}] * 60
    shown = candidates(rows, columns=names, jobs=pages.jobs(columns=names))

    html = render.candidates(shown)

    assert len(html.encode()) <= 200_000
    assert "20 of 300 columns" in pages.text_of(html)
    assert "(1,000,000 characters)" in pages.text_of(html)


def test_what_never_gets_small_enough_is_cut_as_far_as_can_be():
    tried = []

    fitted(lambda caps: tried.append(caps.rows) or "x" * 1_000_000)

    assert tried[0] == 50
    assert tried[-1] == 3


def test_a_plan_shows_before_and_after_of_each_cell_and_problems_first():
    shown = pages.plan(
        [
            change("1-A"),
            change("1-B", "skipped"),
            change("1-C", "failed", reason="KeyError: 'x'", traceback="line 1\nline 2"),
            change("1-D", "problem", reason="Priority: 'high' is no int4"),
        ],
        puts=(PlannedPut(path="attributegroup/S:T/RID,RMT;state", rows=({}, {})),),
    )

    html = render.plan(shown)

    text = pages.text_of(html)
    assert "1 changed · 1 left alone · 1 failed · 1 problem · nothing written" in text
    assert text.index("1-D") < text.index("1-C") < text.index("1-A")
    assert "<del>new</del> <ins>done</ins>" in html
    assert "<details><summary>KeyError: &#39;x&#39;</summary>" in html
    assert "line 1\nline 2</pre>" in html
    assert "PUT attributegroup/S:T/RID,RMT;state 2 rows" in text


def test_an_applied_plan_says_what_became_of_each_row_and_first_what_went_wrong():
    shown = pages.plan(
        [change("1-A"), change("1-B"), change("1-C"), change("1-D", "skipped")],
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
    changed = change("1-A", before={"state": before}, after={"state": after})

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
    changed = change("1-A", before={"RMT": before}, after={"RMT": after})

    text = pages.text_of(render.plan(pages.plan([changed])))

    assert ".001+00:00" in text
    assert ".002+00:00" in text


def test_an_outcome_says_what_changed_meanwhile_and_by_whom():
    done = pages.outcome(
        won=("1-A", "1-B"),
        lost=("1-C",),
        meanwhile={"1-C": {"state": ("new", "hold")}},
        by={"1-C": "bo"},
        edited=("1-B",),
    )

    text = pages.text_of(render.outcome(done))

    assert text.startswith("Applied : 2 written , 1 changed meanwhile")
    assert "1 row had been edited by hand meanwhile, and were written: 1-B" in text
    assert text.endswith("1-C : state new hold by bo")


def test_a_status_says_state_notices_login_rates_and_what_runs():
    status = Status(
        name="images",
        state="working",
        since=NOW,
        notices=NoticesStatus(state="push", last_at=NOW - timedelta(seconds=2)),
        next_look_at=NOW + timedelta(minutes=10),
        log=(Wake(at=NOW, reason="notice", detail="304, nothing new", ours=True),),
        dropped=12,
        looks={"rows": 3, "unchanged": 1},
        login="ann@example.org",
        login_left_s=6 * 3600,
        workers=4,
        running=(Running(rid="1-A", since=NOW - timedelta(seconds=182), attempt=2),),
        held=3,
        jobs_per_min=(90, 120, 142),
        unknown=2,
        retried=3,
    )

    text = pages.text_of(render.status(status, now=NOW))

    for part in (
        "images ● working · push, last notice 2 s ago · next look 09:42:07",
        "ann@example.org, 6 h 00 min left · times in UTC",
        "142 jobs/min 90 to 142 in 3 minutes",
        "3 retried",
        "2 not known",
        "Running now (1 of 4 workers, 3 held) RID for attempt 1-A 3 min 02 s 2",
        "(newest first, 12 dropped): 3 with rows, 1 unchanged",
        "09:32:07 notice (ours) 304, nothing new",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("notices", "words"),
    [
        (NoticesStatus(), "polling only"),
        (NoticesStatus(state="down", reason="refused"), "polling (refused), next try"),
        (NoticesStatus(state="deaf"), "no notices come; polling"),
    ],
)
def test_a_status_says_why_it_polls(notices, words):
    notices = dataclasses.replace(notices, next_try_at=NOW if notices.reason else None)
    status = Status(name="images", state="waiting", notices=notices)

    assert words in pages.text_of(render.status(status, now=NOW))


def test_a_zone_is_named_once_and_used():
    status = Status(name="images", state="waiting", next_look_at=NOW)

    html = render.status(status, now=NOW, zone=ZoneInfo("Asia/Tokyo"))

    assert "18:32:07" in html
    assert html.count("Asia/Tokyo") == 1


def test_agents_are_listed_a_line_each_or_none_in_words():
    status = Status(name="images", state="paused", since=NOW, completed=12)

    listed = pages.text_of(render.agents([SimpleNamespace(status=status)]))

    assert "images ◑ paused since" in listed
    assert pages.text_of(render.agents([])) == "Nothing is running"


def test_a_dry_run_lists_writes_that_were_refused_and_what_work_returned():
    shown = SimpleNamespace(
        plan=pages.plan([change("1-A")]),
        would=("would PUT entity/S:T",),
        results={"1-A": {"Score": 1}},
        errors={"1-B": "ValueError: no"},
    )

    text = pages.text_of(render.dry_run(shown))

    assert "1 write refused that your function would have sent:" in text
    assert "would PUT entity/S:T" in text
    assert "What work returned RID Score 1-B ValueError: no 1-A 1" in text


def test_a_claim_shows_its_rows_and_no_token():
    held = SimpleNamespace(
        jobs=pages.jobs(), rows=[{"RID": "1-A", "Filename": "a.czi"}], token="w~x~600"
    )

    html = render.claim(held)

    assert "1-A a.czi" in pages.text_of(html)
    assert "w~x" not in html


def drawn_with(text):
    """Every function of render, with one text in every place a text can stand."""
    jobs = pages.jobs(
        title=text,
        columns=(text, "RID"),
        types={text: text, "state": text},
        link=lambda rid: text,
    )
    rows = [{"RID": text, text: text}, {"RID": "1", text: {text: [text]}}]
    changes = [
        change(text, before={text: text}, after={text: text + "x"}),
        change(text, "failed", reason=text, traceback=text),
        change(text, "problem", reason=text),
    ]
    done = pages.outcome(
        jobs=jobs,
        action=text,
        won=(text,),
        lost=(text,),
        unknown=(text,),
        reasons={text: text},
        meanwhile={text: {text: (text, text)}},
        by={text: text},
        edited=(text,),
    )
    plan = pages.plan(
        changes, jobs=jobs, applied=done, puts=(PlannedPut(path=text, rows=({},)),)
    )
    status = Status(
        name=text,
        reason=text,
        notices=NoticesStatus(state="down", reason=text, next_try_at=NOW),
        log=(Wake(at=NOW, reason="broker", detail=text),),
        looks={text: 1},
        login=text,
        workers=1,
        running=(Running(rid=text, since=NOW, row={text: text}),),
    )
    dry = SimpleNamespace(
        plan=plan, would=(text,), results={text: {text: text}}, errors={text: text}
    )
    return [
        render.candidates(
            candidates(rows, jobs=jobs, columns=jobs.columns, kind=text, more=True)
        ),
        render.claim(SimpleNamespace(jobs=jobs, rows=rows)),
        render.plan(plan),
        render.outcome(done),
        render.status(status),
        render.agents([SimpleNamespace(status=status)]),
        render.dry_run(dry),
    ]


@given(
    st.text() | st.sampled_from([HOSTILE, "javascript:alert(1)", "https://[", "-->"])
)
def test_no_text_puts_a_foreign_tag_or_attribute_on_the_page(text):
    for html in drawn_with(text):
        pages.text_of(html)
        html.encode()


def test_a_hostile_text_is_shown_and_not_run():
    for html in drawn_with(HOSTILE):
        assert "&lt;img src=x onerror" in html
        assert "\x00" not in html
        assert "\u202e" not in html
