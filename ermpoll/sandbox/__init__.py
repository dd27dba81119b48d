"""An ERMrest service to try things on: real HTTP, real notices, no installation.

`start` gives a catalog with a queue of images, over loopback only. Reads, writes,
ETags, models, rights, history, logins and notices keep the rules of ERMrest 0.5. What
the sandbox knowingly leaves out or does otherwise:

Service
    ERMrest and its logins alone, which never expire: no files (Hatrac), no pages
    (Chaise), no TLS. Pages of other sites and other hosts' names are refused, which a
    real service leaves to the server in front of it. Bodies have at most 32 MB.
Addresses
    ``meta`` is not there; ``?vacuum`` and ``?analyze`` do nothing, ``textfacet`` finds
    nothing. ``::ts::`` and operators in capital letters get a 400, where the real
    service fails with a 500. Filters nest at most 30 deep, a path has at most 64
    tables.
Model
    No views; the key on RID can't be dropped. A column changes its type by way of its
    values' text. Deleting a catalog is for good, and its id stays taken (409, not 500).
    Only the owner makes catalogs. Bindings are checked wherever they are given.
    Indexing preferences and auditing annotations have no effect.
Values
    Years from 1 to 9999. Text sorts by code point. The JSON of a numeric value has as
    many digits as a float; CSV has all. Regular expressions are those of the ``regex``
    package, which differ from PostgreSQL's in rare corners.
Answers
    JSON and CSV answers to a POST have each system column once. Error details have
    other words; the statuses and fixed sentences are the service's.
Concurrency
    Requests are served one after the other, so none is aborted by itself; with
    ``price=True`` they take the time of a real service on two processors, and of
    writers that overlap in a catalog the first to commit wins. Deadlocks are left out.

Open `box` first.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ermpoll.sandbox import box as _box
from ermpoll.sandbox.app import Options
from ermpoll.sandbox.box import Box, RowChange, Write
from ermpoll.sandbox.http.faults import FaultPlan
from ermpoll.sandbox.model.clients import User
from ermpoll.sandbox.process import SandboxThread
from ermpoll.sandbox.store.datafile import StoreError

__all__ = ["Box", "FaultPlan", "RowChange", "StoreError", "Write", "start"]


def start(
    *,
    port: int | None = None,
    amqp_port: int | None = None,
    data: str | Path | None = None,
    token: str | None = None,
    tokens: Mapping[str, str] | None = None,
    users: Mapping[str, Iterable[str]] | Iterable[str] | None = None,
    price: bool = False,
    control: bool = False,
    amqp: str | None = None,
    amqp_login: tuple[str, str] | None = None,
    keep_log: int | None = None,
) -> Box:
    """Start a sandbox, or join the one that $ERMPOLL_SANDBOX announces.

    It is joined only when no argument is given. One that is started serves from a
    thread of this process until `Box.stop`, at the latest until the process ends.

    Parameters
    ----------
    port, amqp_port
        Where to listen for HTTP and for AMQP; 0 and None are any free port.
    data
        A file that keeps everything, made if it is not there; None: gone at the end.
    token
        The owner's bearer token or cookie; everybody else is anonymous. None: every
        request is the owner's.
    tokens
        More tokens, and the ids of their clients, who own nothing.
    users
        More logins: names and their groups, or names alone. `Box.catalog` opens a
        connection of each, `Box.users` has the ids for ACLs. The owner then has a
        token as well.
    price
        Make requests as slow as on a real service, and overlapping writes abort.
    control
        Take commands (`Box.faults` and others) from other processes, too.
    amqp
        Address of a real RabbitMQ to send notices to, instead of the own broker.
    amqp_login
        User and password for the own broker; None: anybody may listen.
    keep_log
        How many writes `Box.log` keeps at least; None: all.

    Raises
    ------
    UsageError
        When a port is taken, or $ERMPOLL_SANDBOX holds no announcement.
    StoreError
        When `data` can't be read, is not a sandbox's, or another process has it.

    Examples
    --------
    >>> with ermpoll.sandbox.start() as other:
    ...     other.jobs().waiting()
    36
    """
    people = _people(users)
    token = token or (secrets.token_urlsafe() if people else None)
    options = Options(
        port=port or 0,
        amqp_port=amqp_port or 0,
        data=data,
        token=token,
        price=price,
        control=control,
        amqp=amqp,
        amqp_login=amqp_login,
        tokens=tokens or {},
        users=people,
        keep_log=keep_log,
    )
    announced = os.environ.get("ERMPOLL_SANDBOX")
    is_bare = port is None and amqp_port is None and options == Options()
    if announced and is_bare:
        return _box.of_line(announced)
    tokens_of = {user.name: (user.token, user.client.id) for user in people}
    return _box.of_thread(SandboxThread(options), token=token, users=tokens_of)


def _people(
    users: Mapping[str, Iterable[str]] | Iterable[str] | None,
) -> tuple[User, ...]:
    if not isinstance(users, Mapping):
        users = dict.fromkeys(users or (), ())
    return tuple(
        replace(
            User.parse(name), token=secrets.token_urlsafe(), groups=frozenset(groups)
        )
        for name, groups in users.items()
    )
