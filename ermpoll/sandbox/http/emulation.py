"""What lies around the service's answers: faults, freezes, and emulated prices.

The service knows nothing of it. A request goes through at once when nothing is armed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ermpoll.sandbox.errors import HttpError
from ermpoll.sandbox.http.faults import FaultPlan, Faults, Verdict
from ermpoll.sandbox.http.messages import Answer, Probe, Request, text_answer
from ermpoll.sandbox.http.prices import Prices


class Emulation:
    """A responder around an answering function.

    Parameters
    ----------
    answer
        The service.
    probe
        What it can say of a write before it is done.
    price
        True: requests take as long as on a real service, and writes that overlap
        abort.
    spared
        A path that no fault hits and that costs nothing: commands come there.
    """

    def __init__(
        self,
        answer: Callable[[Request], Answer],
        *,
        probe: Callable[[Request], Probe],
        price: bool = False,
        spared: str = "",
    ) -> None:
        self._answer = answer
        self._spared = spared
        self._prices = Prices(answer, probe) if price else None
        self._faults = Faults()
        self._thaw_at = 0.0

    def arm(self, plan: FaultPlan) -> None:
        """Put a plan in force instead of the one before."""
        self._faults.arm(plan)
        now = asyncio.get_running_loop().time()
        self._thaw_at = now + plan.freeze_s if plan.freeze_s else 0.0

    def respond(self, request: Request) -> Answer | Coroutine[Any, Any, Answer | None]:
        """Answer a request, or return what will; None from that drops the reply."""
        calm = self._faults.quiet and self._prices is None and not self._thaw_at
        if calm or request.path == self._spared:
            return self._answer(request)
        return self._later(request)

    async def _later(self, request: Request) -> Answer | None:
        await self._thawed()
        verdict = self._faults.verdict(request.method)
        if verdict.delay_s:
            await asyncio.sleep(verdict.delay_s)
        if verdict.status is not None:
            return _error(verdict.status, verdict.detail)
        answer = await self._priced(request)
        await self._thawed()
        return _told(answer, verdict)

    async def _thawed(self) -> None:
        loop = asyncio.get_running_loop()
        while (left := self._thaw_at - loop.time()) > 0:
            await asyncio.sleep(left)
        self._thaw_at = 0.0

    async def _priced(self, request: Request) -> Answer:
        """Answer after the emulated price; writes that overlap another abort."""
        if self._prices is None:
            return self._answer(request)
        aborts = self._faults.plan.abort is None
        answer = await self._prices.respond(request, aborts=aborts)
        return _error(503, "Transaction aborted.") if answer is None else answer


def _error(status: int, detail: str) -> Answer:
    return text_answer(status, HttpError(status, detail).text)


def _told(answer: Answer, verdict: Verdict) -> Answer | None:
    """Return what the client hears of an answer."""
    if verdict.drop_reply:
        return None
    if verdict.status_after is not None:
        return _error(verdict.status_after, verdict.detail)
    return answer
