"""What keeps pages in a browser off a sandbox that listens on somebody's desk.

A page of somebody else can send requests to this machine, with this person's cookies.
So a request must name this machine as its host (which a name that was rebound to it
does not), must not come from another site's page, and a body must have a type that a
browser does not send unasked.
"""

from __future__ import annotations

import re

from ermpoll.sandbox.errors import HttpError
from ermpoll.sandbox.http.messages import Request

_LOOPBACK = re.compile(
    r"(?:localhost|[\w-]+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?",
    re.IGNORECASE | re.ASCII,
)
#: The types of bodies that a page may send anywhere, besides none at all.
_UNASKED = (
    "",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
)
#: Where a form is what is expected.
_FORMS = "/authn/session"


def check(request: Request, own_host: str) -> None:
    """Refuse what is not meant for this sandbox, or comes from a foreign page.

    Parameters
    ----------
    own_host
        The address that it listens on, which a request may name as well.

    Raises
    ------
    HttpError
        421 for another host's name, 403 for another site's page, 415 for a body that
        a page could send.
    """
    headers = request.headers
    host = headers.get("Host", "")
    if not _LOOPBACK.fullmatch(host) and host.partition(":")[0] != own_host:
        raise HttpError(421, f"The sandbox is not the host {host[:80]!r}.")
    origin = headers.get("Origin")
    is_foreign = origin is not None and origin.partition("://")[2] != host
    if is_foreign or headers.get("Sec-Fetch-Site") == "cross-site":
        raise HttpError(403, "Pages of other sites are not served.")
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    could_be_unasked = request.method == "POST" and request.body and kind in _UNASKED
    if could_be_unasked and request.path.partition("?")[0] != _FORMS:
        raise HttpError(415, "A body needs the Content-Type application/json.")
