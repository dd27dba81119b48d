"""A sandbox on a thread of its own, and the calls that reach it there."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from functools import partial
from typing import Any

from ermpoll.errors import UsageError
from ermpoll.sandbox.assembly import Options, Sandbox


class Running:
    """The thread that serves a sandbox.

    Raises
    ------
    UsageError
        When a port is taken.
    StoreError
        When the data file can't be used.
    """

    def __init__(self, options: Options) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready: Future[Sandbox] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(options,), name="ermpoll-sandbox", daemon=True
        )
        self._thread.start()
        try:
            self.sandbox = self._ready.result()
        except OSError as error:
            self._thread.join()
            raise UsageError(options.trouble(error)) from error

    def _run(self, options: Options) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            sandbox = self._loop.run_until_complete(_started(options))
        except BaseException as error:  # noqa: BLE001 - handed to who waits for it
            self._ready.set_exception(error)
        else:
            self._ready.set_result(sandbox)
            self._loop.run_forever()
            self._loop.run_until_complete(sandbox.stop())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    def stop(self) -> None:
        """Stop serving and end the thread; again: nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def command(self, do: str, **arguments: Any) -> Any:
        """Do a command on the sandbox's own thread and return its result."""
        if not self._thread.is_alive():
            raise UsageError("The sandbox is stopped; start another one.")
        result: Future[Any] = Future()
        call = partial(self.sandbox.command, do, **arguments)
        self._loop.call_soon_threadsafe(_settle, result, call)
        return result.result()


def _settle(result: Future[Any], call: partial[Any]) -> None:
    try:
        result.set_result(call())
    except Exception as error:  # noqa: BLE001 - handed to who waits for it
        result.set_exception(error)


async def _started(options: Options) -> Sandbox:
    sandbox = Sandbox(options)
    try:
        await sandbox.start()
    except OSError:
        await sandbox.stop()
        raise
    return sandbox
