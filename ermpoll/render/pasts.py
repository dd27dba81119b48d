"""What the catalog tells of its past as static HTML: a row's life, a queue, a proof.

Drawings are SVG of our templates; no script, so a saved notebook shows them. Times are
UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum

from ermpoll.render import charts
from ermpoll.render.page import Caps, fill, fitted, standalone
from ermpoll.render.shapes import (
    HistoryLike,
    PastClaimLike,
    PeriodLike,
    ProofLike,
    SpreadLike,
    TimelineLike,
    VersionLike,
)
from ermpoll.render.values import Cell, clean, counted, duration, line, pair

#: Columns of one version that are shown at most.
_CHANGES = 12


def history(shown: HistoryLike) -> str:
    """One row's life: its states as a bar, its claims and its versions as tables."""
    return fitted(lambda caps: standalone(history_body(shown, caps)))


def history_body(shown: HistoryLike, caps: Caps | None = None) -> str:
    """The same without the style; without caps as large as a page may be."""
    if caps is None:
        return fitted(lambda fitting: history_body(shown, fitting))
    versions = shown.versions[-caps.rows :]
    claims = shown.claims[-caps.rows :]
    return fill(
        "history.html",
        title=f"{shown.jobs.title} {shown.rid}",
        link=shown.jobs.link(shown.rid) or "",
        summary=_told_of(shown),
        bars=_bars(shown),
        keys=_keys(shown),
        claims=[_claim(shown, one, caps) for one in claims],
        claims_left=len(shown.claims) - len(claims),
        versions=[_version(shown, one, caps) for one in versions],
        versions_left=len(shown.versions) - len(versions),
        told=[line(one) for one in shown.told],
    )


def history_text(shown: HistoryLike) -> str:
    """One row's life in lines: each claim, each version, and what it changed."""
    lines = [f"{line(shown.jobs.title, 80)} {shown.rid}: {_told_of(shown)}"]
    lines += [
        f"  {clean(word, 60)}: {duration(seconds)}"
        for word, seconds in shown.seconds.items()
    ]
    for held in shown.claims:
        one = _claim(shown, held, Caps())
        reason = f": {one['reason']}" if one["reason"] else ""
        lines.append(
            f"claim {_moment(held.since).text} by {one['agent'] or one['by']}: "
            f"{one['end']} after {one['after']}{reason}"
        )
    for version in shown.versions:
        found = _version(shown, version, Caps())
        lines.append(f"{_moment(version.at).text} {found['kind']} by {found['by']}")
        lines += [
            f"    {name}: {old.text} -> {new.text}"
            for name, (old, new) in _changed(shown, version, Caps())
        ]
    return "\n".join([*lines, *map(line, shown.told)])


def timeline(shown: TimelineLike) -> str:
    """A queue over time: rows per state, what came and was finished, times."""
    return standalone(timeline_body(shown))


def timeline_body(shown: TimelineLike) -> str:
    """The same without the style."""
    flow = {
        "arrivals": (shown.arrivals, "accent"),
        "completions": (shown.completions, "ok"),
        "failures": (shown.failures, "bad"),
    }
    flows = [
        charts.Series(word=word, values=values[1:], tone=tone)
        for word, (values, tone) in flow.items()
    ]
    return fill(
        "timeline.html",
        title=f"{shown.jobs.title} over time",
        summary=_period(shown.period),
        states=charts.lines("rows per state", shown.at, _states(shown)),
        flows=charts.lines("rows per interval", shown.at[1:], flows),
        spreads=[
            _spread("waiting", shown.waiting),
            _spread("working", shown.working),
        ],
        told=[line(one) for one in shown.told],
    )


def timeline_svg(shown: TimelineLike) -> str:
    """The drawing of rows per state alone."""
    chart = charts.lines("rows per state", shown.at, _states(shown))
    return fill("chart.html", chart=chart).strip()


def proof(shown: ProofLike) -> str:
    """A proof: how much was found, each by name."""
    return fitted(lambda caps: standalone(proof_body(shown, caps)))


def proof_body(shown: ProofLike, caps: Caps) -> str:
    """The same without the style."""
    findings = shown.findings[: caps.rows]
    return fill(
        "proof.html",
        title=f"{shown.jobs.title}: history against the declared machine",
        number=f"{len(shown.findings):,} of {shown.steps:,}",
        tone="ok" if shown else "bad" if shown.findings else "warn",
        label=(
            f"steps were not right, of {counted(shown.rows, 'row')} with "
            f"{counted(shown.claims, 'claim')}; {shown.how}"
        ),
        period=_period(shown.period),
        counts=[(breach, f"{n:,}") for breach, n in shown.by_breach.items()],
        findings=[
            {
                "rid": one.rid,
                "link": shown.jobs.link(one.rid) or "",
                "at": _moment(one.at),
                "by": clean(shown.names.get(one.by, one.by), 60),
                "breach": one.breach.value,
                "detail": line(one.detail),
            }
            for one in findings
        ],
        left=len(shown.findings) - len(findings),
        told=[line(one) for one in shown.told],
    )


# one row


def _told_of(shown: HistoryLike) -> str:
    told = [
        counted(len(shown.versions), "change"),
        counted(len(shown.claims), "claim"),
        _period(shown.period),
    ]
    if shown.deleted_at:
        told.append(f"deleted {_moment(shown.deleted_at).text}, by whom is not kept")
    return ", ".join(told)


def _bars(shown: HistoryLike) -> list[dict[str, object]]:
    whole = sum(span.seconds for span in shown.states) or 1.0
    bars: list[dict[str, object]] = []
    x = 0.0
    for span in shown.states:
        width = 100 * span.seconds / whole
        bars.append(
            {
                "x": f"{x:.3f}",
                # a short one is seen all the same
                "width": f"{max(width, 0.3):.3f}",
                "tone": _tone(span.phase),
                "words": f"{clean(span.word, 60)} from {_moment(span.since).text} UTC, "
                f"{duration(span.seconds)}",
            }
        )
        x += width
    return bars


def _keys(shown: HistoryLike) -> list[dict[str, str]]:
    tones = {span.word: _tone(span.phase) for span in shown.states}
    return [
        {"word": clean(word, 60), "tone": tones[word], "spent": duration(seconds)}
        for word, seconds in shown.seconds.items()
    ]


def _claim(shown: HistoryLike, one: PastClaimLike, caps: Caps) -> dict[str, object]:
    end = one.until or shown.period.until
    return {
        "since": _moment(one.since),
        "whole": one.whole,
        "by": clean(shown.names.get(one.by, one.by), 60),
        "agent": clean(one.agent, caps.text),
        "token": clean(one.token or "", caps.text),
        "lease": duration(one.lease_s) if one.lease_s is not None else "",
        "end": one.end.value,
        "tone": _END_TONES.get(one.end.name, "mut"),
        "after": duration((end - one.since).total_seconds()),
        "reason": clean(one.reason, caps.text),
    }


_END_TONES = {
    "COMPLETED": "ok",
    "FAILED": "bad",
    "GIVEN_UP": "bad",
    "ORPHANED": "bad",
    "OVERTAKEN": "bad",
    "LATER": "warn",
    "RESCUED": "warn",
    "BY_HAND": "warn",
}


def _version(shown: HistoryLike, one: VersionLike, caps: Caps) -> dict[str, object]:
    return {
        "at": _moment(one.at),
        "by": clean(shown.names.get(one.by, one.by), 60),
        "kind": one.kind.value,
        "changes": _changed(shown, one, caps)[:_CHANGES],
        "left": len(one.changes) - _CHANGES,
    }


def _changed(
    shown: HistoryLike, one: VersionLike, caps: Caps
) -> list[tuple[str, tuple[Cell, Cell]]]:
    types = shown.jobs.types
    return [
        (clean(name, 40), pair(old, new, types.get(name, ""), limit=caps.text))
        for name, (old, new) in one.changes.items()
    ]


def _tone(phase: Enum) -> str:
    return charts.PHASE_TONES.get(str(phase.value), "mut")


def _moment(at: datetime) -> Cell:
    utc = at.astimezone(UTC)
    iso = utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return Cell(text=f"{utc:%Y-%m-%d %H:%M:%S}", kind="time", iso=iso)


def _period(period: PeriodLike) -> str:
    return f"{_moment(period.since).text} to {_moment(period.until).text} UTC"


# a queue over time


def _states(shown: TimelineLike) -> list[charts.Series]:
    return charts.dashed(
        charts.Series(word=word, values=values, tone=_tone(shown.phases[word]))
        for word, values in shown.counts.items()
    )


def _spread(word: str, spread: SpreadLike) -> dict[str, str]:
    of = f"{spread.rows:,} of {counted(spread.of, 'row')} that were finished"
    if not spread.rows:
        return {"word": word, "middle": "not known", "told": of}
    return {
        "word": word,
        "middle": charts.took(spread.p50_s),
        "told": f"median; 10 to 90 % are {charts.took(spread.p10_s)} to "
        f"{charts.took(spread.p90_s)}, the longest {charts.took(spread.longest_s)}; "
        f"of {of}",
    }
