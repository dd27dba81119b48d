"""Answers whose headers are not what the service said: fronts and proxies do that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from typing import Any

from ermpoll.sandbox.http.messages import Answer, Request

Respond = Callable[[Request], Answer | Coroutine[Any, Any, Answer | None]]

#: Dates that are told: an hour ahead and behind, further than anybody counts, none.
_AHEAD = (timedelta(hours=1), -timedelta(hours=1), timedelta(days=2_000_000))
#: Of the writes of one login, each so manieth ETag is not the database's.
_EACH = 5


class Headers:
    """A responder around another that spoils headers while it is told to."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self._spoils = ""
        self._numbers = count()
        self._writes: Counter[str] = Counter()

    def spoil(self, spoils: str = "") -> None:
        """Spoil ``dates`` or ``etags`` from now on; "": nothing."""
        self._spoils = spoils

    def respond(self, request: Request) -> Answer | Coroutine[Any, Any, Answer | None]:
        """Answer a request."""
        made = self._respond(request)
        if not self._spoils:
            return made
        if isinstance(made, Answer):
            return self._spoilt(request, made)
        return self._later(request, made)

    async def _later(
        self, request: Request, coming: Coroutine[Any, Any, Answer | None]
    ) -> Answer | None:
        answer = await coming
        return answer and self._spoilt(request, answer)

    def _spoilt(self, request: Request, answer: Answer) -> Answer:
        headers = dict(answer.headers)
        if self._spoils == "dates":
            headers["Date"] = self._date(next(self._numbers))
        elif "ETag" in headers:
            etag = self._etag(request, headers.pop("ETag"))
            headers |= {"ETag": etag} if etag else {}
        return replace(answer, headers=headers)

    def _date(self, number: int) -> str:
        which = number % (len(_AHEAD) + 1)
        if which == len(_AHEAD):
            return "yesterday"
        try:
            return format_datetime(datetime.now(UTC) + _AHEAD[which], usegmt=True)
        except OverflowError:
            return "Fri, 31 Dec 9999 23:59:59 GMT"

    def _etag(self, request: Request, etag: str) -> str:
        """Spoil one now and then: no two writes of one login after each other."""
        if request.method == "GET":
            return etag if next(self._numbers) % 3 else f'"{etag[1:4]};?"'
        who = request.headers.get("Authorization", "")
        self._writes[who] += 1
        turn, left = divmod(self._writes[who], _EACH)
        if left:
            return etag
        head, _, _ = etag.rpartition(";")
        ahead = datetime.now(UTC) + timedelta(hours=1)
        return ("", "W/" + etag, "rubbish", f'{head};{ahead.isoformat()}"')[turn % 4]
