from __future__ import annotations

from dataclasses import replace

import pytest

from ermpoll import render
from ermpoll.history import (
    Breach,
    Finding,
    History,
    PastPeriod,
    Proof,
    RowPhase,
    Spread,
    Timeline,
)
from ermpoll.history.life import told_of
from ermpoll.history.spreads import spread_of
from ermpoll.render.plain import plain
from tests.helpers import pages
from tests.helpers.lives import at, claimed, life, machine

PERIOD = PastPeriod(since=at(0), until=at(7200))
NONE = spread_of([], 0)


def history(*versions, **told):
    found = life(*versions)
    told_versions, states, claims = told_of(machine(), found)
    return History(
        jobs=pages.jobs(),
        rid="1-A",
        period=PERIOD,
        versions=told_versions,
        states=states,
        claims=claims,
        names={"ada": "Ada <b>L</b>"},
        **told,
    )


def timeline(**told):
    whole = {
        "jobs": pages.jobs(),
        "period": PERIOD,
        "at": tuple(at(1800 * n) for n in range(5)),
        "counts": {"new": (0, 5, 12, None, 3), "done": (0, 0, 4, None, 9)},
        "phases": {"new": RowPhase.READY, "done": RowPhase.DONE},
        "arrivals": (0, 5, 7, 0, 0),
        "completions": (0, 0, 4, 0, 5),
        "failures": (0, 0, 0, 0, 0),
        "waiting": Spread(rows=61, of=200, p10_s=1, p50_s=41, p90_s=182, longest_s=400),
        "working": NONE,
    }
    return Timeline(**{**whole, **told})


def proof(*findings):
    return Proof(
        jobs=pages.jobs(),
        period=PERIOD,
        findings=findings,
        steps=12431,
        rows=300,
        claims=1,
        exact=True,
        sampled=None,
        names={"ada": "<i>Ada</i>"},
        told=("clocks <differ>",),
    )


def test_a_life_shows_states_claims_and_each_change():
    shown = history((60, claimed()), (120, {"state": "complete", "result": "<x>"}))

    html = render.history(shown)
    text = pages.text_of(html)

    assert "1-A" in text
    assert "claimed 1 min 00 s" in text
    assert "worker Ada <b>L</b> 10 min 00 s completed 1 min 00 s" in text
    assert "result NULL <x>" in text
    assert '<time datetime="2026-03-01T12:01:00.000000Z">2026-03-01 12:01:00' in html
    assert html.count("<rect") == 3 + 3
    assert "<x>" not in html
    assert "<b>L" not in html


def test_a_long_life_shows_its_newest_part_and_says_what_is_left_out():
    shown = history(*[(n, {"priority": n}) for n in range(1, 80)])

    assert "30 more before them" in pages.text_of(render.history(shown))


def test_a_claim_from_before_says_that_it_is():
    shown = history((60, claimed()))
    claims = (replace(shown.claims[0], whole=False),)

    assert "before 2026-03-01 12:01:00" in pages.text_of(
        render.history(replace(shown, claims=claims))
    )


def test_the_text_of_a_life_has_a_line_for_each_change():
    shown = history((60, claimed()), (120, {"state": "complete"}), told=("cut",))

    lines = render.history_text(shown).splitlines()

    assert lines[0].startswith("Imaging:Image 1-A: 3 changes, 1 claim, 2026-03-01")
    assert "claim 2026-03-01 12:01:00 by worker: completed after 1 min 00 s" in lines
    assert "    state: claimed -> complete" in lines
    assert lines[-1] == "cut"


def test_a_queue_over_time_has_a_line_for_each_state_and_axes():
    html = render.timeline(timeline())

    assert html.count("<polyline") == 2 + 3
    text = pages.text_of(html)
    assert "12:00 12:30 13:00 13:30 14:00" in text
    assert "61 of 200 rows that were finished" in text
    assert "41 s" in text
    assert "not known working: 0 of 0 rows that were finished" in text


def test_a_moment_that_is_not_known_is_left_out_of_its_line():
    svg = render.timeline_svg(timeline())

    first = svg.split('points="')[1].split('"')[0]
    assert len(first.split()) == 4
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>")


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (0, ["0", "1"]),
        (3, ["0", "1", "2", "3"]),
        (12, ["0", "5", "10", "15"]),
        (97, ["0", "20", "40", "60", "80", "100"]),
        (20000, ["0", "5,000", "10,000", "15,000", "20,000"]),
    ],
)
def test_an_axis_has_a_few_round_numbers(most, ticks):
    shown = timeline(counts={"new": (0, most, 0, 0, 0)})

    svg = render.timeline_svg(shown)

    found = [part.split(">")[1].split("<")[0] for part in svg.split("<text")[1:]]
    assert found[: len(ticks)] == ticks
    assert len(found) == len(ticks) + 5


def test_lines_of_one_colour_differ_in_their_dashes():
    counts = {"hold": (1,) * 5, "review": (2,) * 5}
    phases = dict.fromkeys(counts, RowPhase.OTHER)

    svg = render.timeline_svg(timeline(counts=counts, phases=phases))

    assert svg.count("stroke-dasharray") == 1


def test_a_proof_tells_its_number_and_each_finding_by_name():
    finding = Finding(
        breach=Breach.ORPHANED, rid="1-A", at=at(60), by="ada", detail="<late>"
    )

    fine, wrong = render.proof(proof()), render.proof(proof(finding))

    assert "0 of 12,431" in pages.text_of(fine)
    assert "of 300 rows with 1 claim; every version" in pages.text_of(fine)
    assert "ermpoll-big ermpoll-ok" in fine
    assert "ermpoll-big ermpoll-bad" in wrong
    assert "2026-03-01 12:01:00 1-A orphaned <late> <i>Ada</i>" in pages.text_of(wrong)
    assert "<late>" not in wrong
    assert "<i>Ada" not in wrong
    assert "clocks &lt;differ&gt;" in wrong


def test_many_findings_are_cut_and_said():
    finding = Finding(
        breach=Breach.ORPHANED, rid="1-A", at=at(60), by="ada", detail="late"
    )

    assert "20 more after these" in pages.text_of(render.proof(proof(*[finding] * 70)))


def test_drawings_are_not_read_out_in_a_terminal():
    text = plain(render.timeline(timeline()))

    assert "13:30" not in text
    assert "61 of 200 rows" in text
