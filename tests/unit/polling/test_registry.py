from __future__ import annotations

import threading

import ermpoll
from tests.helpers import pages


def test_what_runs_is_a_list_that_a_notebook_shows_as_a_table():
    poller = ermpoll.Poller(lambda: False, name="look around")

    with poller:
        running = ermpoll.agents()
        text = pages.text_of(running._repr_html_())

    assert running == [poller]
    assert "1 agent or poller" in text
    assert "look around ●" in text or "look around ◌" in text
    assert pages.text_of(ermpoll.agents()._repr_html_()) == "Nothing is running"


def test_of_three_that_start_at_once_under_one_name_exactly_one_runs():
    for _ in range(100):
        ready = threading.Barrier(3)

        def start(poller: ermpoll.Poller, ready: threading.Barrier = ready) -> None:
            ready.wait(5)
            poller.start()

        three = [ermpoll.Poller(lambda: False, name="triplets") for _ in range(3)]
        threads = [threading.Thread(target=start, args=(one,)) for one in three]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        names = [thread.name for thread in threading.enumerate()]
        running = [one for one in three if one.status.state != "stopped"]
        listed = [*ermpoll.agents()]
        for one in three:
            one.stop()

        assert names.count("ermpoll-poller-triplets") == 1
        assert listed == running


def test_a_start_that_was_overtaken_begins_nothing():
    later = ermpoll.Poller(lambda: False, name="heir")

    class Hesitant(ermpoll.Poller):
        """When it is stopped for another one, a third has the name first."""

        def stop(self, timeout_s: float = 30) -> bool:
            later.start()
            return super().stop(timeout_s)

    first, second = (
        Hesitant(lambda: False, name="heir").start(),
        ermpoll.Poller(lambda: False, name="heir"),
    )
    second.start()
    states = [one.status.state for one in (first, second)]
    reason = second.status.reason
    listed = [*ermpoll.agents()]
    later.stop()

    assert states == ["stopped", "stopped"]
    assert reason == "another one of its name was started"
    assert listed == [later]
