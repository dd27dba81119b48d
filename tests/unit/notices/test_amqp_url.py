from __future__ import annotations

import pytest

from ermpoll.errors import NoticeError
from ermpoll.notices.amqp import AmqpNotices
from ermpoll.notices.amqp_url import Address


def test_an_address_is_named_without_its_login():
    address = Address.parse("amqps://me:p%40ss@rabbit.example.org/my%2Fhost")

    assert address.label == "rabbit.example.org:5671/my%2Fhost"
    assert "p@ss" not in repr(address)
    assert "p%40ss" not in repr(AmqpNotices("amqp://me:p%40ss@localhost"))


def test_an_address_carries_login_port_and_virtual_host():
    parameters = Address.parse("amqp://me:p%40ss@[::1]:1234/lab").parameters

    assert (parameters.host, parameters.port) == ("::1", 1234)
    assert parameters.virtual_host == "lab"
    assert parameters.credentials.username == "me"
    assert parameters.credentials.password == "p@ss"


@pytest.mark.parametrize(
    ("url", "heartbeat"), [("amqp://h", 30), ("amqp://h/?heartbeat=7", 7)]
)
def test_every_wait_has_an_end(url, heartbeat):
    address = Address.parse(url)

    assert address.open_s == 15
    assert address.parameters.heartbeat == heartbeat
    assert address.parameters.socket_timeout == 10
    assert address.parameters.connection_attempts == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:5672",
        "amqp://",
        "amqp:///vhost",
        "amqp://host:port",
        "amqp://host:99999",
        "amqp://user@host",
        "amqp://me:hunter2@host/?heartbeat=soon",
        "amqp://me:hunter2@host/?hartbeat=5",
        "amqp://me:hunter2@host/?ssl_options=(",
    ],
)
def test_an_address_that_is_none_is_refused_without_showing_its_login(url):
    with pytest.raises(NoticeError, match=r"expected\s+amqp://") as caught:
        AmqpNotices(url)

    assert "hunter2" not in str(caught.value)


def test_the_catalogs_address_is_not_taken_for_the_brokers():
    with pytest.raises(NoticeError, match=r"ermpoll.connect\(\)"):
        AmqpNotices("https://www.example.org/ermrest/catalog/1")


def test_a_ca_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(NoticeError, match=r"nowhere.pem' is not there"):
        AmqpNotices("amqps://localhost", ca=str(tmp_path / "nowhere.pem"))


def test_a_ca_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "ca.pem").write_text("certainly no certificate")

    with pytest.raises(NoticeError, match="can't be read as PEM"):
        AmqpNotices("amqps://localhost", ca=str(tmp_path / "ca.pem"))


def test_a_ca_file_without_tls_is_refused(tmp_path):
    with pytest.raises(NoticeError, match="for amqps:// only"):
        AmqpNotices("amqp://localhost", ca=str(tmp_path))
