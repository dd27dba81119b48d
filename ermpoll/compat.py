"""``PollingErmrestCatalog`` for code written to deriva-py's class of that name.

The only module that subclasses deriva-py. Without it the name says what to install.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ermpoll import permits, seed
from ermpoll.answers import error_of
from ermpoll.errors import CatalogError, ErmpollError, PreconditionFailed, Unavailable
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


class LostRace(ConcurrentUpdate):  # type: ignore[misc]
    """Others kept writing to the catalog; nothing was written."""

    #: `blocking_poll` waits it out. A ConcurrentUpdate of the job itself ends it.
    ermpoll_weather = True


class PollingErmrestCatalog(ErmrestCatalog):  # type: ignore[misc]
    """deriva-py's ErmrestCatalog with polling and claiming done by ermpoll.

    Parameters
    ----------
    scheme, server, catalog_id, credentials, caching, session_config
        As for deriva-py's class.
    amqp_server
        Host of the broker, ``host:port``, or a whole ``amqp://`` address; the
        catalog's host by default.

    Raises
    ------
    ErmpollError
        deriva-py is not installed.
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
        self.amqp_server = amqp_server or server.rpartition(":")[0] or server
        self.notice_exchange = "ermrest_changes"

    def _get_new_session(self, session_config: Any = None) -> None:
        super()._get_new_session(session_config)
        # a PUT whose answer was lost may be committed: sent again by urllib3 under
        # its old guard it fails, and its rows are claimed by nobody
        for adapter in self._session.adapters.values():
            adapter.max_retries = adapter.max_retries.new(
                allowed_methods=frozenset({"GET", "HEAD"})
            )

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
        if isinstance(data, list | dict) and json is None:
            data, json = None, data
        return super().put(path, data, json, *args, **options)

    def state_change_once(
        self,
        query_datapath: str,
        update_datapath: str,
        row_transform_func: Transform,
        idle_etag: str | None = None,
    ) -> tuple[str | None, list[tuple[Row, Row]]]:
        """Read candidates, transform them, write them; see `state_change_once`.

        Raises
        ------
        LostRace
            A ConcurrentUpdate: others kept writing for a minute.
        """
        try:
            return seed.state_change_once(
                _Door(self),
                query_datapath,
                update_datapath,
                row_transform_func,
                idle_etag,
            )
        except PreconditionFailed as error:
            raise LostRace(str(error)) from error

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
        address = self.amqp_server
        seed.blocking_poll(
            look_for_work,
            notices=address if "://" in address else f"amqp://{address}",
            polling_seconds=polling_seconds,
            coalesce_seconds=coalesce_seconds,
            stop=stop,
        )


class _Door:
    """A deriva-py catalog as `state_change_once` wants to use one."""

    def __init__(self, catalog: PollingErmrestCatalog) -> None:
        self._catalog = catalog

    def get(self, path: str, *, etag: str | None = None) -> Page | None:
        # a header of our own keeps deriva-py's cache out: its 304 would hide ours
        headers = {"if-none-match": etag or '"none"'}
        response = self._ask("GET", path, headers=headers)
        return None if response.status_code == 304 else _page(response)

    def put(self, path: str, rows: Sequence[Row], *, guard: str | None = None) -> Page:
        headers = {"if-match": guard} if guard else {}
        with permits.real():
            response = self._ask("PUT", path, json=[*rows], headers=headers)
        return _page(response)

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        path = path if path.startswith("/") else f"/{path}"
        call = self._catalog.get if method == "GET" else self._catalog.put
        try:
            return call(path, **options)
        except ConcurrentUpdate as error:
            raise PreconditionFailed(status=412, url=path) from error
        except OSError as error:  # every error of requests is one
            raise _typed(method, path, error) from error


def _page(response: Any) -> Page:
    return Page(
        rows=response.json(), etag=response.headers.get("etag"), url=response.url
    )


def _typed(method: str, path: str, error: OSError) -> CatalogError:
    response = getattr(error, "response", None)
    if response is not None:
        return error_of(method, response.status_code, path, response.text)
    return Unavailable(
        f"{method} {path}: no answer ({type(error).__name__})",
        url=path,
        doubtful=method != "GET",
    )
