"""Whatever goes wrong: looks go on, notices come back, nothing leaks or spins."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import ermpoll
from ermpoll.backoff import Clocks
from ermpoll.polling.poller import Poller
from ermpoll.records import LookResult
from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.poller_process import PollerProcess, poller_process
from tests.helpers.rabbitmq import Rabbit, broker, free_port, proxy

SANDBOX = (sys.executable, "-m", "ermpoll", "sandbox")
QUERY = "entity/Imaging:Image/Processing_Status=new?limit=5"


def hears(poller: PollerProcess, rabbit: Rabbit) -> bool:
    """Whether a notice is looked at now."""
    seen = len(poller.looks)
    rabbit.publish()
    wait_until(lambda: len(poller.looks) > seen, 3)
    return True


def listening(rabbit: Rabbit, timeout_s: float = 20) -> None:
    """Wait until somebody listens, and what it looks at then is over."""
    wait_until(rabbit.queues, timeout_s)
    let_pass(1.5)


def looks_go_on(poller: PollerProcess) -> None:
    seen = len(poller.looks)
    wait_until(lambda: len(poller.looks) > seen + 1, 6)


# -- the broker


@pytest.mark.rabbitmq
@pytest.mark.long
@pytest.mark.timeout(150)
def test_a_broker_that_is_killed_and_started_again():
    with broker() as rabbit, poller_process("ermpoll", rabbit.port, poll_s=1) as poller:
        listening(rabbit)
        assert hears(poller, rabbit)
        size = poller.size

        rabbit.kill()
        looks_go_on(poller)
        assert poller.cpu(3.0) < 0.05
        rabbit.start()
        listening(rabbit, 40)

        assert hears(poller, rabbit)
        assert poller.size == size
        assert len(rabbit.queues()) == 1


@pytest.mark.rabbitmq
@pytest.mark.long
@pytest.mark.timeout(90)
def test_a_connection_that_freezes_for_longer_than_two_heartbeats(rabbit: Rabbit):
    with (
        proxy(rabbit.port) as between,
        poller_process("ermpoll", between.port, poll_s=1, heartbeat_s=2) as poller,
    ):
        listening(rabbit)
        assert hears(poller, rabbit)
        size = poller.size

        between.freeze()
        looks_go_on(poller)
        assert poller.cpu(15.0) < 0.05
        between.thaw()
        between.cut()
        listening(rabbit, 40)

        assert hears(poller, rabbit)
        assert poller.size == size


@pytest.mark.rabbitmq
@pytest.mark.long
def test_heartbeats_are_served_while_a_look_takes_longer(rabbit: Rabbit):
    go_on, looks = threading.Event(), []

    def look() -> bool:
        looks.append(1)
        if len(looks) == 2:
            go_on.wait(30)
        return False

    with Poller(look, notices=f"{rabbit.url}/?heartbeat=1") as poller:
        wait_until(lambda: poller.status.notices.state == "push")
        wait_until(lambda: len(looks) == 2)

        # RabbitMQ closes after two missed heartbeats of a second each.
        let_pass(8)
        state = poller.status.notices.state
        rabbit.publish()
        go_on.set()

        wait_until(lambda: len(looks) >= 3)
        news = [w.detail for w in poller.status.log if w.reason == "broker"]
    assert state == "push"
    assert news == ["push", "connecting"]


# -- the sandbox: its broker


@pytest.mark.parametrize("fault", ["cut_notices", "cancel_consumers"])
def test_notices_of_the_sandbox_come_back_after(box, fault):
    looks: list[int] = []
    with Poller(lambda: looks.append(1), notices=box.amqp_url) as poller:
        wait_until(lambda: poller.status.notices.state == "push")

        box.faults(**{fault: True})
        wait_until(lambda: poller.status.notices.state == "down")
        box.faults()
        wait_until(lambda: poller.status.notices.state == "push")
        seen = len(looks)
        box.add(1)

        wait_until(lambda: len(looks) > seen)


def test_a_sandbox_that_brings_no_notices_is_found_deaf(box):
    from ermpoll.notices.amqp import AmqpNotices

    notices = AmqpNotices(box.amqp_url, echo_s=0.2)
    with Poller(lambda: False, notices=notices) as poller:
        wait_until(lambda: poller.status.notices.state == "push")
        box.faults(mute_notices=True)

        box.add(1)
        poller.wrote()
        wait_until(lambda: poller.status.notices.state == "deaf")
        wait_until(lambda: "connected anew" in poller.status.notices.reason)
        box.faults()
        box.add(1)

        wait_until(lambda: poller.status.notices.state == "push")


# -- the sandbox: its answers


def asking(box) -> Poller:
    """A poller whose look is one request; its back-off is short."""
    catalog = box.catalog()

    def look() -> LookResult:
        page = catalog.get(QUERY)
        return LookResult(outcome="rows" if page and page.rows else "empty")

    return Poller(
        look, notices=box.amqp_url, poll_s=0.2, clocks=Clocks(random=lambda: 0.05)
    )


def recovers(poller: Poller) -> None:
    seen = sum(n for what, n in poller.status.looks.items() if what != "error")
    wait_until(
        lambda: (
            sum(n for what, n in poller.status.looks.items() if what != "error")
            > seen + 1
        )
    )
    assert poller.status.state in ("waiting", "looking")


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        ({"status": 503, "times": 3}, "Unavailable"),
        ({"status": 401, "times": 3}, "Denied"),
        ({"drop_reply": 3, "methods": ["GET"]}, "Unavailable"),
    ],
    ids=["503", "401", "dropped replies"],
)
def test_an_answer_that_fails_is_told_and_got_over(box, plan, word):
    with asking(box) as poller:
        wait_until(lambda: poller.status.looks.get("rows"))

        box.faults(**plan)
        wait_until(lambda: poller.status.looks.get("error", 0) >= 1)
        recovers(poller)

        failed = [w.detail for w in poller.status.log if word in w.detail]
    assert failed
    assert poller.status.notices.state == "off"


@contextmanager
def sandbox(port: int, data: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*SANDBOX, "--port", str(port), "--data", data],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["pid"]
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def test_a_server_that_goes_and_comes_back(tmp_path):
    port, data = free_port(), str(tmp_path / "rows.db")
    catalog = ermpoll.connect(f"http://localhost:{port}/ermrest/catalog/1")

    def look() -> LookResult:
        page = catalog.get(QUERY)
        return LookResult(outcome="rows" if page and page.rows else "empty")

    poller = Poller(look, poll_s=0.2, clocks=Clocks(random=lambda: 0.05))
    with sandbox(port, data):
        poller.start()
        wait_until(lambda: poller.status.looks.get("rows"))
    wait_until(lambda: poller.status.looks.get("error", 0) >= 3)
    down = poller.status
    with sandbox(port, data):
        recovers(poller)
        poller.stop()

    assert "expected the catalog at" in down.log[0].detail
    assert down.looks["error"] >= 3


def test_an_agent_says_that_its_login_has_expired_within_one_poll():
    """Waiting 9: it runs on as anonymous, and that is not "no work"."""
    with ermpoll.sandbox.start(token="t0p") as box:
        agent = ermpoll.Agent(box.jobs(), lambda row: None, poll_s=0.2)
        with agent:
            wait_until(lambda: agent.status.login)
            wait_until(lambda: agent.status.state == "waiting")

            box.faults(logged_out=True)
            wait_until(lambda: agent.status.login is None)
            wait_until(lambda: agent.status.reason)
            reason = agent.status.reason
            box.faults()
            wait_until(lambda: agent.status.login)

            news = [w.detail for w in agent.status.log if w.reason == "login"]
    assert reason.startswith(("login expired", "Denied"))
    assert news[-1].startswith("login expired: nobody is logged in")


def test_a_watch_says_that_its_login_has_expired():
    with ermpoll.sandbox.start(token="t0p") as box:
        watch = ermpoll.watch(box.jobs(), box.amqp_url)
        poller = watch.agent
        watch.start()
        wait_until(lambda: poller.status.login)
        name = poller.status.login

        box.faults(logged_out=True)
        watch.look_now()
        wait_until(lambda: poller.status.reason)
        gone = poller.status
        box.faults()
        watch.look_now()
        wait_until(lambda: poller.status.login)
        watch.close()

        news = [w.detail for w in poller.status.log if w.reason == "login"]
    assert gone.login is None
    assert gone.reason.startswith("login expired: nobody is logged in")
    assert news == [f"logged in as {name}", gone.reason]
