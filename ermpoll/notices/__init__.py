"""Change notices: "something changed", from a broker, from this process, or never.

It knows how to stay connected to a broker and how to say what is wrong with it. A
notice carries no data and may be lost; nothing here knows what is looked at because
of one. pika has its one door in `amqp_connection`.

`open_notices` makes them of what a caller gave. Open `base` first: `Notices`, what a
subscriber sees. Then `amqp` (one broker's connection kept up on a thread of its
own), `amqp_connection`, `amqp_url` and `amqp_errors`.
"""

from __future__ import annotations

from ermpoll.errors import UsageError
from ermpoll.notices.base import Notices
from ermpoll.redact import hidden

__all__ = ["Notices", "open_notices"]


def open_notices(notices: str | Notices | None, ca: str | None = None) -> Notices:
    """Find or make the source of notices; nothing is connected yet.

    Parameters
    ----------
    notices
        None (only the timer), an address ``amqp://...`` or ``amqps://...``, or a
        Notices object. The same address within one process is the same hub.
    ca
        File of the certificate authority, for ``amqps://`` only.

    Raises
    ------
    UsageError
        When it is neither of these.
    NoticeError
        When the address is none, or the file is not there.
    """
    notices = hidden(notices)
    if notices is None:
        return Notices()
    if isinstance(notices, Notices):
        return notices
    if not isinstance(notices, str):
        raise UsageError(
            f"notices is a {type(notices).__name__}: give None, an address "
            "amqp://host or amqps://host, or a Notices object."
        )
    # Only who names a broker pays for pika.
    from ermpoll.notices.amqp import shared_notices

    return shared_notices(notices, ca)
