"""What an agent does when time, people or the network get in its way."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import ermpoll


@pytest.mark.timeout(10)
def test_a_job_that_ends_when_its_renewal_is_due_is_finished(
    box: ermpoll.sandbox.Box,
) -> None:
    def work(row: dict[str, Any]) -> None:
        threading.Event().wait(0.6)

    agent = ermpoll.Agent(box.jobs(lease_s=1.2), work)

    finished = agent.run_once()

    assert (finished, agent.status.held) == (1, 0)
