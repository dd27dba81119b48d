"""What users hold: a running sandbox, here or in another process."""

from __future__ import annotations

import atexit
import http.client
import json
import os
import weakref
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urlsplit

from ermpoll.errors import UsageError
from ermpoll.redact import Hidden, hidden
from ermpoll.sandbox import demo
from ermpoll.sandbox.app import CONTROL
from ermpoll.sandbox.model.identifiers import moment
from ermpoll.sandbox.process import SandboxThread

if TYPE_CHECKING:
    from ermpoll.catalog import Catalog
    from ermpoll.queue import Queue
    from ermpoll.records import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """One row that a write inserted, changed or deleted."""

    #: ``S:T``.
    table: str
    rid: str
    #: The row before, RMT included; None: it was not there.
    before: Row | None = field(repr=False)
    #: The row after; None: it is gone.
    after: Row | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One committed write."""

    #: Number in the order of commits, from 1.
    seq: int
    #: The RMT of the rows it wrote.
    at: datetime
    #: The id of the catalog.
    catalog: str
    method: str
    #: The raw address, from ``/`` on.
    path: str
    #: The id of the client.
    who: str
    #: The ETag of its answer.
    etag: str
    rows: tuple[RowChange, ...]

    @property
    def table(self) -> str:
        """``S:T`` of its first row; empty when it changed none."""
        return self.rows[0].table if self.rows else ""


class BoxCommands(Protocol):
    """The way to a sandbox: its thread, or its control address."""

    def command(self, do: str, **arguments: Any) -> Any:
        """Do a command and return its result."""

    def stop(self) -> None:
        """Stop the sandbox, if it is ours."""


class Joined:
    """The way to a sandbox in another process."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._place = urlsplit(url)
        self._login = {"Authorization": Hidden(f"Bearer {token}")} if token else {}

    def command(self, do: str, **arguments: Any) -> Any:
        """Post a command and return its result."""
        place = self._place
        body = json.dumps({"do": do, **arguments})
        headers = {"Content-Type": "application/json", **self._login}
        connection = http.client.HTTPConnection(
            place.hostname or "localhost", place.port, timeout=30
        )
        with closing(connection):
            connection.request("POST", CONTROL, body, headers)
            response = connection.getresponse()
            text = response.read().decode()
        if response.status != 200:
            raise UsageError(
                f"The sandbox at {place.netloc} did not do {do!r}"
                f" ({response.status}: {text.strip()}); was it started with control?"
            )
        return json.loads(text)

    def stop(self) -> None:
        """Leave it running: who started it stops it."""


#: Those of this process.
_boxes: weakref.WeakSet[Box] = weakref.WeakSet()


def box_of(url: str) -> Box | None:
    """Return the sandbox of this process that serves a catalog's address, or None."""
    place = urlsplit(url).netloc
    return next((box for box in _boxes if urlsplit(box.url).netloc == place), None)


class Box:
    """A running sandbox.

    Attributes
    ----------
    url
        The demo catalog: ``http://localhost:PORT/ermrest/catalog/1``.
    amqp_url
        Where notices come from: ``amqp://localhost:PORT``.
    users
        Name of each user to the client id that ACLs go by.

    Examples
    --------
    >>> box = ermpoll.sandbox.start(users=["ann"])
    >>> box.catalog(user="ann").whoami()
    'ann'
    >>> jobs = box.lesson("Mine", rows=3, user="ann")
    >>> rids = box.add(2, table=jobs.table)
    >>> jobs.waiting(), box.jobs().waiting()
    (5, 36)
    >>> box.faults(status=503, times=1, methods=["PUT"])
    >>> claim = jobs.claim(1)  # sent again
    >>> box.log[-1].method, box.log_from(len(box.log))[0].table == jobs.table
    ('PUT', True)
    >>> box.connections()["connections"]
    0
    >>> empty = ermpoll.connect(box.new_catalog(), {})
    >>> box.reset()
    >>> box.stop()
    """

    def __init__(
        self,
        url: str,
        amqp_url: str,
        commands: BoxCommands,
        *,
        token: str | None = None,
        users: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self.url = url
        self.amqp_url = amqp_url
        self._commands = commands
        self._token = hidden(token)
        self._tokens = {
            name: hidden(login) for name, (login, _) in (users or {}).items()
        }
        self.users = {name: client for name, (_, client) in (users or {}).items()}
        atexit.register(self.stop)
        _boxes.add(self)

    def __repr__(self) -> str:
        return f"<sandbox at {self.url}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def catalog(
        self,
        *,
        user: str | None = None,
        read_only: bool = False,
        timeout_s: float = 30,
    ) -> Catalog:
        """Return a new connection to the demo catalog, as its owner or as a user.

        Raises
        ------
        UsageError
            When there is no such user.
        """
        from ermpoll.catalog import connect

        token = self._token if user is None else self._tokens.get(user)
        if user is not None and token is None:
            known = ", ".join(self._tokens) or "none; name some in start(users=...)"
            raise UsageError(f"There is no user {user!r}; there are: {known}.")
        login = {"bearer-token": token} if token else None
        return connect(self.url, login, read_only=read_only, timeout_s=timeout_s)

    def jobs(self, *, user: str | None = None, **options: Any) -> Queue:
        """Return the queue of ``Imaging:Image``; `options` replace the demo's.

        Parameters
        ----------
        user
            Whose login it has, and whose name stands in the tokens of its claims;
            None: the owner's. The owner alone may write to ``Imaging:Image``, but
            every user to the table of a `lesson`.

        Raises
        ------
        UsageError
            When there is no such user.
        """
        from ermpoll.queue import Queue

        given = {"table": demo.TABLE, **demo.QUEUE, "worker": user, **options}
        return Queue(self.catalog(user=user), **given)

    def lesson(self, name: str, rows: int = 36, **options: Any) -> Queue:
        """Return the queue of a fresh table like ``Imaging:Image``, with new images.

        The table is called ``Imaging:NAME``, numbered where that name is taken: each
        call makes one, and what others do to theirs is not seen in it. Every user of
        the sandbox may claim there. `options` are those of `jobs`.
        """
        table: str = self._commands.command("lesson", name=name)
        if rows:
            self.add(rows, table=table)
        return self.jobs(table=table, **options)

    def add(
        self, n: int = 1, *, table: str = demo.TABLE, **values: object
    ) -> list[str]:
        """Insert `n` new images as somebody else, with a notice; return their RIDs.

        `values` are the same for all rows; `table` is that of a lesson.
        """
        rids: list[str] = self._commands.command("add", n=n, values=values, table=table)
        return rids

    @property
    def log(self) -> tuple[Write, ...]:
        """Every committed write, in the order of commits."""
        return self.log_from(1)

    def log_from(self, start: int, limit: int = 1_000_000) -> tuple[Write, ...]:
        """Return the committed writes from number `start` on, at most `limit`."""
        rows = self._commands.command("log", start=start, limit=limit)
        return tuple(_write(*row) for row in rows)

    def faults(self, **plan: object) -> None:
        """Make things go wrong from now on; without arguments, nothing any more.

        Parameters
        ----------
        **plan
            What `ermpoll.sandbox.FaultPlan` has: ``status=503, times=2, detail="...",
            abort=0.3, drop_reply=False, status_after=None, delay_s=0, freeze_s=0,
            cut_notices=False, cancel_consumers=False, mute_notices=False,
            logged_out=False, methods=None, seed=None``. What is not named is off.

        Raises
        ------
        UsageError
            For a fault that there is not.
        """
        self._commands.command("faults", **plan)

    def connections(self) -> Mapping[str, int]:
        """Return what the broker has: connections, consumers, unacknowledged."""
        counts: dict[str, int] = self._commands.command("connections")
        return counts

    def new_catalog(self) -> str:
        """Make an empty catalog beside the demo and return its address."""
        return str(self._commands.command("new_catalog"))

    def reset(self) -> None:
        """Put the demo back as it was at the start, with an empty log and no faults."""
        self._commands.command("reset")

    def stop(self) -> None:
        """Stop the sandbox; one that was joined goes on."""
        atexit.unregister(self.stop)
        _boxes.discard(self)
        self._commands.stop()


def _write(
    seq: int,
    at: int,
    catalog: str,
    method: str,
    path: str,
    who: str,
    etag: str,
    rows: list[Any],
) -> Write:
    changes = tuple(
        RowChange(table=table, rid=rid, before=before, after=after)
        for table, rid, before, after in rows
    )
    return Write(
        seq=seq,
        at=moment(at),
        catalog=catalog,
        method=method,
        path=path,
        who=who,
        etag=etag,
        rows=changes,
    )


def of_thread(
    running: SandboxThread,
    *,
    token: str | None,
    users: Mapping[str, tuple[str, str]] | None = None,
) -> Box:
    """Return the box of a sandbox in this process; `users`: name to token and id."""
    sandbox = running.sandbox
    return Box(sandbox.url, sandbox.amqp_url, running, token=token, users=users)


def of_line(line: str) -> Box:
    """Return the box of the sandbox that printed `line`.

    The owner's token, if it has one, is that of ``$ERMPOLL_SANDBOX_TOKEN``.

    Raises
    ------
    UsageError
        When that is no such line.
    """
    try:
        doc = json.loads(line)
        token = os.environ.get("ERMPOLL_SANDBOX_TOKEN")
        joined = Joined(doc["url"], token)
        return Box(doc["url"], doc["amqp"], joined, token=token)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "$ERMPOLL_SANDBOX must hold the JSON line that `ermpoll sandbox` prints"
            f" first, not {line[:80]!r}."
        ) from error
