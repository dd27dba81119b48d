"""Which step a worker takes next, which orders there are, and how a meeting ended.

Takes what was answered as arguments; knows no catalog and sends nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

#: The workers, as an order names them: ``abab``.
WORKERS = "ab"
#: The words of the race's table.
READY, CLAIMED = "new", "in progress"


class ClaimGuard(Enum):
    """What a claim is guarded by."""

    NONE = "none"
    STATE = "state word"
    ETAG = "ETag"
    VERSION = "row version"


class Story(Enum):
    """What happens to a worker."""

    CLAIMS = "claims"
    ABORTED = "meets a 503"
    LOST = "loses the answer"
    BACK = "gives it back"


class Act(Enum):
    """What a worker does in a step."""

    READ = "reads"
    CLAIM = "claims"
    AGAIN = "sends it again"
    ASK = "asks whose it is"
    BACK = "gives it back"


class Heard(Enum):
    """What the answer to a step tells its worker."""

    FREE = "free"
    TAKEN = "taken"
    WON = "won"
    TOO_LATE = "too late"
    NOTHING = "nothing happened"
    DOUBT = "no answer"
    GIVEN = "given back"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowNow:
    """The row, as anybody reads it."""

    state: str
    #: Its RMT.
    version: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One step: a request that was sent, and what came of it."""

    #: "a" or "b".
    who: str
    act: Act
    #: ``PUT attributegroup/...``, with its If-Match where it has one.
    request: str
    #: ``200, 1 row``; in words where none came.
    answer: str
    heard: Heard
    #: The row before and after.
    before: RowNow
    after: RowNow


class End(Enum):
    """How a meeting ended."""

    OPEN = "not over"
    ONE = "exactly one wins"
    BOTH = "both believe they hold it"
    STALE = "one after the other, the second by an old reading"
    TURNS = "one after the other"
    NOBODY = "nobody wins"


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What was played on one row."""

    guard: ClaimGuard
    stories: tuple[Story, Story]
    rid: str
    #: The row before the first step.
    begun: RowNow
    steps: tuple[Move, ...] = ()

    @property
    def order(self) -> str:
        """Whose each step was: ``abab``."""
        return "".join(step.who for step in self.steps)

    @property
    def row(self) -> RowNow:
        """The row now."""
        return self.steps[-1].after if self.steps else self.begun

    def next_act(self, who: str) -> Act | None:
        """Return what a worker does next; None when it has nothing left to do."""
        own = [step for step in self.steps if step.who == who]
        return next_act(self.stories[WORKERS.index(who)], own)

    @property
    def choices(self) -> str:
        """Who has a step to make."""
        return "".join(who for who in WORKERS if self.next_act(who))

    @property
    def winners(self) -> str:
        """Who was told to have won the row, in that order."""
        return "".join(step.who for step in self.steps if step.heard is Heard.WON)

    @property
    def end(self) -> End:
        """How it ended."""
        return End.OPEN if self.choices else end_of(self.steps)


def next_act(story: Story, own: Sequence[Move]) -> Act | None:
    """Return what a worker of a story does after its own steps; None: no more."""
    if not own:
        return Act.READ
    last = own[-1]
    if last.heard is Heard.FREE:
        return Act.CLAIM
    if last.heard in (Heard.NOTHING, Heard.DOUBT):
        return Act.AGAIN
    if last.heard is Heard.WON and story is Story.BACK:
        return Act.BACK
    doubted = any(step.heard is Heard.DOUBT for step in own)
    # the first copy may have been the one that was written
    if last.act is Act.AGAIN and last.heard is Heard.TOO_LATE and doubted:
        return Act.ASK
    return None


def end_of(steps: Sequence[Move]) -> End:
    """Return how steps ended, by what each worker was told."""
    holding: set[str] = set()
    won, stale = 0, False
    for step in steps:
        if step.heard is Heard.WON:
            if holding:
                return End.BOTH
            holding, won = {step.who}, won + 1
            stale = stale or is_stale(steps, step)
        elif step.heard is Heard.GIVEN:
            holding.discard(step.who)
    if won > 1:
        return End.STALE if stale else End.TURNS
    return End.ONE if won else End.NOBODY


def is_stale(steps: Sequence[Move], won: Move) -> bool:
    """Tell whether a claim was written over a version its worker had not read."""
    read = next(s for s in steps if s.who == won.who and s.act is Act.READ)
    return won.act is not Act.ASK and won.before.version != read.after.version


def every_order(play: Callable[[str], Played]) -> Iterator[Played]:
    """Play every order there is, each to its end.

    Which steps there are is known only once they are answered. So each meeting is
    played as far as an order says and then to its end, and the last step at which the
    other worker could have gone first is where the next one leaves it.

    Parameters
    ----------
    play
        Plays an order on a fresh row and then, whoever comes first in it, to the end.
    """
    order: str | None = ""
    while order is not None:
        played = play(order)
        yield played
        order = next_order(played)


def next_order(played: Played) -> str | None:
    """Return how the next order to play begins; None after the last."""
    for place in reversed(range(len(played.steps))):
        if played.order[place] == "a" and could_step(played, place, "b"):
            return f"{played.order[:place]}b"
    return None


def could_step(played: Played, place: int, who: str) -> bool:
    """Tell whether a worker had a step to make at a place of what was played."""
    own = [step for step in played.steps[:place] if step.who == who]
    return next_act(played.stories[WORKERS.index(who)], own) is not None


def order_in_words(played: Played, names: Sequence[str]) -> str:
    """``Ann reads · Bob reads · Ann claims: won``."""
    told = []
    for step in played.steps:
        word = f"{names[WORKERS.index(step.who)]} {step.act.value}"
        is_told = step.heard not in (Heard.FREE, Heard.GIVEN)
        told.append(f"{word}: {step.heard.value}" if is_told else word)
    return " · ".join(told)
