from __future__ import annotations

import gc
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pika
import pytest
import requests
from deriva.core import ConcurrentUpdate
from deriva.core.ermrest_catalog import ErmrestCatalog
from deriva.core.polling_ermrest_catalog import PollingErmrestCatalog as Theirs

import ermpoll
from ermpoll.compat.deriva import CACHED, LostUpdate, _Door
from ermpoll.compat.deriva import PollingErmrestCatalog as Ours
from ermpoll.errors import NotFound, WriteRefused
from ermpoll.sandbox import Box
from tests.helpers.agents_of_the_field import (
    ImageDaemon,
    JoinedQuery,
    ModelReader,
    NothingLeft,
)
from tests.helpers.conditions import wait_until
from tests.helpers.peers import Reply, serving
from tests.helpers.rabbitmq import write_certificates
from tests.helpers.tables import add, make_table, read, states_by_name

ROOT = Path(__file__).parents[3]
UPDATE = "/attributegroup/Ops:Job/RID;state"
BOTH = pytest.mark.parametrize("kind", [Theirs, Ours], ids=["theirs", "ours"])


def claim(row: Any) -> dict[str, Any]:
    return {"RID": row["RID"], "state": "in progress"}


@pytest.fixture
def catalog(shared_box: Box) -> Iterator[ermpoll.Catalog]:
    """A catalog with rows for every agent: six in two batches, one without a state."""
    shared_box.faults()
    catalog = ermpoll.connect(shared_box.new_catalog(), {})
    make_table(catalog, {"name": "text", "released": "boolean"}, name="Batch")
    columns = {"name": "text", "state": "text", "note": "text", "batch": "text"}
    make_table(catalog, columns, keys=[["name"]])
    add(
        catalog,
        {"name": "open", "released": True},
        {"name": "shut", "released": False},
        table="Batch",
    )
    rows = [
        {"name": f"job {n}", "state": "new", "batch": ("open", "shut")[n % 2]}
        for n in range(6)
    ]
    add(catalog, *rows)
    yield catalog
    shared_box.faults()
    catalog.close()


@pytest.fixture
def opened(catalog: ermpoll.Catalog) -> Iterator[Callable[..., Any]]:
    """Makes a catalog of either class, closed after the test."""
    made = []

    def opening(kind: Any, **options: Any) -> Any:
        parts = urlsplit(catalog.url)
        number = parts.path.rpartition("/")[2]
        found = kind(parts.scheme, parts.netloc, number, **options)
        made.append(found)
        return found

    yield opening
    for found in made:
        found._close_session()


def poll_once(catalog: Any, looks: int = 1) -> list[float]:
    """Poll until so many looks were made; when they were."""
    times: list[float] = []

    def look() -> bool:
        times.append(time.perf_counter())
        if len(times) >= looks:
            raise NothingLeft
        return False

    with pytest.raises(NothingLeft):
        catalog.blocking_poll(look, polling_seconds=0.2)
    return times


# the agents of the field


@BOTH
def test_a_daemon_that_takes_one_row_at_a_time_runs_to_its_end(catalog, opened, kind):
    waiting = [{"name": name, "state": None} for name in ("a", "b", None)]
    add(catalog, *waiting)

    with pytest.raises(NothingLeft):
        ImageDaemon(opened(kind, amqp_server="localhost")).run()

    found = states_by_name(catalog)
    assert (found["a"], found["b"]) == ("success", "success")
    assert found["None"] == "error: no name"


@BOTH
def test_an_agent_with_model_and_path_builder_runs_to_its_end(catalog, opened, kind):
    with pytest.raises(NothingLeft):
        ModelReader(opened(kind, amqp_server="localhost")).run()

    page = catalog.get("entity/Ops:Job")
    assert {(row["state"], row["note"]) for row in page.rows} == {
        ("success", f"job {n} read") for n in range(6)
    }


@BOTH
def test_an_agent_with_a_joined_query_runs_to_its_end(catalog, opened, kind):
    with pytest.raises(NothingLeft):
        JoinedQuery(opened(kind, amqp_server="localhost")).run()

    expected = {f"job {n}": ("success", "new")[n % 2] for n in range(6)}
    assert states_by_name(catalog) == expected


@BOTH
def test_the_rest_of_the_class_is_deriva_py_s(opened, kind):
    found = opened(kind)

    assert isinstance(found, ErmrestCatalog)
    assert "Ops" in found.getCatalogSchema()["schemas"]
    assert len(found.get("/entity/Ops:Job").json()) == 6


# the constructor's arguments


@pytest.mark.parametrize("login", [{"bearer-token": "t"}, {"cookie": "webauthn=t"}])
@BOTH
def test_credentials_are_sent(kind, login):
    with ermpoll.sandbox.start(token="t") as box:
        host = urlsplit(box.url).netloc

        known = kind("http", host, "1", login).get_authn_session().json()
        with pytest.raises(requests.HTTPError):
            kind("http", host, "1").get_authn_session()

    assert known["client"]["display_name"] == "Ada Lovelace"
    gc.collect()


@BOTH
def test_caching_keeps_answers_and_no_caching_does_not(opened, kind):
    path = "/entity/Ops:Job"
    cached, plain = opened(kind), opened(kind, caching=False)

    assert cached.get(path) is cached.get(path)
    assert plain.get(path) is not plain.get(path)


@BOTH
def test_the_cache_has_an_end_with_us(opened, kind):
    catalog = opened(kind)

    for n in range(CACHED + 20):
        catalog.get(f"/entity/Ops:Job/RID={n}")

    assert len(catalog._cache) == (CACHED if kind is Ours else CACHED + 20)
    last = f"/entity/Ops:Job/RID={CACHED + 19}"
    assert catalog.get(last) is catalog.get(last)


def test_a_304_is_never_taken_for_rows(opened):
    catalog = opened(Ours)
    query = "/entity/Ops:Job/state=new@sort(RID)"
    etag, _ = catalog.state_change_once(query, UPDATE, claim)
    assert catalog.state_change_once(query, UPDATE, claim, etag) == (etag, [])

    assert catalog.get(query).json() == []


@BOTH
def test_the_session_config_s_time_out_and_retries_act(shared_box, opened, kind):
    config = {
        "timeout": (0.2, 0.2),
        "retry_connect": 0,
        "retry_read": 0,
        "retry_backoff_factor": 0,
        "retry_status_forcelist": [],
    }
    catalog = opened(kind, session_config=config)
    shared_box.faults(delay_s=1, methods=["GET"])

    began = time.perf_counter()
    with pytest.raises(requests.ConnectionError):
        catalog.get("/entity/Ops:Job")

    assert time.perf_counter() - began < 0.9


def test_reads_are_repeated_as_configured_and_writes_never(shared_box, catalog, opened):
    found = opened(Ours)

    shared_box.faults(status=500, times=1, methods=["GET"])
    assert len(found.get("/entity/Ops:Job").json()) == 6
    shared_box.faults(status=500, times=1, methods=["PUT"])
    with pytest.raises(requests.HTTPError):
        found.put(UPDATE, json=[{"RID": "1", "state": "x"}])


@pytest.mark.parametrize("fault", [Reply(raw=b"no TLS"), Reply(drop=True)], ids=str)
@pytest.mark.parametrize("method", ["put", "post", "delete"])
def test_a_write_is_sent_once_when_tls_breaks(tmp_path, monkeypatch, method, fault):
    write_certificates(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    config = {
        "timeout": (5, 5),
        "retry_connect": 3,
        "retry_read": 3,
        "retry_backoff_factor": 0,
        "retry_status_forcelist": [],
    }

    with serving(fault, tls=tmp_path) as peer:
        found = Ours("https", peer.netloc, "1", session_config=config)
        with pytest.raises(requests.ConnectionError):
            getattr(found, method)("/entity/Ops:Job")
        found._close_session()

    assert len(peer.sent) == 1


@pytest.mark.parametrize(
    ("server", "amqp_server", "address"),
    [
        ("db.example.org", None, "amqp://db.example.org"),
        ("db.example.org:8443", None, "amqp://db.example.org"),
        ("[::1]:8443", None, "amqp://[::1]"),
        ("db.example.org", "mq.example.org", "amqp://mq.example.org"),
        ("db.example.org", "mq.example.org:5673", "amqp://mq.example.org:5673"),
        ("db.example.org", "amqps://a:b@mq:1/v", "amqps://a:b@mq:1/v"),
    ],
)
def test_the_broker_is_where_it_is_said_or_beside_the_catalog(
    server, amqp_server, address
):
    found = Ours("https", server, "1", amqp_server=amqp_server)

    assert found._notices == address
    assert found.amqp_server == (amqp_server or server)


def test_a_notice_wakes_the_poll(shared_box, catalog, opened):
    found = opened(Ours, amqp_server=shared_box.amqp_url)
    looks: list[float] = []

    def look() -> bool:
        looks.append(time.perf_counter())
        if len(looks) == 1:
            connected.wait(5)
            add(catalog, {"name": "another"})
        else:
            raise NothingLeft
        return False

    connected = threading.Event()
    watch = threading.Thread(target=tell_when_connected, args=[shared_box, connected])
    watch.start()
    with pytest.raises(NothingLeft):
        found.blocking_poll(look)
    watch.join()

    assert looks[-1] - looks[0] < 5


def tell_when_connected(box: Box, connected: threading.Event) -> None:
    wait_until(lambda: box.connections()["consumers"])
    connected.set()


def test_a_broker_with_a_login_is_reached(catalog):
    with ermpoll.sandbox.start(amqp_login=("kit", "s3cret")) as box:
        host = urlsplit(box.url).netloc
        found = Ours("http", host, "1", amqp_server=box.amqp_url)
        stop = threading.Event()
        poll = threading.Thread(
            target=found.blocking_poll, args=[lambda: False], kwargs={"stop": stop}
        )
        poll.start()
        connected = threading.Event()
        tell_when_connected(box, connected)
        stop.set()
        poll.join(5)

    assert connected.is_set()
    assert "s3cret" not in repr(found)
    found._close_session()


# the defects


def test_a_second_poll_on_the_same_object_works(opened):
    found = opened(Ours)

    assert len(poll_once(found)) == 1
    assert len(poll_once(found)) == 1


def test_a_time_out_is_not_told_as_a_notice(
    shared_box, opened, capfd, caplog, monkeypatch
):
    port = urlsplit(shared_box.amqp_url).port
    somewhere = partial(pika.ConnectionParameters, port=port)
    with monkeypatch.context() as patch:
        patch.setattr(pika, "ConnectionParameters", somewhere)
        theirs = opened(Theirs, amqp_server="localhost")
        poll_once(theirs, looks=2)
        theirs.amqp_connection.close()
    assert "Woke up on change-notice" in capfd.readouterr().err

    with caplog.at_level(logging.DEBUG, logger="ermpoll"):
        poll_once(opened(Ours, amqp_server=shared_box.amqp_url), looks=2)

    assert "notice" not in re.sub(r"notices", "", caplog.text).lower()
    assert capfd.readouterr().err == ""


@BOTH
def test_the_docstring_s_example_of_a_put_works_with_us(catalog, opened, kind):
    found = opened(kind)
    (row, *_) = found.get("/entity/Ops:Job").json()
    rows = [{**row, "state": "complete"}]

    if kind is Theirs:
        with pytest.raises((requests.HTTPError, ValueError)):
            found.put("/entity/Ops:Job", rows)
    else:
        found.put("/entity/Ops:Job", rows)
        assert states_by_name(catalog)[row["name"]] == "complete"


def test_a_lost_answer_claims_rows_for_us(shared_box, catalog, opened):
    found = opened(Ours)
    query = "/entity/Ops:Job/state=new@sort(RID)?limit=2"
    shared_box.faults(drop_reply=1)

    _, batch = found.state_change_once(query, UPDATE, claim)

    claimed = [
        name for name, word in states_by_name(catalog).items() if word == "in progress"
    ]
    assert [row["name"] for row, _ in batch] == claimed
    assert len(claimed) == 2


def test_a_race_that_is_lost_for_long_is_a_concurrent_update(
    catalog, opened, monkeypatch
):
    def touch(row: Any) -> dict[str, Any]:
        add(catalog, {"name": None}, table="Batch")
        return claim(row)

    monkeypatch.setattr("ermpoll.compat.state_change.PATIENCE_S", 0.0)
    with pytest.raises(ConcurrentUpdate) as lost:
        opened(Ours).state_change_once("/entity/Ops:Job?limit=1", UPDATE, touch)

    assert isinstance(lost.value, LostUpdate)


def test_errors_are_those_of_requests_as_before(opened):
    found = opened(Ours)

    with pytest.raises(requests.HTTPError) as refused:
        found.state_change_once("/entity/Ops:Nonsense", UPDATE, claim)

    assert refused.value.response.status_code == 409


def test_what_a_transform_raises_is_passed_on(opened):
    def failing(row: Any) -> None:
        raise ConcurrentUpdate("mine")

    with pytest.raises(ConcurrentUpdate, match="mine") as raised:
        opened(Ours).state_change_once("/entity/Ops:Job", UPDATE, failing)

    assert not isinstance(raised.value, LostUpdate)


def test_an_error_of_ermpoll_in_a_transform_is_passed_on(opened):
    def failing(row: Any) -> None:
        raise NotFound("of the transform")

    with pytest.raises(NotFound, match="of the transform"):
        opened(Ours).state_change_once("/entity/Ops:Job", UPDATE, failing)


def test_rows_are_deleted_as_before(catalog, opened):
    opened(Ours).delete("/entity/Ops:Job/name=job%200")

    assert len(states_by_name(catalog)) == 5


def test_nobody_logged_in_is_no_error(shared_box, catalog, opened):
    found = opened(Ours)
    shared_box.faults(logged_out=True)
    assert _Door(found).session() is None
    shared_box.faults()
    assert _Door(found).session().id.startswith("https://")


@pytest.mark.parametrize("method", ["put", "post", "delete"])
def test_a_dry_run_refuses_a_function_s_writes_here_too(catalog, opened, method):
    found = opened(Ours)

    with catalog.dry_run() as would, pytest.raises(WriteRefused):
        getattr(found, method)("/entity/Ops:Job")

    assert would == [f"would {method.upper()} entity/Ops:Job"]
    assert len(states_by_name(catalog)) == 6


def test_rows_may_be_posted_as_data(catalog, opened):
    found = opened(Ours)

    (made,) = found.post("/entity/Ops:Job", [{"name": "posted"}]).json()

    assert read(catalog, made["RID"])["name"] == "posted"


# without deriva-py


def test_without_deriva_py_it_says_what_to_install():
    code = (
        "import sys; sys.modules['deriva'] = sys.modules['deriva.core'] = None\n"
        "import ermpoll\n"
        "ermpoll.compat.PollingErmrestCatalog('https', 'host', '1')"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )

    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ermpoll.errors.ErmpollError: expected deriva-py")
    assert "pip install deriva" in last
