"""Calling the user's work: in a thread, a process or on another machine.

The functions here travel to where the work is done, so they are plain and
importable, and know nothing of queues.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from types import CoroutineType
from typing import Any

from ermpoll import permits
from ermpoll.errors import Unreadable, UsageError
from ermpoll.telling import told
from ermpoll.values import read_changes


def do(work: Callable[[dict[str, Any]], Any], row: dict[str, Any]) -> Any:
    """Do the work of a claimed row; what it writes itself is permitted."""
    with permits.real():
        return _call(work, row)


def do_dry(
    work: Callable[[dict[str, Any]], Any], row: dict[str, Any]
) -> tuple[Any, str, list[str]]:
    """Do the work of a row while every write is refused.

    Returns
    -------
    tuple
        What it returned, how it failed (empty when it didn't), and the lines of the
        writes that were refused.
    """
    with permits.dry() as refused:
        try:
            result, error = _call(work, row), ""
        except Exception as failure:  # noqa: BLE001  shown to whoever asked
            result, error = None, reason_of(failure)
    return result, error, list(refused)


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
