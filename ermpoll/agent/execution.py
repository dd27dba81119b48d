"""Doing the work of one row, and what is written for how it ended.

`do` travels to where the work is done: a thread, a process, another machine. What
it returns is plain, so that it can always travel back. Knows no executor.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import import_module
from types import CoroutineType
from typing import Any

from ermpoll.agent.current import Ticket, working_on
from ermpoll.agent.memory.attempts import LONGEST
from ermpoll.arguments import seconds, whole
from ermpoll.backoff import backoff_s, jittered_s
from ermpoll.catalog import write_permission
from ermpoll.catalog.client_context import doing
from ermpoll.catalog.values import read_changes
from ermpoll.errors import Unreadable, UsageError
from ermpoll.queue import transitions
from ermpoll.queue.definition import QueueDefinition
from ermpoll.queue.plan import finishing_changes
from ermpoll.queue.transitions import Held, Transition
from ermpoll.records import JSON, OnEdit, Work
from ermpoll.redact import one_line, redacted, told

#: First and longest wait before a failed row is tried again, in seconds.
RETRY_FIRST_S, RETRY_LONGEST_S = 10.0, 3600.0
#: A process that was forked has another number, one elsewhere another of these.
_HERE = os.urandom(8).hex()
#: The agent that this thread or task does something for.
_acting_for: ContextVar[str] = ContextVar("ermpoll_acting_for", default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a call of work ended."""

    #: The changes that it asked for.
    result: Mapping[str, JSON] | None = field(default=None, repr=False)
    #: Why the row failed; "" if it did not.
    error: str = ""
    #: Where it was raised, in the work's own code.
    traceback: str = field(default="", repr=False, compare=False)
    #: True where no retry helps.
    final: bool = False
    #: Why it was not done, through no fault of the row, which goes back; or "".
    fault: str = ""


def here(trial: int = 0) -> str:
    """Return a name for this process; also a call that does nothing, for a trial.

    A cluster may take two calls with the same arguments for one, and so the second
    for cancelled where the first was.
    """
    return f"{_HERE} {os.getpid()}"


def do(
    work: Work,
    row: dict[str, Any],
    home: str,
    agent: str = "",
    ticket: Ticket | None = None,
) -> Report:
    """Do the work of a claimed row; what it writes itself is permitted.

    Raises nothing. ``home`` is the process that asked, as `here` names it, ``agent``
    who asked there, and ``ticket`` what the work may know of its row.
    """
    pid = os.getpid()
    with (
        write_permission.real(),
        acting_for(agent),
        doing("work", agent),
        working_on(ticket),
    ):
        report = _reported(work, row, home)
    if os.getpid() != pid:
        # a fork of work's own has come back: it is no worker, and has no agent
        os._exit(_exit_status(report))
    return report


def _exit_status(report: Report) -> int:
    return 0 if report.error in ("", "SystemExit", "SystemExit: 0") else 1


def do_dry(
    work: Work, row: dict[str, Any], home: str, ticket: Ticket | None = None
) -> tuple[Report, list[str]]:
    """Do the work of a row while every write is refused; as `do` otherwise.

    Returns
    -------
    tuple
        How it ended, and the lines of the writes that were refused.
    """
    with write_permission.dry() as refused, doing("dry run"), working_on(ticket):
        report = _reported(work, row, home)
    return report, list(refused)


@contextmanager
def acting_for(agent: str) -> Iterator[None]:
    """Mark what is called within as done for an agent, which waits for it."""
    before = _acting_for.set(agent)
    try:
        yield
    finally:
        _acting_for.reset(before)


def is_acting_for(agent: str) -> bool:
    """Whether this is called from within what that agent waits for."""
    return _acting_for.get() == agent


def report_of(future: Future[Any]) -> Report:
    """Read what an executor says of a call of `do` that is over."""
    fault = fault_of(future)
    if fault:
        return Report(fault=fault)
    report = future.result()
    if isinstance(report, Report):
        return report
    return Report(fault=f"expected what was called, found {type(report).__name__}")


def fault_of(future: Future[Any]) -> str:
    """Return what an executor says of a call that it did not do; "" of one it did."""
    try:
        error = future.exception()
    except (CancelledError, asyncio.CancelledError):
        return "the call was cancelled by somebody else"
    return "" if error is None else one_line(error)


def longest_retry_s(spec: QueueDefinition) -> float:
    """Return the longest that a failed row waits to be tried again, in seconds."""
    if not spec.attempts or spec.max_attempts < 2:
        return 0.0
    return backoff_s(spec.max_attempts - 1, RETRY_FIRST_S, RETRY_LONGEST_S)


def finishing_step(
    spec: QueueDefinition,
    held: Held,
    report: Report,
    now: datetime,
    rand: float,
    on_edit: OnEdit = "keep",
) -> Transition:
    """Decide what is written for a job that ended. Pure.

    A result that the table can't take is a failure that no retry mends; an error
    is tried again later, with full jitter, until the attempts are used up.
    """
    if report.fault:
        return transitions.release(spec, held)
    changes, refusal = checked(spec, held.row, report)
    if not refusal:
        return transitions.complete(spec, held, changes or {}, on_edit)
    tried = transitions.attempts_of(spec, held.row)
    final = report.final or not report.error
    if spec.attempts and tried < spec.max_attempts and not final:
        wait_s = jittered_s(tried, RETRY_FIRST_S, RETRY_LONGEST_S, rand)
        at = now + timedelta(seconds=wait_s)
        return transitions.retry_later(spec, held, refusal, at)
    return transitions.fail(spec, held, refusal)


def checked(
    spec: QueueDefinition, row: Mapping[str, JSON], report: Report
) -> tuple[dict[str, JSON] | None, str]:
    """Return the changes that a report asks for, and why the row fails, or ""."""
    if report.error:
        return None, report.error
    try:
        return finishing_changes(spec, report.result, row), ""
    except UsageError as refusal:
        return None, str(refusal)


def check_options(
    work: object,
    executor: Executor | None,
    count: int,
    prefetch: int | None,
    time_limit_s: float | None,
) -> None:
    """Check what an agent was given to work with.

    Raises
    ------
    UsageError
        Work can't be called or travel to the executor, or a number can't be.
    """
    _check_work(work, executor)
    whole("workers", count)
    if prefetch is not None:
        whole("prefetch", prefetch, "rows", least=0)
    if time_limit_s is not None:
        seconds("time_limit_s", time_limit_s)


def _check_work(work: object, executor: Executor | None) -> None:
    if not callable(work):
        raise UsageError(
            "work: expected a function from a row to a dict of changes or None, "
            f"found {type(work).__name__}"
        )
    pack = _packer(executor)
    if pack is None:
        return
    try:
        pack(work)
    except UsageError as error:
        raise UsageError(
            f"work: it holds what it can't be sent with: {error}"
        ) from error
    except Exception as error:
        # pickling calls whatever the function holds, which raises what it likes
        raise UsageError(
            "work: expected a function that can be sent to other processes, found "
            f"one that can't be pickled ({one_line(error)}); define it at the top of a "
            "module that can be imported there, and make in it what it works with"
        ) from error


def _packer(executor: Executor | None) -> Callable[[object], bytes] | None:
    """Return what packs a function on its way to an executor; None: nobody knows."""
    if isinstance(executor, ProcessPoolExecutor):
        return pickle.dumps
    if type(executor).__module__.partition(".")[0] == "distributed":
        # dask's: whoever has it has that as well
        dumps: Callable[[object], bytes] = import_module("cloudpickle").dumps
        return dumps
    return None


def _reported(work: Work, row: dict[str, Any], home: str) -> Report:
    try:
        return Report(result=_call(work, row))
    except Unreadable as error:
        return Report(error=str(error), final=True)
    except KeyboardInterrupt as error:
        # Ctrl-C reaches all processes of a terminal, but the agent decides
        elsewhere = home != here()
        return Report(fault="interrupted") if elsewhere else _failed(error)
    except BaseException as error:  # noqa: BLE001 - the edge: told to who asked
        return _failed(error)


def _failed(error: BaseException) -> Report:
    # without our own two frames: how work was called tells nobody anything
    frames = traceback.extract_tb(error.__traceback__)[2:]
    told_ = told(error)
    where = redacted("".join(traceback.format_list(frames)) + told_)
    return Report(error=told_, traceback=where[-LONGEST:])


def _call(work: Callable[[dict[str, Any]], Any], row: dict[str, Any]) -> Any:
    """Call work and read its result, before other work can change it."""
    result = work(row)
    # by its type: isinstance would ask the result itself, which may raise
    if type(result) is CoroutineType:
        result = asyncio.run(result)
    return None if result is None else read_changes(result)
