"""A queue's past, told from the catalog alone: what was, who did it, was it right.

ERMrest keeps each version of each row. This package reads them, slowly and with leave
to stop, and judges them by the words that the queue was declared with; it writes
nothing, and needs no record of its own, so any catalog can be told of.

Open `past` first: how a moment is read, at which pace, and what may be missing. Then
`model_then` (a table under the names of then, and ``jobs.at``), `versions` (one row's
life) and `periods` (all that rows went through in a period). What is told stands on
these: `machine` and `follow` (what a step was), `life` (``jobs.history``),
`timeline` with `spreads` (``jobs.timeline``), `proof` by the rules of `breaches`
(``jobs.prove``), `comparison` (two decisions side by side: `compare`), `decide` (what a
transform would have made of rows), `backtest` (``jobs.backtest``) and `shadow_run` with
`shadow_record` (`shadow`: the same, as it goes on).

The reader, for what else wants to know the past::

    past = Past(jobs.catalog, rate=5)               # paced; progress=, stop=
    period = past.period("24 h")                    # clamped to what is known
    table = TablePast(past, jobs.definition)
    read_versions(table, period).steps()            # by time: before and after
    read_life(table, "1-A2BC")                      # one row, back to its first
    past.told, past.requests                        # what to know of it, its cost
"""

from ermpoll.history.backtest import Backtest, run_backtest
from ermpoll.history.breaches import Breach, Finding
from ermpoll.history.comparison import Comparison, Likeness, compare
from ermpoll.history.follow import ClaimEnd, ClaimTold, StepKind
from ermpoll.history.life import History, StateSpan, VersionTold, read_history
from ermpoll.history.machine import DeclaredMachine, RowPhase
from ermpoll.history.model_then import TablePast, queue_at
from ermpoll.history.past import Past, PastPeriod, ReadingProgress
from ermpoll.history.periods import read_versions
from ermpoll.history.proof import Proof, prove
from ermpoll.history.shadow_record import ShadowComparison
from ermpoll.history.shadow_run import Shadow, shadow
from ermpoll.history.spreads import Spread
from ermpoll.history.timeline import Timeline, read_timeline
from ermpoll.history.versions import Step, Version, Versions, read_life

__all__ = [
    "Backtest",
    "Breach",
    "ClaimEnd",
    "ClaimTold",
    "Comparison",
    "DeclaredMachine",
    "Finding",
    "History",
    "Likeness",
    "Past",
    "PastPeriod",
    "Proof",
    "ReadingProgress",
    "RowPhase",
    "Shadow",
    "ShadowComparison",
    "Spread",
    "StateSpan",
    "Step",
    "StepKind",
    "TablePast",
    "Timeline",
    "Version",
    "VersionTold",
    "Versions",
    "compare",
    "prove",
    "queue_at",
    "read_history",
    "read_life",
    "read_timeline",
    "read_versions",
    "run_backtest",
    "shadow",
]
