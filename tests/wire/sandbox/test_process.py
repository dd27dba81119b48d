"""A sandbox as a process: its line, its end, its data file, its refusals."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import ermpoll
from ermpoll.sandbox import box as boxes
from ermpoll.sandbox import demo
from ermpoll.sandbox.http.messages import Request
from ermpoll.sandbox.http.routes import Service
from ermpoll.sandbox.model.clients import Logins
from ermpoll.sandbox.store.store import Store
from tests.helpers.sandbox_client import Client, closing
from tests.helpers.sandbox_processes import refused, serving


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_exit_code_0(number: signal.Signals) -> None:
    with serving() as (process, line):
        with closing(Client(line["url"])) as client:
            assert client.get("/").status == 200

        process.send_signal(number)

        assert process.wait(10) == 0
    assert line["pid"] == process.pid
    assert line["url"].startswith("http://localhost:")
    assert line["amqp"].startswith("amqp://localhost:")


def test_it_listens_on_loopback_only() -> None:
    with serving() as (_, line):
        port = urlsplit(line["url"]).port
        address = "127.0.0.1"
        with socket.create_connection((address, port or 0), timeout=5):
            pass
        # Another address of the loopback net stands for all that is not 127.0.0.1.
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", port or 0), timeout=5)


@pytest.mark.parametrize("option", ["port", "amqp_port"])
def test_a_taken_port_is_a_message_and_exit_code_2(option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        code, text = refused(**{option: port})

    assert code == 2
    assert f"{port}" in text
    assert "name another, or 0 for a free one" in text
    assert "Traceback" not in text


def test_a_second_process_on_a_file_is_refused(tmp_path: Path) -> None:
    data = str(tmp_path / "data.db")
    with serving(data=data):
        code, text = refused(data=data)

    assert code == 2
    assert "in use by another process" in text
    assert "Traceback" not in text


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE precious (x)")
    db.close()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_foreign, "not a sandbox's"),
        (
            lambda path: path.write_text("no database, long enough " * 99),
            "name another",
        ),
        (lambda path: path.mkdir(), "name another file"),
    ],
)
def test_foreign_and_unreadable_files_are_left_alone(
    tmp_path: Path, make: object, words: str
) -> None:
    path = tmp_path / "data.db"
    assert callable(make)
    make(path)
    before = None if path.is_dir() else path.read_bytes()

    code, text = refused(data=str(path))

    assert code == 2
    assert words in text
    assert "Traceback" not in text
    assert (None if path.is_dir() else path.read_bytes()) == before


def test_a_data_file_keeps_rows_model_log_and_clock(tmp_path: Path) -> None:
    data = tmp_path / "data.db"
    with ermpoll.sandbox.start(data=data) as box:
        rids = box.add(2, Priority=77)
        with closing(Client(box.new_catalog())) as client:
            client.table("Job", {"id": "int4"})
            client.post("/entity/Job", [{"id": 1}])
            etag = client.get("/entity/Job").etag
        seqs = [write.seq for write in box.log]

    with ermpoll.sandbox.start(data=data) as box:
        with closing(Client(box.url)) as client:
            rows = client.rows("/attribute/Imaging:Image/Priority=77/RID@sort(RID)")
        with closing(Client(box.url[:-1] + "2")) as client:
            assert client.get("/entity/Job").etag == etag
            assert client.put("/attributegroup/Job/id;new:=id", []).status == 200
            assert client.post("/entity/Job", [{"id": 2}]).etag > etag
        assert [write.seq for write in box.log[: len(seqs)]] == seqs
        more = box.add(1)

    assert sorted(row["RID"] for row in rows) == sorted(rids)
    assert not set(more) & set(rids)


def _write_until_killed(client: Client, first: int) -> tuple[set[int], int]:
    """Insert pairs until the server dies; return those acknowledged, and the last."""
    acknowledged, number = set(), first
    try:
        while True:
            body = [{"no": 2 * number}, {"no": 2 * number + 1}]
            assert client.post("/entity/Ops:Pair", body).status == 200
            acknowledged.add(number)
            number += 1
    except (http.client.HTTPException, OSError):
        return acknowledged, number


def test_kill_9_loses_no_acknowledged_write_and_leaves_none_half_done(
    tmp_path: Path,
) -> None:
    data, sure, number = str(tmp_path / "data.db"), set[int](), 1
    for _ in range(4):
        with serving(data=data) as (process, line), closing(Client(line["url"])) as c:
            c.table("Pair", {"no": "int4"}) if number == 1 else None
            timer = threading.Timer(random.uniform(0.1, 0.3), process.kill)
            timer.start()
            acknowledged, number = _write_until_killed(c, number)
            timer.join()
        sure |= acknowledged
        number += 1
    with serving(data=data) as (_, line), closing(Client(line["url"])) as c:
        found = [row["no"] for row in c.rows("/attribute/Ops:Pair/no@sort(no)")]

    halves = {n // 2 for n in found}
    assert found == sorted(n for half in halves for n in (2 * half, 2 * half + 1))
    assert len(sure) > 4
    assert sure <= halves


def test_commands_need_to_be_allowed() -> None:
    with serving() as (_, line):
        box = boxes.of_line(json.dumps(line))
        with pytest.raises(ermpoll.UsageError, match="started with control"):
            box.faults(status=503)


def test_another_process_can_be_driven(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(control=True) as (process, line):
        monkeypatch.setenv("ERMPOLL_SANDBOX", json.dumps(line))
        box = ermpoll.sandbox.start()

        (rid,) = box.add(1, Priority=9)
        (write,) = box.log
        box.faults(status=503, times=1)
        with closing(Client(box.url)) as client:
            statuses = [client.get("/").status for _ in range(2)]
        with pytest.raises(ermpoll.UsageError, match="no fault"):
            box.faults(nosuch=1)
        box.stop()

        assert box.url == line["url"]
        assert write.rows[0].rid == rid
        assert statuses == [503, 200]
        # Who joined a sandbox leaves it running.
        assert process.poll() is None
        os.kill(process.pid, signal.SIGTERM)


@pytest.mark.parametrize("line", ["{}", "[]", "junk", '{"url": "x"}'])
def test_a_bad_announcement_is_named(
    monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setenv("ERMPOLL_SANDBOX", line)

    with pytest.raises(ermpoll.UsageError, match="ERMPOLL_SANDBOX"):
        ermpoll.sandbox.start()


def test_control_takes_json_posts_only() -> None:
    with (
        ermpoll.sandbox.start(control=True) as box,
        closing(Client(box.url)) as client,
    ):
        client.root = "/sandbox/control"
        statuses = [
            client.get("").status,
            client.send("POST", "", "{}", {"Content-Type": "text/plain"}).status,
            client.post("", {"do": "nosuch"}).status,
            client.post("", {"do": "add", "m": 1}).status,
            client.post("", "junk").status,
            client.post("", []).status,
            client.post("", {"do": "connections"}).status,
        ]

    assert statuses == [405, 415, 400, 400, 400, 400, 200]


def test_a_data_file_can_be_reset_to_the_demo(tmp_path: Path) -> None:
    with ermpoll.sandbox.start(data=tmp_path / "data.db") as box:
        box.add(3)
        box.new_catalog()

        box.reset()

        with closing(Client(box.url)) as client:
            (count,) = client.rows("/aggregate/Imaging:Image/no:=cnt(*)")
        assert (count, box.log) == ({"no": 320}, ())


def test_a_token_can_stand_in_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    monkeypatch.setenv("ERMPOLL_SANDBOX_TOKEN", "from-environment")

    for options, token in (
        ({"token_file": str(file)}, "from-file"),
        ({}, "from-environment"),
        ({"token": "named"}, "named"),
    ):
        with (
            serving(**options) as (_, line),
            closing(Client(line["url"])) as client,
        ):
            client.root = ""
            login = {"Authorization": f"Bearer {token}"}
            assert client.send("GET", "/authn/session", headers=login).status == 200
            assert client.get("/authn/session").status == 404


def test_a_token_file_that_can_not_be_read_is_a_message(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        code, message = refused(token_file=str(path))
        assert (code, "token file" in message) == (2, True)


def test_a_full_disk_is_unavailable_and_not_a_refused_row(tmp_path: Path) -> None:
    store = Store(tmp_path / "data.db")
    demo.make(store)
    service = Service(store, Logins())
    (pages,) = store.db.execute("PRAGMA page_count").fetchone()
    store.db.execute(f"PRAGMA max_page_count = {pages}")
    body = json.dumps([{"Code": f"{n}" * 2000} for n in range(500)]).encode()
    request = Request(
        method="POST",
        path="/ermrest/catalog/1/entity/Imaging:Subject",
        headers={},
        body=body,
    )

    answer = service.answer(request)
    store.close()

    assert (answer.status, b"can't be written" in answer.body) == (503, True)


@pytest.mark.parametrize("name", ["port", "amqp_port"])
def test_a_number_that_is_no_port_is_a_message(name: str) -> None:
    code, message = refused(**{name: 99999})

    assert (code, "from 0 to 65535, not 99999" in message) == (2, True)
    with pytest.raises(ermpoll.UsageError, match="99999"):
        ermpoll.sandbox.start(**{name: 99999})


def test_only_the_port_that_is_taken_is_named() -> None:
    with ermpoll.sandbox.start() as box:
        taken = urlsplit(box.url).port
        with pytest.raises(ermpoll.UsageError, match=rf"The port {taken} of"):
            ermpoll.sandbox.start(port=taken)


def test_a_named_port_is_never_that_of_the_announced_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ermpoll.sandbox.start(control=True) as announced:
        line = {"url": announced.url, "amqp": announced.amqp_url, "pid": 1}
        monkeypatch.setenv("ERMPOLL_SANDBOX", json.dumps(line))

        with ermpoll.sandbox.start() as joined:
            assert joined.url == announced.url
        with ermpoll.sandbox.start(amqp_port=0) as own:
            assert own.url != announced.url
