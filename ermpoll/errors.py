"""The exceptions of ermpoll.

Every class's docstring is its default message; the details are attributes, so
that no caller has to parse text. Whose fault one is, `fault_of` says::

    ErmpollError
    ├── UsageError (also a ValueError)   a call that can't be right
    │   └── Unreadable                   what your function gave back
    ├── CatalogError                     an answer of the catalog, or none
    │   ├── BadRequest                   400
    │   ├── Denied                       401, 403
    │   ├── NotFound                     404
    │   ├── Conflict                     409
    │   ├── PreconditionFailed           412: somebody wrote in between
    │   ├── NoHistory                    nothing is known of that time
    │   └── Unavailable                  429, 5xx, network, time limit
    │       └── Aborted                  nothing happened; try again
    ├── WriteRefused                     read-only, or a dry run is on
    ├── ReadingStopped                   a long reading was stopped
    ├── ExecutorError                    the executor of an agent does no work
    ├── TransformError                   your function failed on a row
    └── NoticeError                      a notice source that can't be

Examples
--------
>>> def caught(call, *arguments, **named):
...     try:
...         call(*arguments, **named)
...     except ermpoll.ErmpollError as error:
...         return error
>>> caught(jobs.claim, limit=-1)
UsageError(...)
>>> etag = catalog.get("entity/Imaging:Image?limit=1").etag
>>> new = box.add(1)
>>> late = caught(catalog.put, "entity/Imaging:Image", [], guard=etag)
>>> isinstance(late, ermpoll.PreconditionFailed), late.status
(True, 412)
>>> isinstance(caught(catalog.get, "entity/Imaging:Imag"), ermpoll.CatalogError)
True
>>> caught(ermpoll.connect(box.url, read_only=True).delete, "entity/Imaging:Image")
WriteRefused(...)
>>> caught(jobs.claim, transform=lambda row: {"Priority": 1 / 0})
TransformError(...)
>>> caught(ermpoll.Poller, lambda: False, notices="http://www.example.org")
NoticeError(...)
"""

from __future__ import annotations

import traceback
from concurrent.futures import BrokenExecutor, CancelledError
from enum import Enum


class ErmpollError(Exception):
    """Something went wrong in ermpoll."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])
        self._told = False

    def _render_traceback_(self) -> list[str]:
        """Tell IPython what to show: the sentence first, at ``%tb`` all of it."""
        if self._told:
            return traceback.format_exception(self)
        self._told = True
        # what a catalog named must not move the cursor of a terminal
        told = "".join(
            c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(self)
        )
        return [f"{type(self).__name__}: {told}", "(%tb shows where it was raised)"]


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


class NoHistory(CatalogError):
    """The catalog has nothing to tell of that time."""


class Unavailable(CatalogError):
    """The catalog can't be reached or can't answer now.

    Attributes
    ----------
    doubtful
        True when a write may have been committed although no good answer came.
    retry_after_s
        Seconds to wait before the next try, as the server asked (a minute at most);
        0 where it did not.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int | None = None,
        url: str = "",
        detail: str = "",
        doubtful: bool = False,
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(message, status=status, url=url, detail=detail)
        self.doubtful = doubtful
        self.retry_after_s = retry_after_s


class Aborted(Unavailable):
    """The catalog gave the transaction up for another; nothing happened."""


class WriteRefused(ErmpollError):
    """No write was sent: the catalog is read-only here, or a dry run is going on."""


class ReadingStopped(ErmpollError):
    """The reading was stopped before its end, as somebody asked."""


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


class Fault(Enum):
    """Where an error has its cause, and so what helps."""

    #: This row's values: the row fails with the reason.
    ROW = "the row"
    #: Who is logged in has no right, maybe to this row alone: set aside, tried later.
    LOGIN = "the login"
    #: Another writer came first; nothing happened: sent again.
    BUSY = "a busy catalog"
    #: The catalog can't answer, or isn't what was expected: waited out.
    CATALOG = "the catalog"
    #: No answer came: waited out.
    NETWORK = "the network"
    #: What should do the work does none: what it had goes back.
    EXECUTOR = "the executor"
    #: Where notices come from: the timer does it.
    BROKER = "the broker"
    #: Whoever called, or this connection, which is read-only: told to them.
    CALLER = "the caller"


#: The first class that an error is of.
_FAULTS: tuple[tuple[type[BaseException], Fault], ...] = (
    (BadRequest, Fault.ROW),
    (Conflict, Fault.ROW),
    (Denied, Fault.LOGIN),
    (PreconditionFailed, Fault.BUSY),
    (Aborted, Fault.BUSY),
    (CatalogError, Fault.CATALOG),
    (BrokenExecutor, Fault.EXECUTOR),
    (CancelledError, Fault.EXECUTOR),
    (ExecutorError, Fault.EXECUTOR),
    (NoticeError, Fault.BROKER),
    (Unreadable, Fault.ROW),
    (TransformError, Fault.ROW),
    (WriteRefused, Fault.CALLER),
    (ReadingStopped, Fault.CALLER),
    (UsageError, Fault.CALLER),
    (Exception, Fault.ROW),
)


def fault_of(error: BaseException) -> Fault:
    """Return whose fault an error is that a write, the executor or work has raised.

    An error of the catalog is one that a write of a single row got: what work raises
    of its own calls, to whatever service, is the row's. What is no Exception (an
    interrupt, the end of the program) is the caller's.
    """
    if isinstance(error, Unavailable) and not isinstance(error, Aborted):
        return Fault.CATALOG if error.status else Fault.NETWORK
    kinds = (fault for kind, fault in _FAULTS if isinstance(error, kind))
    return next(kinds, Fault.CALLER)
