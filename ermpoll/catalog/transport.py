"""HTTP to the server of one catalog: statuses become errors, a login stays at home.

Knows nothing of rows. Whatever is no read is sent once, and nothing follows a
redirect.
"""

from __future__ import annotations

import json
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError, NewConnectionError, ReadTimeoutError
from urllib3.util import Retry

from ermpoll.catalog.answers import error_of
from ermpoll.catalog.credentials import Login, is_loopback
from ermpoll.errors import Unavailable

#: The methods that may be sent twice.
READS = frozenset({"GET", "HEAD"})
#: Where people say which certificates to trust; the first that is set counts.
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
#: Another address of the same server, as for the session; no other gets the login.
_ABSOLUTE = re.compile(r"https?://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that is none of the errors."""

    #: 2xx or 304.
    status: int
    #: The address that answered.
    url: str
    etag: str | None
    #: The ``Date`` header as it came, or None.
    date: str | None
    method: str
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """The body as JSON; an empty one is an empty list.

        Raises
        ------
        Unavailable
            It is something else: a page of a proxy, perhaps.
        """
        try:
            return json.loads(self.body or b"[]")
        except ValueError:
            raise Unavailable(
                f"expected JSON from {self.url[:160]}, found something else; "
                "is it an ERMrest catalog?",
                status=self.status,
                url=self.url,
                doubtful=self.method != "GET",
            ) from None


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


class Transport:
    """Sends requests to one catalog's server. Safe to use from threads.

    Parameters
    ----------
    url
        The catalog's address; paths are below it.
    timeout_s
        Seconds to wait for a connection, and between two parts of an answer.
    ca
        A file of certificates to trust, whatever the environment says; None: the
        one that ``$REQUESTS_CA_BUNDLE`` or ``$CURL_CA_BUNDLE`` names, or requests'.
    """

    def __init__(
        self, url: str, login: Login, *, timeout_s: float, ca: str | None
    ) -> None:
        self.url = url
        self.login = login
        self.timeout_s = timeout_s
        self.ca = ca
        self._sessions: dict[int, requests.Session] = {}

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Reply:
        """Send one request and return the answer.

        Raises
        ------
        CatalogError
            By status; Unavailable when no good answer came.
        """
        url = path if _ABSOLUTE.match(path) else f"{self.url}/{path.lstrip('/')}"
        try:
            answer = self._session().request(
                method,
                url,
                data=data,
                headers=headers,
                timeout=self.timeout_s,
                allow_redirects=False,
                auth=self._sign,
                # said with each request, or requests prefers its own variables
                verify=self._bundle()[0] or True,
            )
        except requests.RequestException as error:
            raise self._unreachable(method, error) from None
        except OSError:
            # requests looks for the file before it connects
            raise self._unreachable(method, None) from None
        if answer.status_code >= 300 and answer.status_code != 304:
            body = self.login.scrub(answer.text)
            raise error_of(method, answer.status_code, url, body)
        return Reply(
            status=answer.status_code,
            url=answer.url,
            etag=answer.headers.get("ETag"),
            date=answer.headers.get("Date"),
            method=method,
            body=answer.content,
        )

    def close(self) -> None:
        """Close the connections; new ones are opened when there is a request."""
        for pid in list(self._sessions):
            session = self._sessions.pop(pid, None)
            if session is not None:
                session.close()

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(self.login.headers(request.url or ""))
        return request

    def _bundle(self) -> tuple[str, str]:
        """Return the file of certificates to trust, and who named it; or "", ""."""
        if self.ca:
            return self.ca, "ca="
        found = ((os.environ.get(name, ""), f"${name}") for name in BUNDLES)
        return next((pair for pair in found if pair[0]), ("", ""))

    def _unreachable(self, method: str, error: Exception | None) -> Unavailable:
        host = urlsplit(self.url).netloc
        reason = self._reason(error)
        return Unavailable(
            f"expected the catalog at {host} to answer, but {reason}; "
            "check the address and that the server runs",
            url=self.url,
            detail=reason,
            doubtful=method != "GET" and not _never_sent(error),
        )

    def _reason(self, error: Exception | None) -> str:
        cause = _cause(error)
        if isinstance(error, requests.ConnectTimeout):
            return f"no connection within {self.timeout_s:g} s"
        if isinstance(error, requests.ReadTimeout) or isinstance(
            cause, ReadTimeoutError
        ):
            return f"no answer within {self.timeout_s:g} s"
        if error is None or isinstance(error, requests.exceptions.SSLError):
            return self._distrust(cause)
        return "the connection was refused or lost, or the name is unknown"

    def _distrust(self, cause: object) -> str:
        file, named = self._bundle()
        fault = fault_of_bundle(file) if file else ""
        if fault:
            return f"the certificates to trust, {file} ({named}), {fault}"
        if _is_distrust(cause) and file:
            return f"its certificate is not trusted by {file} ({named})"
        if _is_distrust(cause):
            return "its certificate is not trusted; give ca= or set $REQUESTS_CA_BUNDLE"
        return "it does not speak TLS as we do; is it http:// instead?"

    def _session(self) -> requests.Session:
        # a forked worker must not share its parent's sockets; and no lock, which a
        # fork may leave locked for ever: a session made in vain does no harm
        pid = os.getpid()
        session = self._sessions.get(pid)
        if session is None:
            session = self._sessions.setdefault(pid, self._new_session())
        return session

    def _new_session(self) -> requests.Session:
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
        adapter = HTTPAdapter(pool_connections=4, pool_maxsize=32, max_retries=retry)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        # no proxy sees what goes to this machine, and no cookie but our own is sent
        session.trust_env = not is_loopback(urlsplit(self.url).hostname or "")
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        context = json.dumps({"cid": "ermpoll"}, separators=(",", ":"))
        session.headers.update(
            # GET and PUT must name the same type: it is part of the ETag
            {"Accept": "application/json", "Deriva-Client-Context": context}
        )
        return session


def fault_of_bundle(file: str) -> str:
    """Say why certificates can't be had from a file, or ""; a folder may hold any."""
    if not os.path.exists(file):
        return "are not there"
    try:
        if os.path.isfile(file):
            ssl.create_default_context(cafile=file)
    except OSError as error:
        return f"can't be read as PEM ({error.strerror or error})"
    return ""


def _cause(error: Exception | None) -> object:
    """Return what urllib3 gave up for, or None."""
    return getattr(error.args[0] if error and error.args else None, "reason", None)


def _is_distrust(cause: object) -> bool:
    wrapped = getattr(cause, "args", None) or (None,)
    return isinstance(wrapped[0], ssl.SSLCertVerificationError)


def _never_sent(error: Exception | None) -> bool:
    """Whether no connection was made at all, so that no write can have happened."""
    cause = _cause(error)
    return (
        error is None
        or isinstance(error, requests.ConnectTimeout)
        or isinstance(cause, NewConnectionError)
        or _is_distrust(cause)
    )
