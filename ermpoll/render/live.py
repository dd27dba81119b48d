"""The parts of a status as HTML: what a live panel shows, piece by piece.

Each function takes a record and the moment to count from, and returns escaped
HTML without the style. Knows no widget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from ermpoll.records import (
    SYSTEM_COLUMNS,
    NoticesStatus,
    Running,
    RunState,
    Status,
    Wake,
)
from ermpoll.render.page import Line, fill
from ermpoll.render.shapes import JobsLike
from ermpoll.render.tables import Grid, Head
from ermpoll.render.values import (
    Cell,
    cell,
    clean,
    clock,
    counted,
    duration,
    line,
)

#: Sign and colour class of each state; the word itself says it too.
_STATES: Mapping[RunState, tuple[str, str]] = {
    "stopped": ("○", "ermpoll-mut"),
    "starting": ("◌", "ermpoll-accent"),
    "waiting": ("●", "ermpoll-ok"),
    "looking": ("●", "ermpoll-ok"),
    "working": ("●", "ermpoll-ok"),
    "paused": ("◑", "ermpoll-warn"),
    "backing off": ("▲", "ermpoll-warn"),
    "stopping": ("◌", "ermpoll-warn"),
}
_NOTICES = {
    "off": "polling only",
    "connecting": "connecting; polling meanwhile",
    "push": "push",
    "deaf": "no notices come; polling",
    "down": "no notices; polling",
}
_LOOKS = {"rows": "with rows", "error": "failed"}
_SPARK_WIDTH, _SPARK_HEIGHT = 110, 28


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLine:
    """The words of a head line."""

    sign: str
    tone: str
    word: str
    reason: str
    notices: str
    last: str
    next_try: Cell | None
    next_look: Cell | None
    login: str
    zone: str


def zone_name(zone: tzinfo) -> str:
    """The name of a zone, for people."""
    return line(str(zone) if zone is not UTC else "UTC", 60)


def head(
    status: Status,
    *,
    now: datetime,
    zone: tzinfo = UTC,
    said: str = "",
    zoned: bool = True,
) -> str:
    """State in words, push or polling and why, next look, who is logged in.

    ``said`` is what came of the last act; ``zoned``: whether the zone is named.
    """
    line_ = head_line(status, now, zone)
    return fill("head.html", name=status.name, head=line_, said=said, zoned=zoned)


def head_line(status: Status, now: datetime, zone: tzinfo = UTC) -> HeadLine:
    """Put a status into the words of a head line."""
    sign, tone = _STATES[status.state]
    running = status.state not in ("stopped", "paused")
    notices = status.notices
    return HeadLine(
        sign=sign,
        tone=tone,
        word=_state_words(status, now, zone),
        reason=status.reason,
        notices=_notices_words(notices),
        last=_ago(notices.last_at, now) if notices.state == "push" else "",
        next_try=_clock(notices.next_try_at, now, zone),
        next_look=_clock(status.next_look_at, now, zone) if running else None,
        login=_login_words(status),
        zone=zone_name(zone),
    )


def counts(
    roles: Mapping[str, str],
    counted_rows: Mapping[str, int],
    label: str,
    error: str = "",
) -> str:
    """Rows per state as a bar with its numbers.

    Parameters
    ----------
    roles
        The colour class of each state word that has a part in the queue.
    counted_rows
        Rows per state word.
    label
        What is counted, for who can't see the bar.
    error
        Why they could not be read, or "".
    """
    total = sum(counted_rows.values())
    bars: list[dict[str, Any]] = []
    x = 0.0
    order = sorted(counted_rows, key=lambda word: [*roles, word].index(word))
    for word in order[:30]:
        count = counted_rows[word]
        width = 100 * count / total if total else 0.0
        bars.append(
            {
                "word": clean(word, 40),
                "count": f"{count:,}",
                "tone": roles.get(word, "mut"),
                "x": f"{x:.2f}",
                "width": f"{width:.2f}",
            }
        )
        x += width
    words = ", ".join(f"{bar['word']} {bar['count']}" for bar in bars)
    return fill("counts.html", bars=bars, label=f"{label}: {words}", error=error)


def age(at: datetime | None, now: datetime | None, zone: tzinfo = UTC) -> str:
    """Say how old a reading is: ``read 3 s ago``.

    ``now``: None where nobody says it anew; then it is told when that was.
    """
    if at is None:
        return "not read yet"
    if now is None:
        return f"read at {clock(at, datetime.now(UTC), zone).text}"
    seconds = (now - at).total_seconds()
    if seconds < 1.5:
        return "read just now"
    return f"read {duration(seconds)} ago, at {clock(at, now, zone).text}"


def figures(status: Status) -> str:
    """Jobs and notices a minute with their course, lost races, writes per job."""
    made: list[dict[str, str]] = []
    if status.workers:
        made.append(_course("jobs/min", status.jobs_per_min))
    made.append(_course("notices/min", status.notices_per_min))
    if status.workers:
        made += [
            _figure(f"{status.completed:,}", "completed"),
            _figure(f"{status.failed:,}", "failed"),
            *([_figure(f"{status.retried:,}", "retried")] if status.retried else []),
            _figure(f"{status.lost:,}", "lost races"),
            _figure(_per_job(status), "writes per job"),
        ]
    if status.refused:
        made.append(_figure(f"{status.refused:,}", "refused"))
    if status.unknown:
        made.append(_figure(f"{status.unknown:,}", "not known"))
    return fill("figures.html", figures=made)


def running(status: Status, jobs: JobsLike | None, *, now: datetime) -> str:
    """What is running now and for how long."""
    if not status.workers:
        return ""
    caption = (
        f"Running now ({len(status.running)} of {counted(status.workers, 'worker')},"
        f" {status.held:,} held)"
    )
    columns = jobs.columns if jobs else ()
    names = [name for name in columns if name not in SYSTEM_COLUMNS][:1]
    told = any(one.progress is not None for one in status.running)
    limited = any(one.limit_at is not None for one in status.running)
    lines = [
        Line(
            rid=one.rid,
            link=(jobs.link(one.rid) or "") if jobs else "",
            cells=[
                *(cell(one.row.get(name), limit=40) for name in names),
                Cell(text=duration((now - one.since).total_seconds())),
                *([Cell(text=_limit_left(one, now))] if limited else ()),
                Cell(text=f"{one.attempt or 1}"),
                *([Cell(text=_progress(one))] if told else ()),
            ],
        )
        for one in status.running[:20]
    ]
    titles = [*names, "for", *(["time left"] if limited else ()), "attempt"]
    titles += ["progress"] if told else ()
    heads = [Head(text=clean(name, 40)) for name in titles]
    grid = Grid(label="Running now", heads=heads, lines=lines)
    return fill("running.html", grid=grid, caption=caption)


def _limit_left(one: Running, now: datetime) -> str:
    if one.limit_at is None:
        return ""
    left_s = (one.limit_at - now).total_seconds()
    return duration(left_s) if left_s > 0 else "over"


def _progress(one: Running) -> str:
    if one.progress is None:
        return ""
    return clean(f"{one.progress:.0%} {one.doing}".strip(), 100)


def failures(
    status: Status, *, now: datetime, zone: tzinfo = UTC, limit: int = 5
) -> str:
    """The newest failures with their reasons, also where no column takes those."""
    shown = status.failures[:limit]
    lines = [
        {
            "at": clock(one.at, now, zone),
            "rid": one.rid,
            "attempt": "" if one.attempt is None else f"{one.attempt}",
            "reason": one.reason,
        }
        for one in shown
    ]
    caption = f"Last failures (newest first, {len(shown)} shown)"
    return fill("failures.html", lines=lines, caption=caption)


def log(status: Status, *, now: datetime, zone: tzinfo = UTC, limit: int = 12) -> str:
    """The newest lines of the notice log."""
    older = max(0, len(status.log) - limit)
    dropped = [
        f"{older:,} older" if older else "",
        f"{status.dropped:,} dropped" if status.dropped else "",
    ]
    tail = "".join(f", {words}" for words in dropped if words)
    looks = ", ".join(
        f"{count:,} {_LOOKS.get(word, clean(word, 20))}"
        for word, count in status.looks.items()
        if count
    )
    if not status.log:
        return fill("log.html", lines=[], caption="No looks and no notices yet")
    caption = f"Notices and looks (newest first{tail}){': ' + looks if looks else ''}"
    lines = [_log_line(wake, now, zone) for wake in status.log[:limit]]
    return fill("log.html", lines=lines, caption=caption)


def agents(statuses: Sequence[Status], *, zone: tzinfo = UTC) -> str:
    """Agents and pollers as a table, a line each."""
    now = datetime.now(UTC)
    lines = [
        {
            "name": status.name,
            "head": head_line(status, now, zone),
            "held": f"{status.held:,}",
            "completed": f"{status.completed:,}",
            "failed": f"{status.failed:,}",
        }
        for status in statuses[:50]
    ]
    heads = ["name", "state", "notices", "next look", "held", "completed", "failed"]
    words = counted(len(statuses), "agent or poller", "agents and pollers")
    caption = f"{words}; times in {zone_name(zone)}" if lines else "Nothing is running"
    return fill("agents.html", lines=lines, heads=heads, caption=caption)


def _course(label: str, values: Sequence[int]) -> dict[str, str]:
    if not values:
        return _figure("0", label)
    # The running minute is not over: it counts where it is ahead of the last.
    shown = [*values[-30:-1], max(values[-2:])]
    top = max(*shown, 1)
    step = _SPARK_WIDTH / max(1, len(shown) - 1)
    heights = [3 + (_SPARK_HEIGHT - 6) * (1 - value / top) for value in shown]
    points = " ".join(f"{i * step:.1f},{y:.1f}" for i, y in enumerate(heights))
    summary = f"{min(shown):,} to {max(shown):,} in {counted(len(shown), 'minute')}"
    return {
        **_figure(f"{shown[-1]:,}", label),
        # of two minutes there is no course yet
        "points": points if len(shown) > 2 else "",
        "summary": summary,
    }


def _per_job(status: Status) -> str:
    done = status.completed + status.failed
    return f"{status.writes / done:.2g}" if done else "-"


def _figure(value: str, label: str) -> dict[str, str]:
    return {"value": value, "label": label, "points": "", "summary": ""}


def _state_words(status: Status, now: datetime, zone: tzinfo) -> str:
    if status.state == "stopped" and status.since is None:
        return "not started"
    if status.since is None or status.state in ("looking", "working", "waiting"):
        return status.state
    return f"{status.state} since {clock(status.since, now, zone).text}"


def _notices_words(notices: NoticesStatus) -> str:
    words = _NOTICES[notices.state]
    return f"{words} ({notices.reason})" if notices.reason else words


def _login_words(status: Status) -> str:
    if not status.login:
        return ""
    if status.login_left_s is None:
        return status.login
    return f"{status.login}, {duration(status.login_left_s)} left"


def _log_line(wake: Wake, now: datetime, zone: tzinfo) -> dict[str, Any]:
    return {
        "at": clock(wake.at, now, zone),
        "reason": f"{wake.reason} (ours)" if wake.ours else wake.reason,
        "detail": wake.detail,
        "news": wake.reason in ("broker", "login"),
    }


def _ago(moment: datetime | None, now: datetime) -> str:
    return duration((now - moment).total_seconds()) if moment else ""


def _clock(moment: datetime | None, now: datetime, zone: tzinfo) -> Cell | None:
    return clock(moment, now, zone) if moment else None
