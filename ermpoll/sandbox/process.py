"""A sandbox that runs: on a thread of its own here, or as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from ermpoll.errors import UsageError
from ermpoll.sandbox.app import Options, Sandbox
from ermpoll.sandbox.model.clients import User
from ermpoll.sandbox.store.datafile import StoreError


class SandboxThread:
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
        except UsageError:
            self._thread.join()
            raise

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
    except UsageError:
        await sandbox.stop()
        raise
    return sandbox


def serve(
    port: int = 0,
    amqp_port: int = 0,
    data: str | Path | None = None,
    token: str | None = None,
    price: bool = False,
    control: bool = False,
    host: str = "127.0.0.1",
    amqp: str | None = None,
    users: Sequence[str] = (),
    token_file: str | Path | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; print one JSON line when ready.

    The line is ``{"url": ..., "amqp": ..., "pid": ...}``. `users` are logins beside
    the owner's: ``NAME[:TOKEN][:GROUP,...]``. A token on a command line can be read by
    all users of the machine; it may stand in `token_file` or in the environment, as
    ``ERMPOLL_SANDBOX_TOKEN``.

    Returns
    -------
    int
        The exit code: 0 after a signal; 2 with a message on stderr when a port is
        taken, the data file can't be used, or an argument is not right.
    """
    try:
        token = token or _kept_token(token_file)
        if users and not token:
            raise UsageError("Users need a token for the owner as well: --token.")
        options = Options(
            host=host,
            port=port,
            amqp_port=amqp_port,
            data=data,
            token=token,
            price=price,
            control=control,
            amqp=amqp,
            users=tuple(User.parse(text) for text in users),
        )
        asyncio.run(_serve(options))
    except (StoreError, UsageError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _kept_token(path: str | Path | None) -> str | None:
    """Return the token of a file or of the environment, or None."""
    if path is None:
        return os.environ.get("ERMPOLL_SANDBOX_TOKEN") or None
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The token file {path} can't be read ({error}).") from error
    if not token:
        raise UsageError(f"The token file {path} is empty.")
    return token


async def _serve(options: Options) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    sandbox = Sandbox(options)
    try:
        await sandbox.start()
        line = {"url": sandbox.url, "amqp": sandbox.amqp_url, "pid": os.getpid()}
        sys.stdout.write(f"{json.dumps(line)}\n")
        sys.stdout.flush()
        await ended.wait()
    finally:
        await sandbox.stop()
