"""From what people have at hand to the address of a catalog, and to a login.

Knows the forms of addresses, and deriva-py's objects by their attributes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ermpoll.errors import UsageError

# no backslash: some parsers end the host there, others don't
_SERVER = r"^(?P<server>https?://[^/?#\\\s]+)"
_CATALOG = re.compile(_SERVER + r"/ermrest/catalog/(?P<id>[^/?#\s]+)", re.IGNORECASE)
_CHAISE = re.compile(
    _SERVER + r"/(?:[^#]*/)?chaise/[^#]*#(?P<id>[^/?\s]+)", re.IGNORECASE
)


def catalog_url(text: str | None) -> str:
    """Return ``https://host/ermrest/catalog/1`` for an address that names a catalog.

    Raises
    ------
    UsageError
        There is none, it is no address of a catalog or of a Chaise page of one, or
        a login stands in it. The message shows no login.
    """
    if not text:
        raise UsageError(
            "expected the address of a catalog, found none; give it to connect() or "
            "set $ERMPOLL_CATALOG, like https://host/ermrest/catalog/1"
        )
    found = _CATALOG.match(text) or _CHAISE.match(text)
    if not found:
        raise UsageError(
            f"expected an address like https://host/ermrest/catalog/1, found "
            f"{_without_login(text)!r}"
        )
    if "@" in found["server"]:
        raise UsageError(
            "expected an address without a login, found one with a login in it; "
            "give credentials= instead"
        )
    server = found["server"]
    if not _has_host(server):
        raise UsageError(
            f"expected a host and a port from 1 to 65535, found {server[:120]!r}"
        )
    return f"{server}/ermrest/catalog/{found['id']}"


def _has_host(server: str) -> bool:
    try:
        parts = urlsplit(server)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _without_login(text: str) -> str:
    return re.sub(r"//[^/@]*@", "//", text)[:120]


def of_deriva(
    binding: Any, credentials: Mapping[str, Any] | None
) -> tuple[str, Mapping[str, Any] | None]:
    """Take address and login over from a deriva-py catalog object.

    Raises
    ------
    UsageError
        It is no such object.
    """
    try:
        url, session = binding.get_server_uri(), binding._session
    except AttributeError:
        raise UsageError(
            "expected an address or a deriva-py ErmrestCatalog, found "
            f"{type(binding).__name__}"
        ) from None
    if credentials is None:
        bearer = session.headers.get("Authorization", "")
        cookies = "; ".join(f"{c.name}={c.value}" for c in session.cookies)
        credentials = {"cookie": cookies} if cookies else {}
        if bearer.startswith("Bearer "):
            credentials = {"bearer-token": bearer.removeprefix("Bearer ")}
    return str(url), credentials
