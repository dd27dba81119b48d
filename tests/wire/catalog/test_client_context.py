from __future__ import annotations

import json
import os
from urllib.parse import unquote

import pytest
from urllib3 import HTTPResponse
from urllib3.util import Retry

import ermpoll
from ermpoll.catalog.client_context import client_context, doing
from ermpoll.catalog.connection import ReadsOnly
from ermpoll.compat.deriva import PollingErmrestCatalog, _Door
from ermpoll.errors import Unavailable
from tests.helpers.peers import Reply, Sent, serving
from tests.helpers.tables import add, queue

NEW = {"state": "actionable"}
HEADER = "deriva-client-context"


def told(header: str) -> dict[str, str]:
    """What the service makes of a header."""
    said = json.loads(unquote(header))
    assert isinstance(said, dict)
    return said


def actions(sent: list[Sent], method: str) -> list[str]:
    found = (told(s.headers[HEADER]).get("action", "") for s in sent)
    return [one for one, s in zip(found, sent, strict=True) if s.method == method]


def test_each_request_of_an_agent_names_program_process_agent_and_act(
    catalog, peer, door
):
    add(catalog, NEW)
    agent = ermpoll.Agent(
        queue(door), lambda row: {"result": door.whoami()}, name="night shift"
    )
    peer.sent.clear()

    agent.run_once()

    said = [told(sent.headers[HEADER]) for sent in peer.sent]
    assert {one["cid"] for one in said} == {"ermpoll"}
    assert {one["wid"] for one in said} == {told(client_context())["wid"]}
    assert {one["agent"] for one in said} == {"night shift"}
    assert actions(peer.sent, "PUT") == ["claim", "complete"]
    assert {"look", "who"} <= set(actions(peer.sent, "GET"))


def test_what_a_person_asks_for_is_named(catalog, peer, door):
    [rid] = add(catalog, NEW)
    jobs = queue(door)
    peer.sent.clear()

    jobs.candidates()
    jobs.counts()
    jobs.why(rid)
    jobs.plan()
    with jobs.claim():
        pass
    jobs.history(rid)

    asked = dict.fromkeys(actions(peer.sent, "GET"))
    assert list(asked) == ["candidates", "count", "why", "plan", "claim", "history"]
    assert actions(peer.sent, "PUT") == ["claim", "release"]


def test_a_model_that_is_read_names_no_act(peer, door):
    queue(door)

    assert told(peer.sent[0].headers[HEADER]).keys() == {"cid", "wid"}


@pytest.mark.parametrize(
    "name",
    [
        "a\r\nX-Evil: 1",
        'quote " and \\ and }{',
        "\u202egnp.exe",
        "😀" * 5000,
        "\udcff lone",
        "Bärbels Ärger",
        "amqp://me:s3cret@host?password=s3cret",
    ],
)
def test_whatever_an_agent_is_called_its_header_is_short_and_plain(peer, door, name):
    with doing("look", name):
        door.get("entity/Ops:Job")

    header = peer.sent[-1].headers[HEADER]
    assert header.isascii()
    assert header.isprintable()
    assert len(header) < 2000
    assert told(header)["action"] == "look"
    assert "s3cret" not in header
    assert not any(c in told(header)["agent"] for c in "\r\n\u202e")


def test_a_fork_is_a_process_of_its_own():
    read, write = os.pipe()
    if not (pid := os.fork()):
        os.write(write, client_context().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(write)
    with open(read) as pipe:
        theirs = pipe.read()

    assert told(theirs)["wid"] != told(client_context())["wid"]
    assert told(client_context()) == told(client_context())


def test_the_release_comes_first_in_what_sends_a_request(peer, door):
    door.get("entity/Ops:Job")

    agent = peer.sent[-1].headers["user-agent"]
    assert agent.startswith(f"ermpoll/{ermpoll.__version__} python-requests/")


def test_a_session_of_deriva_py_says_so_as_well(catalog, peer):
    add(catalog, NEW)
    number = catalog.url.rpartition("/")[2]
    theirs = PollingErmrestCatalog("http", peer.netloc, number)

    theirs.state_change_once(
        "/entity/Ops:Job/state=actionable",
        "/attributegroup/Ops:Job/RID;state",
        lambda row: {"RID": row["RID"], "state": "done"},
    )

    agents = {sent.headers["user-agent"] for sent in peer.sent}
    assert all(agent.startswith("ermpoll/") for agent in agents)
    assert actions(peer.sent, "PUT") == ["claim"]
    assert "look" in actions(peer.sent, "GET")


@pytest.mark.parametrize(
    ("asked", "wait_s"), [("7", 7), ("86400", 60), ("soon", None), (None, None)]
)
def test_what_repeats_reads_waits_as_asked_but_not_for_ever(asked, wait_s):
    retry = ReadsOnly.like(Retry(5))
    headers = {} if asked is None else {"Retry-After": asked}

    assert retry.get_retry_after(HTTPResponse(headers=headers)) == wait_s


def test_how_long_a_server_asks_to_wait_is_known_by_way_of_deriva_py_too():
    busy = Reply(status=429, headers={"Retry-After": "7"})
    with serving(busy) as peer:
        theirs = PollingErmrestCatalog("http", peer.netloc, 1)
        with pytest.raises(Unavailable) as raised:
            _Door(theirs).put("attributegroup/S:T/RID;state", [])

    assert raised.value.retry_after_s == 7
    assert len(peer.sent) == 1
