"""Calling the user's work: in a thread, a process or on another machine.

The functions here travel to where the work is done, so they are plain and
importable, and know nothing of queues.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from types import CoroutineType
from typing import Any

from ermpoll.catalog import write_permission
from ermpoll.catalog.values import read_changes
from ermpoll.errors import Unreadable, UsageError
from ermpoll.redact import told

#: A process that was forked has another number, one elsewhere another of these.
_HERE = os.urandom(8).hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a call of work ended. Whatever else an executor says is its own fault."""

    result: object = None
    #: What work raised, where that could travel; else its text.
    cause: BaseException | None = None
    error: str = ""
    #: Why the call was not finished, though not by the work's own doing.
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A report from another process, packed by us: unpacking it can't fail there.

    A pool that fails to unpack what a call returned or raised breaks as a whole.
    """

    body: bytes
    #: What to say where the body can't be unpacked.
    error: str = ""


def here() -> str:
    """Return a name for this process; also a call that does nothing, for a trial."""
    return f"{_HERE} {os.getpid()}"


def do(
    work: Callable[[dict[str, Any]], Any], row: dict[str, Any], home: str
) -> Report | Parcel:
    """Do the work of a claimed row; what it writes itself is permitted.

    Raises nothing. ``home`` is the process that asked, as `here` names it.
    """
    with write_permission.real():
        return _reported(work, row, home)


def do_dry(
    work: Callable[[dict[str, Any]], Any], row: dict[str, Any], home: str
) -> tuple[Report | Parcel, list[str]]:
    """Do the work of a row while every write is refused; as `do` otherwise.

    Returns
    -------
    tuple
        How it ended, and the lines of the writes that were refused.
    """
    with write_permission.dry() as refused:
        answer = _reported(work, row, home)
    return answer, list(refused)


def read(answer: object) -> Report:
    """Read what a call of `do` returned."""
    if not isinstance(answer, Parcel):
        return answer if isinstance(answer, Report) else Report(result=answer)
    try:
        report = pickle.loads(answer.body)
    except Exception as error:  # noqa: BLE001 - anything can be in it
        unread = f"its result can't be read here: {told(error)}"
        return Report(error=answer.error or unread)
    return report if isinstance(report, Report) else Report(result=report)


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
    check_work(work, executor)
    if count < 1:
        raise UsageError(f"workers: expected 1 or more, found {count}")
    if prefetch is not None and prefetch < 0:
        raise UsageError(f"prefetch: expected 0 or more rows, found {prefetch}")
    if time_limit_s is not None and time_limit_s <= 0:
        raise UsageError(
            f"time_limit_s: expected more than 0 seconds, found {time_limit_s}"
        )


def reason_of(failure: BaseException) -> str:
    """Return why a job failed, as its row has it."""
    return str(failure) if isinstance(failure, Unreadable) else told(failure)


def check_work(work: object, executor: Executor | None) -> None:
    """Check that work can be called, and can travel to the executor's processes.

    Raises
    ------
    UsageError
        It can't.
    """
    if not callable(work):
        raise UsageError(
            "work: expected a function from a row to a dict of changes or None, "
            f"found {type(work).__name__}"
        )
    if isinstance(executor, ProcessPoolExecutor):
        try:
            pickle.dumps(work)
        except Exception as error:
            raise UsageError(
                "work: expected a function that a process pool can be handed, found "
                f"one that can't be pickled ({type(error).__name__}); define it at the "
                "top of a module that can be imported, not in a cell or a function"
            ) from error


def _call(work: Callable[[dict[str, Any]], Any], row: dict[str, Any]) -> Any:
    """Call work and read its result, before other work can change it."""
    result = work(row)
    # by its type: isinstance would ask the result itself, which may raise
    if type(result) is CoroutineType:
        result = asyncio.run(result)
    return None if result is None else read_changes(result)


def _reported(
    work: Callable[[dict[str, Any]], Any], row: dict[str, Any], home: str
) -> Report | Parcel:
    at_home = home == here()
    try:
        report = Report(result=_call(work, row))
    except KeyboardInterrupt as error:
        # Ctrl-C reaches all processes of a terminal, but the agent decides
        return Report(cause=error) if at_home else Report(fault="interrupted")
    except BaseException as error:  # noqa: BLE001 - the edge: told to who asked
        return Report(cause=error) if at_home else _packed(Report(cause=error))
    return report if at_home else _packed(report)


def _packed(report: Report) -> Parcel:
    cause = report.cause
    try:
        body = _pickled(report)
    except Exception as error:  # noqa: BLE001 - anything can be in it
        unpacked = f"its result can't be pickled: {told(error)}"
        body = pickle.dumps(Report(error=told(cause) if cause else unpacked))
    return Parcel(body=body, error=told(cause) if cause else "")


def _pickled(report: Report) -> bytes:
    try:
        return pickle.dumps(report)
    except Exception:
        # a cluster that has sent us code of a notebook can send its objects back
        cloudpickle = sys.modules.get("cloudpickle")
        if cloudpickle is None:
            raise
        packed: bytes = cloudpickle.dumps(report)
        return packed
