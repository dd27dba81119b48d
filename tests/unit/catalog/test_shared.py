from __future__ import annotations

import threading

from ermpoll.catalog.shared import shared_of


def test_a_catalog_has_one_record_whoever_asks_first():
    ready, found = threading.Barrier(8), []

    def ask() -> None:
        ready.wait(5)
        found.append(shared_of("http://many/ermrest/catalog/1"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)

    assert len(set(map(id, found))) == 1


def test_other_catalogs_share_nothing():
    one, other = shared_of("http://a"), shared_of("http://b")

    assert one.write_lock is not other.write_lock
    assert one.etag is not other.etag


def test_a_turn_is_reentrant():
    entered = []
    with shared_of("http://a").turn, shared_of("http://a").turn:
        entered.append(True)
    assert entered
