"""Calling the user's work: in a thread, a process or on another machine.

The functions here travel to where the work is done, so they are plain and
importable, and know nothing of queues.
"""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import Any

from ermpoll import permits
from ermpoll.errors import UsageError


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
            result, error = None, f"{type(failure).__name__}: {failure}"
    return result, error, list(refused)


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


def changes_of_work(result: object) -> Mapping[str, Any]:
    """Return what work gave back as changes.

    Raises
    ------
    UsageError
        It is neither a dict nor None.
    """
    if result is None:
        return {}
    if not isinstance(result, Mapping):
        raise UsageError(
            "expected work to return a dict of changes or None, found "
            f"{type(result).__name__}"
        )
    return result


def _call(work: Callable[[dict[str, Any]], Any], row: dict[str, Any]) -> Any:
    result = work(row)
    if inspect.iscoroutine(result):
        return asyncio.run(result)
    return result
