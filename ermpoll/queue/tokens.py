"""The text in the owner column that proves a claim: ``name~random~lease``.

Knows no catalog. A token is chosen before its PUT and never used for another.
"""

from __future__ import annotations

import getpass
import os
import re
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass

_TOKEN = re.compile(r"(?P<name>[^~]*)~(?P<random>[0-9a-f]{16,})~(?P<lease>[0-9.]+)")
#: The longest lease, 300 years: added to any time of today it is still a time.
LONGEST_LEASE_S = 1e10


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token taken apart."""

    #: Who holds the row, for people.
    name: str
    random: str
    #: Seconds that the claim counts without being renewed.
    lease_s: float

    def __str__(self) -> str:
        lease = f"{self.lease_s:.3f}".rstrip("0").rstrip(".")
        return f"{self.name}~{self.random}~{lease}"


def new_token(
    name: str, lease_s: float, random: Callable[[], str] = lambda: secrets.token_hex(8)
) -> str:
    """Choose a token that no claim has had before."""
    return str(Token(name=clean_name(name), random=random(), lease_s=lease_s))


def parse_token(text: object) -> Token | None:
    """Take a token of ermpoll apart; None for any other text, or for no text."""
    match = _TOKEN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    try:
        lease_s = float(match["lease"])
    except ValueError:
        return None
    if lease_s > LONGEST_LEASE_S:
        return None
    return Token(name=match["name"], random=match["random"], lease_s=lease_s)


def clean_name(name: str) -> str:
    """Return the name as it can stand in a token: printable, without ``~``, short."""
    return re.sub(r"[^\w.:@/ -]", "-", name)[:80].strip() or "ermpoll"


def worker_name() -> str:
    """Return what people call this process: user, host and process number."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}:{os.getpid()}"


def token_source(name: str, lease_s: float) -> Callable[[], str]:
    """Return a source of tokens that no claim has had before."""
    return lambda: new_token(name, lease_s)
