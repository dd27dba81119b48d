from __future__ import annotations

import socket
import ssl

import pytest
from pika import exceptions
from pika.adapters.utils import connection_workflow as workflow

from ermpoll.notices.amqp_errors import reason
from ermpoll.notices.amqp_url import Address

ADDRESS = Address.parse("amqp://me:hunter2@rabbit:5673/lab")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(), "is RabbitMQ running on rabbit:5673"),
        (socket.gaierror(), "unknown host: rabbit:5673"),
        (exceptions.ProbableAuthenticationError(), "check user and password"),
        (exceptions.ProbableAccessDeniedError(), "check the virtual host"),
        (ssl.SSLCertVerificationError(1, "self-signed"), "give its CA file"),
        (ssl.SSLError(1, "wrong version"), "is this its amqps port"),
        (TimeoutError(), "no answer from rabbit:5673 in time"),
        (exceptions.IncompatibleProtocolError(), "does not speak AMQP"),
        (exceptions.AMQPHeartbeatTimeout(), "half-open"),
        (ConnectionResetError(), "the connection to rabbit:5673 broke"),
        (exceptions.ConnectionClosedByBroker(530, "no"), "virtual host of rabbit:5673"),
        (exceptions.ConnectionClosedByBroker(320, "bye"), "closed the connection: bye"),
        (exceptions.ChannelClosedByBroker(403, "of me"), "needs the rights"),
        (exceptions.ChannelClosedByBroker(404, "none"), "no such exchange"),
        (exceptions.ChannelClosedByBroker(406, "other"), "closed the channel: other"),
        (ValueError("odd"), "connection to rabbit:5673 failed: ValueError: odd"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_each_failure_says_what_to_do_and_shows_no_login(error, words):
    said = reason(error, ADDRESS)

    assert words in said
    assert "hunter2" not in said


def test_what_pika_wraps_is_told():
    inner = workflow.AMQPConnectorSocketConnectError(ConnectionRefusedError())
    outer = workflow.AMQPConnectionWorkflowFailed([inner])

    assert reason(outer, ADDRESS).startswith("refused")
    assert reason(exceptions.AMQPConnectionError(outer), ADDRESS).startswith("refused")


ACCESS = "NOT_ALLOWED - access to vhost '/' refused for user 'me'"


@pytest.mark.parametrize(
    ("code", "text", "words"),
    [
        (530, f"{ACCESS}: connection limit (1) is reached", "connection limit (1) is"),
        (530, f"{ACCESS}: vhost connection limit (0) is reached", "vhost connection"),
        (
            530,
            "NOT_ALLOWED - connection refused for user 'me': user connection limit (0) "
            "is reached",
            ": user connection limit (0) is reached",
        ),
        (
            530,
            "NOT_ALLOWED - connection refused: node connection limit (9) is reached",
            "node connection limit (9) is reached",
        ),
        (
            530,
            "NOT_ALLOWED - number of channels opened for user 'me' has reached the "
            "maximum allowed user limit of (1)",
            "channels opened has reached the maximum allowed user limit of (1)",
        ),
        (
            530,
            "NOT_ALLOWED - number of channels opened on connection (2) has reached "
            "the negotiated channel_max (2)",
            "reached the negotiated channel_max (2)",
        ),
    ],
)
@pytest.mark.parametrize(
    "kind",
    [
        exceptions.ConnectionClosedByBroker,
        exceptions.ProbableAccessDeniedError,
        exceptions.ChannelClosedByBroker,
    ],
)
def test_a_limit_of_the_broker_is_told_in_its_own_word(kind, code, text, words):
    said = reason(kind(code, text), ADDRESS)

    assert words in said
    assert "'me'" not in said
    assert "check" not in said


def test_what_a_terminal_would_obey_is_escaped():
    said = reason(exceptions.ConnectionClosedByBroker(320, "a\n\x1b[2Jb"), ADDRESS)

    assert said == "the broker closed the connection: a ⟨U+001B⟩[2Jb (320)"
