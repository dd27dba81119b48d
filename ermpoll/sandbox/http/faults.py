"""What goes wrong on demand.

Decides only: `emulation` asks what happens to a request and does it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from ermpoll.errors import UsageError
from ermpoll.sandbox.http.prices import WRITES


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """All that is to go wrong. The defaults are: nothing."""

    #: Answer with this status and do nothing.
    status: int | None = None
    #: What that answer says after ``Detail:``.
    detail: str = "A fault on demand."
    #: How many requests a status, a lost reply or a delay strikes; None: all.
    times: int | None = None
    #: Share of writes that end in 503 ``Transaction aborted.``, without effect. None:
    #: with a price, those that overlap another; else none. 0: none at all.
    abort: float | None = None
    #: Do the write, then close the connection: True always, a whole number that
    #: often, a fraction with that probability.
    drop_reply: bool | float = False
    #: Do the write, then answer with this status instead, as often as `drop_reply`.
    status_after: int | None = None
    #: Wait before a request is looked at; what it asks is done even if the client
    #: has gone by then.
    delay_s: float = 0.0
    #: Answer nothing at all for that long from now on.
    freeze_s: float = 0.0
    #: Cut the connections of those who wait for notices, and refuse new ones.
    cut_notices: bool = False
    #: Cancel all consumers of notices once; their connections stay open.
    cancel_consumers: bool = False
    #: Send no notices, and say nothing of it.
    mute_notices: bool = False
    #: Every login has expired: all requests are anonymous.
    logged_out: bool = False
    #: The methods that fail; None: for aborts and lost replies the writes, for
    #: statuses and delays all.
    methods: Sequence[str] | None = None
    #: Makes the random faults repeatable.
    seed: int | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("abort", "delay_s", "freeze_s", "times"):
            if (getattr(self, name) or 0) < 0:
                raise UsageError(f"faults: {name} must be at least 0.")
        for name in ("status", "status_after"):
            value = getattr(self, name)
            if value is not None and not 400 <= value <= 599:
                raise UsageError(
                    f"faults: {name} must be an error status from 400 to 599,"
                    f" not {value}."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What happens to one request."""

    delay_s: float = 0.0
    #: Answer with this and do nothing.
    status: int | None = None
    detail: str = ""
    #: Do it, then close the connection.
    drop_reply: bool = False
    #: Do it, then answer with this.
    status_after: int | None = None


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self.arm(FaultPlan())

    def arm(self, plan: FaultPlan) -> None:
        """Put a plan in force instead of the one before."""
        self.plan = plan
        self._left = float("inf") if plan.times is None else plan.times
        counted = plan.drop_reply is not True and plan.drop_reply >= 1
        self._drops = int(plan.drop_reply) if counted else None
        self._random = random.Random(plan.seed)
        self.quiet = plan == FaultPlan()

    def verdict(self, method: str) -> Verdict:
        """Return what happens to the next request, which has that method."""
        plan = self.plan
        named = plan.methods is None or method in plan.methods
        writes = method in (plan.methods or WRITES)
        if writes and plan.abort and self._random.random() < plan.abort:
            return Verdict(
                delay_s=plan.delay_s if self._left else 0.0,
                status=503,
                detail="Transaction aborted.",
            )
        if not self._left:
            return Verdict()
        delay_s = plan.delay_s if named else 0.0
        if plan.status and named:
            verdict = Verdict(delay_s=delay_s, status=plan.status, detail=plan.detail)
        else:
            dropped = writes and self._drop()
            verdict = Verdict(
                delay_s=delay_s,
                drop_reply=dropped and plan.status_after is None,
                status_after=plan.status_after if dropped else None,
                detail=plan.detail if dropped else "",
            )
        self._left -= verdict != Verdict()
        return verdict

    def _drop(self) -> bool:
        if self._drops is not None:
            self._drops -= 1
            return self._drops >= 0
        return self._random.random() < float(self.plan.drop_reply)
