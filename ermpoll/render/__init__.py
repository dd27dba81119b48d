"""The objects of ermpoll as static HTML that reads well without a kernel.

Each function returns one piece of escaped, theme-aware HTML of at most 200 KB:
the text of a ``_repr_html_``. None of them asks a catalog for anything. Times are
shown in UTC, which is named once. jinja2 has its one door in `page`, pandas in
`frames`.

Open `page` first: how a template is filled, and kept small. Then `values` (one value
as text), `tables` (rows and changes), `detail` (one row in full), `live` (a status),
`pictures` (an agent's life), `pasts` (what the catalog tells of its past), `charts`
(drawings), `comparisons` (two decisions), `shapes`
(what is asked of the objects that are drawn), `frames` and `plain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo

from markupsafe import Markup

from ermpoll.records import Status
from ermpoll.render import detail, live
from ermpoll.render.comparisons import comparison, comparison_text, shadow
from ermpoll.render.groups import alike_reasons
from ermpoll.render.page import Caps, fill, fitted, standalone
from ermpoll.render.pasts import (
    history,
    history_text,
    proof,
    timeline,
    timeline_svg,
)
from ermpoll.render.pictures import metrics, metrics_text
from ermpoll.render.shapes import (
    CandidatesLike,
    CatalogLike,
    ClaimLike,
    DeclaredLike,
    DryRunLike,
    OutcomeLike,
    PlanLike,
    RunnerLike,
)
from ermpoll.render.tables import (
    KINDS,
    changes_grid,
    kind_count,
    rows_grid,
    shown_of,
    tally,
)
from ermpoll.render.values import clean, counted, is_time, line, pair

_KINDS = {
    "candidates": "candidates",
    "held": "held by workers",
    "failures": "failed",
    "stale": "claimed and overdue",
    "refused": "refused by the catalog",
}
_ACTIONS = {
    "apply": ("Applied", "written"),
    "claim": ("Claimed", "claimed"),
    "complete": ("Completed", "completed"),
    "fail": ("Marked as failed", "marked as failed"),
    "release": ("Released", "released"),
    "renew": ("Renewed", "renewed"),
    "retry": ("Retried", "ready again"),
    "rescue": ("Rescued", "freed"),
    "undo": ("Undone", "set back"),
}
_OUTCOME_ROWS = 20
#: The columns that a queue may name.
_USES = {
    "owner": "owner column",
    "error": "error column",
    "attempts": "attempts column",
    "retry_at": "retry_at column",
}


def candidates(shown: CandidatesLike, *, zone: tzinfo = UTC) -> str:
    """Candidates, held rows, failures or stale claims as a table."""
    return standalone(candidates_body(shown, zone=zone))


def candidates_body(
    shown: CandidatesLike,
    *,
    waiting: int | None = None,
    zone: tzinfo = UTC,
    zoned: bool = True,
) -> str:
    """The same without the style, and with how many there are, where it is known.

    ``zoned``: whether it names the zone of its times.
    """
    label = f"{line(shown.jobs.title, 80)}: {_KINDS.get(shown.kind, shown.kind)}"

    def body(caps: Caps) -> str:
        grid = rows_grid(
            label,
            shown.jobs,
            shown.rows,
            shown.columns,
            caps=caps,
            zone=zone,
            marks={**dict.fromkeys(shown.outside, "outside"), **shown.refused},
        )
        total = _total(shown) if waiting is None else waiting
        counts = shown_of(len(grid.lines), total, shown.more, len(shown.columns))
        named = _zone_note(shown.columns, shown.jobs.types, zone) if zoned else ""
        caption = f"{label}, {counts}{_outside_note(shown)}{named}"
        return fill("rows.html", grid=grid, caption=caption)

    return fitted(body)


def claim(held: ClaimLike, *, zone: tzinfo = UTC) -> str:
    """The rows of a claim as a table; never its token."""
    label = f"{line(held.jobs.title, 80)}: claimed"
    columns = held.jobs.columns

    def body(caps: Caps) -> str:
        grid = rows_grid(label, held.jobs, held.rows, columns, caps=caps, zone=zone)
        counts = shown_of(len(grid.lines), len(held.rows), False, len(columns))
        caption = f"{label}, {counts}{_zone_note(columns, held.jobs.types, zone)}"
        return standalone(fill("rows.html", grid=grid, caption=caption))

    return fitted(body)


def plan(shown: PlanLike, *, zone: tzinfo = UTC) -> str:
    """A plan cell by cell: before and after, problems first."""
    return fitted(lambda caps: standalone(plan_body(shown, caps, zone=zone)))


def plan_body(
    shown: PlanLike,
    caps: Caps,
    *,
    zone: tzinfo = UTC,
    summary: str = "",
    headed: bool = True,
) -> str:
    """The same without the style; not headed: without title and outcome as well."""
    grid = changes_grid(shown, caps=caps, zone=zone)
    counts = shown_of(
        len(grid.lines), len(shown.changes), False, len(shown.columns)
    ) + _zone_note(shown.columns, shown.jobs.types, zone)
    made = fill(
        "plan.html",
        title=f"Plan for {shown.jobs.title}" if headed else "",
        summary=summary or f"{tally(shown.changes)} · {_written(shown)}",
        caption=counts,
        grid=grid,
        alike=[
            (KINDS[one.kind][1], kind_count(one.kind, len(one.rids)), one.reason)
            for one in alike_reasons(shown)[:20]
        ],
        puts=Markup(puts(shown)),
    )
    done = shown.applied if headed else None
    return made + (outcome_body(done) if done else "")


def puts(shown: PlanLike) -> str:
    """The PUTs that a plan sends, folded: an HTML part."""
    named = [{"path": put.path, "count": len(put.rows)} for put in shown.puts[:20]]
    return fill("puts.html", puts=named, total=len(shown.puts))


def outcome(done: OutcomeLike) -> str:
    """What became of the rows of a write, and what changed meanwhile."""
    return standalone(outcome_body(done))


def outcome_body(done: OutcomeLike) -> str:
    """The same without the style."""
    title, verb = _ACTIONS.get(done.action, (done.action, "written"))
    named = [*done.lost, *done.unknown]
    lost = f"{len(done.lost):,} changed meanwhile or refused and left alone"
    unknown = f"{len(done.unknown):,} not known: the answer never came"
    edited = f"{counted(len(done.edited), 'row')} had been edited by hand meanwhile"
    return fill(
        "outcome.html",
        action=line(title, 40),
        won=f"{len(done.won):,} {verb}",
        lost=lost if done.lost else "",
        unknown=unknown if done.unknown else "",
        edited=f"{edited}, and were written: {_edited(done)}" if done.edited else "",
        rows=[_outcome_row(done, rid) for rid in named[:_OUTCOME_ROWS]],
        left=max(0, len(named) - _OUTCOME_ROWS),
    )


def _edited(done: OutcomeLike) -> str:
    """Name rows that were edited, and their columns that keep the edit."""
    named = []
    for rid in done.edited[:10]:
        kept = ", ".join(clean(name, 40) for name in done.kept.get(rid, ()))
        named.append(f"{rid} (kept: {kept})" if kept else rid)
    return ", ".join(named)


def status(shown: Status, *, now: datetime | None = None, zone: tzinfo = UTC) -> str:
    """What a poller or an agent says of itself, at one moment."""
    now = now or datetime.now(UTC)
    parts = [
        live.head(shown, now=now, zone=zone),
        live.figures(shown),
        live.running(shown, None, now=now),
        live.failures(shown, now=now, zone=zone),
        live.log(shown, now=now, zone=zone, limit=20),
    ]
    return standalone("".join(parts))


def dry_run(shown: DryRunLike, *, zone: tzinfo = UTC) -> str:
    """What an agent would claim and change, and which writes it would send."""

    def body(caps: Caps) -> str:
        inner = plan_body(
            shown.plan,
            caps,
            zone=zone,
            summary=f"{tally(shown.plan.changes)} · dry run, nothing was written",
        )
        return standalone(
            fill(
                "dry_run.html",
                plan=Markup(inner),
                would=list(shown.would),
                results=Markup(
                    detail.results(shown.results, shown.errors, shown.plan.jobs, caps)
                ),
            )
        )

    return fitted(body)


def agents(shown: Sequence[RunnerLike], *, zone: tzinfo = UTC) -> str:
    """Agents and pollers, a line each."""
    return standalone(live.agents([one.status for one in shown], zone=zone))


def _total(shown: CandidatesLike) -> int | None:
    return None if shown.more else len(shown.rows)


def _outside_note(shown: CandidatesLike) -> str:
    n = len(shown.outside)
    return f"; {n:,} outside this queue, left alone by all its acts" if n else ""


def _zone_note(columns: Sequence[str], types: Mapping[str, str], zone: tzinfo) -> str:
    timed = any(is_time(types.get(name, "")) for name in columns)
    return f"; times in {live.zone_name(zone)}" if timed else ""


def _written(shown: PlanLike) -> str:
    return "applied" if shown.applied else "nothing written yet"


def _outcome_row(done: OutcomeLike, rid: str) -> dict[str, object]:
    types = done.jobs.types
    meanwhile = done.meanwhile.get(rid, {})
    return {
        "rid": rid,
        "link": done.jobs.link(rid) or "",
        "reason": done.reasons.get(rid, ""),
        "by": done.by.get(rid, ""),
        "meanwhile": [
            (clean(name, 40), pair(old, new, types.get(name, ""), limit=60))
            for name, (old, new) in list(meanwhile.items())[:5]
        ],
    }


def queue(shown: DeclaredLike) -> str:
    """What a queue is: its words, which rows, and the columns that claiming uses."""
    spec = shown.definition
    facts = [
        ("ready", ", ".join(spec.label(word) for word in spec.ready)),
        ("claimed", spec.claimed),
        ("done", spec.done),
        ("failed", spec.failed),
        ("rows", spec.path or spec.where or "all of the table"),
        ("order", spec.order.text),
        ("lease", f"{spec.lease_s:g} s" if spec.owner else "none without an owner"),
        ("attempts at most", f"{spec.max_attempts:,}" if spec.attempts else ""),
        *((use, getattr(spec, name) or "none") for name, use in _USES.items()),
        ("catalog", shown.catalog.url),
        ("writable", shown.why_not_writable or "yes"),
    ]
    return _facts(f"{shown.title}, by its column {spec.state}", facts)


def catalog(shown: CatalogLike) -> str:
    """Where a catalog is, and what goes to it from here; never a login's secret."""
    writes = shown.why_read_only or f"{shown.writes:,} sent by this object"
    return _facts("Catalog", [("address", shown.url), ("writes", writes)])


def _facts(caption: str, facts: Iterable[tuple[str, str]]) -> str:
    told = [(name, value) for name, value in facts if value]
    heads = ("what", "value")
    return standalone(fill("facts.html", caption=caption, heads=heads, facts=told))


__all__ = [
    "agents",
    "candidates",
    "catalog",
    "claim",
    "comparison",
    "comparison_text",
    "dry_run",
    "history",
    "history_text",
    "metrics",
    "metrics_text",
    "outcome",
    "plan",
    "proof",
    "puts",
    "queue",
    "shadow",
    "status",
    "timeline",
    "timeline_svg",
]
