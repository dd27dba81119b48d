"""From an AMQP URL to what pika needs, and to a name that shows no login."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, urlsplit

import pika

from ermpoll.errors import NoticeError
from ermpoll.redact import Hidden

#: Both sides send a sign of life twice in this time (seconds) ...
HEARTBEAT_S = 30
#: ... and a broker has so long to answer the first bytes.
CONNECT_S = 10.0
#: ... and so long until notices can come in.
OPEN_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a broker is and how to log in there."""

    #: ``host:port/virtual-host``, without the login.
    label: str
    #: ``host:port``.
    host: str
    #: How long it may take until notices come in, in seconds.
    open_s: float
    parameters: pika.ConnectionParameters = field(repr=False)

    @classmethod
    def parse(cls, url: str, ca: str | None = None) -> Address:
        """Read ``amqp[s]://[user:password@]host[:port][/virtual-host][?heartbeat=S]``.

        Parameters
        ----------
        url
            User, password and virtual host percent-encoded, as everywhere. The
            other options are pika's (``pika.URLParameters``).
        ca
            File with the certificate authority to trust, for ``amqps`` only; None:
            those of the system.

        Raises
        ------
        NoticeError
            When it is not such a URL, or the file is not there or none of these.
            The message never holds the login.
        """
        url = Hidden(url)
        scheme, host = _checked(url)
        try:
            parameters = pika.URLParameters(url)
        except (ValueError, TypeError, SyntaxError, OSError):
            raise NoticeError(
                f"The AMQP address of {host!r} can't be read: expected "
                "amqp://user:password@host:port/vhost with each part percent-encoded, "
                "and options as pika.URLParameters knows them."
            ) from None
        if ca is not None:
            parameters.ssl_options = pika.SSLOptions(_trusting(scheme, ca), host)
        open_s = _complete(parameters, url)
        place = f"{parameters.host}:{parameters.port}"
        vhost = quote(parameters.virtual_host, safe="")
        label = place if vhost == "%2F" else f"{place}/{vhost}"
        return cls(label=label, host=place, open_s=open_s, parameters=parameters)


def _checked(url: str) -> tuple[str, str]:
    """Return scheme and host of what looks like an AMQP URL."""
    scheme, host = _place(url)
    if scheme in ("http", "https"):
        raise NoticeError(
            f"{scheme}:// is no address of a broker: expected amqp://host[:port]. "
            "The catalog's own address goes to ermpoll.connect()."
        )
    if scheme not in ("amqp", "amqps") or not host:
        raise NoticeError(
            "This is no address of a broker: expected amqp://host[:port][/vhost], or "
            "amqps:// with TLS."
        )
    return scheme, host


def _place(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        _ = parts.port
        return parts.scheme.lower(), parts.hostname or ""
    except ValueError:
        return "", ""


def _trusting(scheme: str, ca: str) -> ssl.SSLContext:
    if scheme != "amqps":
        raise NoticeError("A CA file is for amqps:// only: found amqp://.")
    if not os.path.isfile(ca):
        raise NoticeError(
            f"The CA file {ca!r} is not there: give the path of a PEM file."
        )
    try:
        return ssl.create_default_context(cafile=ca)
    except (ssl.SSLError, OSError) as error:
        raise NoticeError(
            f"The CA file {ca!r} can't be read as PEM: {error}."
        ) from error


def _complete(parameters: pika.ConnectionParameters, url: str) -> float:
    """Set what the URL leaves open, so that every wait has an end.

    Returns the seconds until notices have to come in: the link sees to that, since
    pika's own stack_timeout ends where the broker has said its first word.
    """
    given = parse_qs(urlsplit(url).query)
    if "heartbeat" not in given:
        parameters.heartbeat = HEARTBEAT_S
    if "socket_timeout" not in given:
        parameters.socket_timeout = CONNECT_S
    open_s = parameters.stack_timeout if "stack_timeout" in given else OPEN_S
    parameters.stack_timeout = None
    # Trying again is the hub's affair: it says when and can be stopped.
    parameters.connection_attempts = 1
    parameters.client_properties = {"connection_name": f"ermpoll {os.getpid()}"}
    return float(open_s)
