"""Claim, dry-run and watch jobs in DERIVA/ERMrest catalogs from a notebook.

Names are loaded when they are first used, so that ``import ermpoll`` costs next
to nothing and needs neither pika, pandas nor ipywidgets.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ermpoll.version import __version__ as __version__

if TYPE_CHECKING:
    from ermpoll import compat, errors, sandbox, teach
    from ermpoll.agent import Agent
    from ermpoll.audit import acts
    from ermpoll.catalog import Catalog, connect
    from ermpoll.compat.state_change import blocking_poll, state_change_once
    from ermpoll.errors import (
        CatalogError,
        ErmpollError,
        NoticeError,
        PreconditionFailed,
        TransformError,
        UsageError,
        WriteRefused,
    )
    from ermpoll.history import (
        Backtest,
        Comparison,
        History,
        Proof,
        Shadow,
        Timeline,
        compare,
        shadow,
    )
    from ermpoll.polling import Poller
    from ermpoll.polling.registry import agents
    from ermpoll.queue import Queue
    from ermpoll.widgets import console, dry_run, monitor, preview, watch

#: Where each public name lives.
_HOMES = {
    "connect": "catalog",
    "Catalog": "catalog",
    "Queue": "queue",
    "compare": "history",
    "Comparison": "history",
    "Backtest": "history",
    "History": "history",
    "Timeline": "history",
    "Proof": "history",
    "shadow": "history",
    "Shadow": "history",
    "Agent": "agent",
    "acts": "audit",
    "agents": "polling.registry",
    "current_job": "agent.current",
    "Poller": "polling",
    "state_change_once": "compat.state_change",
    "blocking_poll": "compat.state_change",
    "preview": "widgets",
    "dry_run": "widgets",
    "watch": "widgets",
    "monitor": "widgets",
    "console": "widgets",
    "ErmpollError": "errors",
    "UsageError": "errors",
    "CatalogError": "errors",
    "PreconditionFailed": "errors",
    "WriteRefused": "errors",
    "TransformError": "errors",
    "NoticeError": "errors",
}
_MODULES = ("compat", "errors", "sandbox", "teach")

__all__ = [
    "Agent",
    "Backtest",
    "Catalog",
    "CatalogError",
    "Comparison",
    "ErmpollError",
    "History",
    "NoticeError",
    "Poller",
    "PreconditionFailed",
    "Proof",
    "Queue",
    "Shadow",
    "Timeline",
    "TransformError",
    "UsageError",
    "WriteRefused",
    "acts",
    "agents",
    "blocking_poll",
    "compare",
    "compat",
    "connect",
    "console",
    "current_job",
    "dry_run",
    "errors",
    "monitor",
    "preview",
    "sandbox",
    "shadow",
    "state_change_once",
    "teach",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return _module(name)
    if name in _HOMES:
        return getattr(importlib.import_module(f"ermpoll.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ermpoll' has no attribute {name!r}")


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"ermpoll.{name}")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"ermpoll.{name} needs {error.name}, not installed here. "
            'Install with: pip install "ermpoll[lab]"',
            name=error.name,
        ) from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
