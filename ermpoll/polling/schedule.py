"""When to look next: a value, moved by what happened, that says when and why.

Pure: it knows no clock, no thread and no catalog. ``now`` is an argument, any
rising reading in seconds; ``rand`` is one too, a number in [0, 1).

* A notice is looked at at once, then at most once per gap, with one look behind
  the last notice. The gap is ``coalesce_s``; each look that reads and finds no rows
  doubles it, up to a second. A find and a 304 set it back: a 304 costs next to
  nothing, and what other catalogs of the host write is no reason to see our own later.
  So does quiet: a second without a notice, or none for two gaps since the last look.
* ``more`` (the look said so, or a worker became free) and ``manual`` don't wait
  for the gap: they bring work, or a person asked.
* A look that failed is tried again after a growing, fully jittered delay. A notice
  brings the next try forward, once per failure, but not below half a second; a
  person's ``manual`` is not held up. For as long as the server asked to be left alone
  nothing but that goes before, and the end of a lease that a renewal could save.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ermpoll.backoff import backoff_s, jittered_s
from ermpoll.records import LookResult, WakeReason

#: The longest gap between two looks while notices come in, in seconds.
MAX_GAP_S = 1.0
#: Without a notice for so long, the next one is a first one again.
QUIET_S = 1.0
#: The first timer look after activity, when no notices come.
SOON_S = 1.0
#: A failed look is tried again within this; it doubles with each failure ...
RETRY_S = 1.0
#: ... and within this when the failure was a lost race.
LOST_RACE_S = 0.1
#: A notice brings the next try forward to this after the failure, in seconds, and so
#: does a lease that is about to end.
HURRY_S = 0.5
#: The longest back-off, in seconds.
MAX_RETRY_S = 60.0

#: What a look is asked for, the most telling first: it names the look.
_RANK: tuple[WakeReason, ...] = ("manual", "start", "due", "more", "notice", "timer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """The next look: when, on the clock that the schedule is moved by, and why."""

    at: float
    reason: WakeReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is known of the past, as far as the next look depends on it."""

    poll_s: float = 600.0
    coalesce_s: float = 0.1
    #: Why a look is wanted, or None.
    asked: WakeReason | None = "start"
    #: When the last look began, or None.
    looked_at: float | None = None
    #: When the last notice came, or None.
    noticed_at: float | None = None
    #: When a time that is stored in a row comes, or None.
    due_at: float | None = None
    #: When the timer looks, or None before the first look.
    timer_at: float | None = None
    #: The timer's present interval in seconds.
    interval_s: float = SOON_S
    #: True while notices come in: then the timer is only a net.
    push: bool = False
    #: Looks since it was last quiet, a find counting as the first.
    step: int = 0
    #: Failed looks in a row, and when the next is tried.
    failures: int = 0
    retry_at: float | None = None
    #: When the last look failed, and until when the server asked to wait.
    failed_at: float = -math.inf
    closed_until: float = -math.inf
    #: A notice has brought the next try forward since.
    hurried: bool = False

    @property
    def gap_s(self) -> float:
        """The shortest time from the last look to one that a notice asks for."""
        cap_s = max(MAX_GAP_S, self.coalesce_s)
        return backoff_s(self.step, self.coalesce_s, cap_s)

    @property
    def is_idle(self) -> bool:
        """True when the last look went well and nothing asks for another soon."""
        wanted = self.asked is not None or self.due_at is not None
        return self.looked_at is not None and not wanted

    def anew(self, _: float = 0.0) -> Schedule:
        """Forget the past: look at once, and by the first intervals."""
        return Schedule(poll_s=self.poll_s, coalesce_s=self.coalesce_s)

    def ask(self, reason: WakeReason, now: float) -> Schedule:
        """Want a look; of two reasons the more telling one stays."""
        if reason != "notice":
            return self._want(reason)
        step = 0 if self._is_quiet(now) else self.step
        return replace(self, noticed_at=now, step=step)._hurry(now)._want(reason)

    def next_look(self, now: float) -> Next:
        """Say when the next look is, and why. May lie before ``now``."""
        if self.asked == "manual":
            return Next(at=now, reason="manual")
        if self.retry_at is not None:
            return Next(at=self.retry_at, reason=self.asked or "timer")
        wishes = self._wishes(now)
        first = min(wishes, key=lambda wish: wish.at)
        due = [wish.reason for wish in wishes if wish.at <= now]
        return Next(at=first.at, reason=min(due or [first.reason], key=_RANK.index))

    def began(self, now: float) -> Schedule:
        """Take note that a look begins; it answers all that was asked for."""
        due_at = None if self.due_at is None or self.due_at <= now else self.due_at
        return replace(self, asked=None, looked_at=now, retry_at=None, due_at=due_at)

    def ended(
        self, now: float, reason: WakeReason, looked: LookResult, rand: float
    ) -> Schedule:
        """Take note of what the look that ``reason`` asked for has found."""
        interval_s = self._interval(reason, looked)
        cheap = looked.found or looked.outcome == "unchanged"
        this = replace(
            self,
            step=1 if cheap else self.step + 1,
            failures=0,
            due_at=_due_at(now, looked.due_s),
            interval_s=interval_s,
            timer_at=now + interval_s * (0.9 + 0.2 * rand),
        )
        return this._want("more") if looked.more else this

    def failed(
        self,
        now: float,
        reason: WakeReason,
        rand: float,
        *,
        lost_race: bool = False,
        retry_after_s: float = 0.0,
        left_s: float = math.inf,
    ) -> Schedule:
        """Take note that the look failed: its reason stands, after a back-off.

        ``retry_after_s``: for so long the server asked to be left alone;
        ``left_s``: after that what is held is lost, unless a look goes well before.
        No back-off takes more than a tenth of that, and no server more than half.
        """
        # A person asked for that one look, not for each of its repetitions.
        again: WakeReason = "start" if reason == "manual" else reason
        failures = self.failures + 1
        base_s = LOST_RACE_S if lost_race else RETRY_S
        wait_s = jittered_s(failures, base_s, MAX_RETRY_S, rand)
        wait_s = min(wait_s, max(left_s / 10, HURRY_S))
        retry_after_s = min(retry_after_s, max(left_s / 2, HURRY_S))
        return replace(
            self._want(again),
            failures=failures,
            retry_at=now + max(wait_s, retry_after_s),
            failed_at=now,
            closed_until=now + retry_after_s,
            hurried=False,
        )

    def pushing(self, push: bool) -> Schedule:
        """Take note that notices come in from now on, or no longer do.

        Either way something may have been missed, so a look is asked for.
        """
        interval_s = self.poll_s if push else min(self.poll_s, SOON_S)
        return replace(self, push=push, interval_s=interval_s)._want("notice")

    def _hurry(self, now: float) -> Schedule:
        """Bring the next try forward: news may mean that the catalog is back."""
        if self.retry_at is None or self.hurried:
            return self
        soonest = max(now, self.failed_at + HURRY_S, self.closed_until)
        return replace(self, retry_at=min(self.retry_at, soonest), hurried=True)

    def _is_quiet(self, now: float) -> bool:
        """Say whether a notice that comes now is a first one."""
        if self.noticed_at is None or now - self.noticed_at >= QUIET_S:
            return True
        asked = self.asked == "notice"
        looked_at = now if self.looked_at is None else self.looked_at
        return not asked and now - looked_at >= 2 * self.gap_s

    def _want(self, reason: WakeReason) -> Schedule:
        if self.asked is not None:
            reason = min(reason, self.asked, key=_RANK.index)
        return replace(self, asked=reason)

    def _wishes(self, now: float) -> list[Next]:
        """List what asks for a look, each with its earliest time."""
        free_at = now if self.looked_at is None else self.looked_at + self.gap_s
        wishes = []
        if self.asked is not None:
            at = free_at if self.asked == "notice" else now
            wishes.append(Next(at=at, reason=self.asked))
        if self.due_at is not None:
            wishes.append(Next(at=max(free_at, self.due_at), reason="due"))
        timer_at = now + self.interval_s if self.timer_at is None else self.timer_at
        return [*wishes, Next(at=timer_at, reason="timer")]

    def _interval(self, reason: WakeReason, looked: LookResult) -> float:
        """Give the timer's next interval: short after activity, then doubling."""
        if self.push:
            return self.poll_s
        if looked.found or looked.etag_moved or self.timer_at is None:
            return min(self.poll_s, SOON_S)
        grows = 2.0 if reason == "timer" else 1.0
        return min(self.poll_s, self.interval_s * grows)


def _due_at(now: float, due_s: float | None) -> float | None:
    if due_s is None or not math.isfinite(due_s):
        return None
    return now + max(0.0, due_s)
