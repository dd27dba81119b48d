"""The text in the owner column that proves a claim: ``name~random~lease``.

Knows no catalog. A token is chosen before its PUT and never used for another. Behind
its 16 random digits stand 8 that say which ready word the row came from: who frees
the row gives that word back, and leaves rows of another queue alone.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

_TOKEN = re.compile(
    r"(?P<name>[^~]*)~(?P<random>[0-9a-f]{16})(?P<mark>(?:[0-9a-f]{8})?)"
    r"~(?P<lease>[0-9.]+)"
)
#: The same for the catalog: what the text of a token looks like.
PATTERN = "^[^~]*~[0-9a-f]{16}([0-9a-f]{8})?~[0-9.]+$"
#: The longest lease, 300 years: added to any time of today it is still a time.
LONGEST_LEASE_S = 1e10


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token taken apart."""

    #: Who holds the row, for people.
    name: str
    random: str
    #: `mark_of` the ready word that the row came from; empty where it doesn't say.
    mark: str = ""
    #: Seconds that the claim counts without being renewed.
    lease_s: float

    def __str__(self) -> str:
        lease = f"{self.lease_s:.3f}".rstrip("0").rstrip(".")
        return f"{self.name}~{self.random}{self.mark}~{lease}"

    def of(self, word: object) -> Token:
        """Return it as a row has it that came from this ready word."""
        return replace(self, mark=mark_of(word))


#: Where the tokens of claims come from, one call a PUT: one that each of its rows
#: marks with its own ready word, or a person's own text, which stays as it is.
TokenSource: TypeAlias = Callable[[], Token | str]


def mark_of(word: object) -> str:
    """Return the 8 digits that stand for a ready word; None is NULL."""
    text = "" if word is None else f"={word}"
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]


def new_token(
    name: str, lease_s: float, random: Callable[[], str] = lambda: secrets.token_hex(8)
) -> Token:
    """Choose a token that no claim has had before."""
    return Token(name=clean_name(name), random=random(), lease_s=lease_s)


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
    return Token(
        name=match["name"], random=match["random"], mark=match["mark"], lease_s=lease_s
    )


def clean_name(name: str) -> str:
    """Return the name as it can stand in a token: printable, without ``~``, short."""
    return re.sub(r"[^\w.:@/ -]", "-", name)[:80].strip() or "ermpoll"


def worker_name(told: str = "") -> str:
    """Return who claims, for people: as told, or user, host and process number."""
    if told:
        return told
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}:{os.getpid()}"


def token_source(name: str, lease_s: float) -> TokenSource:
    """Return a source of tokens that no claim has had before."""
    return lambda: new_token(name, lease_s)
