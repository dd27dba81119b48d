from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

import ermpoll
from ermpoll.compat import state_change
from ermpoll.notices.base import LocalNotices
from tests.helpers.tables import count_states
from tests.wire.compat.state_change.place import UPDATE, claim, query, touching

# the loop


def test_the_loop_consumes_all_there_is_and_stops(catalog):
    stop, taken = threading.Event(), []

    def look() -> bool:
        _, batch = ermpoll.state_change_once(catalog, query(2), UPDATE, claim)
        taken.extend(batch)
        if not batch:
            stop.set()
        return bool(batch)

    ermpoll.blocking_poll(look, stop=stop)

    assert len(taken) == 5


def test_the_loop_stops_soon_while_it_waits():
    stop, looked = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=ermpoll.blocking_poll, args=[looked.set], kwargs={"stop": stop}
    )
    thread.start()
    assert looked.wait(5)

    began = time.perf_counter()
    stop.set()
    thread.join(5)

    assert time.perf_counter() - began < 0.5
    assert not thread.is_alive()


def test_a_notice_wakes_the_loop():
    notices, stop = LocalNotices(), threading.Event()
    looks: list[float] = []
    first = threading.Event()

    def look() -> bool:
        looks.append(time.perf_counter())
        first.set()
        if len(looks) == 2:
            stop.set()
        return False

    thread = threading.Thread(
        target=ermpoll.blocking_poll,
        args=[look],
        kwargs={"notices": notices, "stop": stop},
    )
    thread.start()
    assert first.wait(5)
    notices.notify()
    thread.join(5)

    assert len(looks) == 2


def test_faults_of_the_network_are_waited_out(shared_box, catalog):
    shared_box.faults(status=503, times=2)
    stop, looks = threading.Event(), []

    def look() -> bool:
        looks.append(1)
        _, batch = ermpoll.state_change_once(catalog, query(), UPDATE, claim)
        stop.set()
        return bool(batch)

    ermpoll.blocking_poll(look, stop=stop)

    assert len(looks) >= 3
    assert count_states(catalog) == {"claimed": 5}


def test_a_race_that_is_lost_for_long_does_not_end_the_loop(
    catalog, somebody, monkeypatch
):
    monkeypatch.setattr(state_change, "PATIENCE_S", 0.0)
    transform, stop = touching(somebody, times=3), threading.Event()
    outcomes: list[str] = []

    def look() -> bool:
        try:
            ermpoll.state_change_once(catalog, query(1), UPDATE, transform)
        except state_change.LostRace:
            outcomes.append("lost")
            raise
        outcomes.append("won")
        stop.set()
        return False

    ermpoll.blocking_poll(look, stop=stop)

    assert outcomes == ["lost"] * 3 + ["won"]


# defects 9 and 10: see also test_compat


def test_a_second_run_on_the_same_object_works(theirs):
    theirs.amqp_connection = SimpleNamespace(is_open=True)
    with pytest.raises(UnboundLocalError):
        theirs.blocking_poll(lambda: False)

    for _ in range(2):
        stop = threading.Event()
        ermpoll.blocking_poll(stop.set, stop=stop)
