from __future__ import annotations

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
