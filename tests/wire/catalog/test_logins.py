"""Who is logged in, and what is said where it is nobody, or nothing is written."""

from __future__ import annotations

import logging
from urllib.parse import quote

import pytest

import ermpoll
from ermpoll.catalog.conditional import ConditionalReader
from ermpoll.errors import Denied, Unavailable, UsageError, WriteRefused
from tests.helpers.peers import Peer, Reply, Sent, serving
from tests.helpers.tables import add, make_table, queue

LOGIN = {"bearer-token": "s3cret-token-4711"}


class Expiring(Peer):
    """Rows for who is logged in; to anybody else it says nothing."""

    expired = False
    #: What it answers on who is logged in once that is nobody.
    gone = Reply(status=404, body="no session")

    def answer(self, sent: Sent) -> Reply:
        if sent.path == "/authn/session":
            ann = '{"client": {"id": "i", "display_name": "Ann"}}'
            return self.gone if self.expired else Reply(body=ann)
        if self.expired:
            return Reply(status=401, body="log in")
        etag = {"ETag": '"roles;json;2026-01-01T00:00:00+00:00"'}
        if sent.headers.get("if-none-match"):
            return Reply(status=304, headers=etag)
        return Reply(body="[]", headers=etag)


@pytest.mark.parametrize(
    "gone", [Reply(status=404), Reply(status=401), Reply(status=403)]
)
@pytest.mark.parametrize("conditional", [True, False])
def test_a_login_that_expires_where_nobody_else_may_read_is_told_at_once(
    gone, conditional
):
    told: list[str | None] = []
    with serving(kind=Expiring) as peer:
        assert isinstance(peer, Expiring)
        peer.gone = gone
        door = ermpoll.connect(peer.url, LOGIN)
        reader = ConditionalReader(door, log_in=lambda name, left_s: told.append(name))
        page = reader.read("entity/S:T")
        assert page is not None
        reader.keep(page.etag if conditional else None, None)
        peer.expired = True
        for _ in range(3):
            with pytest.raises(Denied, match="it is wrong, or it has expired"):
                reader.read("entity/S:T")
        sessions = [s for s in peer.sent if s.path == "/authn/session"]
        assert told == ["Ann", None]
        assert len(sessions) == 2, "asked once for each news, not at each poll"

        peer.expired = False
        reader.read("entity/S:T")
        assert told == ["Ann", None, "Ann"]
        door.close()


def test_who_has_no_login_is_told_so_where_one_is_wanted():
    with serving(Reply(status=401, body="no")) as peer:
        door = ermpoll.connect(peer.url, {})
        with pytest.raises(Denied, match="you are nobody here: no login was found"):
            door.get("entity/S:T")
        door.close()


@pytest.mark.parametrize(
    ("login", "words"),
    [
        ({}, "you are nobody here: no login was found"),
        (
            {"bearer-token": "not known there"},
            "you are nobody here: the server does not know the login",
        ),
    ],
)
def test_why_says_that_you_are_nobody(login, words):
    with ermpoll.sandbox.start(token="owner-token-1234") as box:
        owner = box.catalog()
        make_table(owner)
        [rid] = add(owner, {"state": "actionable"})
        for right in ("select", "enumerate"):
            owner._transport.request(
                "PUT",
                f"acl/{right}",
                data=b'["*"]',
                headers={"Content-Type": "application/json"},
            )
        stranger = ermpoll.connect(box.url, login)

        assert words in stranger.nobody()
        assert words in queue(stranger).why(rid)
        assert queue(owner).why(rid).endswith("keeps the next claim from taking it.")
        assert "owner-token-1234" not in repr(vars(box))


def test_a_queue_on_a_snapshot_reads_and_says_what_it_is(catalog):
    [rid] = add(catalog, {"state": "actionable"})
    snapshot = catalog.document("")["snaptime"]
    past = ermpoll.connect(f"{catalog.url}@{snapshot}")
    jobs = queue(past)
    past.read_only = False

    assert past.read_only
    assert past.is_snapshot
    assert "snapshot" in repr(past)
    assert jobs.candidates().rids == (rid,)
    assert not jobs.writable
    assert "this is a snapshot" in jobs.why_not_writable
    assert "this is a snapshot" in jobs.why(rid)
    with pytest.raises(WriteRefused, match="this is a snapshot"):
        jobs.claim()
    assert not catalog.is_snapshot
    past.close()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"readonly": True}, r"no option readonly=; did you mean read_only=\?"),
        ({"timeout": 3}, r"did you mean timeout_s=\?"),
        ({"zzz": 3}, "expected url, credentials, read_only"),
    ],
)
def test_an_option_that_there_is_not_is_told_with_the_one_meant(option, words):
    with pytest.raises(UsageError, match=words):
        ermpoll.connect("http://localhost/ermrest/catalog/1", **option)


def test_what_keeps_a_catalog_from_answering_is_told_as_one_cause():
    with serving() as peer:
        closed = peer.url
    for url, words in (
        (closed, "nothing listens there"),
        (
            "http://no-such-host.localhost.invalid/ermrest/catalog/1",
            "its name is unknown",
        ),
    ):
        door = ermpoll.connect(url, {})
        with pytest.raises(Unavailable, match=words):
            door.get("entity/S:T")
        door.close()
    with serving(Reply(drop=True)) as peer:
        door = ermpoll.connect(peer.url, {})
        with pytest.raises(Unavailable, match="the connection was lost"):
            door.get("entity/S:T")
        door.close()


def test_nothing_a_stranger_names_moves_a_terminal(catalog, caplog):
    caplog.set_level(logging.INFO)
    evil = "a\n2026 ERROR forged\x1b[2J"
    poller = ermpoll.Poller(lambda: False, name=evil)
    agent = ermpoll.Agent(queue(catalog), lambda row: None, name=evil)
    agent.run_once()
    poller.start()
    poller.stop()
    body = Reply(status=500, body="Detail: \x1b[2Jgone\x07")
    with serving(body) as peer:
        door = ermpoll.connect(peer.url, {})
        with pytest.raises(Unavailable) as raised:
            door.get("entity/S:T\x1b[2J")
        door.close()

    lines = [record.getMessage() for record in caplog.records]
    for text in (*lines, repr(poller), repr(agent), str(raised.value)):
        assert "\x1b" not in text
        assert "\n" not in text
    assert poller.status.name == "a 2026 ERROR forged⟨U+001B⟩[2J"


def test_a_table_and_an_owner_with_controls_are_shown_without(catalog):
    make_table(catalog, name="Evil\x1b[2J")
    name = "Ops:Evil\x1b[2J"
    jobs = ermpoll.Queue(catalog, name, owner="owner")
    body = [{"state": "claimed", "owner": "evil\x1b[2J~0123456789abcdef~600"}]
    [row] = catalog.post(f"entity/{quote(name, safe=':')}", body).rows
    claim, plan = jobs.claim(), jobs.plan()

    shown = [repr(jobs), repr(claim), repr(plan), repr(jobs.candidates())]
    for text in (*shown, jobs.title, jobs.why(str(row["RID"]))):
        assert "\x1b" not in text
    assert "⟨U+001B⟩" in jobs.why(str(row["RID"]))
