"""All parts of a sandbox put together, and the commands that drive it from outside."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ermpoll.errors import UsageError
from ermpoll.sandbox import demo
from ermpoll.sandbox.broker.relay import Relay
from ermpoll.sandbox.broker.server import Broker
from ermpoll.sandbox.errors import HttpError
from ermpoll.sandbox.http import desk
from ermpoll.sandbox.http.emulation import Emulation
from ermpoll.sandbox.http.faults import FaultPlan
from ermpoll.sandbox.http.messages import Answer, Request, json_answer, text_answer
from ermpoll.sandbox.http.routes import Service, refused
from ermpoll.sandbox.http.server import BODY_LIMIT, Front
from ermpoll.sandbox.model import jsons
from ermpoll.sandbox.model.clients import OWNER, SOMEBODY, Client, Logins, User
from ermpoll.sandbox.schema import catalogs
from ermpoll.sandbox.store.store import Store

#: Where commands are posted, if that is allowed at all.
CONTROL = "/sandbox/control"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a sandbox is to be."""

    host: str = "127.0.0.1"
    #: 0: any free port.
    port: int = 0
    amqp_port: int = 0
    #: A real broker to send notices to, instead of the sandbox's own.
    amqp: str | None = field(default=None, repr=False)
    #: The data file, or None: gone with the sandbox.
    data: str | Path | None = None
    #: The owner's token; None: everybody is the owner.
    token: str | None = field(default=None, repr=False)
    #: More tokens, and the ids of their clients, who own nothing.
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: More logins, with names and groups.
    users: tuple[User, ...] = ()
    #: ``(user, password)`` for the broker; None: anybody may listen.
    amqp_login: tuple[str, str] | None = field(default=None, repr=False)
    #: Emulate what requests cost on a real service.
    price: bool = False
    #: Take commands at `CONTROL`.
    control: bool = False
    #: How many writes the log keeps; None: all.
    keep_log: int | None = None
    body_limit: int = BODY_LIMIT

    def __post_init__(self) -> None:
        """Check the ports."""
        for port in (self.port, self.amqp_port):
            if not 0 <= port <= 65535:
                raise UsageError(
                    f"A port is a number from 0 to 65535, not {port};"
                    " 0 is any free one."
                )

    def trouble(self, port: int, error: OSError) -> UsageError:
        """Return, for people, why the sandbox can't listen on a port."""
        reason = os.strerror(error.errno) if error.errno else str(error)
        return UsageError(
            f"The port {port} of {self.host} can't be used ({reason});"
            " name another, or 0 for a free one."
        )


class Sandbox:
    """A store, the service on it, its sockets and its broker.

    Made and used on the thread of one event loop.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.store = Store(options.data, keep_log=options.keep_log)
        if "1" not in self.store.catalogs and not self.store.taken("1"):
            demo.make(self.store)
        others = {key: Client(who, who) for key, who in options.tokens.items()}
        others |= {user.token: user.client for user in options.users}
        self.logins = Logins(options.token, others)
        self.service = Service(self.store, self.logins)
        self.broker = Broker(options.amqp_login)
        self.relay = Relay(options.amqp) if options.amqp else None
        self.emulation = Emulation(
            self.answer,
            probe=self.service.probe,
            price=options.price,
            spared=CONTROL if options.control else "",
        )
        self.front = Front(self.emulation.respond, body_limit=options.body_limit)
        self.port = 0
        self.amqp_port = 0
        self._random = random.Random(7)
        self._added = 0
        self._commands: dict[str, Callable[..., Any]] = {
            "add": self.add,
            "connections": self.connections,
            "faults": self.faults,
            "lesson": self.lesson,
            "log": self.log,
            "new_catalog": self.new_catalog,
            "reset": self.reset,
        }

    async def start(self) -> None:
        """Listen, or raise UsageError."""
        options = self.options
        try:
            self.port = self.front.start(options.host, options.port)
        except OSError as error:
            raise options.trouble(options.port, error) from error
        if self.relay is not None:
            return
        try:
            self.amqp_port = await self.broker.start(options.host, options.amqp_port)
        except OSError as error:
            raise options.trouble(options.amqp_port, error) from error

    async def stop(self) -> None:
        """Close everything."""
        await self.front.stop()
        await self.broker.stop()
        if self.relay is not None:
            self.relay.stop()
        self.store.close()

    @property
    def url(self) -> str:
        """The demo catalog's address."""
        # Not 127.0.0.1: a login cookie would never be sent there.
        name = "localhost" if self.options.host == "127.0.0.1" else self.options.host
        return f"http://{name}:{self.port}/ermrest/catalog/1"

    @property
    def amqp_url(self) -> str:
        """The broker's address."""
        if self.options.amqp is not None:
            return self.options.amqp
        login = self.options.amqp_login
        user = f"{':'.join(quote(word, safe='') for word in login)}@" if login else ""
        return f"amqp://{user}localhost:{self.amqp_port}"

    def publish(self) -> None:
        """Send one notice to those who wait for them."""
        if self.relay is not None:
            if not self.broker.exchange.muted:
                self.relay.publish()
        else:
            self.broker.exchange.publish()

    def answer(self, request: Request) -> Answer:
        """Return the answer to any request, commands included."""
        try:
            desk.check(request, self.options.host)
        except HttpError as error:
            return refused(request, error)
        if self.options.control and request.path == CONTROL:
            return self._control(request)
        answer = self.service.answer(request)
        if answer.changed:
            self.publish()
        return answer

    def _control(self, request: Request) -> Answer:
        if self.logins.client(request.headers) != OWNER:
            return text_answer(401, "A command needs the owner's token.\n")
        kind = request.headers.get("Content-Type", "")
        if request.method != "POST" or kind != "application/json":
            # A page in a browser can't send this type to another host unasked.
            return text_answer(405, "POST a command as application/json.\n")
        try:
            doc = jsons.loads(request.body)
            return json_answer(200, self.command(**doc))
        except (ValueError, TypeError) as error:
            return text_answer(400, f"The command can't be done: {error}\n")

    def command(self, do: str, **arguments: Any) -> Any:
        """Do one command and return its result as JSON.

        Raises
        ------
        UsageError
            When there is no such command.
        """
        if do not in self._commands:
            known = ", ".join(self._commands)
            raise UsageError(f"There is no command {do!r}; there are: {known}.")
        self.store.deadline.start()
        return self._commands[do](**arguments)

    # ---- commands

    def add(
        self,
        n: int = 1,
        values: Mapping[str, Any] | None = None,
        table: str = demo.TABLE,
    ) -> list[str]:
        """Insert `n` new images as somebody else would; return their RIDs."""
        rows = []
        for _ in range(n):
            self._added += 1
            number = 10_000 + self._added + self.store.clock.last % 1_000_000 * 1000
            row = demo.image(self._random, number, datetime.now(UTC))
            rows.append({**row, **(values or {})})
        request = Request(
            method="POST",
            path=f"/ermrest/catalog/1/entity/{table}",
            headers={},
            body=json.dumps(rows).encode(),
        )
        answer = self.service.answer(request, SOMEBODY)
        if answer.status != 200:
            raise UsageError(f"The rows can't be added: {answer.body.decode()}")
        self.publish()
        return [row["RID"] for row in json.loads(answer.body)]

    def connections(self) -> dict[str, int]:
        """Return what the broker has: connections, consumers, unacknowledged."""
        queues = self.broker.exchange.queues.values()
        return {
            "connections": len(self.broker.peers),
            "consumers": sum(len(queue.consumers) for queue in queues),
            "unacknowledged": self.broker.unacknowledged,
        }

    def faults(self, **plan: Any) -> None:
        """Put faults in force; without arguments, none."""
        known = {item.name for item in fields(FaultPlan)}
        for name in plan:
            if name not in known:
                words = ", ".join(sorted(known))
                raise UsageError(f"There is no fault {name!r}; there are: {words}.")
        armed = FaultPlan(**plan)
        self.emulation.arm(armed)
        self.broker.refusing = armed.cut_notices
        self.broker.exchange.muted = armed.mute_notices
        self.logins.expired = armed.logged_out
        if armed.cut_notices:
            self.broker.cut()
        if armed.cancel_consumers:
            self.broker.exchange.cancel_consumers()

    def lesson(self, name: str) -> str:
        """Make an empty table like the demo's under a free name, and return that.

        Every user of the sandbox may update it.
        """
        writers = [user.client.id for user in self.options.users]
        names = chain([name], (f"{name}_{number}" for number in count(2)))
        for free in names:
            request = Request(
                method="POST",
                path="/ermrest/catalog/1/schema/Imaging/table",
                headers={},
                body=json.dumps(demo.lesson_table(free, writers)).encode(),
            )
            answer = self.service.answer(request, OWNER)
            if answer.status != 409:
                break
        if answer.status != 201:
            raise UsageError(f"No table {name!r}: {answer.body.decode()}")
        self.publish()
        return f"Imaging:{free}"

    def log(self, start: int = 1, limit: int = 1_000_000) -> list[list[Any]]:
        """Return the committed writes from number `start` on."""
        return self.store.read_log(start, limit)

    def new_catalog(self) -> str:
        """Make an empty catalog and return its address."""
        catalog = catalogs.create(self.store, None, OWNER)
        return self.url.removesuffix("1") + catalog.id

    def reset(self) -> None:
        """Put a fresh demo catalog in place of all there is, and end all faults."""
        self.faults()
        self.store.clear()
        demo.make(self.store)
