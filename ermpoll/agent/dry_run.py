"""What an agent would do, found out without a write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ermpoll import render
from ermpoll.agent.current import Ticket
from ermpoll.agent.execution import Report, checked, do_dry, here
from ermpoll.catalog.client_context import doing
from ermpoll.errors import ExecutorError
from ermpoll.queue import operations
from ermpoll.queue.plan import copied
from ermpoll.queue.results import Plan
from ermpoll.records import JSON, Row, Transform, Work
from ermpoll.redact import one_line
from ermpoll.shown import Shown

if TYPE_CHECKING:
    from ermpoll.queue import Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun(Shown):
    """What would be claimed, and what work would have written."""

    #: The claim: which rows, and what it would write.
    plan: Plan = field(repr=False)
    #: What work returned, by RID; empty unless it was called.
    results: Mapping[str, Mapping[str, JSON] | None] = field(
        default_factory=dict, repr=False
    )
    #: How work failed, by RID.
    errors: Mapping[str, str] = field(default_factory=dict)
    #: The writes that work attempted and that were refused: ``would PUT ...``.
    would: tuple[str, ...] = ()

    def __repr__(self) -> str:
        called = f", work called on {len(self.results)}" if self.results else ""
        return f"<DryRun: {self.plan!r}{called}, {len(self.would)} writes refused>"

    def _repr_html_(self) -> str:
        return render.dry_run(self)


def dry_run(
    jobs: Queue,
    transform: Transform | None,
    limit: int,
    work: Work | None,
    executor: Executor,
    ticket: Callable[[Row], Ticket],
) -> DryRun:
    """Decide a claim, and with ``work`` call it while every write is refused."""
    with jobs.catalog.dry_run() as refused, doing("dry run"):
        steps = jobs.selector.choose(limit, transform=transform)
        plan = operations.plan(jobs, "apply", steps)
        if work is None:
            return DryRun(plan=plan)
        rows = {
            change.rid: {**change.before, **change.after}
            for change in plan.changes
            if change.kind == "changed"
        }
        answers = _called(executor, work, rows, ticket)
        results: dict[str, Mapping[str, JSON] | None] = {}
        errors: dict[str, str] = {}
        would: list[str] = []
        for rid, (report, lines) in answers.items():
            would += lines
            # as the real run does
            results[rid], errors[rid] = checked(jobs.definition, rows[rid], report)
    others = [line for line in refused if line not in would]
    return DryRun(
        plan=plan,
        results=results,
        errors={rid: error for rid, error in errors.items() if error},
        would=(*would, *others),
    )


def _called(
    executor: Executor,
    work: Work,
    rows: Mapping[str, dict[str, JSON]],
    ticket: Callable[[Row], Ticket],
) -> dict[str, tuple[Report, list[str]]]:
    """Call work on each row, wherever the executor does it.

    Raises
    ------
    ExecutorError
        The executor did not do it.
    """
    answers: dict[str, tuple[Report, list[str]]] = {}
    try:
        futures = {
            rid: executor.submit(do_dry, work, copied(row), here(), ticket(row))
            for rid, row in rows.items()
        }
        for rid, future in futures.items():
            answers[rid] = future.result()
    except (Exception, asyncio.CancelledError) as error:
        raise ExecutorError(
            f"the executor does no work ({one_line(error)}): make a new one, and an"
            " agent with it"
        ) from error
    return answers
