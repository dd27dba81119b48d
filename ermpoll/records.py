"""The frozen records that the other modules hand to each other.

Knows no HTTP, no thread, no page: plain data, compared by value. Times are
timezone-aware UTC; durations are seconds in ``float``. Fields that hold row
contents stay out of every repr.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol, TypeAlias

#: Numbers with more digits than a float holds are a Decimal.
JSON: TypeAlias = (
    "bool | int | float | Decimal | str | Sequence[JSON] | Mapping[str, JSON] | None"
)
Row: TypeAlias = Mapping[str, JSON]
#: Columns that every table has and the catalog sets.
SYSTEM_COLUMNS = ("RID", "RCT", "RMT", "RCB", "RMB")
#: From a row to the changes to write, or None to leave it alone.
Transform: TypeAlias = Callable[[Row], Row | None]
#: From a claimed row to the changes to write when it is done, or None.
Work: TypeAlias = Callable[[Row], Row | None]

#: What becomes of a column that a person edited while the work went on.
OnEdit: TypeAlias = Literal["keep", "overwrite", "fail"]
WakeReason: TypeAlias = Literal["start", "notice", "timer", "due", "manual", "more"]
ChangeKind: TypeAlias = Literal["changed", "unchanged", "skipped", "failed", "problem"]
EventKind: TypeAlias = Literal[
    "claimed",
    "lost",
    "completed",
    "failed",
    "rescued",
    "released",
    "notice",
    "broker",
    "login",
    "state",
]
RunState: TypeAlias = Literal[
    "stopped",
    "starting",
    "waiting",
    "looking",
    "working",
    "paused",
    "backing off",
    "stopping",
]


def same(before: JSON, after: JSON) -> bool:
    """Whether two values are one, all the way down.

    A bool is one with a bool only; numbers are compared by value: 1 and 1.0 are one.
    """
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return before.keys() == after.keys() and all(
            same(value, after[name]) for name, value in before.items()
        )
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        return len(before) == len(after) and all(map(same, before, after))
    return _comparable(before, after) == _comparable(after, before)


def _comparable(value: JSON, other: JSON) -> JSON:
    # by the digits that the catalog writes, not by those that a float stands for
    if isinstance(value, float) and isinstance(other, Decimal):
        return Decimal(repr(value))
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The answer to one GET or write."""

    #: The rows, in the catalog's order.
    rows: list[dict[str, JSON]] = field(repr=False)
    #: The ETag of the whole catalog for this login, or None.
    etag: str | None
    #: The address that answered, without any login.
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a plan would do to one row."""

    rid: str
    #: The version (RMT) the row was read at, as the catalog wrote it.
    rmt: str
    #: The row as read.
    before: Row = field(repr=False)
    #: The columns to write and their new values; empty unless ``changed``.
    after: Row = field(repr=False)
    kind: ChangeKind = "changed"
    #: Why the row is not sent (a problem), or how the transform failed.
    reason: str = ""
    #: The traceback of a failed transform, without row contents.
    traceback: str = field(default="", repr=False)

    @property
    def diff(self) -> dict[str, tuple[JSON, JSON]]:
        """``{column: (before, after)}`` of the columns that change."""
        return {
            name: (self.before.get(name), value)
            for name, value in self.after.items()
            if name not in self.before or not same(self.before[name], value)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPut:
    """One PUT that a plan would send, ready to send."""

    #: Path below the catalog, with names quoted: ``attributegroup/S:T/RID,RMT;...``.
    path: str
    #: The body: one mapping a row, each with the same keys.
    rows: tuple[Row, ...] = field(repr=False)

    @property
    def rids(self) -> tuple[str, ...]:
        """The RIDs of the rows, in order."""
        return tuple(str(row["RID"]) for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """One look, or one piece of news about the source of notices: a line of the log."""

    at: datetime
    #: Why the look happened, or "broker" / "login" for news.
    reason: WakeReason | Literal["broker", "login"]
    #: In words: "looked, took 12", "304, nothing new", "connection lost; ...".
    detail: str
    #: True when the notice was the echo of an own write.
    ours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LookResult:
    """What a look found. A look may return this instead of a bool."""

    #: True: look again at once, there may be more.
    more: bool = False
    #: True: something was found (resets the growing gap between empty looks).
    found: bool = False
    #: Seconds until a time stored in a row comes (a retry or a lease end), or None.
    due_s: float | None = None
    #: How it went, for counting: "rows", "empty", "unchanged" (304).
    outcome: Literal["rows", "empty", "unchanged"] = "empty"
    #: True when the ETag differs from that of the look before.
    etag_moved: bool = False
    #: In words, for the log.
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticesStatus:
    """How notices come in, or why they don't."""

    #: "push": they come. "off": none were asked for. The others: the timer does it.
    state: Literal["off", "connecting", "push", "deaf", "down"] = "off"
    #: In words, with what to do; never a login.
    reason: str = ""
    #: When the connection is tried again, or None.
    next_try_at: datetime | None = None
    #: When the last notice came, or None.
    last_at: datetime | None = None
    #: Notices received so far.
    received: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A row that a worker is busy with."""

    rid: str
    since: datetime
    #: The attempt this is, from 1; None where the table has no attempts column.
    attempt: int | None = None
    #: The row as claimed.
    row: Row = field(default_factory=dict, repr=False)
    #: How far its work says that it is, from 0 to 1, and what it does; None: it
    #: says nothing.
    progress: float | None = None
    doing: str = ""
    #: When its time limit is over, or None where there is none.
    limit_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A row whose job failed, for good or to be tried again."""

    rid: str
    #: The kind and text of what was raised, scrubbed, at most 500 characters.
    reason: str
    #: The attempt it was, from 1; None where the table has no attempts column.
    attempt: int | None = None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEdit:
    """A row of which columns keep what a person wrote while the work went on."""

    rid: str
    #: The columns that the work's result was not written into.
    columns: tuple[str, ...]
    #: When the rest of the result was written.
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A row whose claim got no answer, in a queue without an owner column."""

    rid: str
    #: When it was claimed, maybe.
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """All that a poller or an agent says of itself, at one moment."""

    name: str
    state: RunState = "stopped"
    #: In words: why it is backing off, what a stop left, ...
    reason: str = ""
    #: Since when it is in this state, or None before the first start.
    since: datetime | None = None
    notices: NoticesStatus = NoticesStatus()
    #: When the next look happens at the latest, or None.
    next_look_at: datetime | None = None
    #: The log, newest first, at most 200.
    log: tuple[Wake, ...] = ()
    #: How many lines the log has lost.
    dropped: int = 0
    #: Looks by outcome: rows, empty, unchanged (304), error.
    looks: Mapping[str, int] = field(default_factory=dict)
    #: Who is logged in, or None when not known.
    login: str | None = None
    #: Seconds that login has left, or None when not known.
    login_left_s: float | None = None
    #: Notices of each of the last minutes, oldest first, the running one last.
    notices_per_min: tuple[int, ...] = ()
    # What follows is an agent's; a poller leaves it as it is.
    workers: int = 0
    running: tuple[Running, ...] = ()
    #: Rows claimed and not yet finished, running ones included.
    held: int = 0
    claimed: int = 0
    completed: int = 0
    failed: int = 0
    #: Failed and made ready again.
    retried: int = 0
    #: The last failures, retried ones included, newest first, at most 20.
    failures: tuple[Failure, ...] = ()
    #: Rows that may be claimed by it: the answer was lost, and nothing tells whose they
    #: are, since there is no owner column. At most 2,000, the newest first.
    doubts: tuple[Doubt, ...] = ()
    #: The last rows that keep a person's edit of the time of the work, the newest
    #: first, at most 20.
    edits: tuple[KeptEdit, ...] = ()
    lost: int = 0
    released: int = 0
    rescued: int = 0
    #: Writes sent, and those of them that came to nothing (412, 503 aborted).
    writes: int = 0
    wasted: int = 0
    #: Rows whose last write never got a certain answer.
    unknown: int = 0
    #: Rows that the catalog refuses to write, left alone for a growing time.
    refused: int = 0
    #: Jobs finished in each of the last minutes, oldest first, the running one last.
    jobs_per_min: tuple[int, ...] = ()
    #: Jobs finished in each of the last twelve spans of 5 s that are over.
    jobs_per_5s: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What one run of an agent came to; as text, what is said of it at the end."""

    name: str
    #: Rows that were completed, and that failed for good.
    done: int = 0
    failed: int = 0
    #: Times that work raised and the row was made ready again.
    retried: int = 0
    #: Rows that the catalog refuses to write, left alone for now.
    refused: int = 0
    #: Rows that were lost to others.
    lost: int = 0
    #: Rows that may be claimed by it: the answer was lost, and nothing tells.
    doubtful: int = 0
    #: Rows that stay claimed, since they could not be written or given back.
    held: int = 0
    #: Calls of work that still ran and were not waited for.
    running: int = 0
    #: True where there may be candidates left: it was stopped, or did one pass.
    more: bool = False
    #: When the next row of the queue is to be tried again, or None.
    due_at: datetime | None = None
    #: When the first claim of somebody else ends unless it is renewed, or None.
    others_until: datetime | None = None

    @property
    def exit_code(self) -> int:
        """What a command returns for it: 1 where a row failed, else 0."""
        return 1 if self.failed else 0

    def __str__(self) -> str:
        later = self.more or self.due_at is not None
        waits = self.due_at and f"the next row is due at {_utc(self.due_at)}"
        others = self.others_until and (
            "others hold rows, the first claim ends at "
            f"{_utc(self.others_until)}: not waited for"
        )
        parts = [
            f"{self.done} done, {self.failed} failed",
            self.retried
            and f"{self.retried} raised, {'will be' if later else 'were'} retried",
            self.refused
            and f"{rows(self.refused)} refused by the catalog, left alone for now",
            self.lost and f"{self.lost} lost to others",
            self.doubtful and doubted(self.doubtful),
            self.held and f"{rows(self.held)} still claimed",
            waits,
            others,
        ]
        return f"{self.name}: " + "; ".join(part for part in parts if part)


def rows(n: int) -> str:
    """Return so many rows, in words: ``1 row``, ``2 rows``."""
    return "1 row" if n == 1 else f"{n} rows"


def doubted(n: int) -> str:
    """Say of so many rows that nobody can tell whether they are claimed by us."""
    return (
        f"{rows(n)} maybe claimed: the answer was lost, and without an owner column "
        "nothing tells whose; rescue() frees what nobody works on"
    )


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, for listeners."""

    kind: EventKind
    at: datetime
    #: The row it happened to, or None.
    rid: str | None = None
    #: In words; an error text for "failed".
    reason: str = ""
    #: The status just after.
    status: Status | None = field(default=None, repr=False)


class LivePanel(Protocol):
    """The live view that `panel` gives: a notebook shows it by itself."""

    @property
    def error(self) -> str:
        """What went wrong last in a button, or ""."""

    def refresh(self) -> None:
        """Draw the present state now."""

    def close(self) -> None:
        """End the view. What it shows goes on."""
