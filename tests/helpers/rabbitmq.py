"""A real RabbitMQ of our own: free port, own node name, own directories.

``with broker() as rabbit:`` starts Debian's ``rabbitmq-server`` and ends all of
it, its epmd included. ``Proxy`` stands between a client and a broker and can
freeze or cut what flows through it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pika
import pika.exceptions
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from tests.helpers.conditions import wait_until

BIN = Path("/usr/lib/rabbitmq/bin")
INSTALLED = (BIN / "rabbitmq-server").exists()
START_S = 60.0
EXCHANGE = "ermrest_changes"


def free_port() -> int:
    """A port below those that the system gives to clients, who would take it."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


class Rabbit:
    """One broker, which can be killed and started again on the same port."""

    def __init__(self, home: Path, config: str = "", tls: Path | None = None) -> None:
        self.home = home
        self.port = free_port()
        self.tls_port = free_port() if tls else 0
        self.ca = str(tls / "ca.pem") if tls else ""
        self._process: subprocess.Popen[bytes] | None = None
        self._output = home / "output"
        (home / "plugins").write_text("[].\n")
        (home / "rabbitmq.conf").write_text(self._config(config, tls))
        # Without this a consumer's time-out is looked at once a minute only.
        (home / "advanced.config").write_text(
            "[{rabbit, [{channel_tick_interval, 500}]}].\n"
        )
        self._env = {
            **os.environ,
            "HOME": str(home),
            "ERL_CRASH_DUMP": str(home / "erl_crash.dump"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(free_port()),
            "RABBITMQ_NODENAME": f"ermpoll{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "advanced.config"),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }

    def _config(self, config: str, tls: Path | None) -> str:
        lines = [f"listeners.tcp.1 = 127.0.0.1:{self.port}", config]
        if tls is not None:
            lines += [
                f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}",
                f"ssl_options.cacertfile = {tls / 'ca.pem'}",
                f"ssl_options.certfile = {tls / 'server.pem'}",
                f"ssl_options.keyfile = {tls / 'server.key'}",
                "ssl_options.verify = verify_none",
            ]
        return "\n".join([*lines, ""])

    @property
    def url(self) -> str:
        return f"amqp://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [BIN / "rabbitmq-server"],
                env=self._env,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            wait_until(self._is_up, START_S)
        except AssertionError:
            raise RuntimeError("RabbitMQ does not start:\n" + self._said()) from None

    def kill(self) -> None:
        """kill -9, with all that belongs to it."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        self.kill()
        # It leaves the session of the server that started it, and refuses to be
        # asked to stop until it has noticed that the server is gone.
        for process in psutil.process_iter(["name"]):
            with suppress(psutil.Error):
                if process.info["name"] == "epmd" and self._is_ours(process):
                    process.kill()

    def _is_ours(self, process: psutil.Process) -> bool:
        ours = self._env["ERL_EPMD_PORT"]
        return process.environ().get("ERL_EPMD_PORT") == ours

    def ctl(self, *words: str) -> str:
        """Run rabbitmqctl; takes seconds."""
        done = subprocess.run(
            [BIN / "rabbitmqctl", "--quiet", *words],
            env=self._env,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def queues(self) -> dict[str, int]:
        """Unacknowledged messages by queue."""
        lines = self.ctl("list_queues", "name", "messages_unacknowledged").splitlines()
        pairs = [line.split("\t") for line in lines if line.count("\t") == 1]
        return {name: int(n) for name, n in pairs if n.isdigit()}

    def connect(self, virtual_host: str = "/") -> pika.BlockingConnection:
        vhost = quote(virtual_host, safe="")
        return pika.BlockingConnection(pika.URLParameters(f"{self.url}/{vhost}"))

    def publish(
        self, n: int = 1, exchange: str = EXCHANGE, virtual_host: str = "/"
    ) -> None:
        """Publish as ERMrest does: n notices through a fanout."""
        connection = self.connect(virtual_host)
        channel = connection.channel()
        channel.exchange_declare(exchange, exchange_type="fanout")
        for _ in range(n):
            channel.basic_publish(exchange, "", b"change")
        connection.close()

    def _said(self) -> str:
        return self._output.read_text(errors="replace")[-3000:]

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError("RabbitMQ ended:\n" + self._said())
        try:
            self.connect().close()
        except pika.exceptions.AMQPError:
            return False
        return True


@contextmanager
def broker(config: str = "", tls: Path | None = None) -> Iterator[Rabbit]:
    """Start a broker; ``config`` is rabbitmq.conf text, ``tls`` a directory of PEMs."""
    home = Path(tempfile.mkdtemp(prefix="ermpoll-rabbit-"))
    rabbit = Rabbit(home, config, tls)
    try:
        rabbit.start()
        yield rabbit
    finally:
        rabbit.close()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """One broker for all tests that don't kill theirs; with TLS, and impatient.

    It waits 5 s for an acknowledgement; half an hour is what it comes with.
    """
    if not INSTALLED:
        pytest.skip("rabbitmq-server is not installed (Debian: rabbitmq-server)")
    certificates = tmp_path_factory.mktemp("tls")
    write_certificates(certificates)
    with broker("consumer_timeout = 5000", tls=certificates) as started:
        yield started


def write_certificates(where: Path) -> None:
    """Write a certificate authority, and a certificate of localhost by it.

    It is of ``elsewhere.test`` as well: a host that is not this machine.
    """
    now = datetime.now(UTC)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ermpoll test CA")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])

    def signed(
        subject: x509.Name,
        public: ec.EllipticCurvePublicKey,
        extension: object,
        ca: bool,
    ) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(extension, critical=ca)  # type: ignore[arg-type]
            # Python 3.13 checks strictly: who signs says so, and each key is named
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not ca,
                    key_cert_sign=ca,
                    crl_sign=ca,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(public), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
                critical=False,
            )
            .sign(ca_key, hashes.SHA256())
        )

    basics = x509.BasicConstraints(ca=True, path_length=None)
    ca = signed(ca_name, ca_key.public_key(), basics, True)
    names = x509.SubjectAlternativeName(
        [x509.DNSName(name) for name in ("localhost", "elsewhere.test")]
    )
    server = signed(name, key.public_key(), names, False)
    (where / "ca.pem").write_bytes(ca.public_bytes(Encoding.PEM))
    (where / "server.pem").write_bytes(server.public_bytes(Encoding.PEM))
    (where / "server.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )


class Proxy:
    """A TCP proxy on this machine that can freeze (half-open) or cut connections."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._flowing = threading.Event()
        self._flowing.set()
        self._over = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._spawn(self._accept)

    def freeze(self) -> None:
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    def cut(self) -> None:
        """Close all connections that go through it now."""
        sockets, self._sockets = self._sockets, []
        for sock in sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def close(self) -> None:
        self._over.set()
        self.thaw()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._over.is_set():
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                self._spawn(self._pump, client, server)
                self._spawn(self._pump, server, client)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(port: int) -> Iterator[Proxy]:
    between = Proxy(port)
    try:
        yield between
    finally:
        between.close()
