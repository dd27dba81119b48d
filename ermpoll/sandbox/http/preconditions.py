"""ETags, and the conditions that requests put on them."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import lru_cache

from ermpoll.sandbox.errors import HttpError

_TAG = re.compile(r'\s*,?\s*(?:(?:W/)?"([^"]*)"|(\*))')


@lru_cache(maxsize=64)
def _roles_part(roles: frozenset[str]) -> str:
    text = json.dumps(sorted({*roles, "*"}))
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return urlsafe_b64encode(digest).decode()


@lru_cache(maxsize=256)
def etag(roles: frozenset[str], accept: str, version: str) -> str:
    """Return ``"<roles>;<Accept>;<version>"``, quotes included.

    Parameters
    ----------
    roles
        The role ids of the client; ``*`` is added.
    accept
        The Accept header as it came, or ``*`` for model addresses.
    version
        When the newest change was, as a text.
    """
    return f'"{_roles_part(roles)};{accept.replace(chr(34), "")};{version}"'


class Probed(Exception):
    """The preconditions of a probe hold; it does nothing more.

    Parameters
    ----------
    columns
        How many the table has that it goes to; 0 for none.
    """

    def __init__(self, columns: int = 0) -> None:
        super().__init__()
        self.columns = columns


def check(
    method: str, headers: Mapping[str, str], current: str, *, vary: str | None = None
) -> None:
    """Raise unless a request's preconditions hold on the ETag `current`.

    Raises
    ------
    HttpError
        304 for GET, also when If-Match fails, and 412 for every other method.
    """
    wanted, unwanted = (
        _tags(headers.get(name, "")) for name in ("If-Match", "If-None-Match")
    )
    holds = not (wanted and _lacks(wanted, current)) and (
        not unwanted or _lacks(unwanted, current)
    )
    if not holds:
        more = {"ETag": current, **({"Vary": vary} if vary else {})}
        raise HttpError(304 if method == "GET" else 412, headers=more)


def _tags(header: str) -> set[str]:
    """Return the tags that a header begins with, ``*`` among them.

    What follows something without quotes is not read any more.
    """
    tags, at = set(), 0
    while found := _TAG.match(header, at):
        tags.add(found[2] or (found[1] or "").removesuffix("-gzip"))
        at = found.end()
    return tags


def _lacks(tags: set[str], current: str) -> bool:
    return tags.isdisjoint({"*", current.strip('"')})
