"""The queue's past, by its public names. What they do is in `ermpoll.history`.

That package lies above this one, so it is loaded by name and at the call.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from ermpoll.records import Transform
    from ermpoll.render.shapes import (
        ComparisonLike,
        HistoryLike,
        ProofLike,
        TimelineLike,
    )


class Tenses:
    """What a queue was like, and what became of its rows: by reading only.

    Nothing but the catalog is asked, so that it can be told of any queue, also of one
    that no ermpoll ever ran on. Each call takes ``**reading``:

    rate
        Requests a second at most (5); None: as fast as they are answered.
    progress
        Called with a `ReadingProgress` (done, of, text, requests) as it goes on.
    stop
        A `threading.Event`: once it is set, the call raises ReadingStopped.

    A moment is a time with its zone, ISO text of one, how long ago (a ``timedelta``,
    ``"90 min"``, ``"24 h"``, ``"7 d"``), or a snapshot's id.
    """

    def at(self, when: datetime | timedelta | str, **reading: Any) -> Self:
        """Return the queue as of then: to read and to plan, never to write.

        Leases, and times to try again, are held against *then*; columns have the
        names of then.

        Raises
        ------
        NoHistory
            The catalog, or its table, has nothing to tell of that time.
        UsageError
            ``when`` is no moment.
        ReadingStopped
            The reading was stopped.
        """
        made: Self = _history().queue_at(self, when, **reading)
        return made

    def history(
        self,
        rid: str,
        since: datetime | timedelta | str | None = None,
        until: datetime | timedelta | str | None = None,
        *,
        most: int = 1000,
        **reading: Any,
    ) -> HistoryLike:
        """Tell one row's life: each version, its states and how long, every claim.

        A request for each version, from the newest back to the first.

        Parameters
        ----------
        since, until
            The part of its life that is read; None: all of it, until now.
        most
            Versions at most, the newest.

        Returns
        -------
        History
            ``.versions``, ``.states``, ``.claims``, ``.frame``, ``.claims_frame``, as
            text by ``print``; what should be known of it in ``.told``.

        Raises
        ------
        UsageError
            The table has no such row, and never had.
        NoHistory
            The catalog tells no history, or nothing of that time.
        ReadingStopped
            The reading was stopped.

        Notes
        -----
        Versions can't tell a renewal from somebody's empty save, nor, without an
        attempts column, a release from a rescue by force. A deleted row is told until
        then; by whom it was deleted isn't kept. Of a RID that was made again after
        that, the later life is told.

        Examples
        --------
        >>> print(jobs.history("1-A2BC"))  # doctest: +SKIP
        """
        made: HistoryLike = _history().read_history(
            self, rid, since, until, most=most, **reading
        )
        return made

    def timeline(
        self,
        since: datetime | timedelta | str,
        until: datetime | timedelta | str | None = None,
        *,
        points: int = 60,
        sample: int = 500,
        sample_requests: int = 25,
        **reading: Any,
    ) -> TimelineLike:
        """Tell of the queue over time: rows per state, what came and was finished.

        Parameters
        ----------
        points
            Moments at which the rows are counted, a request each.
        sample, sample_requests
            Rows, and requests, at most, to learn how long rows waited and were worked
            on.

        Returns
        -------
        Timeline
            ``.at``, ``.counts``, ``.arrivals``, ``.completions``, ``.failures``,
            ``.waiting``, ``.working``, ``.frame``, ``.svg``.

        Raises
        ------
        UsageError
            The period ends before it begins, or has fewer than 2 points.
        NoHistory
            The catalog tells no history, or nothing of that time.
        ReadingStopped
            The reading was stopped.

        Notes
        -----
        Counts are exact at each moment. Completions and failures are counted by each
        row's last change.
        """
        made: TimelineLike = _history().read_timeline(
            self,
            since,
            until,
            points=points,
            sample=sample,
            sample_requests=sample_requests,
            **reading,
        )
        return made

    def prove(
        self,
        since: datetime | timedelta | str,
        until: datetime | timedelta | str | None = None,
        *,
        windows: int | None = None,
        most_rows: int = 50_000,
        **reading: Any,
    ) -> ProofLike:
        """Hold a period of history against the declared machine, independently.

        Found are rows held by two at once, finishes without the claim's token, states
        left without a right, edits overwritten, rows orphaned, and attempts counted
        wrong.

        Parameters
        ----------
        windows
            None: every version is read, with a request for each time at which
            something was written. A number: so many parts are read, and only what
            shows that it misses something is looked for; cheaper, and blind for what
            came and went inside a part.
        most_rows
            Of more rows that changed a sample is read.

        Returns
        -------
        Proof
            True when nothing was found. ``.findings``, ``.frame``, ``.how`` it was
            read.

        Raises
        ------
        UsageError
            The period ends before it begins.
        NoHistory
            The catalog tells no history, or nothing of that time.
        ReadingStopped
            The reading was stopped.

        Notes
        -----
        Not told: claims that were lost and writes that were refused, which leave
        nothing; what a person of the holder's own login did; a rescue by force, which
        is named as one before its time. An edit that work was told to overwrite
        (``on_edit="overwrite"``) is named as well. Claims without an ermpoll token,
        and those of another queue of the table, are not judged.

        Examples
        --------
        >>> assert jobs.prove("24 h")  # doctest: +SKIP
        """
        made: ProofLike = _history().prove(
            self, since, until, windows=windows, most_rows=most_rows, **reading
        )
        return made

    def backtest(
        self,
        transform: Transform,
        since: datetime | timedelta | str,
        until: datetime | timedelta | str | None = None,
        *,
        most_rows: int = 50_000,
        **reading: Any,
    ) -> ComparisonLike:
        """Tell what a transform would have done in a period, beside what was done.

        Whenever a row could be taken the transform is asked, as a dry run does;
        writes that it sends are refused.

        Parameters
        ----------
        transform
            From a row to the changes that finish it; None leaves it alone. Changes
            without a state word mean done, as those that an agent's work returns.
        most_rows
            Of more rows that changed a sample is read.

        Returns
        -------
        Backtest
            One pair per wait of a row: ``same``, ``other``, ``missed`` (only really
            done) or ``new`` (only the transform). ``.rows``, ``.counts``,
            ``.cell_counts``, ``.frame``, ``.panel()``, as text by ``print``; what
            should be known of it in ``.told``.

        Raises
        ------
        UsageError
            The transform can't be called, or the period ends before it begins.
        NoHistory
            The catalog tells no history, or nothing of that time.
        ReadingStopped
            The reading was stopped.

        Notes
        -----
        One request finds what changed, and one for each time at which something was
        written what it was before. A row counts as waiting by its state; of a ``path``
        nothing else is held against the past. How many workers there were, and in
        which order rows would have been taken, is not told.

        Examples
        --------
        >>> jobs.backtest(better, "7 d").counts  # doctest: +SKIP
        {'same': 4990, 'other': 9, 'missed': 1, 'new': 0}
        """
        made: ComparisonLike = _history().run_backtest(
            self, transform, since, until, most_rows=most_rows, **reading
        )
        return made


def _history() -> Any:
    return importlib.import_module("ermpoll.history")
