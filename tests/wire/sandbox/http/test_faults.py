"""Faults on demand: what the client sees, and what became of the rows."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from typing import Any

import pytest

import ermpoll
from ermpoll.sandbox import Box
from ermpoll.sandbox.box import Joined
from tests.helpers.sandbox_client import Client, closing

_PUT = "/attributegroup/Imaging:Image/RID;Priority"


def _rid(demo: Client) -> str:
    (row,) = demo.rows("/attribute/Imaging:Image/RID@sort(RID)?limit=1")
    return str(row["RID"])


def _priority(demo: Client, rid: str) -> int:
    (row,) = demo.rows(f"/attribute/Imaging:Image/RID={rid}/Priority")
    return int(row["Priority"])


def test_a_status_comes_as_often_as_asked_and_does_nothing(
    box: Box, demo: Client
) -> None:
    rid = _rid(demo)
    box.faults(status=502, times=2, methods=("PUT",))

    statuses = [
        demo.put(_PUT, [{"RID": rid, "Priority": number}]).status
        for number in (11, 12, 13)
    ]

    assert statuses == [502, 502, 200]
    assert len(box.log) == 1


def test_aborts_come_with_their_share_and_repeat_with_a_seed(
    box: Box, demo: Client
) -> None:
    def statuses() -> list[int]:
        box.faults(abort=0.3, seed=4)
        return [demo.put(_PUT, []).status for _ in range(100)]

    first = statuses()

    assert statuses() == first
    assert set(first) == {200, 503}
    assert 15 <= Counter(first)[503] <= 45
    assert demo.get("/entity/Imaging:Dataset").status == 200
    box.faults()
    assert demo.put(_PUT, []).status == 200


def test_an_abort_is_worded_as_the_services(box: Box, demo: Client) -> None:
    box.faults(abort=1)

    answer = demo.put(_PUT, [])

    assert answer.text == (
        "The service is temporarily unavailable. Detail: Transaction aborted.\n"
    )


@pytest.mark.parametrize("how", [True, 1, 1.0])
def test_a_dropped_reply_is_committed(box: Box, demo: Client, how: Any) -> None:
    rid = _rid(demo)
    box.faults(drop_reply=how)

    with pytest.raises(http.client.RemoteDisconnected):
        demo.put(_PUT, [{"RID": rid, "Priority": 77}])
    box.faults()

    assert _priority(demo, rid) == 77
    assert len(box.log) == 1


def test_a_number_of_replies_is_dropped(box: Box, demo: Client) -> None:
    box.faults(drop_reply=2)

    for _ in range(2):
        with pytest.raises(http.client.RemoteDisconnected):
            demo.put(_PUT, [])

    assert demo.put(_PUT, []).status == 200


def test_a_status_after_the_commit_hides_it(box: Box, demo: Client) -> None:
    rid = _rid(demo)
    box.faults(status_after=504, drop_reply=1)

    answer = demo.put(_PUT, [{"RID": rid, "Priority": 78}])

    assert answer.status == 504
    assert _priority(demo, rid) == 78


def test_a_delayed_write_commits_after_its_client_gave_up(
    box: Box, demo: Client
) -> None:
    rid = _rid(demo)
    box.faults(delay_s=0.3, methods=("PUT",))
    with closing(Client(box.url)) as hasty:
        hasty.connection.timeout = 0.05
        with pytest.raises(TimeoutError):
            hasty.put(_PUT, [{"RID": rid, "Priority": 79}])

    before = _priority(demo, rid)
    time_out = time.monotonic() + 5
    while _priority(demo, rid) != 79 and time.monotonic() < time_out:
        pass

    assert before != 79
    assert _priority(demo, rid) == 79


def test_a_freeze_holds_every_answer_back(box: Box, demo: Client) -> None:
    box.faults(freeze_s=0.3)
    start = time.monotonic()

    assert demo.get("/entity/Imaging:Dataset").status == 200
    assert time.monotonic() - start >= 0.29
    assert demo.get("/entity/Imaging:Dataset").status == 200
    assert time.monotonic() - start < 0.6


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        ({"nosuch": 1}, "there are: abort, "),
        ({"status": 200}, "status must be an error status"),
        ({"delay_s": -1}, "delay_s must be at least 0"),
    ],
)
def test_bad_faults_are_refused(box: Box, plan: dict[str, Any], text: str) -> None:
    with pytest.raises(ermpoll.UsageError, match=text):
        box.faults(**plan)


def test_prices_make_requests_cost_and_overlapping_writes_abort() -> None:
    statuses: list[int] = []

    def write(url: str) -> None:
        with closing(Client(url)) as client:
            statuses.append(client.put(_PUT, []).status)

    with ermpoll.sandbox.start(price=True) as box, closing(Client(box.url)) as client:
        start = time.monotonic()
        client.get("/entity/Imaging:Dataset")
        read_s = time.monotonic() - start
        client.put(_PUT, [])
        write_s = time.monotonic() - start - read_s
        threads = [threading.Thread(target=write, args=(box.url,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    # Of the prices, a millisecond is taken for the way.
    assert read_s >= 0.007
    assert write_s >= 0.011
    assert 200 in statuses
    assert 503 in statuses


def test_no_fault_and_no_price_hits_the_commands_over_http() -> None:
    with ermpoll.sandbox.start(control=True, price=True) as own:
        commands = Joined(own.url)
        commands.command("faults", freeze_s=60, delay_s=60, abort=1.0)
        started = time.monotonic()

        commands.command("faults")

        assert time.monotonic() - started < 5


def test_with_a_price_a_stale_tag_is_refused_and_a_fresh_one_taken() -> None:
    with ermpoll.sandbox.start(price=True) as box, closing(Client(box.url)) as client:
        etag = client.get("/entity/Imaging:Dataset").etag

        first = client.put(_PUT, [], If_Match=etag)
        second = client.put(_PUT, [], If_Match=etag)

    assert (first.status, second.status) == (200, 412)


def test_with_a_price_aborts_can_be_turned_off() -> None:
    statuses: list[int] = []

    def write(url: str) -> None:
        with closing(Client(url)) as client:
            statuses.append(client.put(_PUT, []).status)

    with ermpoll.sandbox.start(price=True) as box:
        box.faults(abort=0)
        threads = [threading.Thread(target=write, args=(box.url,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert statuses == [200] * 4
