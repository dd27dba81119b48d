"""What every test shares: processes, the gate for real services, the sandbox."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from shutil import which
from typing import Any

import pika.connection
import pytest
from hypothesis import settings

import ermpoll
from ermpoll.catalog.machine import lock_file
from tests.helpers.rabbitmq import rabbit
from tests.helpers.tables import make_table

__all__ = ["rabbit"]

GATED = ("rabbitmq", "chromium", "long")
#: Debian puts the server's own script off the usual path.
RABBITMQ_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib/rabbitmq/bin"
#: Threads of the session's sandbox, which outlive a test on purpose.
_kept: set[threading.Thread] = set()


def required() -> set[str]:
    """What ERMPOLL_REQUIRE asks for, as words of GATED."""
    words = set(os.environ.get("ERMPOLL_REQUIRE", "").replace(",", " ").split())
    if unknown := words.difference(GATED):
        raise pytest.UsageError(
            f"ERMPOLL_REQUIRE: expected words of {', '.join(GATED)};"
            f" found {', '.join(sorted(unknown))}. Correct the variable."
        )
    return words


def missing(mark: str) -> str | None:
    """Why tests of this mark can't run here, or None when they can."""
    if mark == "rabbitmq" and not which("rabbitmq-server", path=RABBITMQ_PATH):
        return "rabbitmq-server is not installed (Debian: apt-get install it)"
    if mark == "chromium":
        if not chromium_path():
            return "Chromium is not installed (Debian: apt-get install chromium)"
        if not (find_spec("playwright") and find_spec("jupyterlab")):
            return 'playwright or jupyterlab is missing (pip install -e ".[test]")'
    if mark == "long" and "long" not in required():
        return "takes minutes; run with ERMPOLL_REQUIRE=long"
    return None


def chromium_path() -> str | None:
    """Path of the Chromium of this machine, or None."""
    return which("chromium") or which("chromium-browser") or which("google-chrome")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a file in one process, but those of a thousand schedules."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            alone = nodeid.startswith("tests/end_to_end/test_schedules.py")
            return nodeid if alone else super()._split_scope(nodeid)

    return Scheduling(config, log)


def pytest_configure() -> None:
    # how fast an example is, is a matter of the machine and of what else it does
    settings.register_profile("ermpoll", deadline=None)
    settings.load_profile("ermpoll")
    # a shell has what it starts in the background ignore interrupts; tests send some
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    required()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in GATED:
        if item.get_closest_marker(mark):
            check_gate(mark)


def check_gate(mark: str) -> None:
    """Skip the running test where its mark can't be served; fail it if it must."""
    if reason := missing(mark):
        if mark in required():
            pytest.fail(f"{reason}; ERMPOLL_REQUIRE asks for {mark}", pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside() -> Iterator[None]:
    """No catalog, login or sandbox of the person who runs the tests is touched."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CATALOG", "TOKEN", "HOST", "SANDBOX"):
            patch.delenv(f"ERMPOLL_{name}", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_broker_from_outside() -> Iterator[None]:
    """Nothing is met where an address names no port, whatever runs on 5672.

    deriva-py's class can't be told a port, and ours takes AMQP's for it.
    """
    # bound, so that nobody else gets it, and not listening: it refuses
    with socket.socket() as taken, pytest.MonkeyPatch.context() as patch:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        patch.setattr(pika.connection.Parameters, "DEFAULT_PORT", port)
        yield


@pytest.fixture(scope="session")
def shared_box() -> Iterator[ermpoll.sandbox.Box]:
    before = set(threading.enumerate())
    with ermpoll.sandbox.start() as box:
        _kept.update(set(threading.enumerate()) - before)
        yield box
        _kept.clear()


@pytest.fixture(autouse=True)
def no_fault_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Faults that a test asked for end with it, those it did not meet as well."""
    shares = "shared_box" in request.fixturenames
    box = request.getfixturevalue("shared_box") if shares else None
    yield
    if box is not None:
        box.faults()


@pytest.fixture
def box(shared_box: ermpoll.sandbox.Box) -> ermpoll.sandbox.Box:
    """The session's sandbox, fresh: the demo's rows, an empty log, no faults."""
    shared_box.reset()
    if lock_file._open:
        # an agent of another test, stopped in the middle, has a seat at these tables
        gc.collect()
    return shared_box


@pytest.fixture
def catalog(box: ermpoll.sandbox.Box) -> ermpoll.Catalog:
    """A catalog of the sandbox with an empty table of jobs, ``Ops:Job``."""
    catalog = ermpoll.connect(box.new_catalog())
    make_table(catalog)
    return catalog


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """A test ends with every ``ermpoll-`` thread it started ended as well."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5
    for thread in set(threading.enumerate()) - before - _kept:
        if thread.name.startswith("ermpoll-"):
            thread.join(max(0.0, deadline - time.monotonic()))
            assert not thread.is_alive(), f"{thread.name} is still running"
