"""What lessons are made of: two workers who meet at one row of a sandbox.

Everything that is shown was sent to the sandbox and answered by it; nothing is acted.

Open `script` first: which step a worker takes next, and how a meeting ended. Then
`stage` (plays it on the sandbox), `scenes` (as static HTML) and `theatre` (as a panel
with buttons).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ermpoll.catalog import Catalog
    from ermpoll.queue import Queue
    from ermpoll.teach.theatre import RacePanel

__all__ = ["race"]


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
    >>> race.play_all()
    """
    from ermpoll.teach.stage import stage_of
    from ermpoll.teach.theatre import RacePanel

    panel = RacePanel(stage_of(a, b))
    panel.choose(guard=guard, stories=stories)
    return panel
