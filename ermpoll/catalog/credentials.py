"""From what people have at hand to an address, and to a login that never shows itself.

Knows the forms of addresses, deriva-py's objects by their attributes, and where a
login is kept; no HTTP. A login belongs to one origin and is handed out for no other.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ermpoll.errors import UsageError
from ermpoll.redact import Hidden, clipped, hidden, printable

logger = logging.getLogger(__name__)

# no backslash: some parsers end the host there, others don't
_SERVER = r"^(?P<server>https?://[^/?#\\\s]+)"
_CATALOG = re.compile(_SERVER + r"/ermrest/catalog/(?P<id>[^/?#\s]+)", re.IGNORECASE)
_CHAISE = re.compile(
    _SERVER + r"/(?:[^#]*/)?chaise/[^#]*#(?P<id>[^/?\s]+)", re.IGNORECASE
)
_HTML_NAMES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
#: Shorter ones are words that an answer may hold by itself.
_SHORTEST_SECRET = 4


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
    if _holds_login(text):
        raise UsageError(
            "expected an address without a login, found one with a login in it; "
            "give credentials= instead"
        )
    found = _CATALOG.match(text) or _CHAISE.match(text)
    if not found:
        raise UsageError(
            f"expected an address like https://host/ermrest/catalog/1, found "
            f"{_without_login(text)!r}"
        )
    server = found["server"]
    if not _has_host(server):
        raise UsageError(
            f"expected a host and a port from 1 to 65535, found {server[:120]!r}"
        )
    return f"{server}/ermrest/catalog/{found['id']}"


def _holds_login(text: str) -> bool:
    found = _CATALOG.match(text) or _CHAISE.match(text)
    return found is not None and "@" in found["server"]


def _has_host(server: str) -> bool:
    try:
        parts = urlsplit(server)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _without_login(text: str) -> str:
    return printable(re.sub(r"//[^/@]*@", "//", text)[:120])


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
        bearer = Hidden(session.headers.get("Authorization", ""))
        cookies = Hidden("; ".join(f"{c.name}={c.value}" for c in session.cookies))
        credentials = {"cookie": cookies} if cookies else {}
        if bearer.startswith("Bearer "):
            credentials = {"bearer-token": Hidden(bearer.removeprefix("Bearer "))}
    return str(url), credentials


class Login:
    """The headers that prove who asks; shows only what kind it is.

    Raises
    ------
    UsageError
        The credentials hold neither ``bearer-token`` nor ``cookie``.
    """

    __slots__ = ("_header", "_origin", "_secrets", "kind")

    def __init__(self, credentials: Mapping[str, Any] | None, url: str) -> None:
        credentials = hidden(credentials or {})
        self._origin = origin(url)
        self.kind, self._header = _header_of(credentials)
        self._secrets = _all_forms(self._header[1]) if self._header else None
        if self.kind != "anonymous" and not is_safe(url):
            raise UsageError(
                f"expected https for a login, found {self._origin}; "
                "a login is sent over plain http to this machine only"
            )

    def headers(self, url: str) -> dict[str, str]:
        """Return the headers for an address: none for any other origin."""
        if self._header is None or origin(url) != self._origin:
            return {}
        name, value = self._header
        return {name: value}

    def scrub(self, text: str) -> str:
        """Return text without the secret, in whatever form it has crept in."""
        return self._secrets.sub("[secret]", text) if self._secrets else text

    def __repr__(self) -> str:
        return f"Login({self.kind})"

    def __reduce__(self) -> Any:
        raise TypeError("a login is not pickled; connect again where it is needed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A login as the server sees it."""

    #: Name for people, or the client's id.
    name: str
    id: str
    #: Seconds until it expires, or None when the server doesn't say.
    left_s: float | None


def session_of(document: object) -> Session:
    """Read what a server says of a login; "somebody" where it says nothing."""
    told = document if isinstance(document, Mapping) else {}
    client = told.get("client")
    who = client if isinstance(client, Mapping) else {}
    left_s = told.get("seconds_remaining")
    timed = isinstance(left_s, int | float) and not isinstance(left_s, bool)
    return Session(
        name=clipped(str(who.get("display_name") or who.get("id") or "somebody")),
        id=str(who.get("id") or ""),
        left_s=left_s if timed else None,
    )


def find_credentials(
    url: str, environ: Mapping[str, str] = os.environ, home: Path | None = None
) -> Mapping[str, Any] | None:
    """Look for a login to a catalog where people keep one.

    In turn: ``$ERMPOLL_TOKEN`` if ``$ERMPOLL_HOST`` is this host; deriva-py's
    ``get_credential`` if deriva is installed (it knows Globus too);
    ``~/.deriva/credential.json``. None: nothing was found, go on as anonymous.

    Raises
    ------
    UsageError
        What is stored can't be read.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    named = environ.get("ERMPOLL_HOST", "").strip().lower()
    if environ.get("ERMPOLL_TOKEN") and named in (host, parts.netloc.lower()):
        return {"bearer-token": Hidden(environ["ERMPOLL_TOKEN"])}
    if environ.get("ERMPOLL_TOKEN"):
        logger.warning(
            "$ERMPOLL_TOKEN is not used: it is for $ERMPOLL_HOST (%s), this is %s",
            printable(named) or "not set",
            parts.netloc,
        )
    if not is_safe(url):
        return None
    file = (home or Path.home()) / ".deriva" / "credential.json"
    try:
        return hidden(_stored(file, host))
    except (ValueError, AttributeError, TypeError, OSError) as error:
        raise UsageError(
            f"expected stored logins in {file}, as deriva-auth writes them, found "
            f"what can't be read ({type(error).__name__}); log in again, or give "
            "credentials="
        ) from None


def _stored(file: Path, host: str) -> Mapping[str, Any] | None:
    try:
        from deriva.core import get_credential
    except ImportError:
        known = json.loads(file.read_text()) if file.is_file() else {}
        stored: Mapping[str, Any] | None = known.get(host)
        return stored
    found: Mapping[str, Any] | None = get_credential(host)
    return found


def origin(url: str) -> str:
    """Return scheme, host and port of an address, without any login."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"


def is_safe(url: str) -> bool:
    """Whether a login may be sent there: https, or this machine itself."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host name means this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _all_forms(value: str) -> re.Pattern[str] | None:
    """Return what finds the secrets of a header as servers and proxies echo them."""
    bare = value.removeprefix("Bearer ")
    secrets = {bare, *(p.partition("=")[2] or p for p in bare.split("; "))}
    longest_first = sorted(secrets, key=len, reverse=True)
    forms = [
        "".join(map(_char_forms, secret))
        for secret in longest_first
        if len(secret) >= _SHORTEST_SECRET
    ]
    return re.compile("|".join(forms)) if forms else None


def _char_forms(char: str) -> str:
    """Return what finds a character: itself, or escaped for an address, JSON, HTML.

    Escapes that were escaped once more count as well.
    """
    code, named = ord(char), _HTML_NAMES.get(char, "")
    html = [rf"#0*{code}", rf"#[xX]0*(?i:{code:x})", *([named] if named else [])]
    ways = [
        re.escape(char),
        rf"%(?:25)*(?i:{code:02x})",
        rf"\\*(?i:u00{code:02x})",
        rf"&(?:amp;)*(?:{'|'.join(html)});",
        *([r"\+"] if char == " " else []),
    ]
    return rf"\\*(?:{'|'.join(ways)})"


def _header_of(
    credentials: object,
) -> tuple[str, tuple[str, str] | None]:
    found = "text" if isinstance(credentials, str) else type(credentials).__name__
    if isinstance(credentials, Mapping):
        for key, header, prefix in (
            ("bearer-token", "Authorization", "Bearer "),
            ("cookie", "Cookie", ""),
        ):
            if value := credentials.get(key):
                if fault := _fault_of(str(value)):
                    raise UsageError(f"expected a login as one line, found {fault}")
                return key, (header, Hidden(prefix + str(value)))
        if not credentials:
            return "anonymous", None
        found = f"the keys {sorted(map(str, credentials))}"
    raise UsageError(
        "expected credentials {'bearer-token': ...} or {'cookie': ...}, "
        f"found {found}"
    )


def _fault_of(secret: str) -> str:
    """Say why a login can't be sent in a header, or ""."""
    if "\n" in secret or "\r" in secret:
        return "one that holds a line break; take it out, a file may end in one"
    if secret != secret.strip():
        return "one that begins or ends with a blank; take it out"
    if not secret.isascii() or not secret.isprintable():
        return "one with other characters than printable ASCII"
    return ""
