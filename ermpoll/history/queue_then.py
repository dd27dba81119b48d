"""The queue as of a moment: the same object, on the catalog of then."""

from __future__ import annotations

import warnings
from typing import Any

from ermpoll.history.model_then import TablePast
from ermpoll.history.past import Past, When
from ermpoll.queue.queue import Queue


def queue_at(jobs: Queue, when: When, **reading: Any) -> Queue:
    """Return a queue as of then; see `Queue.at`.

    What is to be known of it (a clock that differs, names that changed) is warned of.
    """
    past = Past(jobs.catalog, **reading)
    at = past.moment(when)
    definition = TablePast(past, jobs.definition).definition(at)
    for sentence in past.told:
        warnings.warn(sentence, stacklevel=4)
    return Queue.of(definition, jobs.catalog.at(at))
