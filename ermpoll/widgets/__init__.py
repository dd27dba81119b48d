"""Live panels for a notebook. They draw the objects of the core and own no rules.

Every function returns a panel at once. Nothing is started or written before it is
asked for; each panel is static HTML as well, and each button is a method.

Open `base` first: `Panel`, what all of them are. Then `threads` (one that draws, one
that does what was clicked), `browser` (its zone, and speaking up), `panels` and
`parts`. ipywidgets and anywidget have their door here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ermpoll.arguments import whole
from ermpoll.errors import UsageError
from ermpoll.redact import hidden
from ermpoll.widgets.base import Panel
from ermpoll.widgets.panels.comparison_panel import ComparisonPanel, ShadowPanel
from ermpoll.widgets.panels.console_panel import ConsolePanel, FleetPanel
from ermpoll.widgets.panels.dry_run_panel import DryRunPanel
from ermpoll.widgets.panels.monitor_panel import MonitorPanel
from ermpoll.widgets.panels.preview_panel import PreviewPanel
from ermpoll.widgets.panels.watch_panel import WatchPanel

if TYPE_CHECKING:
    from ermpoll.agent import Agent
    from ermpoll.history import Comparison, Shadow
    from ermpoll.notices.base import Notices
    from ermpoll.polling import Poller
    from ermpoll.queue import Queue
    from ermpoll.records import Transform, Work

__all__ = [
    "Panel",
    "comparison",
    "console",
    "dry_run",
    "monitor",
    "preview",
    "shadow",
    "watch",
]


def preview(jobs: Queue, *, limit: int = 500, table: str = "plain") -> PreviewPanel:
    """Show which rows would be taken next, to search, sort and select.

    Parameters
    ----------
    jobs
        The queue.
    limit
        With itables: the most rows to read. Else each page is read when it is shown.
    table
        "itables" shows all at once in a table that sorts and pages in the browser
        (needs the extra ``lab``); by default the catalog sorts, filters and pages.

    Raises
    ------
    UsageError
        itables is asked for and not installed.
    CatalogError
        The candidates can't be read.

    Examples
    --------
    >>> panel = ermpoll.preview(jobs)
    >>> panel.close()
    """
    limit = whole("limit", limit, "rows")
    return PreviewPanel(_queue(jobs), limit=limit, table=table)


def dry_run(
    jobs: Queue,
    transform: Transform | None = None,
    *,
    limit: int = 50,
    rows: object = None,
) -> DryRunPanel:
    """Show what a transform would write, cell by cell; nothing is written.

    Begins at once, in the background, and can be cancelled. The panel's Apply writes
    what is shown.

    Parameters
    ----------
    jobs
        The queue.
    transform
        The function to try; None for the claim itself.
    limit
        The most rows to try it on.
    rows
        The rows to try it on (RIDs, Candidates, what a preview has selected), or
        None for those that come next.

    Examples
    --------
    >>> hold = {"Processing_Status": "hold"}
    >>> panel = ermpoll.dry_run(jobs, lambda row: hold, limit=5)
    >>> panel.close()
    """
    limit = whole("limit", limit, "rows")
    panel = DryRunPanel(_queue(jobs), transform, limit=limit, rows=lambda: rows)
    panel.begin()
    return panel


def watch(jobs: Queue, notices: str | Notices | None = None) -> WatchPanel:
    """Watch candidates come and go. Reads only; Start starts it.

    Parameters
    ----------
    jobs
        The queue.
    notices
        Where notices come from: None (the timer alone), an AMQP address or a Notices
        object.

    Examples
    --------
    >>> watch = ermpoll.watch(jobs, notices=box.amqp_url)
    >>> watch.start()
    <Poller ...>
    >>> watch.stop()
    True
    """
    notices = hidden(notices)
    return WatchPanel(_queue(jobs), notices=notices)


def monitor(agent_or_poller: Agent | Poller) -> MonitorPanel:
    """Show what an agent or a poller does, with buttons to steer it.

    Examples
    --------
    >>> agent = ermpoll.Agent(jobs, lambda row: None)
    >>> panel = ermpoll.monitor(agent)
    >>> panel.close()
    """
    return MonitorPanel(agent_or_poller)


def comparison(shown: Comparison) -> ComparisonPanel:
    """Show two decisions about rows side by side, to choose by how they compare."""
    return ComparisonPanel(shown)


def shadow(watching: Shadow) -> ShadowPanel:
    """Show what a shadow has seen so far, with buttons to start and stop it."""
    return ShadowPanel(watching)


def console(
    x: Queue | Agent | Sequence[Agent], work: Work | None = None, **agent_options: Any
) -> ConsolePanel | FleetPanel:
    """Show all together: monitor, preview and dry run.

    Parameters
    ----------
    x
        A queue, an agent, or a list of agents (a head line each).
    work
        With a queue: what an agent over it does; without it the console watches.
    agent_options
        What else `Agent` takes, with ``work``.

    Raises
    ------
    UsageError
        ``work`` or options together with something that has them already.

    Examples
    --------
    >>> panel = ermpoll.console(jobs, lambda row: None, workers=2)
    >>> panel.close()
    """
    if isinstance(x, list | tuple):
        _no_work(work, agent_options)
        return FleetPanel(x)
    # Only who shows an agent pays for loading it.
    from ermpoll.agent import Agent

    if isinstance(x, Agent):
        _no_work(work, agent_options)
        return ConsolePanel(x.jobs, x)
    if work is None:
        if agent_options:
            raise UsageError(
                "expected work together with options of an agent, found "
                f"{', '.join(sorted(agent_options))} alone; add work="
            )
        return ConsolePanel(_queue(x))
    return ConsolePanel(_queue(x), Agent(_queue(x), work, **agent_options))


def _no_work(work: object, options: dict[str, Any]) -> None:
    if work is not None or options:
        raise UsageError(
            "expected work and options with a queue, found them with an agent; "
            "give them to Agent(...)"
        )


def _queue(jobs: object) -> Queue:
    from ermpoll.queue.queue import checked_queue

    return checked_queue(jobs)
