"""The one exception with which every layer of the sandbox refuses a request.

Knows ERMrest's statuses and their fixed sentences, and nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping

SENTENCES = {
    400: "Request malformed.",
    401: "Access requires authentication.",
    403: "Access forbidden.",
    404: "Resource not found.",
    405: "Request method not allowed on this resource.",
    409: "Request conflicts with state of server.",
    412: "Resource state does not match requested preconditions.",
    413: "The request is too large.",
    414: "The address is too long.",
    415: "The request input type is not supported.",
    421: "Misdirected request.",
    500: "The request execution encountered a runtime error.",
    502: "Bad gateway.",
    503: "The service is temporarily unavailable.",
    504: "Gateway timeout.",
}


class HttpError(Exception):
    """A request that ends with an error status.

    Attributes
    ----------
    status
        The HTTP status.
    detail
        What follows ``Detail:`` in the answer; empty: no such part.
    headers
        Headers that go with the answer.
    """

    def __init__(
        self, status: int, detail: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}

    @property
    def text(self) -> str:
        """The body of the answer, as ERMrest words it."""
        sentence = SENTENCES.get(self.status, "Error.")
        return f"{sentence} Detail: {self.detail}\n" if self.detail else f"{sentence}\n"


def bad_request(detail: str) -> HttpError:
    """Return the error of a request that can't be read (400)."""
    return HttpError(400, detail)


def conflict(detail: str) -> HttpError:
    """Return the error of a request that the model or the data forbid (409)."""
    return HttpError(409, detail)


def not_found(detail: str) -> HttpError:
    """Return the error of a request for what is not there (404)."""
    return HttpError(404, detail)


def forbidden(detail: str, *, anonymous: bool = False) -> HttpError:
    """Return the error for want of rights: 401 without login, else 403."""
    return HttpError(401 if anonymous else 403, detail)
