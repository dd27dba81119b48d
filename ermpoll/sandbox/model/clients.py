"""Who asks: logins by bearer token or cookie, and ``/authn/session``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from ermpoll.errors import UsageError

_SPAN_S = 1800


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who asks; ANONYMOUS is nobody."""

    id: str
    display_name: str = ""
    #: The ids of the client's groups.
    groups: frozenset[str] = frozenset()

    @property
    def roles(self) -> frozenset[str]:
        """The ids of the client's roles, without ``*``."""
        return self.groups | {self.id} if self.id else frozenset()


ANONYMOUS = Client("")
_PEOPLE = "https://sandbox.example.org/id/"
OWNER = Client(f"{_PEOPLE}ada", "Ada Lovelace")
#: Who adds the rows that appear as if by somebody else.
SOMEBODY = Client(f"{_PEOPLE}microscope-2", "Microscope 2")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A login beside the owner's."""

    name: str
    token: str = field(repr=False)
    groups: frozenset[str] = frozenset()

    @property
    def client(self) -> Client:
        """Who logs in so."""
        return Client(f"{_PEOPLE}{self.name}", self.name, self.groups)

    @classmethod
    def parse(cls, text: str) -> User:
        """Return the user of ``NAME[:TOKEN][:GROUP,...]``; its name is its token.

        Raises
        ------
        UsageError
            When the text is of another form.
        """
        # the id of a group may be an address, with colons of its own
        name, *more = text.split(":", 2)
        if not re.fullmatch(r"[\w.-]+", name):
            raise UsageError(
                f"A user is NAME[:TOKEN][:GROUP,...], of letters, digits, _ . and -;"
                f" not {name[:40]!r}."
            )
        token, groups = ([*more, "", ""])[:2]
        return cls(
            name=name,
            token=token or name,
            groups=frozenset(group for group in groups.split(",") if group),
        )


class Logins:
    """Which token is whose.

    Parameters
    ----------
    token
        The owner's token. None: every request is the owner's.
    others
        More tokens, of clients that own nothing.
    """

    def __init__(
        self, token: str | None = None, others: Mapping[str, Client] | None = None
    ) -> None:
        self._tokens = {**(others or {}), **({token: OWNER} if token else {})}
        self.is_open = token is None
        #: True: every login has expired, every request is anonymous.
        self.expired = False

    def client(self, headers: Mapping[str, str]) -> Client:
        """Return who sends these headers; with an unknown token: ANONYMOUS."""
        if self.expired:
            return ANONYMOUS
        token = _token(headers)
        for known, client in self._tokens.items():
            if token is not None and compare_digest(known.encode(), token.encode()):
                return client
        return OWNER if self.is_open else ANONYMOUS

    def login(self, form: str) -> tuple[Client, str] | None:
        """Return the client of a login form's password, and its token, or None."""
        fields = parse_qs(form)
        password = fields.get("password", [""])[-1]
        if self.is_open:
            return OWNER, password or "sandbox"
        client = self.client({"Authorization": f"Bearer {password}"})
        return None if client is ANONYMOUS else (client, password)


def _token(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    try:
        cookie = SimpleCookie(headers.get("Cookie", "")).get("webauthn")
    except CookieError:
        return None
    return None if cookie is None else cookie.value.split("|")[0]


def session_doc(client: Client) -> dict[str, Any]:
    """Return the document of ``GET /authn/session``."""
    now = datetime.now(UTC)
    who = {"id": client.id, "display_name": client.display_name}
    return {
        "client": who,
        "attributes": [
            who,
            *({"id": name, "display_name": name} for name in sorted(client.groups)),
        ],
        "since": now.isoformat(),
        "expires": (now + timedelta(seconds=_SPAN_S)).isoformat(),
        "seconds_remaining": _SPAN_S,
        "vary_headers": ["cookie"],
        "tracking": "",
    }
