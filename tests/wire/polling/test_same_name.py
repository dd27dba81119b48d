"""Agents of one name that are started at the same moment."""

from __future__ import annotations

import threading

import ermpoll
from tests.helpers.tables import make_table, queue


def test_of_three_agents_that_start_at_once_under_one_name_exactly_one_runs(box):
    catalog = ermpoll.connect(box.new_catalog())
    make_table(catalog)
    jobs = queue(catalog)

    for _ in range(20):
        ready = threading.Barrier(3)

        def start(agent: ermpoll.Agent, ready: threading.Barrier = ready) -> None:
            ready.wait(5)
            agent.start()

        three = [ermpoll.Agent(jobs, lambda row: None, name="one") for _ in range(3)]
        threads = [threading.Thread(target=start, args=(one,)) for one in three]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        names = [thread.name for thread in threading.enumerate()]
        running = [one for one in three if one.status.state != "stopped"]
        listed = [*ermpoll.agents()]
        stopped = [one.stop() for one in three]

        assert names.count("ermpoll-poller-one") == 1
        assert listed == running
        assert stopped == [True] * 3
