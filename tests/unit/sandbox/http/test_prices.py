"""Which writers abort each other, and what they take: by the rule, without a socket."""

from __future__ import annotations

import asyncio
import json
import time

from ermpoll.sandbox.http.messages import Answer, Request
from ermpoll.sandbox.http.prices import Machine, Prices
from tests.helpers import loops


def _put(table: str, rows: int = 1, connection: int = 0) -> Request:
    body = json.dumps([{"id": n} for n in range(rows)]).encode()
    path = f"/ermrest/catalog/1/attributegroup/Ops:{table}/id;x"
    return Request(
        method="PUT", path=path, headers={}, body=body, connection=connection
    )


def _get(connection: int = 0) -> Request:
    path = "/ermrest/catalog/1/entity/Ops:Job"
    return Request(method="GET", path=path, headers={}, connection=connection)


def _done(request: Request) -> Answer:
    return Answer(status=200, changed=True)


async def _all(*requests: Request, aborts: bool = True) -> list[bool]:
    """Send requests at once and return which were done."""
    prices = Prices(_done)
    answers = await asyncio.gather(
        *(prices.respond(request, aborts=aborts) for request in requests)
    )
    return [answer is not None for answer in answers]


def test_of_two_writers_of_a_table_one_wins() -> None:
    assert sorted(loops.run(_all(_put("Job"), _put("Job")))) == [False, True]


def test_the_first_to_commit_wins_and_not_the_first_to_start() -> None:
    # 300 rows are 0.14 s of work, one row is done in 0.02 s.
    assert loops.run(_all(_put("Job", 300), _put("Job"))) == [False, True]


def test_writers_of_different_tables_abort_each_other_too() -> None:
    assert loops.run(_all(_put("Job", 100), _put("Other"))) == [False, True]


def test_writers_one_after_the_other_all_win() -> None:
    async def turns() -> list[bool]:
        prices = Prices(_done)
        return [await prices.respond(_put("Job")) is not None for _ in range(4)]

    assert loops.run(turns()) == [True] * 4


def test_neither_a_reader_nor_a_refused_write_aborts_another() -> None:
    async def together() -> list[Answer | None]:
        prices = Prices(lambda request: Answer(status=412))
        requests = _put("Job"), _put("Job"), _get()
        return list(await asyncio.gather(*map(prices.respond, requests)))

    assert None not in loops.run(together())


def test_aborts_can_be_turned_off() -> None:
    requests = [_put("Job") for _ in range(4)]

    assert loops.run(_all(*requests, aborts=False)) == [True] * 4


def test_an_aborted_connection_pays_on_its_next_request() -> None:
    async def took() -> list[float]:
        prices = Prices(_done)
        losing = prices.respond(_put("Job", 200, connection=7))
        await asyncio.gather(losing, prices.respond(_put("Job")))
        spans = []
        for connection in (7, 8):
            begun = time.monotonic()
            await prices.respond(_get(connection))
            spans.append(time.monotonic() - begun)
        return spans

    after_an_abort, other = loops.run(took())
    assert after_an_abort >= 0.0199
    assert other >= 0.0079


def test_more_work_than_processors_takes_its_time() -> None:
    async def four() -> float:
        machine = Machine()
        begun = time.monotonic()
        await asyncio.gather(*(machine.work(0.04) for _ in range(4)))
        return time.monotonic() - begun

    # Four times 0.04 s of work on two processors.
    assert loops.run(four()) >= 0.079


def test_a_stale_tag_is_found_before_a_conflict() -> None:
    async def late() -> list[Answer | None]:
        refusal = Answer(status=412)
        stale = _put("Job", connection=1)
        prices = Prices(_done, lambda request: refusal if request is stale else None)
        both = prices.respond(_put("Job", 100)), prices.respond(stale)
        return list(await asyncio.gather(*both))

    done, refused = loops.run(late())
    assert done is not None
    assert refused is not None
    assert (done.status, refused.status) == (200, 412)
