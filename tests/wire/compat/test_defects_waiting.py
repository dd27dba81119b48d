"""Defects 1, 2, 3 and 8 of deriva-py's waiting, the same test for both.

Each test is run with a poller of ours, which has to pass, and with deriva-py's,
which has to fail: so a test that proves nothing is found out.
"""

from __future__ import annotations

import time

import pytest

from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.poller_process import poller_process
from tests.helpers.rabbitmq import Rabbit

SEED = pytest.param(
    "deriva",
    marks=pytest.mark.xfail(strict=True, raises=AssertionError),
)
both = pytest.mark.parametrize("whose", ["ermpoll", SEED])
pytestmark = [pytest.mark.rabbitmq, pytest.mark.long, pytest.mark.timeout(90)]


def settled(rabbit: Rabbit) -> None:
    """Wait until somebody listens, and what it does at its start is over."""
    wait_until(rabbit.queues, 20)
    let_pass(0.5)


@both
def test_notices_go_on_after_the_consumers_time_out(whose, rabbit):
    """1. An unacknowledged notice closes the channel, and the loop dies."""
    with poller_process(whose, rabbit.port) as poller:
        settled(rabbit)
        rabbit.publish(130)
        assert sum(rabbit.queues().values()) == 0

        let_pass(8.0)
        seen = len(poller.looks)
        rabbit.publish()

        wait_until(lambda: len(poller.looks) > seen, 3)
        assert poller.alive


@both
def test_a_stream_of_notices_is_looked_at_while_it_lasts(whose, rabbit):
    """2. Waiting for a tenth of a second of silence, it sees nothing but the end."""
    with poller_process(whose, rabbit.port) as poller:
        settled(rabbit)
        connection = rabbit.connect()
        channel = connection.channel()

        for _ in range(8):
            connection.process_data_events(2.1)  # quiet: the next notice is a first one
            seen, longest_s = len(poller.looks), 0.0
            for _ in range(200):
                began = time.monotonic()
                channel.basic_publish("ermrest_changes", "", b"change")
                connection.process_data_events(0.012)
                longest_s = max(longest_s, time.monotonic() - began)
            during = len(poller.looks) - seen
            if longest_s < 0.08:
                break  # a busy machine has silences in it, which are no stream
        connection.close()

        assert 3 <= during <= 15


@both
def test_a_look_follows_a_notice_at_once(whose, rabbit):
    """2. Each look is a tenth of a second late."""
    with poller_process(whose, rabbit.port) as poller:
        settled(rabbit)
        connection = rabbit.connect()
        channel = connection.channel()

        delays = []
        for _ in range(7):
            connection.process_data_events(0.3)
            seen, began = len(poller.looks), time.monotonic()
            channel.basic_publish("ermrest_changes", "", b"change")
            wait_until(lambda seen=seen: len(poller.looks) > seen, 2)
            delays.append(poller.looks[seen] - began)
        connection.close()

        assert sorted(delays)[3] < 0.02


@both
def test_a_deleted_queue_neither_spins_nor_stops_the_looks(whose, rabbit):
    """3. It spins at 95 % of a core and never looks again."""
    with poller_process(whose, rabbit.port) as poller:
        settled(rabbit)
        (queue,) = rabbit.queues()

        rabbit.ctl("delete_queue", queue)
        assert poller.cpu(2.0) < 0.05
        wait_until(rabbit.queues, 10)
        seen = len(poller.looks)
        rabbit.publish()

        wait_until(lambda: len(poller.looks) > seen, 3)


@both
def test_an_unknown_host_does_not_end_the_looks(whose):
    """8. socket.gaierror ends the loop."""
    with poller_process(whose, 5672, host="no-such-host.invalid", poll_s=0.3) as poller:
        wait_until(lambda: len(poller.looks) >= 3, 10)

        assert poller.alive


@both
def test_a_durable_exchange_does_not_end_the_looks(whose, rabbit):
    """8. PRECONDITION_FAILED (406) ends the loop."""
    connection = rabbit.connect()
    channel = connection.channel()
    channel.exchange_delete("ermrest_changes")
    channel.exchange_declare("ermrest_changes", exchange_type="fanout", durable=True)
    try:
        with poller_process(whose, rabbit.port) as poller:
            for _ in range(20):
                connection.process_data_events(0.25)
                channel.basic_publish("ermrest_changes", "", b"change")
            assert len(poller.looks) > 5
    finally:
        channel.exchange_delete("ermrest_changes")
        connection.close()
