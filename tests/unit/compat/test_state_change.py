from __future__ import annotations

from types import SimpleNamespace

import pytest

from ermpoll.compat.state_change import LostRace, is_transient
from ermpoll.errors import Denied, PreconditionFailed, Unavailable


class FromRequests(OSError):
    """As requests' errors look, without loading it."""

    def __init__(self, status: int | None = None) -> None:
        super().__init__()
        self.response = status and SimpleNamespace(status_code=status)


FromRequests.__module__ = "requests.exceptions"
NoAnswer = type(
    "ConnectionError", (FromRequests,), {"__module__": "requests.exceptions"}
)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (Unavailable("gone"), True),
        (Denied("log in", status=401), True),
        (Denied("not yours", status=403), False),
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (OSError(113, "No route to host"), True),
        (OSError(2, "no such file"), False),
        (NoAnswer(), True),
        (FromRequests(503), True),
        (FromRequests(401), True),
        (FromRequests(409), False),
        (FromRequests(), False),
        (LostRace("lost"), True),
        (PreconditionFailed("of the job"), False),
        (ValueError("a defect"), False),
    ],
    ids=repr,
)
def test_which_errors_pass_by_themselves(error, passes):
    assert is_transient(error) is passes
