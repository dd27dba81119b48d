"""What becomes of a result where a person edited the row during the work. Pure.

The claim left the row in a state that it knows: what is otherwise now, somebody
edited, and only the columns that claiming itself keeps are written over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import get_args

from ermpoll.errors import UsageError
from ermpoll.queue import transitions
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.transitions import Held, Transition, token_of
from ermpoll.records import OnEdit, Row, same


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """How a row is finished that was edited since it was claimed."""

    #: The step as it may be written now; its version is the one just read.
    step: Transition
    #: The columns that keep a person's edit.
    kept: tuple[str, ...] = ()


def check_on_edit(on_edit: object) -> None:
    """Check what is to become of edits.

    Raises
    ------
    UsageError
        It is none of the ways.
    """
    if on_edit not in get_args(OnEdit):
        raise UsageError(
            "on_edit: expected 'keep', 'overwrite' or 'fail', found "
            f"{on_edit!r}; nothing was written"
        )


def results_of(definition: QueueDefinition, step: Transition) -> tuple[str, ...]:
    """Return the columns of a step that a person may have edited too."""
    own = definition.own_columns
    return tuple(name for name in step.change.after if name not in own)


def unknown_of(definition: QueueDefinition, step: Transition) -> tuple[str, ...]:
    """Return those of which the claim doesn't know what they held."""
    named = results_of(definition, step)
    return tuple(name for name in named if name not in step.change.before)


def is_held(definition: QueueDefinition, step: Transition, now: Row | None) -> bool:
    """Whether a row as it is now is still held by the claim of a step."""
    if now is None or not definition.owner:
        return False
    is_ours = now.get(definition.owner) == step.token
    return is_ours and now.get(definition.state) == definition.claimed


def finish(
    definition: QueueDefinition, step: Transition, now: Row, past: Row
) -> Finish:
    """Decide how a row is finished that is still held, and was edited.

    Parameters
    ----------
    step
        The finish as it was meant, for the row as its claim left it.
    now
        The row as it is, with the columns of the step.
    past
        What columns held at the claim that it did not read; one that is in neither
        counts as edited.
    """
    change = step.change
    known = {**past, **change.before}
    edited = tuple(
        name
        for name in results_of(definition, step)
        if not (name in known and same(known[name], now[name]))
        and not same(change.after[name], now[name])
    )
    fresh = replace(change, rmt=str(now["RMT"]), before={**change.before, **now})
    if not edited or step.on_edit == "overwrite":
        return Finish(step=replace(step, change=fresh))
    if step.on_edit == "fail":
        return Finish(step=_failed(definition, step, now, edited))
    after = {name: v for name, v in change.after.items() if name not in edited}
    return Finish(step=replace(step, change=replace(fresh, after=after)), kept=edited)


def _failed(
    definition: QueueDefinition, step: Transition, now: Row, edited: Iterable[str]
) -> Transition:
    reason = f"edited during the work, and not written over: {', '.join(edited)}"
    held = Held(rid=step.rid, rmt=str(now["RMT"]), token=step.token, row=now, was=None)
    return transitions.fail(definition, held, reason)


def why_lost(definition: QueueDefinition, step: Transition, now: Row | None) -> str:
    """Say why a row is held no more that a step was for, by the row as it is now."""
    if now is None:
        return "was deleted"
    by, state = str(now.get("RMB") or "somebody"), now.get(definition.state)
    if state != definition.claimed:
        told = definition.label(state)
        return f"{definition.state} was set to {told!r} by {by} meanwhile"
    if not definition.owner:
        return (
            f"was written to by {by} meanwhile; without an owner column nothing "
            "proves that the claim still stands"
        )
    token = token_of(definition, now)
    if token is not None and now.get(definition.owner) != step.token:
        return f"is held by {token.name} now: this claim was taken over"
    return f"{definition.owner} was set by {by} meanwhile: this claim was taken over"
