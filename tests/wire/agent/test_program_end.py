"""The end of the program, as far as one process shows it; see end_to_end as well."""

from __future__ import annotations

import os

import pytest

import ermpoll
from ermpoll.agent import program_end
from tests.helpers.conditions import wait_until
from tests.helpers.tables import queue


@pytest.fixture
def agent(catalog: ermpoll.Catalog) -> ermpoll.Agent:
    return ermpoll.Agent(queue(catalog), lambda row: None)


def test_at_the_end_agents_and_pollers_stop(agent):
    poller = ermpoll.Poller(lambda: None, name="a poller").start()
    agent.start()

    program_end._end(os.getpid())

    wait_until(lambda: agent.status.state == poller.status.state == "stopped")


def test_the_end_of_a_fork_stops_nothing(agent):
    with agent:
        wait_until(lambda: agent.status.state == "waiting")

        program_end._end(os.getpid() + 1)

        assert agent.status.state == "waiting"
