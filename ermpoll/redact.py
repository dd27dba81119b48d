"""How an exception is told: by its text to its owner, by its place to a log.

A stranger's text may hold row contents, which a log must not, and signs that a
terminal obeys; nobody may see a login. Knows nothing of who raised it.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

#: Longest text of an event, a status or a log line, in characters.
LONGEST = 500
#: What is read of a text: a secret that this cuts is cut off with the rest.
_LONGEST_READ = 20_000
_SECRET = re.compile(
    r"(?<=://)[^/\s@]+(?=@)"
    r"|(?<=bearer )\S+|(?<=webauthn=)[^\s;'\"]+"
    r"|(?<=password=)[^\s&;'\"]+|(?<=token=)[^\s&;'\"]+",
    re.IGNORECASE,
)
#: Controls, and characters that turn or hide text: what makes a text look like
#: another one, or moves the cursor of a terminal.
HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


class Hidden(str):
    """A text that may hold a login: its repr does not show it.

    What is handed to us is made one at the door, so that a traceback with the values
    of variables shows none.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        # of an address the rest is worth showing
        return repr(redacted(self)) if "://" in self else "'[secret]'"


def hidden(given: T) -> T:
    """Return what was given, texts in it made `Hidden`; other objects as they are."""
    made: Any = given
    if isinstance(given, str):
        made = Hidden(given)
    elif isinstance(given, Mapping):
        made = {key: hidden(value) for key, value in given.items()}
    return made  # type: ignore[no-any-return]


def printable(text: str) -> str:
    """Return a text on one line, its controls and hidden characters as ⟨U+001B⟩."""
    return HIDDEN.sub(lambda c: f"⟨U+{ord(c[0]):04X}⟩", " ".join(text.split()))


def redacted(text: str) -> str:
    """Return the text without logins in URLs, tokens, cookies and passwords."""
    return _SECRET.sub("[secret]", text)


def one_line(error: BaseException) -> str:
    """Return its kind and its text, scrubbed, on one line: for a status."""
    return clipped(told(error))


def told(error: BaseException) -> str:
    """Return its kind and its text, scrubbed, all of its lines: for its owner."""
    text = redacted(text_of(error)).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def text_of(thing: object) -> str:
    """Return the text of somebody's object, which may raise instead of having one."""
    try:
        return str(thing)[:_LONGEST_READ]
    except (Exception, SystemExit):  # noqa: BLE001  whatever a stranger's code does
        return "(its text can't be read)"


def clipped(text: str) -> str:
    """Return a text scrubbed and on one line, cut as an event and a log have it."""
    text = printable(redacted(text[:_LONGEST_READ]))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def traceback_places(error: BaseException) -> str:
    """Return its kind and the last places it went through, no text: for a log."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = [f"{Path(f.filename).name}:{f.lineno} in {f.name}" for f in frames]
    return " < ".join([type(error).__name__, *reversed(places)])
