"""How processors are shared: on a clock that leaps."""

from __future__ import annotations

import asyncio

import pytest

from ermpoll.sandbox.price.machine import Machine, Work
from tests.helpers import loops


async def _ends(*parts: tuple[float, float]) -> list[float]:
    """Do work of so many ms each, from so many ms on; when each is done, in ms."""
    machine, loop = Machine(), asyncio.get_running_loop()

    async def do(begin_ms: float, amount_ms: float) -> float:
        await asyncio.sleep(begin_ms / 1000)
        with Work(machine) as work:
            await work.until(amount_ms / 1000)
        return 1000 * loop.time()

    return list(await asyncio.gather(*(do(*part) for part in parts)))


def test_one_alone_takes_as_long_as_its_work() -> None:
    assert loops.leap(_ends((0, 40), (50, 10))) == pytest.approx([40, 60])


def test_two_are_slower_than_one_since_each_keeps_more_than_one_busy() -> None:
    assert loops.leap(_ends((0, 40), (0, 40))) == pytest.approx([60, 60])


def test_who_comes_later_slows_the_other_from_then_on() -> None:
    # Alone for 20 ms, then at two thirds for 30 ms: 40 are done.
    assert loops.leap(_ends((0, 40), (20, 40))) == pytest.approx([50, 70])


def test_four_share_what_there_is() -> None:
    assert loops.leap(_ends(*[(0, 40)] * 4)) == pytest.approx([120] * 4)


def test_a_pause_costs_nobody_anything() -> None:
    async def ends() -> list[float]:
        machine, loop = Machine(), asyncio.get_running_loop()

        async def pausing() -> float:
            with Work(machine) as work:
                with work.paused():
                    await asyncio.sleep(0.04)
                await work.until(0.04)
            return 1000 * loop.time()

        async def other() -> float:
            with Work(machine) as work:
                await work.until(0.04)
            return 1000 * loop.time()

        return list(await asyncio.gather(pausing(), other()))

    assert loops.leap(ends()) == pytest.approx([80, 40])


def test_what_the_sandbox_does_itself_is_part_of_the_work() -> None:
    async def ends() -> list[float]:
        machine, loop = Machine(), asyncio.get_running_loop()
        ends = []
        for own_s in (0.03, 0.05):
            begun = loop.time()
            with Work(machine) as work:
                loops.pass_time(own_s)
                await work.until(0.04)
            ends.append(1000 * (loop.time() - begun))
        return ends

    assert loops.leap(ends()) == pytest.approx([40, 50])
