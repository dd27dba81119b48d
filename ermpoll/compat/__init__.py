"""For code written to deriva-py's ``PollingErmrestCatalog``.

It knows that class's contract: a catalog-wide ETag guard, a transform from a row to
an update, `blocking_poll` around it. It knows no queue and no agent. deriva has its
door in `deriva`; the rest works without it.

Open `state_change` first: `state_change_once` and `blocking_poll`. Then `recovery`
(what became of an update whose answer was lost) and `deriva` (the subclass).

Examples
--------
>>> host = box.url.split("/")[2]
>>> old = ermpoll.compat.PollingErmrestCatalog("http", host, "1")
>>> old.get(f"/entity/{jobs.table}?limit=1").status_code
200
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ermpoll.compat.deriva import PollingErmrestCatalog

__all__ = ["PollingErmrestCatalog"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        # Only who asks for it pays for loading deriva-py.
        from ermpoll.compat import deriva

        return getattr(deriva, name)
    raise AttributeError(f"module 'ermpoll.compat' has no attribute {name!r}")
