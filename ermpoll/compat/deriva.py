"""``PollingErmrestCatalog`` for code written to deriva-py's class of that name.

The only module that subclasses deriva-py. Without it the name says what to install.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ermpoll.catalog import write_permission
from ermpoll.catalog.client_context import user_agent
from ermpoll.catalog.connection import ReadsOnly, retry_after_s
from ermpoll.catalog.credentials import Session, session_of
from ermpoll.catalog.transport import error_of
from ermpoll.compat import state_change
from ermpoll.errors import (
    CatalogError,
    ErmpollError,
    NotFound,
    PreconditionFailed,
    Unavailable,
    WriteRefused,
)
from ermpoll.records import Page, Row, Transform

if TYPE_CHECKING:
    ErmrestCatalog: Any = object
    ConcurrentUpdate: Any = ValueError
    HAVE_DERIVA = True
else:
    try:
        from deriva.core import ConcurrentUpdate
        from deriva.core.ermrest_catalog import ErmrestCatalog

        HAVE_DERIVA = True
    except ImportError:
        ErmrestCatalog, ConcurrentUpdate, HAVE_DERIVA = object, ValueError, False

#: GET responses kept; deriva-py's own cache grows without end.
CACHED = 100


class LostUpdate(ConcurrentUpdate):  # type: ignore[misc]
    """Others kept writing to the catalog; nothing was written."""

    #: `blocking_poll` waits it out. A ConcurrentUpdate of the job itself ends it.
    ermpoll_transient = True


class PollingErmrestCatalog(ErmrestCatalog):  # type: ignore[misc]
    """deriva-py's ErmrestCatalog with polling and claiming done by ermpoll.

    Parameters
    ----------
    scheme, server, catalog_id, credentials, caching, session_config
        As for deriva-py's class. The cache keeps the last ``CACHED`` answers.
    amqp_server
        Host of the broker, ``host:port``, or a whole ``amqp://`` or ``amqps://``
        address; the catalog's host by default.

    Raises
    ------
    ErmpollError
        deriva-py is not installed.

    Notes
    -----
    Unlike deriva-py's: no write is repeated by the transport, whatever
    ``session_config`` says; rows given to `put` or `post` as ``data`` are sent as
    JSON; while `ermpoll`'s dry run calls a function, that function's writes are
    refused here as well.
    """

    def __init__(
        self,
        scheme: str,
        server: str,
        catalog_id: str | int,
        credentials: Mapping[str, Any] | None = None,
        caching: bool = True,
        session_config: Mapping[str, Any] | None = None,
        amqp_server: str | None = None,
    ) -> None:
        if not HAVE_DERIVA:
            raise ErmpollError(
                "expected deriva-py, found none; pip install deriva, or use "
                "ermpoll.connect and ermpoll.Queue, which don't need it"
            )
        super().__init__(
            scheme, server, catalog_id, credentials or {}, caching, session_config
        )
        self.amqp_server = amqp_server or server
        self.notice_exchange = "ermrest_changes"
        # a catalog's host may stand with its port, which is not the broker's
        broker = amqp_server or re.sub(r":\d*$", "", server)
        self._notices = broker if "://" in broker else f"amqp://{broker}"

    def _get_new_session(self, session_config: Any = None) -> None:
        super()._get_new_session(session_config)
        # a PUT whose answer was lost may be committed: sent again by urllib3 under
        # its old guard it fails, and its rows are claimed by nobody
        for adapter in self._session.adapters.values():
            adapter.max_retries = ReadsOnly.like(adapter.max_retries)
        headers = self._session.headers
        headers["User-Agent"] = user_agent(headers.get("User-Agent"))

    def get(self, path: str, *args: Any, **options: Any) -> Any:
        """Read, as deriva-py does; the cache keeps the last ``CACHED`` answers."""
        response = super().get(path, *args, **options)
        for url in list(self._cache)[:-CACHED]:
            self._cache.pop(url, None)
        return response

    def put(
        self, path: str, data: Any = None, json: Any = None, *args: Any, **options: Any
    ) -> Any:
        """Write, as deriva-py does; rows given as ``data`` are sent as JSON."""
        _check_dry(f"would PUT {path.lstrip('/')}")
        return super().put(path, *_body(data, json), *args, **options)

    def post(
        self, path: str, data: Any = None, json: Any = None, *args: Any, **options: Any
    ) -> Any:
        """Insert, as deriva-py does; rows given as ``data`` are sent as JSON."""
        _check_dry(f"would POST {path.lstrip('/')}")
        return super().post(path, *_body(data, json), *args, **options)

    def delete(self, path: str, *args: Any, **options: Any) -> Any:
        """Delete, as deriva-py does."""
        _check_dry(f"would DELETE {path.lstrip('/')}")
        return super().delete(path, *args, **options)

    def state_change_once(
        self,
        query_datapath: str,
        update_datapath: str,
        row_transform_func: Transform,
        idle_etag: str | None = None,
    ) -> tuple[str | None, list[tuple[Row, Row]]]:
        """Read candidates, transform them, write them.

        See `ermpoll.state_change_once`, whose promises hold.

        Raises
        ------
        LostUpdate
            A ConcurrentUpdate: others kept writing for a minute.
        requests.RequestException
            As deriva-py's class: the catalog refuses, or can't be reached.
        """
        try:
            return state_change.state_change_once(
                _Door(self),
                query_datapath,
                update_datapath,
                row_transform_func,
                idle_etag,
            )
        except state_change.LostRace as error:
            raise LostUpdate(str(error)) from error
        except CatalogError as error:
            # deriva-py's callers know the errors of requests
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise

    def blocking_poll(
        self,
        look_for_work: Callable[[], object],
        polling_seconds: float = 600,
        coalesce_seconds: float = 0.1,
        stop: threading.Event | None = None,
    ) -> None:
        """Call ``look_for_work`` whenever there might be work, until stopped.

        Errors of the job end the call; those of the network, the broker and the
        login are waited out.
        """
        state_change.blocking_poll(
            look_for_work,
            notices=self._notices,
            polling_seconds=polling_seconds,
            coalesce_seconds=coalesce_seconds,
            stop=stop,
        )


def _action(word: str) -> dict[str, dict[str, str]]:
    """Say what a request is for; deriva-py adds what else it says of the program."""
    return {"deriva-client-context": {"action": word}}


class _Door:
    """A deriva-py catalog as `state_change_once` wants to use one."""

    def __init__(self, catalog: PollingErmrestCatalog) -> None:
        self._catalog = catalog
        self.url: str = catalog.get_server_uri()

    def get(self, path: str, *, etag: str | None = None) -> Page | None:
        # a header of our own and "stream" keep deriva-py's cache out: its 304 would
        # hide ours, and it would take our 304 for rows
        headers = {"if-none-match": etag or '"none"', **_action("look")}
        call = partial(self._catalog.get, _rooted(path), headers=headers, stream=True)
        response = _asked("GET", path, call)
        return None if response.status_code == 304 else _page(response)

    def put(self, path: str, rows: Sequence[Row], *, guard: str | None = None) -> Page:
        headers = {**({"if-match": guard} if guard else {}), **_action("claim")}
        call = partial(self._catalog.put, _rooted(path), json=[*rows], headers=headers)
        return _page(_asked("PUT", path, call))

    def session(self) -> Session | None:
        try:
            response = _asked("GET", "/authn/session", self._catalog.get_authn_session)
        except NotFound:
            return None
        return session_of(response.json())


def _rooted(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"


def _asked(method: str, path: str, call: Callable[[], Any]) -> Any:
    """Call deriva-py; its errors come out as ours, with the original as the cause."""
    try:
        return call()
    except ConcurrentUpdate as error:
        raise PreconditionFailed(status=412, url=path) from error
    except OSError as error:  # every error of requests is one
        response = getattr(error, "response", None)
        if response is not None:
            raise error_of(
                method,
                response.status_code,
                path,
                response.text,
                retry_after_s=retry_after_s(response.headers),
            ) from error
        raise Unavailable(
            f"{method} {path}: no answer ({type(error).__name__})",
            url=path,
            doubtful=method != "GET",
        ) from error


def _page(response: Any) -> Page:
    return Page(
        rows=response.json(), etag=response.headers.get("etag"), url=response.url
    )


def _body(data: Any, json: Any) -> tuple[Any, Any]:
    """Return ``data`` and ``json``, with rows where they are sent as JSON."""
    return (
        (None, data) if isinstance(data, list | dict) and json is None else (data, json)
    )


def _check_dry(line: str) -> None:
    """Refuse a write of a function that a dry run calls."""
    sink = write_permission.dry_sink()
    if sink is not None:
        sink.append(line)
        raise WriteRefused(f"no write was sent, since a dry run is going on: {line}")
