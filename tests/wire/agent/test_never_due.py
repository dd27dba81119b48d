"""A row whose retry never comes: nobody asks for it again and again."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

import ermpoll
from tests.helpers.conditions import let_pass, wait_until
from tests.helpers.peers import serving
from tests.helpers.shares import mostly_long
from tests.helpers.tables import add, queue


@pytest.mark.parametrize("at", mostly_long(["infinity", "9999-12-31T23:59:59+00:00"]))
@pytest.mark.parametrize("kind", ["agent", "watch"])
def test_a_retry_that_never_comes_costs_no_requests(catalog, kind, at):
    [rid] = add(catalog, {"state": "actionable", "retry_at": at})
    with serving(behind=catalog.url) as peer:
        door = ermpoll.connect(f"http://{peer.netloc}{urlsplit(catalog.url).path}")
        jobs = queue(door)
        runs = ermpoll.Agent(jobs, lambda row: None) if kind == "agent" else None
        watch = None if runs else ermpoll.watch(jobs)
        (runs or watch).start()
        wait_until(lambda: any("sort" in sent.path for sent in peer.sent))
        let_pass(0.5)
        before = len(peer.sent)
        let_pass(1.5)
        asked = len(peer.sent) - before
        (runs or watch).stop()
        if watch:
            watch.close()
        door.close()

    assert asked <= 4, "the timer's looks, and no more"
    if at == "infinity":
        assert "its retry_at never comes" in queue(catalog).why(rid)
