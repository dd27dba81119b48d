from __future__ import annotations

import ermpoll
from ermpoll.widgets.parts import table_reader


def test_the_table_is_read_sparingly_and_not_after_a_304(jobs, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(table_reader, "monotonic", lambda: now[0])
    lane = Lane()
    status = ermpoll.Agent(jobs, lambda row: None).status
    read = table_reader.TableReader(jobs, lane, lambda: None, lambda: status)

    looks = [{"rows": 1}, {"rows": 1, "unchanged": 5}, {"rows": 2}, {"rows": 3}]
    read.read()
    waits = [read.follow(with_looks(status, looks[0]))]
    waits.append(read.follow(with_looks(status, looks[1])))
    waits.append(read.follow(with_looks(status, looks[2])))
    now[0] += 6
    waits.append(read.follow(with_looks(status, looks[3])))

    assert waits == [None, None, 1.0, None]
    assert lane.words == ["read"]


class Lane:
    """Takes note of what it is given and does it at once."""

    def __init__(self):
        self.words = []

    def submit(self, word, act):
        self.words.append(word)
        act()
        return True


def with_looks(status, looks):
    from dataclasses import replace

    return replace(status, looks=looks)
