"""A sandbox as a process of its own, until it is told to end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from ermpoll.sandbox.assembly import Options, Sandbox
from ermpoll.sandbox.store.datafile import StoreError


def serve(
    port: int = 0,
    amqp_port: int = 0,
    data: str | Path | None = None,
    token: str | None = None,
    price: bool = False,
    control: bool = False,
    host: str = "127.0.0.1",
    amqp: str | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; print one JSON line when ready.

    The line is ``{"url": ..., "amqp": ..., "pid": ...}``.

    Returns
    -------
    int
        The exit code: 0 after a signal; 2 with a message on stderr when a port is
        taken or the data file can't be used.
    """
    options = Options(
        host=host,
        port=port,
        amqp_port=amqp_port,
        data=data,
        token=token,
        price=price,
        control=control,
        amqp=amqp,
    )
    try:
        asyncio.run(_serve(options))
    except StoreError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"{options.trouble(error)}\n")
        return 2
    return 0


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
