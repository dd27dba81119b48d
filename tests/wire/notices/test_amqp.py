from __future__ import annotations

import gc
import logging
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from ermpoll.backoff import Clocks
from ermpoll.notices.amqp import AmqpNotices, Hearing
from ermpoll.records import NoticesStatus
from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.rabbitmq import (
    Proxy,
    Rabbit,
    free_port,
    proxy,
)
from tests.helpers.shares import mostly_long

needs_rabbitmq = pytest.mark.rabbitmq


class Hearer:
    """Somebody who listens to a hub, and remembers."""

    def __init__(self, notices: AmqpNotices) -> None:
        self.notices = notices
        self.heard = 0
        self.told: list[NoticesStatus] = []
        self.leave = notices.subscribe(self._hear, self.told.append)

    def _hear(self) -> None:
        self.heard += 1

    def wait_for_state(self, state: str, timeout_s: float = 10.0) -> NoticesStatus:
        wait_until(lambda: self.notices.status.state == state, timeout_s)
        return self.notices.status

    def wait_for_word_of(self, state: str) -> NoticesStatus:
        """Return the last word of a state, which may be over by now."""
        wait_until(lambda: state in [status.state for status in self.told])
        return [status for status in self.told if status.state == state][-1]


@contextmanager
def hearing(url: str, **options: object) -> Iterator[Hearer]:
    hearer = Hearer(AmqpNotices(url, **options))  # type: ignore[arg-type]
    try:
        yield hearer
    finally:
        hearer.leave()


# -- deafness, decided purely


def test_a_write_expects_a_notice_within_its_time():
    hearing = Hearing(echo_s=5).expecting(100.0)

    assert not hearing.is_deaf(104.9)
    assert hearing.is_deaf(105.0)
    assert not hearing.heard(104.9).is_deaf(200.0)


def test_a_notice_that_came_before_the_answer_is_the_echo():
    hearing = Hearing(echo_s=5).heard(99.9).expecting(100.0)

    assert not hearing.is_deaf(200.0)


def test_a_second_write_does_not_put_off_the_first_ones_time():
    hearing = Hearing(echo_s=5).expecting(100.0).expecting(104.0)

    assert hearing.is_deaf(105.0)


# -- no broker


def test_a_broker_that_is_not_there_is_a_status_with_the_next_try(caplog):
    port = free_port()
    caplog.set_level(logging.WARNING, logger="ermpoll")

    with hearing(f"amqp://me:hunter2@127.0.0.1:{port}") as hearer:
        status = hearer.wait_for_state("down")

    assert status.reason == f"refused: is RabbitMQ running on 127.0.0.1:{port}?"
    assert status.next_try_at is not None
    assert "hunter2" not in caplog.text + repr(status)
    events = [r.event for r in caplog.records if r.name.startswith("ermpoll")]
    assert events == ["down"]


def test_a_broker_that_stays_away_is_logged_once(caplog):
    caplog.set_level(logging.WARNING, logger="ermpoll")
    url, tries = f"amqp://127.0.0.1:{free_port()}", set()

    with hearing(url, clocks=Clocks(random=lambda: 0.0)) as hearer:
        wait_until(
            lambda: tries.add(hearer.notices.status.next_try_at) or len(tries) > 3
        )

    ours = [r for r in caplog.records if r.name.startswith("ermpoll")]
    assert len(ours) == 1
    assert [status.state for status in hearer.told] == ["connecting", "down"]


def test_a_write_is_expected_back_only_while_somebody_listens():
    notices = AmqpNotices("amqp://localhost")

    notices.wrote()

    assert notices.status.state == "off"


def test_a_broker_of_the_machine_is_not_met_by_the_tests():
    with hearing("amqp://localhost") as hearer:
        status = hearer.wait_for_state("down", 30)

    assert "refused" in status.reason


def test_a_host_that_is_not_known_is_a_status():
    """Such a name ends deriva-py's loop."""
    with hearing("amqp://no-such-host.invalid:5672") as hearer:
        status = hearer.wait_for_state("down", 30)

    assert status.reason.startswith("unknown host: no-such-host.invalid:5672")


def test_a_port_that_speaks_something_else_is_a_status():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with hearing(f"amqp://127.0.0.1:{port}") as hearer:
            peer, _ = listener.accept()
            with peer:
                peer.recv(8)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            status = hearer.wait_for_state("down")

    assert f"127.0.0.1:{port}" in status.reason


def test_silence_after_the_connection_is_a_status():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        url = f"amqp://127.0.0.1:{port}/?socket_timeout=0.1&stack_timeout=0.2"
        with hearing(url) as hearer:
            status = hearer.wait_for_state("down")

    assert status.reason.startswith(f"no answer from 127.0.0.1:{port} in time")


# -- a real broker


@needs_rabbitmq
def test_notices_come_in(rabbit: Rabbit):
    with hearing(rabbit.url) as hearer:
        hearer.wait_for_state("push")

        rabbit.publish(3)
        wait_until(lambda: hearer.heard == 3)

    states = [status.state for status in hearer.told]
    assert states == ["connecting", "push"]
    assert hearer.notices.status.received == 3


@needs_rabbitmq
def test_no_notice_stays_unacknowledged(rabbit: Rabbit):
    """deriva-py acknowledges none of them."""
    with hearing(rabbit.url) as hearer:
        hearer.wait_for_state("push")
        rabbit.publish(1_000)
        wait_until(lambda: hearer.heard == 1_000)

        assert list(rabbit.queues().values()) == [0]


@needs_rabbitmq
def test_pollers_of_one_process_share_a_connection(rabbit: Rabbit):
    notices = AmqpNotices(rabbit.url)
    first, second = Hearer(notices), Hearer(notices)
    first.wait_for_state("push")

    rabbit.publish()
    wait_until(lambda: (first.heard, second.heard) == (1, 1))
    threads = [t for t in threading.enumerate() if t.name == "ermpoll-notices"]
    first.leave()
    between = notices.status.state
    second.leave()

    assert len(threads) == 1
    assert (between, notices.status.state) == ("push", "off")


@needs_rabbitmq
def test_leaving_is_quick_and_leaves_nothing_behind(rabbit: Rabbit):
    process = psutil.Process()
    gc.collect()
    sockets, threads = len(process.net_connections()), threading.active_count()

    took = []
    for _ in range(20):
        hearer = Hearer(AmqpNotices(rabbit.url))
        hearer.wait_for_state("push")
        began = time.perf_counter()
        hearer.leave()
        took.append(time.perf_counter() - began)
    gc.collect()

    assert statistics.median(took) < 0.05
    # what other tests had open may be closed meanwhile
    assert len(process.net_connections()) <= sockets
    assert threading.active_count() <= threads
    assert rabbit.queues() == {}


@needs_rabbitmq
def test_a_wrong_password_is_a_status(rabbit: Rabbit):
    with hearing(f"amqp://guest:hunter2@127.0.0.1:{rabbit.port}") as hearer:
        status = hearer.wait_for_state("down")

    assert status.reason == (
        f"login refused by 127.0.0.1:{rabbit.port}: check user and password in the "
        "AMQP address"
    )


@needs_rabbitmq
def test_a_virtual_host_that_is_not_there_is_a_status(rabbit: Rabbit):
    with hearing(f"{rabbit.url}/nowhere") as hearer:
        status = hearer.wait_for_state("down")

    assert "virtual host" in status.reason


@needs_rabbitmq
def test_an_exchange_that_is_declared_otherwise_is_used_as_it_is(rabbit: Rabbit):
    """A durable exchange ends deriva-py's loop."""
    connection = rabbit.connect()
    channel = connection.channel()
    channel.exchange_declare("kept", exchange_type="fanout", durable=True)

    with hearing(rabbit.url, exchange="kept") as hearer:
        hearer.wait_for_state("push")
        channel.basic_publish("kept", "", b"change")
        wait_until(lambda: hearer.heard == 1)
    channel.exchange_delete("kept")
    connection.close()


@needs_rabbitmq
@pytest.mark.long
def test_a_virtual_host_has_its_own_notices(rabbit: Rabbit):
    rabbit.ctl("add_vhost", "the lab")
    rabbit.ctl("set_permissions", "-p", "the lab", "guest", ".*", ".*", ".*")
    try:
        with hearing(f"{rabbit.url}/the%20lab") as hearer:
            hearer.wait_for_state("push")
            rabbit.publish(5)
            rabbit.publish(virtual_host="the lab")
            wait_until(lambda: hearer.heard)
            let_pass(0.2)
        assert hearer.heard == 1
    finally:
        rabbit.ctl("delete_vhost", "the lab")


@pytest.fixture
def reader(rabbit: Rabbit) -> Iterator[str]:
    """The address of a user who may make queues and read, but make no exchange."""
    rabbit.ctl("add_user", "reader", "hunter2")
    rabbit.ctl("set_permissions", "reader", "^amq.gen", "^amq.gen", ".*")
    yield f"amqp://reader:hunter2@127.0.0.1:{rabbit.port}"
    rabbit.ctl("delete_user", "reader")


@needs_rabbitmq
@pytest.mark.long
def test_a_user_who_may_only_read_hears_notices(rabbit: Rabbit, reader: str):
    rabbit.publish()
    with hearing(reader) as hearer:
        hearer.wait_for_state("push")
        rabbit.publish()
        wait_until(lambda: hearer.heard == 1)


@needs_rabbitmq
@pytest.mark.long
def test_a_lack_of_rights_is_told_without_the_user(rabbit: Rabbit, reader: str):
    with hearing(reader, exchange="nosuch") as hearer:
        missing = hearer.wait_for_state("down")
    rabbit.ctl("set_permissions", "reader", "^$", "^$", "^$")
    rabbit.publish()
    with hearing(reader) as hearer:
        refused = hearer.wait_for_state("down")

    at = f"127.0.0.1:{rabbit.port}"
    assert missing.reason.startswith(f"{at} has no such exchange")
    assert refused.reason.startswith(f"access refused by {at}")
    assert "reader" not in missing.reason + refused.reason


@needs_rabbitmq
def test_notices_come_back_after_the_broker_closed_the_connection(rabbit: Rabbit):
    with hearing(rabbit.url) as hearer:
        hearer.wait_for_state("push")

        rabbit.ctl("close_all_connections", "maintenance at noon")
        down = hearer.wait_for_word_of("down")
        hearer.wait_for_state("push")
        rabbit.publish()
        wait_until(lambda: hearer.heard == 1)

    assert "maintenance at noon" in down.reason
    assert down.next_try_at is not None


@needs_rabbitmq
def test_notices_come_back_after_the_queue_was_deleted(rabbit: Rabbit):
    """deriva-py spins at 95 % CPU and never looks again."""
    with hearing(rabbit.url) as hearer:
        hearer.wait_for_state("push")

        (queue,) = rabbit.queues()
        rabbit.ctl("delete_queue", queue)
        down = hearer.wait_for_word_of("down")
        hearer.wait_for_state("push")
        rabbit.publish()
        wait_until(lambda: hearer.heard == 1)

    assert down.reason == "the broker cancelled the consumer: queue deleted"


@needs_rabbitmq
def test_a_connection_that_is_cut_comes_back(rabbit: Rabbit):
    with proxy(rabbit.port) as between, hearing(_through(between)) as hearer:
        hearer.wait_for_state("push")

        between.cut()
        hearer.wait_for_word_of("down")
        hearer.wait_for_state("push")
        rabbit.publish()
        wait_until(lambda: hearer.heard == 1)


@needs_rabbitmq
def test_leaving_does_not_wait_for_a_broker_that_is_frozen(rabbit: Rabbit):
    with proxy(rabbit.port) as between:
        hearer = Hearer(AmqpNotices(_through(between)))
        hearer.wait_for_state("push")
        between.freeze()

        began = time.perf_counter()
        hearer.leave()

        assert time.perf_counter() - began < 0.2


@needs_rabbitmq
def test_a_write_without_an_echo_makes_it_deaf_and_a_notice_ends_that(rabbit: Rabbit):
    with hearing(rabbit.url, exchange="silent", echo_s=0.1) as hearer:
        hearer.wait_for_state("push")

        hearer.notices.wrote()
        found = hearer.wait_for_state("deaf")
        wait_until(lambda: "connected anew" in hearer.notices.status.reason)
        anew = hearer.notices.status
        rabbit.publish(exchange="silent")
        wait_until(lambda: hearer.heard == 1)

        assert hearer.notices.status.state == "push"
    assert found.reason.startswith("deaf: something was written, but no notice came")
    assert anew.state == "deaf"


@needs_rabbitmq
def test_an_echo_in_time_is_no_deafness(rabbit: Rabbit):
    with hearing(rabbit.url, echo_s=1.0) as hearer:
        hearer.wait_for_state("push")

        hearer.notices.missed()
        rabbit.publish()
        let_pass(1.3)

        assert [status.state for status in hearer.told] == ["connecting", "push"]


@needs_rabbitmq
def test_a_half_open_connection_is_found_by_a_write(rabbit: Rabbit):
    with (
        proxy(rabbit.port) as between,
        hearing(_through(between), echo_s=0.2) as hearer,
    ):
        hearer.wait_for_state("push")
        between.freeze()

        hearer.notices.wrote()
        hearer.wait_for_state("deaf")
        between.thaw()
        between.cut()
        wait_until(lambda: "connected anew" in hearer.notices.status.reason)
        rabbit.publish()

        hearer.wait_for_state("push")


@needs_rabbitmq
def test_tls_with_the_right_ca_brings_notices(rabbit: Rabbit):
    url = f"amqps://guest:guest@localhost:{rabbit.tls_port}"

    with hearing(url, ca=rabbit.ca) as hearer:
        hearer.wait_for_state("push")
        rabbit.publish()
        wait_until(lambda: hearer.heard == 1)


@needs_rabbitmq
@pytest.mark.parametrize(
    ("scheme", "port", "with_ca", "reason"),
    [
        ("amqps", "tls_port", False, "TLS: the certificate of localhost:"),
        ("amqps", "port", True, "TLS with localhost:"),
        ("amqp", "tls_port", False, ""),
    ],
    ids=["unknown CA", "TLS to a plain port", "plain to a TLS port"],
)
def test_tls_that_fails_is_a_status(rabbit: Rabbit, scheme, port, with_ca, reason):
    url = f"{scheme}://localhost:{getattr(rabbit, port)}/?stack_timeout=2"

    with hearing(url, ca=rabbit.ca if with_ca else None) as hearer:
        status = hearer.wait_for_state("down")

    assert status.reason.startswith(reason)
    assert f"localhost:{getattr(rabbit, port)}" in status.reason


@needs_rabbitmq
@pytest.mark.long
def test_a_frozen_connection_is_found_by_its_heartbeats(rabbit: Rabbit):
    with (
        proxy(rabbit.port) as between,
        hearing(f"{_through(between)}/?heartbeat=2") as hearer,
    ):
        hearer.wait_for_state("push")

        between.freeze()
        status = hearer.wait_for_state("down", 15)
        between.thaw()
        between.cut()
        hearer.wait_for_state("push", 15)
        rabbit.publish()
        wait_until(lambda: hearer.heard == 1)

    assert status.reason.startswith("silent: no sign of life from 127.0.0.1")


def _through(between: Proxy) -> str:
    return f"amqp://127.0.0.1:{between.port}"


@needs_rabbitmq
@pytest.mark.parametrize(
    ("limit", "words"),
    mostly_long(
        [
            (
                ("set_vhost_limits", "-p", "tight", '{"max-connections": 0}'),
                "connection",
            ),
            (("set_user_limits", "few", '{"max-connections": 0}'), "connection"),
            (("set_user_limits", "few", '{"max-channels": 0}'), "channels"),
        ]
    ),
    ids=["connections of a virtual host", "connections of a user", "channels"],
)
@pytest.mark.timeout(180)
def test_a_limit_is_told_in_the_broker_s_own_word(rabbit: Rabbit, limit, words):
    rabbit.ctl("add_vhost", "tight")
    rabbit.ctl("add_user", "few", "hunter2")
    try:
        rabbit.ctl("set_permissions", "-p", "tight", "few", ".*", ".*", ".*")
        rabbit.ctl(*limit)
        url = f"amqp://few:hunter2@127.0.0.1:{rabbit.port}/tight"
        with hearing(url) as hearer:
            reason = hearer.wait_for_state("down").reason
    finally:
        rabbit.ctl("delete_user", "few")
        rabbit.ctl("delete_vhost", "tight")

    assert "limit" in reason
    assert words in reason
    assert "takes no more: " in reason
    assert "few" not in reason
    assert "hunter2" not in reason
