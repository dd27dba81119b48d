from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from ermpoll import render
from ermpoll.records import NoticesStatus, PlannedPut, Running, Status, Wake
from tests.helpers import pages

NOW = datetime(2026, 11, 24, 9, 32, 7, tzinfo=UTC)
HOSTILE = "<img src=x onerror=window.PWN=1>\"'`&</style><script>{{7*7}}\u202e\x00"


def test_no_candidates_are_said_in_words():
    text = pages.text_of(render.candidates(pages.candidates([], kind="stale")))

    assert text.startswith("Imaging:Image: claimed and overdue")
    assert "0 rows" in text


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
        pages.change(text, before={text: text}, after={text: text + "x"}),
        pages.change(text, "failed", reason=text, traceback=text),
        pages.change(text, "problem", reason=text),
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
        kept={text: (text,)},
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
            pages.candidates(
                rows,
                jobs=jobs,
                columns=jobs.columns,
                kind=text,
                more=True,
                outside={str(rows[0]["RID"]): text},
                refused={text: text},
            )
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
