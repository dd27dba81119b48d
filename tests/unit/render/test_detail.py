from __future__ import annotations

from types import SimpleNamespace

from ermpoll import render
from tests.helpers import pages


def test_a_dry_run_lists_writes_that_were_refused_and_what_work_returned():
    shown = SimpleNamespace(
        plan=pages.plan([pages.change("1-A")]),
        would=("would PUT entity/S:T",),
        results={"1-A": {"Score": 1}},
        errors={"1-B": "ValueError: no"},
    )

    text = pages.text_of(render.dry_run(shown))

    assert "1 write refused that your function would have sent:" in text
    assert "would PUT entity/S:T" in text
    assert "What work returned RID Score 1-B ValueError: no 1-A 1" in text
