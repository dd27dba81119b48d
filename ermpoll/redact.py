"""How an exception is told: by its text to its owner, by its place to a log.

A stranger's text may hold row contents, which a log must not; nobody may see a
login. Knows nothing of who raised it.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path

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
    text = " ".join(redacted(text[:_LONGEST_READ]).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def traceback_places(error: BaseException) -> str:
    """Return its kind and the last places it went through, no text: for a log."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = [f"{Path(f.filename).name}:{f.lineno} in {f.name}" for f in frames]
    return " < ".join([type(error).__name__, *reversed(places)])
