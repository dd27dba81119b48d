from __future__ import annotations

import io
import json
import logging
import math
import os
import pickle
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import ermpoll
from ermpoll.errors import (
    CatalogError,
    Denied,
    NotFound,
    PreconditionFailed,
    Unavailable,
    UsageError,
)
from ermpoll.sandbox import Box
from tests.helpers.peers import Peer, Reply, serving
from tests.helpers.rabbitmq import write_certificates

SECRET = "s3cret-token-4711"
LOGIN = {"bearer-token": SECRET}
IMAGE = "entity/Imaging:Image"
NEW = "attributegroup/Imaging:Image/RID;Specimen"
ETAG = '"r==;application/json;2026-11-24 03:40:49.850372+00:00"'
AT = datetime(2026, 11, 24, 3, 40, 49, 850372, tzinfo=UTC)


@pytest.fixture
def catalog(box: Box) -> Iterator[ermpoll.Catalog]:
    catalog = ermpoll.connect(box.url, {})
    yield catalog
    catalog.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    with serving() as peer:
        yield peer


@pytest.fixture
def door(peer: Peer) -> Iterator[ermpoll.Catalog]:
    """A catalog that is the peer, with a planted secret as its login."""
    door = ermpoll.connect(peer.url, LOGIN)
    yield door
    door.close()


def first(catalog: ermpoll.Catalog) -> dict[str, Any]:
    page = catalog.get(f"{IMAGE}@sort(RID)?limit=1")
    assert page is not None
    return dict(page.rows[0])


# reading and writing


def test_rows_come_with_their_etag_and_address(catalog):
    page = catalog.get(f"{IMAGE}@sort(RID)?limit=3")

    assert len(page.rows) == 3
    assert page.etag.startswith('"')
    assert page.url == f"{catalog.url}/{IMAGE}@sort(RID)?limit=3"
    assert page.rows[0]["File_Name"] not in repr(page)


def test_an_unchanged_catalog_gives_nothing(catalog):
    page = catalog.get(IMAGE)

    assert catalog.get(IMAGE, etag=page.etag) is None
    assert catalog.get("entity/Imaging:Dataset", etag=page.etag) is None


def test_a_changed_catalog_gives_rows(box, catalog):
    page = catalog.get(IMAGE)
    box.add(1)

    assert len(catalog.get(IMAGE, etag=page.etag).rows) == len(page.rows) + 1


def test_a_guarded_write_is_made_while_nobody_wrote(box, catalog):
    page = catalog.get(f"{IMAGE}?limit=1")
    row = {"RID": page.rows[0]["RID"], "Specimen": "K1"}

    written = catalog.put(NEW, [row], guard=page.etag)

    assert written.rows == [row]
    with pytest.raises(PreconditionFailed, match="somebody wrote to the catalog"):
        catalog.put(NEW, [{**row, "Specimen": "K2"}], guard=page.etag)
    assert first(catalog)["Specimen"] == "K1"


def test_a_write_s_etag_is_the_next_read_s(catalog):
    written = catalog.put(NEW, [{"RID": first(catalog)["RID"], "Specimen": "K1"}])

    assert catalog.get(IMAGE, etag=written.etag) is None


def test_rows_are_inserted_and_deleted(catalog):
    (row,) = catalog.post(IMAGE, [{"File_Name": "a.czi"}]).rows
    catalog.delete(f"{IMAGE}/RID={row['RID']}")

    assert catalog.get(f"{IMAGE}/RID={row['RID']}").rows == []
    with pytest.raises(NotFound):
        catalog.delete(f"{IMAGE}/RID={row['RID']}")


def test_a_slash_at_the_start_of_a_path_is_the_catalog_s(catalog):
    assert catalog.get(f"/{IMAGE}?limit=1").url == f"{catalog.url}/{IMAGE}?limit=1"


def test_an_address_as_a_value_is_no_address_to_ask(peer, door):
    door.get("entity/S:T/Url=http%3A%2F%2Fx/Note=http://y")

    assert peer.sent[0].path.startswith("/ermrest/catalog/1/entity/S:T/Url=")


def test_get_and_put_name_the_same_type(peer, door):
    door.get("entity/S:T")
    door.put("entity/S:T", [{"a": "ü"}], guard=ETAG)

    read, written = peer.sent
    assert read.headers["accept"] == written.headers["accept"] == "application/json"
    assert written.headers["if-match"] == ETAG
    assert written.headers["content-type"] == "application/json"
    assert json.loads(written.body) == [{"a": "ü"}]


# what can't be sent


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("wrapped", [False, True])
def test_nan_and_infinity_are_refused_before_sending(peer, door, value, wrapped):
    row = {"a": {"b": [value]} if wrapped else value}

    with pytest.raises(UsageError, match="found NaN or infinity for entity/S:T"):
        door.put("entity/S:T", [row])

    assert (peer.sent, door.writes) == ([], 0)


@pytest.mark.parametrize(
    "rows",
    [
        {"a": 1},
        "abc",
        [1],
        ["ab"],
        [[("a", 1)]],
        [{"a": date(2026, 1, 1)}],
        [{"a": b"x"}],
    ],
    ids=repr,
)
def test_what_are_no_rows_is_refused_before_sending(peer, door, rows):
    with pytest.raises(
        UsageError, match=r"expected (a list of rows|values that JSON has)"
    ):
        door.post("entity/S:T", rows)

    assert (peer.sent, door.writes) == ([], 0)


# no good answer


def test_a_server_that_is_not_there_is_told_with_its_host():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    door = ermpoll.connect(f"http://localhost:{port}/ermrest/catalog/1", LOGIN)

    with pytest.raises(Unavailable, match=f"localhost:{port} to answer") as raised:
        door.put("entity/S:T", [])

    assert not raised.value.doubtful, "no connection, so nothing was sent"
    assert raised.value.status is None


def test_https_to_a_server_without_it_is_told(peer):
    door = ermpoll.connect(peer.url.replace("http:", "https:"), LOGIN)

    with pytest.raises(Unavailable, match="is it http:// instead"):
        door.get("entity/S:T")

    door.close()


@pytest.mark.parametrize(("method", "doubtful"), [("get", False), ("put", True)])
def test_an_answer_that_is_late_is_not_waited_for(box, method, doubtful):
    catalog = ermpoll.connect(box.url, {}, timeout_s=0.2)
    box.faults(delay_s=2)

    began = time.perf_counter()
    with pytest.raises(Unavailable, match=r"no answer within 0\.2 s") as e:
        catalog.get(IMAGE) if method == "get" else catalog.put(NEW, [])

    assert time.perf_counter() - began < 1.5
    assert e.value.doubtful is doubtful
    catalog.close()


def test_a_lost_answer_to_a_read_is_asked_for_again_and_one_to_a_write_is_not():
    with serving(Reply(drop=True), Reply(body="[]")) as peer:
        door = ermpoll.connect(peer.url, LOGIN)
        assert door.get("entity/S:T").rows == []
        assert len(peer.sent) == 2
        door.close()

    with serving(Reply(drop=True)) as peer:
        door = ermpoll.connect(peer.url, LOGIN)
        with pytest.raises(Unavailable) as raised:
            door.put("entity/S:T", [{"a": 1}])
        assert raised.value.doubtful
        assert len(peer.sent) == 1
        door.close()


@pytest.mark.parametrize("timeout_s", [0, -1])
def test_a_time_out_that_is_none_is_refused(timeout_s):
    with pytest.raises(UsageError, match="timeout_s above 0"):
        ermpoll.connect("https://x/ermrest/catalog/1", {}, timeout_s=timeout_s)


def test_a_file_of_certificates_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="expected ca to be a file"):
        ermpoll.connect("https://x/ermrest/catalog/1", {}, ca=tmp_path / "none.pem")


def test_a_certificate_is_trusted_when_its_authority_is_named(tmp_path):
    write_certificates(tmp_path)
    with serving(tls=tmp_path) as peer:
        trusting = ermpoll.connect(peer.url, LOGIN, ca=tmp_path / "ca.pem")
        assert trusting.get("entity/S:T").rows == []
        assert pickle.loads(pickle.dumps(trusting))._transport.ca == str(
            tmp_path / "ca.pem"
        )
        trusting.close()
        sent = len(peer.sent)

        doubting = ermpoll.connect(peer.url, LOGIN)
        with pytest.raises(Unavailable, match="not trusted; give ca= or set") as error:
            doubting.put("entity/S:T", [])
        doubting.close()

        assert not error.value.doubtful
        assert len(peer.sent) == sent, "nothing was sent, the login neither"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a server's certificate, its authority, and another authority."""
    made = tmp_path_factory.mktemp("tls")
    other = tmp_path_factory.mktemp("other")
    write_certificates(other)
    write_certificates(made)
    (other / "ca.pem").rename(made / "other.pem")
    (made / "broken.pem").write_text("no certificate")
    return made


BUNDLES = pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])


HOSTS = pytest.mark.parametrize("host", ["localhost", "elsewhere.test"])
_getaddrinfo = socket.getaddrinfo


def _all_here(host: str, *args: Any, **options: Any) -> Any:
    return _getaddrinfo("127.0.0.1", *args, **options)


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch):
    """No file and no proxy of the person who runs the tests; each host is here."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "elsewhere.test")
    monkeypatch.setattr(socket, "getaddrinfo", _all_here)


@contextmanager
def opened(peer: Peer, **options: Any) -> Iterator[ermpoll.Catalog]:
    door = ermpoll.connect(peer.url, LOGIN, **options)
    yield door
    door.close()


@BUNDLES
@HOSTS
@pytest.mark.parametrize("set_to", ["other.pem", "broken.pem", "nowhere.pem"])
def test_the_file_given_wins_over_the_environment(tls, monkeypatch, name, host, set_to):
    monkeypatch.setenv(name, str(tls / set_to))

    with serving(tls=tls, host=host) as peer, opened(peer, ca=tls / "ca.pem") as door:
        assert door.get("entity/S:T").rows == []


@BUNDLES
@HOSTS
def test_the_environment_does_not_open_what_the_file_given_shuts(
    tls, monkeypatch, name, host
):
    monkeypatch.setenv(name, str(tls / "ca.pem"))

    with (
        serving(tls=tls, host=host) as peer,
        opened(peer, ca=tls / "other.pem") as door,
    ):
        with pytest.raises(Unavailable, match=r"not trusted by .*other.pem \(ca=\)"):
            door.get("entity/S:T")
        assert peer.sent == []


@BUNDLES
@HOSTS
def test_without_a_file_the_environment_s_is_read(tls, monkeypatch, name, host):
    monkeypatch.setenv(name, str(tls / "ca.pem"))

    with serving(tls=tls, host=host) as peer, opened(peer) as door:
        assert door.get("entity/S:T").rows == []

        monkeypatch.setenv(name, str(tls / "other.pem"))
        door.close()
        with pytest.raises(Unavailable, match=f"not trusted by .*other.pem.*{name}"):
            door.get("entity/S:T")


@HOSTS
@pytest.mark.parametrize("method", ["get", "put"])
@pytest.mark.parametrize("set_to", ["broken.pem", "nowhere.pem"])
def test_a_file_of_the_environment_that_can_t_be_read_is_told_as_that(
    tls, monkeypatch, host, set_to, method
):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls / set_to))

    with serving(tls=tls, host=host) as peer, opened(peer) as door:
        with pytest.raises(Unavailable, match=rf"{set_to} \(\$REQUESTS_CA_BUNDLE"):
            door.get("entity/S:T") if method == "get" else door.put("entity/S:T", [])
        assert peer.sent == []


@pytest.mark.parametrize("content", ["", "no certificate", None])
def test_a_file_given_that_holds_no_certificate_is_refused(tmp_path, content):
    file = tmp_path / "ca.pem"
    file.mkdir() if content is None else file.write_text(content)

    with pytest.raises(UsageError, match="expected ca to be a file of certificates"):
        ermpoll.connect("https://localhost/ermrest/catalog/1", LOGIN, ca=file)


# one request, sent once

NO_TLS = b"HTTP/1.1 400 Bad Request\r\n\r\n"
FAULTS = {
    "no TLS in the answer": Reply(raw=NO_TLS),
    "the connection lost": Reply(drop=True),
    "503 with a time to wait": Reply(status=503, headers={"Retry-After": "0"}),
    "503": Reply(status=503),
    "429": Reply(status=429, headers={"Retry-After": "0"}),
    "a redirect": Reply(status=307, headers={"Location": "/ermrest/catalog/1/x"}),
}
WRITES = {
    "put": lambda door: door.put("entity/S:T", [{"a": 1}]),
    "post": lambda door: door.post("entity/S:T", [{"a": 1}]),
    "delete": lambda door: door.delete("entity/S:T/a=1"),
}
EACH_WRITE = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


@EACH_WRITE
@pytest.mark.parametrize("warm", [False, True], ids=["new", "kept alive"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_write_that_fails_is_sent_once(tls, fault, warm, write):
    with serving(Reply(), tls=tls) as peer, opened(peer, ca=tls / "ca.pem") as door:
        if warm:
            door.get("entity/S:T")
        peer.replies = [fault]

        with pytest.raises(CatalogError) as error:
            write(door)

        # whoever asked must know that it may be written all the same
        told = error.value
        assert getattr(told, "doubtful", True) == (told.status != 429)
        assert [sent.method for sent in peer.sent].count("GET") == int(warm)
        assert len(peer.sent) == 1 + warm


@EACH_WRITE
def test_a_write_whose_answer_is_cut_off_is_sent_once(peer, door, write):
    peer.replies = [Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[")]

    with pytest.raises(Unavailable) as error:
        write(door)

    assert error.value.doubtful
    assert len(peer.sent) == 1


@EACH_WRITE
@pytest.mark.parametrize("drop", [False, True], ids=["no TLS", "closed"])
def test_a_write_makes_one_connection_where_none_can_be_made(write, drop):
    with strangers(b"" if drop else NO_TLS) as (port, met):
        url = f"https://localhost:{port}/ermrest/catalog/1"
        door = ermpoll.connect(url, LOGIN)
        with pytest.raises(Unavailable):
            write(door)
        door.close()

    assert len(met) == 1


@contextmanager
def strangers(said: bytes) -> Iterator[tuple[int, list[object]]]:
    """A port whose server knows no TLS; it keeps who came, and hangs up."""
    met: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    sock, came_from = listener.accept()
                    met.append(came_from)
                    sock.recv(4096)
                    sock.sendall(said)
                    sock.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], met
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_read_is_repeated_once_on_a_lost_connection(tls):
    with serving(Reply(), tls=tls) as peer, opened(peer, ca=tls / "ca.pem") as door:
        peer.replies = [Reply(drop=True), Reply(body='[{"a": 1}]')]

        assert door.get("entity/S:T").rows == [{"a": 1}]


def test_a_read_that_the_server_puts_off_is_told_with_its_words(peer, door):
    wait = {"Retry-After": "0"}
    peer.replies = [Reply(status=503, headers=wait, body="Detail: come later")]

    with pytest.raises(Unavailable, match=r"503.*come later") as error:
        door.get("entity/S:T")

    assert (error.value.status, len(peer.sent)) == (503, 1)


# the login


def test_the_login_is_sent_to_the_catalog(peer, door):
    door.get("entity/S:T")

    assert peer.sent[0].headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("login", "cookie"),
    [({"cookie": f"webauthn={SECRET}"}, f"webauthn={SECRET}"), (LOGIN, None)],
)
def test_a_cookie_is_sent_as_it_is_and_no_other_is_kept(login, cookie):
    with serving(Reply(headers={"Set-Cookie": "webauthn=evil; Path=/"})) as peer:
        door = ermpoll.connect(peer.url, login)
        door.get("entity/S:T")
        door.get("entity/S:T")
        door.close()

    assert [sent.headers.get("cookie") for sent in peer.sent] == [cookie] * 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["get", "put"])
def test_a_redirect_takes_the_login_nowhere(status, method):
    with serving() as second:
        location = {"Location": f"{second.url}/entity/S:T"}
        with serving(Reply(status=status, headers=location)) as peer:
            door = ermpoll.connect(peer.url, LOGIN)
            with pytest.raises(CatalogError, match="another address"):
                door.get("entity/S:T") if method == "get" else door.put(
                    "entity/S:T", []
                )
            door.close()

        assert second.sent == []


def test_a_proxy_of_the_environment_sees_nothing_of_this_machine(
    peer, door, monkeypatch
):
    with serving() as proxy:
        address = proxy.url.partition("/ermrest")[0]
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, address)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        door.get("entity/S:T")

        assert (len(peer.sent), proxy.sent) == (1, [])


def test_a_proxy_of_another_host_sees_no_login(monkeypatch):
    with serving(Reply(status=502)) as proxy:
        address = proxy.url.partition("/ermrest")[0]
        monkeypatch.setenv("https_proxy", address)
        door = ermpoll.connect("https://data.invalid/ermrest/catalog/1", LOGIN)
        with pytest.raises(Unavailable):
            door.get("entity/S:T")

    assert {sent.method for sent in proxy.sent} == {"CONNECT"}
    assert SECRET not in repr([sent.headers for sent in proxy.sent])


@pytest.mark.parametrize("login", [{}, LOGIN])
@HOSTS
def test_a_netrc_is_not_read(tls, tmp_path, monkeypatch, host, login):
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {host} login ada password s3cret\ndefault login x\n")
    monkeypatch.setenv("NETRC", str(netrc))

    with serving(tls=tls, host=host) as peer:
        door = ermpoll.connect(peer.url, login, ca=tls / "ca.pem")
        door.get("entity/S:T")
        door.close()

    expected = f"Bearer {SECRET}" if login else None
    assert peer.sent[0].headers.get("authorization") == expected


def test_another_origin_gets_no_login(door):
    with serving() as second:
        door.get(f"{second.url}/entity/S:T")

    assert "authorization" not in second.sent[0].headers


def test_plain_http_to_another_host_is_refused_with_a_login():
    url = "http://data.example.org/ermrest/catalog/1"

    with pytest.raises(UsageError, match="expected https for a login"):
        ermpoll.connect(url, LOGIN)
    assert ermpoll.connect(url, {}).url == url


def test_the_login_shows_nowhere(peer, door, caplog):
    told = [repr(door), str(door), repr(vars(door)), repr(pickle.dumps(door))]
    peer.replies = [Reply(status=500, body=f"Detail: you sent Bearer {SECRET}")]

    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "urllib3"):
        try:
            door.put("entity/S:T", [])
        except Unavailable as error:
            told += [str(error), repr(error), repr(vars(error))]
            told += traceback.TracebackException.from_exception(
                error, capture_locals=True
            ).format()
    told += [caplog.text, repr([vars(record) for record in caplog.records])]

    assert "you sent Bearer [secret]" in "".join(told)
    assert SECRET not in "".join(told)


def test_a_lost_connection_s_traceback_does_not_show_the_login(caplog):
    with serving(Reply(drop=True)) as peer:
        door = ermpoll.connect(peer.url, LOGIN)
        with pytest.raises(Unavailable) as raised:
            door.put("entity/S:T", [])
        door.close()

    shown = io.StringIO()
    traceback.TracebackException.from_exception(
        raised.value, capture_locals=True
    ).print(file=shown)
    assert SECRET not in shown.getvalue()


def test_a_pickled_catalog_finds_its_own_login(monkeypatch, box):
    with ermpoll.sandbox.start(token=SECRET) as guarded:
        catalog = ermpoll.connect(guarded.url, LOGIN, read_only=True, timeout_s=7)
        text = pickle.dumps(catalog)
        monkeypatch.setenv("ERMPOLL_HOST", "localhost")
        monkeypatch.setenv("ERMPOLL_TOKEN", SECRET)

        again = pickle.loads(text)

        assert (again.url, again.read_only) == (catalog.url, True)
        assert again.whoami() == "Ada Lovelace"
        assert again.writes == 0


def test_who_is_logged_in_is_asked_and_an_expired_login_is_nobody(box):
    with ermpoll.sandbox.start(token=SECRET) as guarded:
        catalog = ermpoll.connect(guarded.url, LOGIN)
        assert catalog.whoami() == "Ada Lovelace"
        assert catalog.session().left_s > 0

        guarded.faults(logged_out=True)
        assert catalog.whoami() is None
        assert catalog.session() is None

        anonymous = ermpoll.connect(guarded.url, {})
        guarded.faults()
        assert anonymous.whoami() is None
        with pytest.raises(Denied, match=r"you are nobody here.*log in") as refused:
            anonymous.put(NEW, [])
        assert refused.value.status == 401


def test_rights_that_are_missing_are_told():
    with ermpoll.sandbox.start(token="owner", tokens={"other": "somebody"}) as guarded:
        other = ermpoll.connect(guarded.url, {"bearer-token": "other"})

        with pytest.raises(Denied, match="may not do that") as refused:
            other.put(NEW, [{"RID": "1", "Specimen": "x"}])

        assert refused.value.status == 403


# time


def test_a_write_tells_the_server_s_time():
    with serving(Reply(headers={"ETag": ETAG})) as peer:
        door = ermpoll.connect(peer.url, {})
        door.put("entity/S:T", [])

        assert timedelta() <= door.now() - AT < timedelta(seconds=5)
        door.close()


@pytest.mark.parametrize("header", ["garbage", "Tue, 99 Nov 2026 03:40:49 GMT", ""])
def test_a_broken_date_is_passed_over(header):
    with serving(Reply(headers={"Date": header})) as peer:
        door = ermpoll.connect(peer.url, {})
        door.get("entity/S:T")

        assert abs(door.now() - datetime.now(UTC)) < timedelta(seconds=10)
        door.close()


# threads and processes


def test_threads_share_a_catalog(box, catalog):
    sizes: list[int] = []

    def read() -> None:
        for _ in range(20):
            sizes.append(len(catalog.get(f"{IMAGE}?limit=7").rows))

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sizes == [7] * 120


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_worker_does_not_take_its_parent_s_connection(peer, door):
    door.get("before")
    pid = os.fork()
    if pid == 0:
        try:
            door.get("forked")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    door.get("after")

    ports = {sent.path.rpartition("/")[2]: sent.port for sent in peer.sent}
    assert ports["after"] == ports["before"], "the connection is kept"
    assert ports["forked"] != ports["before"]


def test_a_closed_catalog_opens_again_when_used(catalog):
    catalog.get(f"{IMAGE}?limit=1")
    catalog.close()

    assert len(catalog.get(f"{IMAGE}?limit=1").rows) == 1
