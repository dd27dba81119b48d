"""The exceptions of ermpoll.

Every class's docstring is its default message; the details are attributes, so
that no caller has to parse text::

    ErmpollError
    ├── UsageError (also a ValueError)   a call that can't be right
    │   └── Unreadable                   what your function gave back
    ├── CatalogError                     an answer of the catalog, or none
    │   ├── BadRequest                   400
    │   ├── Denied                       401, 403
    │   ├── NotFound                     404
    │   ├── Conflict                     409
    │   ├── PreconditionFailed           412: somebody wrote in between
    │   └── Unavailable                  5xx, network, time limit
    │       └── Aborted                  nothing happened; try again
    ├── WriteRefused                     read-only, or a dry run is on
    ├── ExecutorError                    the executor of an agent does no work
    ├── TransformError                   your function failed on a row
    └── NoticeError                      a notice source that can't be
"""

from __future__ import annotations


class ErmpollError(Exception):
    """Something went wrong in ermpoll."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])


class UsageError(ErmpollError, ValueError):
    """The call can't be right; nothing was sent."""


class Unreadable(UsageError):
    """What a function gave back can't be read as changes."""


class CatalogError(ErmpollError):
    """The catalog answered with an error.

    Attributes
    ----------
    status
        The HTTP status, or None when no answer came.
    url
        The address asked, without any login.
    detail
        The server's own sentence.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int | None = None,
        url: str = "",
        detail: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.url = url
        self.detail = detail


class BadRequest(CatalogError):
    """The catalog can't read the request (400)."""


class Denied(CatalogError):
    """The catalog refuses this login (401 or 403)."""


class NotFound(CatalogError):
    """The catalog, table or row is not there (404)."""


class Conflict(CatalogError):
    """The catalog's tables or constraints forbid it (409)."""


class PreconditionFailed(CatalogError):
    """Somebody wrote to the catalog since it was read (412); nothing was written."""


class Unavailable(CatalogError):
    """The catalog can't be reached or can't answer now.

    Attributes
    ----------
    doubtful
        True when a write may have been committed although no good answer came.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int | None = None,
        url: str = "",
        detail: str = "",
        doubtful: bool = False,
    ) -> None:
        super().__init__(message, status=status, url=url, detail=detail)
        self.doubtful = doubtful


class Aborted(Unavailable):
    """The catalog gave the transaction up for another; nothing happened."""


class WriteRefused(ErmpollError):
    """No write was sent: the catalog is read-only here, or a dry run is going on."""


class ExecutorError(ErmpollError):
    """The executor of an agent does no work; the rows it had went back."""


class TransformError(ErmpollError):
    """The transform failed on a row.

    Attributes
    ----------
    rid
        The RID of that row. Its values are not kept: they may be confidential.
    """

    def __init__(self, message: str | None = None, *, rid: str = "") -> None:
        super().__init__(message)
        self.rid = rid


class NoticeError(ErmpollError):
    """The source of notices can't be used."""
