"""All judges together, over one record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from tests.end_to_end.chaos import words
from tests.end_to_end.chaos.contents import Contents
from tests.end_to_end.chaos.ledger import Worked
from tests.end_to_end.chaos.liveness import Life, Liveness
from tests.end_to_end.chaos.record import Entry, Machine, Violation
from tests.end_to_end.chaos.referee import Referee
from tests.end_to_end.chaos.words import Said


class Court:
    """Judges writes in the order of their commits: `see` each, then `end`.

    Parameters
    ----------
    ledger, said, lives
        What agents' work took down, what they said, and when they were there.
    patience_s, slack_s
        See `Liveness`.
    excused
        See `Contents`.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        ledger: Sequence[Worked] = (),
        said: Sequence[Said] = (),
        lives: Sequence[Life] = (),
        agents: Collection[str] = (),
        patience_s: float = 20.0,
        slack_s: float = 0.5,
        excused: str = "",
    ) -> None:
        names = {one.name for one in said} | set(agents)
        self._said = said
        self.referee = Referee(machine)
        self.contents = Contents(machine, names, ledger, excused=excused)
        self.liveness = Liveness(
            machine,
            lives,
            self.contents.worked,
            patience_s=patience_s,
            slack_s=slack_s,
        )

    @property
    def counts(self) -> Counter[str]:
        """How often each legal thing happened, by its name."""
        return self.referee.counts

    def see(self, entry: Entry) -> None:
        """Judge one row of one write."""
        self.referee.see(entry)
        self.contents.see(entry)
        self.liveness.see(entry)

    def end(self, at: float) -> list[Violation]:
        """Judge the whole, and return all that was found."""
        self.referee.end(at)
        self.contents.end()
        self.liveness.end(at)
        found = [
            *self.referee.violations,
            *self.contents.violations,
            *self.liveness.violations,
        ]
        for one in self._said:
            found += words.judge(one, self.contents, self.liveness.spans[one.name])
        return found
