from __future__ import annotations

import pytest

import ermpoll
from ermpoll.errors import UsageError
from tests.helpers.tables import queue

NEW = {"state": "actionable"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("Ops:Jb", "table of schema 'Ops', found 'Jb'; did you mean 'Job'"),
        ("Opps:Job", "schema of the catalog, found 'Opps'; did you mean 'Ops'"),
        ("Jobb", "did you mean 'Ops:Job'"),
    ],
)
def test_an_unknown_table_is_named_with_the_closest(catalog, table, message):
    with pytest.raises(UsageError, match=message):
        ermpoll.Queue(catalog, table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"state": "stat"}, "did you mean 'state'"),
        ({"owner": "nosuch"}, "owner: expected a column"),
        ({"state": "priority"}, "state: expected a column of type text"),
        ({"owner": "tags"}, "owner: expected a column of type text"),
        ({"attempts": "name"}, "attempts: expected a column of type an integer"),
        ({"columns": ["nosuch"]}, "columns: expected a column"),
        ({"order": "nosuch"}, "order: expected a column"),
        ({"order": "priority,,name"}, "expected an order"),
        ({"claimed": "actionable"}, "not a ready one"),
        ({"done": "claimed"}, "different words"),
        ({"ready": []}, "at least one ready word"),
        ({"ready": ["actionable", "complete"]}, "not a ready one"),
        ({"failed": "c{error}"}, "which also means 'claimed'"),
        ({"owner": "state"}, "different columns"),
        ({"lease_s": 0.1}, "lease_s"),
        ({"lease_s": float("inf")}, "lease_s"),
        ({"lease_s": float("nan")}, "lease_s"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": 2**31}, "max_attempts: expected 1 to 2147483647"),
        ({"where": "priority::gt::3?limit=1"}, "without '@'"),
        ({"where": "nosuch=1"}, "it says: .*nosuch"),
        ({"where": "priority==1"}, "a filter the catalog understands"),
        ({"where": "hold=true", "path": "Ops:Job"}, "where or path, found both"),
        ({"path": "Ops:Nosuch"}, "a filter the catalog understands"),
    ],
)
def test_what_cant_be_is_refused_when_the_queue_is_made(catalog, options, message):
    before = catalog.writes

    with pytest.raises(UsageError, match=message):
        queue(catalog, **options)

    assert catalog.writes == before
