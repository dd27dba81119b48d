"""Which errors of a look pass by themselves, whoever raised them. Loads no library."""

from __future__ import annotations

import errno
import socket

from ermpoll.errors import Denied, Unavailable

_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
_NO_ANSWER = {"ConnectionError", "Timeout", "RetryError", "ChunkedEncodingError"}


def is_transient(error: BaseException) -> bool:
    """Whether an error of a look passes by itself: network, broker, login, a race."""
    if getattr(error, "ermpoll_weather", False):
        return True
    if isinstance(error, Denied):
        return error.status == 401
    if isinstance(
        error, Unavailable | ConnectionError | TimeoutError | socket.gaierror
    ):
        return True
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return True
    # of requests and urllib3, which this module doesn't load
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if type(error).__module__.partition(".")[0] not in ("requests", "urllib3"):
        return False
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is None:
        return bool(kinds & _NO_ANSWER)
    return status in (401, 408, 429) or status >= 500
