"""Which writers abort each other, and what they take: on a clock that leaps."""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from ermpoll.sandbox.http.messages import Answer, Probe, Request
from ermpoll.sandbox.http.prices import Prices
from tests.helpers import loops

#: Milliseconds of work that a request is spared for its way to the sandbox.
WAY = 1


@dataclass(frozen=True, slots=True)
class Told:
    """How a request ended, and when, in ms; without a status it was aborted."""

    status: int | None
    at: float


def _put(table: str = "Job", rows: int = 1, connection: int = 0) -> Request:
    body = json.dumps([{"id": n} for n in range(rows)]).encode()
    path = f"/ermrest/catalog/1/attributegroup/Ops:{table}/id;x"
    return Request(
        method="PUT", path=path, headers={}, body=body, connection=connection
    )


def _get(connection: int = 0) -> Request:
    path = "/ermrest/catalog/1/entity/Ops:Job"
    return Request(method="GET", path=path, headers={}, connection=connection)


def _done(request: Request) -> Answer:
    return Answer(status=200, changed=request.method == "PUT")


def _known(request: Request) -> Probe:
    return Probe(columns=6)


def _sent(
    *sent: tuple[float, Request],
    aborts: bool = True,
    answer: Callable[[Request], Answer] = _done,
    probe: Callable[[Request], Probe] = _known,
) -> list[Told]:
    """Send requests, each at its time in ms."""

    async def send(prices: Prices, at: float, request: Request) -> Told:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(at / 1000)
        answer = await prices.respond(request, aborts=aborts)
        return Told(answer and answer.status, 1000 * loop.time())

    async def together() -> list[Told]:
        prices = Prices(answer, probe)
        return list(await asyncio.gather(*(send(prices, *one) for one in sent)))

    return loops.leap(together())


def _statuses(*sent: tuple[float, Request]) -> list[int | None]:
    return [told.status for told in _sent(*sent)]


def test_the_loser_of_two_is_told_when_the_winner_commits() -> None:
    winner, loser = _sent((0, _put(rows=200)), (1, _put(rows=200)))

    assert (winner.status, loser.status) == (200, None)
    assert loser.at == pytest.approx(winner.at - 3)


def test_a_short_write_wins_over_a_long_one_that_is_told_at_its_lock() -> None:
    # 1,000 rows are 137 ms of work, 20 are 16.
    long, short = _sent((0, _put(rows=1000)), (30, _put(rows=20)))

    assert (long.status, short.status) == (None, 200)
    # Beside the short one for 22.5 ms, of which 7.5 are lost.
    assert long.at == pytest.approx(0.6 * 137 - WAY + 7.5)


def test_a_short_write_loses_to_a_long_one_that_has_the_lock() -> None:
    long, short = _sent((0, _put(rows=1000)), (100, _put(rows=20)))

    assert (long.status, short.status) == (200, None)
    assert short.at == pytest.approx(long.at - 3)


def test_on_another_table_the_loser_goes_on_to_its_own_end() -> None:
    # It is at its lock after 82 ms, before the other commits.
    long, short = _sent((0, _put(rows=1000)), (80, _put("Other", rows=20)))

    assert (long.status, short.status) == (None, 200)
    assert long.at > short.at
    assert long.at == pytest.approx(137 - 3 - WAY + 7.5)


def test_who_waits_for_a_lock_goes_on_when_its_holder_is_aborted() -> None:
    holder, other, waiting = _sent(
        (0, _put(rows=1000)),
        (80, _put("Other", rows=20)),
        # Its snapshot is after that commit.
        (110, _put(rows=20)),
    )

    assert (holder.status, other.status, waiting.status) == (None, 200, 200)
    assert waiting.at > holder.at


def test_writers_one_after_the_other_all_win() -> None:
    assert _statuses(*[(20 * n, _put()) for n in range(4)]) == [200] * 4


def test_catalogs_are_apart() -> None:
    other = replace(_put(), path="/ermrest/catalog/2/attributegroup/Ops:Job/id;x")

    assert _statuses((0, _put()), (0, other)) == [200, 200]


def test_a_snapshot_is_taken_late_enough_to_see_a_commit_just_before() -> None:
    # The first commits 8 ms after its start; snapshots are 4 ms after a start.
    assert _statuses((0, _put()), (6, _put()), (2, _put())) == [200, 200, None]


def test_neither_a_reader_nor_a_refused_write_aborts_another() -> None:
    told = _sent(
        (0, _put()), (0, _put()), (0, _get()), answer=lambda _: Answer(status=403)
    )

    assert [one.status for one in told] == [403] * 3


def test_aborts_can_be_turned_off() -> None:
    told = _sent(*[(0, _put()) for _ in range(4)], aborts=False)

    assert [one.status for one in told] == [200] * 4


def test_an_aborted_connection_pays_on_its_next_request_alone() -> None:
    *_, first, second, other = _sent(
        (0, _put(rows=200)),
        (1, _put(rows=200, connection=7)),
        (200, _get(connection=7)),
        (300, _get(connection=7)),
        (400, _get(connection=8)),
    )

    assert first.at - 200 == pytest.approx(8.7 - WAY + 12)
    assert second.at - 300 == other.at - 400 == pytest.approx(8.7 - WAY)


def test_losers_cost_the_winner_time() -> None:
    (alone,) = _sent((0, _put(rows=500)))
    beside, *others = _sent(
        (0, _put(rows=500)), *[(n, _put(rows=500, connection=n)) for n in (1, 2, 3)]
    )

    assert [beside.status, *(one.status for one in others)] == [200] + [None] * 3
    assert beside.at > 1.5 * alone.at


def test_a_stale_tag_is_told_at_once_and_before_any_conflict() -> None:
    def probe(request: Request) -> Probe:
        is_stale = request.connection == 9
        return Probe(refusal=Answer(status=412) if is_stale else None, columns=6)

    done, refused = _sent(
        (0, _put(rows=200)), (0, _put(rows=200, connection=9)), probe=probe
    )

    assert (done.status, refused.status) == (200, 412)
    assert refused.at < 10


def test_rows_and_columns_have_their_price_and_no_news_is_cheap() -> None:
    def seconds(answer: Answer) -> float:
        (told,) = _sent((0, _get()), answer=lambda _: answer)
        return told.at + WAY

    assert seconds(Answer(status=200, rows=500, columns=35)) == pytest.approx(14.6)
    assert seconds(Answer(status=304)) == pytest.approx(4.4)


def test_what_the_sandbox_takes_itself_is_part_of_the_price() -> None:
    def slow(request: Request) -> Answer:
        loops.pass_time(0.006)
        return _done(request)

    (read,) = _sent((0, _get()), answer=slow)
    writes = _sent(*[(100 * n, _put(rows=200)) for n in range(20)], answer=slow)

    assert read.at == pytest.approx(8.7 - WAY)
    # It takes some writes to learn how long one takes.
    assert writes[-1].at - 1900 == pytest.approx(41 - WAY, abs=0.1)


@dataclass(slots=True)
class Crowd:
    """Writers of so many rows that write back to back, each on its connection."""

    writers: int
    rows: int
    #: What a row takes the sandbox itself, in seconds.
    own_s: float = 0.0
    lost: int = 0
    #: How long each took that was done, in ms.
    won: list[float] = field(default_factory=list)

    async def run(self) -> None:
        """Write for half a minute, from different times on."""
        prices = Prices(self._answer, _known)
        await asyncio.gather(*(self._write(prices, n) for n in range(self.writers)))

    def _answer(self, request: Request) -> Answer:
        loops.pass_time(self.own_s * self.rows)
        return _done(request)

    async def _write(self, prices: Prices, number: int) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0.007 * number)
        while loop.time() < 30:
            begun = loop.time()
            if await prices.respond(_put(rows=self.rows, connection=number)):
                self.won.append(1000 * (loop.time() - begun))
            else:
                self.lost += 1
            # What a client needs, no two alike.
            await asyncio.sleep(0.002 + 0.0003 * number)

    @property
    def share(self) -> float:
        return self.lost / (self.lost + len(self.won))


@pytest.mark.parametrize(
    ("writers", "rows", "share"),
    [(2, 500, 0.50), (4, 500, 0.75), (8, 500, 0.85), (2, 20, 0.37), (4, 20, 0.63)],
)
def test_as_many_are_aborted_as_on_the_real_service(
    writers: int, rows: int, share: float
) -> None:
    crowd = Crowd(writers, rows)

    loops.leap(crowd.run())

    assert crowd.share == pytest.approx(share, rel=0.2)


@pytest.mark.parametrize(("writers", "ms"), [(1, 82), (2, 100), (4, 175)])
def test_the_winner_takes_as_long_as_on_the_real_service(
    writers: int, ms: float
) -> None:
    crowd = Crowd(writers, 500)

    loops.leap(crowd.run())

    assert statistics.median(crowd.won) == pytest.approx(ms, rel=0.2)


@pytest.mark.parametrize("writers", [1, 2, 4])
@pytest.mark.parametrize(("own_s", "within"), [(30e-6, 0.01), (60e-6, 0.12)])
def test_beside_others_too_the_sandbox_adds_little_of_its_own(
    writers: int, own_s: float, within: float
) -> None:
    at_once, slow = Crowd(writers, 500), Crowd(writers, 500, own_s=own_s)

    loops.leap(at_once.run())
    loops.leap(slow.run())

    there = statistics.median(at_once.won)
    assert statistics.median(slow.won) == pytest.approx(there, rel=within)
