"""Threads for work that never hold the interpreter.

Those of ``concurrent.futures`` are joined when a program ends, before anything
that could give rows back: a job of an hour, or one that is stuck, would hold it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonThreadPool(Executor):
    """An executor whose threads are daemons: what runs at the end just ends.

    Parameters
    ----------
    workers
        Threads at most; each begins with the first call that finds none idle.
    name
        What the threads' names begin with.
    """

    def __init__(self, workers: int, name: str) -> None:
        self._workers = workers
        self._name = name
        self._lock = threading.Lock()
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []
        self._closed = False

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Call ``fn`` on one of the threads.

        Raises
        ------
        RuntimeError
            It was shut down, or not even one thread can be started.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            # first the call: a thread that begins must not count itself as idle
            self._calls.put((future, partial(fn, *args, **kwargs)))
            if not self._idle.acquire(blocking=False):
                self._grow(future)
        return future

    def resize(self, workers: int) -> None:
        """Have so many threads at most from now on.

        More begin at once for what waits; what is too many ends after its call.
        """
        with self._lock:
            self._workers = workers
            for _ in range(len(self._threads) - workers):
                # one that waits for a call has to be woken to find that it goes
                if self._idle.acquire(blocking=False):
                    self._calls.put((Future(), _nothing))
            for _ in range(min(workers - len(self._threads), self._calls.qsize())):
                self._grow(Future())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; the threads end after what is queued."""
        with self._lock:
            self._closed = True
            while cancel_futures:
                try:
                    call = self._calls.get_nowait()
                except Empty:
                    break
                if call is not None:
                    call[0].cancel()
            self._calls.put(None)
        if wait:
            for thread in [*self._threads]:
                thread.join()

    def _grow(self, future: Future[Any]) -> None:
        if len(self._threads) >= self._workers:
            return
        thread = threading.Thread(
            target=self._serve, name=f"{self._name}_{len(self._threads)}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            # a thread less is slower, none at all can't do it
            if not self._threads:
                future.cancel()
                raise
        else:
            self._threads.append(thread)

    def _serve(self) -> None:
        while (call := self._next()) is not None:
            _do(*call)
            # an idle thread must not keep the last result alive
            del call
            if self._is_one_too_many():
                return
        # handed on: one that an interrupt kept from being listed ends as well
        self._calls.put(None)

    def _is_one_too_many(self) -> bool:
        with self._lock:
            if len(self._threads) <= self._workers:
                return False
            self._threads.remove(threading.current_thread())
            return True

    def _next(self) -> _Call | None:
        try:
            return self._calls.get_nowait()
        except Empty:
            self._idle.release()
            return self._calls.get()


def _nothing() -> None:
    """What a thread is woken with."""


_Call = tuple[Future[Any], Callable[[], Any]]


def _do(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - the edge: it is the caller's
        future.set_exception(error)
    else:
        future.set_result(result)
