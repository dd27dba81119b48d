"""An ERMrest service to try things on: real HTTP, real notices, no installation.

`start` gives a catalog with a queue of images. It keeps ERMrest's rules as far as
`start`'s notes say, over loopback only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ermpoll.sandbox import box as _box
from ermpoll.sandbox.assembly import Options
from ermpoll.sandbox.box import Box, RowChange, Write
from ermpoll.sandbox.datafile import StoreError
from ermpoll.sandbox.faults import FaultPlan
from ermpoll.sandbox.running import Running

__all__ = ["Box", "FaultPlan", "RowChange", "StoreError", "Write", "start"]


def start(
    *,
    port: int = 0,
    amqp_port: int = 0,
    data: str | Path | None = None,
    token: str | None = None,
    price: bool = False,
    control: bool = False,
    amqp: str | None = None,
    amqp_login: tuple[str, str] | None = None,
    tokens: Mapping[str, str] | None = None,
    keep_log: int | None = None,
) -> Box:
    """Start a sandbox, or join the one that $ERMPOLL_SANDBOX announces.

    It is joined only when no argument is given.
    """
    options = Options(
        port=port,
        amqp_port=amqp_port,
        data=data,
        token=token,
        price=price,
        control=control,
        amqp=amqp,
        amqp_login=amqp_login,
        tokens=tokens or {},
        keep_log=keep_log,
    )
    announced = os.environ.get("ERMPOLL_SANDBOX")
    if announced and options == Options():
        return _box.of_line(announced)
    return _box.of_thread(Running(options), token=token)
