"""What is written for a job that ended: pure, from its result to a move."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from ermpoll.agent.held_jobs import Finished
from ermpoll.agent.work_calls import reason_of
from ermpoll.backoff import jittered_s
from ermpoll.errors import Unreadable, UsageError
from ermpoll.queue import transitions
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.plan import finishing_changes
from ermpoll.queue.transitions import Transition

#: First and longest wait before a failed row is tried again, in seconds.
RETRY_FIRST_S, RETRY_LONGEST_S = 10.0, 3600.0


def finishing_move(
    spec: QueueDefinition, one: Finished, now: datetime, rng: Callable[[], float]
) -> Transition:
    """Decide what is written for a job that ended.

    A result that the table can't take is a failure that no retry mends; an error
    is tried again later, with full jitter, until the attempts are used up.
    """
    error = one.error if one.cause is None else reason_of(one.cause)
    final = one.final or isinstance(one.cause, Unreadable)
    if not error:
        try:
            changes = finishing_changes(spec, one.result, one.held.row)
        except UsageError as refusal:
            return transitions.fail(spec, one.held, str(refusal))
        return transitions.complete(spec, one.held, changes)
    tried = transitions.attempts_of(spec, one.held.row)
    if spec.attempts and tried < spec.max_attempts and not final:
        wait_s = jittered_s(tried, RETRY_FIRST_S, RETRY_LONGEST_S, rng())
        at = now + timedelta(seconds=wait_s)
        return transitions.retry_later(spec, one.held, error, at)
    return transitions.fail(spec, one.held, error)
