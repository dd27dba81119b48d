from __future__ import annotations

from datetime import timedelta

from ermpoll.catalog.clock import time_text
from tests.helpers.tables import add, queue

NEW = {"state": "actionable"}


def test_why_says_in_a_sentence_what_keeps_a_row(catalog):
    later = time_text(catalog.now() + timedelta(minutes=10))
    ok, wait, used, done, failed, other, filtered, held, legacy = add(
        catalog,
        {**NEW, "hold": False},
        {**NEW, "hold": False, "retry_at": later},
        {**NEW, "hold": False, "attempts": 3},
        {"state": "complete"},
        {"state": "failed"},
        {"state": "review"},
        {**NEW, "hold": True},
        {**NEW, "hold": False, "priority": 99},
        {"state": "claimed", "owner": "robot"},
    )
    jobs = queue(catalog, where="hold=false")
    jobs.claim(rows=[held])

    told = {
        ok: "nothing keeps the next claim",
        wait: "waits another 10 min to retry",
        used: "attempts are used up (3 of 3)",
        done: "is done",
        failed: "has failed",
        other: "state is 'review', not actionable",
        filtered: "the filter hold=false does not hold",
        held: "for another 10 min",
        legacy: "without a lease",
        "1-NONE": "is not there",
    }
    for rid, words in told.items():
        assert words in jobs.why(rid)
        assert jobs.why(rid).startswith(rid)
