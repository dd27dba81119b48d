from __future__ import annotations

from typing import Any

import pytest

from ermpoll.catalog.model import Table
from ermpoll.catalog.paths import Order
from ermpoll.errors import UsageError
from ermpoll.queue.definition import QueueDefinition, words_of

TABLE = Table(schema="S", name="T", columns={}, keys=(), references=(), may_update=True)


def definition(**options: Any) -> QueueDefinition:
    told = {
        "table": TABLE, "state": "state", "ready": ("new", None), "claimed": "busy",
        "done": "done", "failed": "failed", "order": Order("RID"),
    }  # fmt: skip
    return QueueDefinition(**{**told, **options})


@pytest.mark.parametrize(
    ("ready", "words"),
    [("new", ("new",)), (None, (None,)), (["new", None], ("new", None))],
)
def test_ready_is_a_word_or_several(ready, words):
    assert words_of(ready) == words


def test_no_ready_word_is_refused():
    with pytest.raises(UsageError, match="at least one ready word"):
        words_of([])


@pytest.mark.parametrize(
    ("word", "label"),
    [(None, "NULL"), ("new", "new"), ("error: a\nb", "error: …"), (7, "7")],
)
def test_words_are_called_by_a_label_in_counts(word, label):
    assert definition(failed="error: {error}").label(word) == label


def test_a_failure_is_written_cut_and_clean_into_its_word():
    word = definition(failed="error: {error}").failed_word("bad\0" + "x" * 900)

    assert word.startswith("error: badxxx")
    assert len(word) == len("error: ") + 500


def test_its_own_columns_are_those_that_it_has():
    assert definition().own_columns == ("state",)
    assert definition(owner="o", error="e").own_columns == ("state", "o", "e")
