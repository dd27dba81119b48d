from __future__ import annotations

import logging

import ermpoll
from ermpoll import audit


def test_an_act_is_one_line_in_the_log_and_is_kept(caplog):
    caplog.set_level(logging.INFO, "ermpoll.audit")

    audit.record(
        "retry", "S:T", who="ann", came="1 won", rids=["1-A"], extra={"table": "S:T"}
    )

    [line] = caplog.records
    assert line.getMessage() == "retry on S:T by ann: 1 won: 1-A"
    assert (line.event, line.table) == ("retry", "S:T")
    [act, *_] = ermpoll.acts()
    assert (act.event, act.subject, act.who, act.rids) == (
        "retry", "S:T", "ann", ("1-A",),
    )  # fmt: skip


def test_the_newest_acts_are_kept_and_so_many_of_their_rows():
    for n in range(audit.KEPT + 5):
        audit.record("apply", f"S:T{n}", rids=[f"1-{m}" for m in range(200)])

    kept = audit.acts()
    assert len(kept) == audit.KEPT
    assert kept[0].subject == f"S:T{audit.KEPT + 4}"
    assert len(kept[0].rids) == audit.KEPT_RIDS


def test_an_act_without_a_person_names_what_it_was_done_to(caplog):
    caplog.set_level(logging.INFO, "ermpoll.audit")
    audit.record("workers", "convert images", came="4")

    assert caplog.messages == ["workers convert images: 4"]
