"""Why there are no notices, in words that say what to do."""

from __future__ import annotations

import re
import socket
import ssl

from pika import exceptions
from pika.adapters.utils import connection_workflow as workflow

from ermpoll.notices.amqp_url import Address
from ermpoll.redact import printable


def reason(error: BaseException, address: Address) -> str:
    """Put the failure of a connection into words; never a login."""
    at, cause = address.host, _cause(error)
    if limit := _limit(cause):
        return f"{at} takes no more: {limit}"
    for kinds, words in _WORDS:
        if isinstance(cause, kinds):
            return words.format(at=at, error=_short(cause))
    if isinstance(cause, exceptions.ConnectionClosedByBroker):
        return _closed(cause, address)
    if isinstance(cause, exceptions.ChannelClosed):
        # The broker's own sentence names the user: a login is never shown.
        words = _CHANNEL.get(cause.reply_code, "{at} closed the channel: {error}")
        return words.format(at=at, error=_short(cause))
    return f"connection to {at} failed: {type(cause).__name__}: {_short(cause)}"


def _closed(error: exceptions.ConnectionClosedByBroker, address: Address) -> str:
    # 530, NOT_ALLOWED, is what a broker answers to a virtual host that is none.
    if error.reply_code == 530:
        return f"no access to the virtual host of {address.label}: check its name"
    return f"the broker closed the connection: {_short(error)}"


def _cause(error: BaseException) -> BaseException:
    """Unwrap pika's exceptions that only say in which phase it happened."""
    if isinstance(error, workflow.AMQPConnectionWorkflowFailed):
        return _cause(error.exceptions[-1])
    if type(error) is exceptions.AMQPConnectionError and error.args:
        inner = error.args[0]
        return _cause(inner) if isinstance(inner, BaseException) else error
    if isinstance(error, workflow.AMQPConnectorPhaseErrorBase):
        return _cause(error.exception)
    return error


def _limit(error: BaseException) -> str:
    """Return the broker's own word on a limit that is reached, without the user."""
    closed = exceptions.ConnectionClosed | exceptions.ChannelClosed
    text = error.reply_text if isinstance(error, closed) else str(error)
    found = _LIMIT.search(_USER.sub("", text))
    return printable(found[0])[:200] if found else ""


def _short(error: BaseException) -> str:
    if isinstance(error, (exceptions.ConnectionClosed, exceptions.ChannelClosed)):
        return f"{printable(error.reply_text)[:200]} ({error.reply_code})"
    text = getattr(error, "strerror", None) or str(error)
    return printable(str(text))[:200]


#: "connection limit (1) is reached", "number of channels opened (2) has reached ..."
_LIMIT = re.compile(
    r"(?:user |vhost |node |number of )?(?:connection|channel)s?\b[^:'\"]*"
    r"\b(?:reached|exceeded)\b[^:'\"]*",
    re.IGNORECASE,
)
_USER = re.compile(r" for user '[^']*'")
#: What a broker's code on a channel means to us.
_CHANNEL = {
    403: "access refused by {at}: the user needs the rights to make a queue and to "
    "read from the exchange",
    404: "{at} has no such exchange, and the user may not make it: is this the "
    "catalog's broker?",
}
#: The first kind that fits says it; ``{at}`` is host:port.
_WORDS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((ConnectionRefusedError,), "refused: is RabbitMQ running on {at}?"),
    ((socket.gaierror,), "unknown host: {at} can't be found; check the address"),
    (
        (exceptions.ProbableAuthenticationError, exceptions.AuthenticationError),
        "login refused by {at}: check user and password in the AMQP address",
    ),
    (
        (exceptions.ProbableAccessDeniedError,),
        "access refused by {at}: check the virtual host and the user's rights",
    ),
    (
        (ssl.SSLCertVerificationError,),
        "TLS: the certificate of {at} is not trusted ({error}); give its CA file",
    ),
    ((ssl.SSLError,), "TLS with {at} failed ({error}); is this its amqps port?"),
    (
        (TimeoutError,),
        "no answer from {at} in time: is it the right port, and not blocked?",
    ),
    (
        (exceptions.IncompatibleProtocolError,),
        "{at} does not speak AMQP 0-9-1, or wants TLS: check port and amqps://",
    ),
    (
        (exceptions.AMQPHeartbeatTimeout,),
        "silent: no sign of life from {at}, the connection is half-open",
    ),
    (
        (exceptions.StreamLostError, ConnectionResetError, BrokenPipeError),
        "lost: the connection to {at} broke; did RabbitMQ or the network go?",
    ),
)
