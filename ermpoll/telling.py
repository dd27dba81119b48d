"""How an exception is told: by its text to its owner, by its place to a log.

A stranger's text may hold row contents, which a log must not; nobody may see a
login. Knows nothing of who raised it.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path

_SECRET = re.compile(
    r"(?<=://)[^/\s@]+(?=@)"
    r"|(?<=bearer )\S+|(?<=webauthn=)[^\s;'\"]+"
    r"|(?<=password=)[^\s&;'\"]+|(?<=token=)[^\s&;'\"]+",
    re.IGNORECASE,
)


def scrubbed(text: str) -> str:
    """Return the text without logins in URLs, tokens, cookies and passwords."""
    return _SECRET.sub("[secret]", text)


def described(error: BaseException) -> str:
    """Return its kind and its text, scrubbed, on one line: for a status."""
    text = " ".join(scrubbed(str(error)).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def place(error: BaseException) -> str:
    """Return its kind and the last places it went through, no text: for a log."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    places = [f"{Path(f.filename).name}:{f.lineno} in {f.name}" for f in frames]
    return " < ".join([type(error).__name__, *reversed(places)])
