"""Rows that the catalog refuses to write: left alone for a growing time. Pure.

Times are readings of a clock in seconds that only rises. Refusals are of a row as it
was, for a login, under a model: where one of these has changed the row is tried at
once.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from ermpoll.backoff import backoff_s

#: First and longest time that a row is left alone, in seconds.
FIRST_S, LONGEST_S = 60.0, 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A row that the catalog refused to write."""

    rid: str
    #: Its version then.
    rmt: str
    #: Why, in the server's words.
    reason: str
    #: When it may be tried again.
    until: float
    #: How often it was refused in a row.
    times: int = 1
    #: Who was refused, and under which model; empty where that is not known.
    login: str = ""
    model: str = ""

    def is_of(self, rmt: str, login: str, model: str) -> bool:
        """Whether it was this version, login and model that were refused."""
        return (self.rmt, self.login, self.model) == (rmt, login, model)


class SetAside:
    """The rows that one queue or agent leaves alone for now."""

    def __init__(self) -> None:
        self._rows: dict[str, Refused] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def put(
        self,
        rid: str,
        rmt: str,
        reason: str,
        now: float,
        *,
        login: str = "",
        model: str = "",
        wait_s: float | None = None,
        own: bool = False,
    ) -> None:
        """Take note of a refusal: again and again the same waits longer each time.

        ``wait_s``: leave it alone for so long instead. ``own``: its version is of a
        write of ours, so that another one is no news.
        """
        before = self._rows.get(rid)
        again = before is not None and (own or before.is_of(rmt, login, model))
        times = before.times + 1 if before and again else 1
        if wait_s is None:
            wait_s = backoff_s(times, FIRST_S, LONGEST_S)
        self._rows[rid] = Refused(
            rid=rid,
            rmt=rmt,
            reason=reason,
            until=now + wait_s,
            times=times,
            login=login,
            model=model,
        )

    def holds(self, rid: str, rmt: str, login: str, model: str, now: float) -> bool:
        """Whether a row is to be left alone, as it is now."""
        row = self._rows.get(rid)
        return row is not None and row.is_of(rmt, login, model) and now < row.until

    def waits(self, rid: str, login: str, model: str, now: float) -> bool:
        """Whether a row that is ours is to be left alone, whatever its version."""
        row = self._rows.get(rid)
        return row is not None and self.holds(rid, row.rmt, login, model, now)

    def why(self, rid: str) -> str:
        """Return why a row was refused last, or an empty text."""
        row = self._rows.get(rid)
        return row.reason if row else ""

    def tried(self, rids: Iterable[str]) -> None:
        """Take note that rows were written, and may be refused again."""
        for rid in rids:
            if rid in self._rows:
                self._rows[rid] = replace(self._rows[rid], until=-math.inf)

    def forget(self, rids: Iterable[str]) -> None:
        """Take note that rows were written, or are gone."""
        for rid in rids:
            self._rows.pop(rid, None)

    def keep(self, rids: Collection[str]) -> None:
        """Forget all but these: the others are no candidates any more."""
        self.forget(self._rows.keys() - set(rids))

    def due_s(self, now: float) -> float | None:
        """Return the seconds until the next row may be tried again, or None."""
        waits = [row.until - now for row in self.rows if row.until > now]
        return min(waits, default=None)

    def again_s(self, rid: str, now: float) -> float:
        """Return in how many seconds a row may be tried again, 0 for now."""
        row = self._rows.get(rid)
        return max(row.until - now, 0.0) if row else 0.0

    @property
    def rows(self) -> tuple[Refused, ...]:
        """What is known of the rows, the first refused first."""
        return tuple(self._rows.values())
