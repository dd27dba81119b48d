"""What lessons are made of: answers that are checked, two workers who race for a row.

Everything that is shown was sent to the sandbox and answered by it; nothing is acted.

Open `script` first: which step a worker takes next, and how a meeting ended. Then
`stage` (plays it on the sandbox), `scenes` (as static HTML) and `theatre` (as a panel
with buttons). `exercise` stands by itself: it says of an answer what is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ermpoll.catalog import Catalog
    from ermpoll.queue import Queue
    from ermpoll.teach.exercise import Checked
    from ermpoll.teach.theatre import RacePanel

__all__ = ["check", "race"]


def check(
    answer: Any, *rules: tuple[Callable[[Any], object], str], right: str = ""
) -> Checked:
    """Say of a student's answer what is wrong with it, or that it is right.

    Parameters
    ----------
    answer
        What the student wrote: a value or a function. ``...``, and a function without
        a body, were not tried yet.
    *rules
        Pairs: a function that is true of a right answer, and what to say where it is
        not. They are tried in turn, up to the first that does not hold.
    right
        What to say in the end.

    Returns
    -------
    Checked
        True where it is right; shown as a sentence.

    Notes
    -----
    Nothing that the answer raises gets out: it is a wrong answer, told with the type
    and the text of the exception. Rules may send requests.

    Examples
    --------
    >>> key = "RID"
    >>> ermpoll.teach.check(key, (lambda key: "RMT" in key, "The version is missing."))
    Not yet: The version is missing.
    """
    from ermpoll.teach.exercise import examine

    return examine(answer, rules, right)


def race(
    a: Catalog | Queue,
    b: Catalog | Queue,
    *,
    guard: str = "none",
    stories: tuple[str, str] = ("claims", "claims"),
) -> RacePanel:
    """Let two workers meet at one row, step by step, in every order there is.

    Each plays its steps by requests of its own, under its own login, on rows of a small
    table that is made for the race. Buttons make a step of either worker, take the
    last one back (on a fresh row, up to the step before) or play one order or all.

    Parameters
    ----------
    a, b
        The workers: catalogs of a sandbox of this process, or queues of one, best
        with a login each: ``box.catalog(user="ann")``.
    guard
        What a claim is guarded by: "none", "state word", "ETag" or "row version".
    stories
        What happens to each: "claims", "meets a 503", "loses the answer" or "gives it
        back".

    Raises
    ------
    UsageError
        A worker is of no sandbox (nothing is sent there), or a word is none of these.

    Notes
    -----
    Faults that were asked of the sandbox end when a story brings its own. Whoever else
    writes to the same sandbox meanwhile takes part: an ETag is of the whole catalog.

    Examples
    --------
    >>> box = ermpoll.sandbox.start(users=["ann", "bob"])
    >>> race = ermpoll.teach.race(box.catalog(user="ann"), box.catalog(user="bob"))
    >>> [one.end.value for one in race.play_all()].count("both believe they hold it")
    4
    >>> race.close()
    >>> box.stop()
    """
    from ermpoll.teach.stage import stage_of
    from ermpoll.teach.theatre import RacePanel

    panel = RacePanel(stage_of(a, b))
    panel.choose(guard=guard, stories=stories)
    return panel
