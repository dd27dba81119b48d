"""Clusters of dask for tests: real processes, kept alive by nannies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@contextmanager
def local_cluster(
    workers: int = 2, *, allowed_failures: int | None = None
) -> Iterator[Any]:
    """A cluster on this machine, of workers with a process and one thread each.

    With ``allowed_failures`` a call is given up after so many workers died of it and
    one more.
    """
    dask = pytest.importorskip("dask")
    distributed = pytest.importorskip("distributed")
    key = "distributed.scheduler.allowed-failures"
    with (
        dask.config.set({} if allowed_failures is None else {key: allowed_failures}),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
        ) as made,
    ):
        yield made


@contextmanager
def connected(cluster: Any, **options: Any) -> Iterator[Any]:
    """A client of a cluster, or of the scheduler at an address."""
    distributed = pytest.importorskip("distributed")
    with distributed.Client(cluster, **options) as made:
        yield made


def kill_workers(cluster: Any, count: int | None = None) -> list[int]:
    """Kill -9 so many worker processes, all by default; their nannies stay."""
    pids = [nanny.pid for nanny in cluster.workers.values() if nanny.pid][:count]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return pids


class Scheduler:
    """A scheduler at a fixed port, and two workers, as their commands start them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self._port}"

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Scheduler]:
        """One that runs, whose processes all end with the block."""
        pytest.importorskip("distributed")
        with tempfile.TemporaryDirectory() as folder:
            made = cls(Path(folder))
            made.start()
            try:
                yield made
            finally:
                for process in made._processes:
                    # with the workers of a nanny
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

    def start(self) -> None:
        """Start it, and workers for it: those of one that died have lost it."""
        self._run("dask_scheduler", "--port", f"{self._port}")
        options = ("--nworkers", "2", "--nthreads", "1")
        place = ("--local-directory", str(self._folder))
        self._run("dask_worker", self.address, *options, *place)

    def kill(self) -> None:
        """Kill -9 the scheduler; the workers stay."""
        self._processes[-2].kill()
        self._processes[-2].wait()

    def _run(self, command: str, *options: str) -> None:
        shared = ("--host", "127.0.0.1", "--no-dashboard")
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{command}", *options, *shared],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            start_new_session=True,
        )
        self._processes.append(process)


class Watched(Executor):
    """An executor that keeps what is sent through it, packed as dask packs it."""

    def __init__(self, inner: Executor) -> None:
        self.inner = inner
        self.sent: list[bytes] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kw: Any) -> Future[Any]:
        cloudpickle = pytest.importorskip("cloudpickle")
        self.sent.append(cloudpickle.dumps((fn, args, kw)))
        return self.inner.submit(fn, *args, **kw)
