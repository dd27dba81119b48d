"""How a server is connected to: what is sent twice, trusted, and sent along."""

from __future__ import annotations

import io
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import MaxRetryError
from urllib3.util import Retry

from ermpoll.catalog.client_context import user_agent
from ermpoll.catalog.clock import date_time
from ermpoll.catalog.credentials import is_loopback

#: The methods that may be sent twice.
READS = frozenset({"GET", "HEAD"})
#: A server that asks for a longer wait is asked again after this, in seconds.
LONGEST_RETRY_AFTER_S = 60.0
#: Where people say which certificates to trust; the first that is set counts.
VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Return how long a server asks to wait: seconds, or until a time by its clock."""
    told = headers.get("Retry-After", "").strip()
    at, now = date_time(told), date_time(headers.get("Date")) or datetime.now(UTC)
    if told.isascii() and told.isdigit():
        seconds = float(told[:9])
    else:
        seconds = (at - now).total_seconds() if at else 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)


class ReadsOnly(Retry):
    """Repeats reads; whatever else fails has been sent once.

    ``allowed_methods`` alone doesn't do it: a connection that can't be made and an
    error of TLS count for every method there, and TLS may break after the server
    has committed a write.
    """

    @classmethod
    def like(cls, retry: Retry) -> ReadsOnly:
        """Return the same retries, but of reads only."""
        made = cls()
        vars(made).update(vars(retry))
        made.allowed_methods = READS
        return made

    def get_retry_after(self, response: Any) -> float | None:
        """Return for how long a server asks to wait: no longer than we obey."""
        return retry_after_s(response.headers) or None

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: Any = None,
    ) -> ReadsOnly:
        """Count a failure; for all but reads it is the last one."""
        # an error of reading is raised as it is, by ``allowed_methods``
        is_other = error is not None and not self._is_read_error(error)
        if is_other and method not in READS:
            raise MaxRetryError(_pool, url, error) from error
        return super().increment(method, url, response, error, _pool, _stacktrace)


#: A whole answer may take so many times what its next part may.
PATIENCE = 4


class _Bounded(io.RawIOBase):
    """What a server sends, until a moment: one that drips is not waited for longer."""

    def __init__(self, raw: io.RawIOBase, sock: Any) -> None:
        self._raw, self._sock = raw, sock
        self._each_s: float = sock.gettimeout()
        self._until = time.monotonic() + PATIENCE * self._each_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer is not complete in time")
        self._sock.settimeout(min(self._each_s, left_s))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    """An answer whose head and body end in time, however they come in."""

    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        whole: Any = self.fp
        self.fp = io.BufferedReader(_Bounded(whole.detach(), sock))


class _Http(HTTPConnection):
    response_class = _BoundedResponse


class _Https(HTTPSConnection):
    response_class = _BoundedResponse


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class _Adapter(HTTPAdapter):
    """Connections whose answers end in time, through a proxy as well."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        _bound(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        return _bound(super().proxy_manager_for(*args, **options))


def _bound(pools: PoolManager) -> PoolManager:
    pools.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return pools


def new_session(url: str) -> requests.Session:
    """Return a session for one server; it sends no login and no cookie by itself."""
    session = requests.Session()
    # a dead keep-alive connection costs a read nothing; what the server answers
    # is for whoever asked
    retry = ReadsOnly(
        connect=1,
        read=1,
        redirect=0,
        status=0,
        other=0,
        allowed_methods=READS,
        respect_retry_after_header=False,
    )
    adapter = _Adapter(pool_connections=4, pool_maxsize=32, max_retries=retry)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    # no proxy sees what goes to this machine, and no cookie but our own is sent
    session.trust_env = not is_loopback(urlsplit(url).hostname or "")
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # GET and PUT must name the same type: it is part of the ETag
    session.headers["Accept"] = "application/json"
    session.headers["User-Agent"] = user_agent(session.headers.get("User-Agent"))
    return session


@dataclass(frozen=True, slots=True)
class Bundle:
    """A file or folder of certificates to trust, and who named it."""

    #: "": those that requests brings.
    file: str = ""
    named: str = ""

    @property
    def fault(self) -> str:
        """Why certificates can't be had from it, or ""; a folder may hold any."""
        if self.file and not os.path.exists(self.file):
            return "are not there"
        try:
            if os.path.isfile(self.file):
                ssl.create_default_context(cafile=self.file)
        except OSError as error:
            return f"can't be read as PEM ({error.strerror or error})"
        return ""

    def refusal(self, cause: object) -> str:
        """Put into words why TLS with a server failed."""
        if fault := self.fault:
            return f"the certificates to trust, {self.file} ({self.named}), {fault}"
        if not is_distrust(cause):
            return "it does not speak TLS as we do; is it http:// instead?"
        if self.file:
            return f"its certificate is not trusted by {self.file} ({self.named})"
        return "its certificate is not trusted; give ca= or set $REQUESTS_CA_BUNDLE"


def bundle(ca: str | None) -> Bundle:
    """Return what is trusted: what a caller gave, or what the environment names."""
    if ca:
        return Bundle(ca, "ca=")
    found = (Bundle(os.environ.get(name, ""), f"${name}") for name in VARIABLES)
    return next((one for one in found if one.file), Bundle())


def is_distrust(cause: object) -> bool:
    """Whether urllib3 gave up since it doesn't trust the server's certificate."""
    wrapped = getattr(cause, "args", None) or (None,)
    return isinstance(wrapped[0], ssl.SSLCertVerificationError)
