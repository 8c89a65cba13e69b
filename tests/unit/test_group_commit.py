"""Group commit: who goes down together, who is answered what, and who is turned away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from service.database.calls import GroupedCall
from service.database.group_commit import MOST_ROWS_A_CALL, GroupCommit
from service.database.pool import Database
from service.errors import Problem
from service.readings.model import METER
from tests.support import YESTERDAY, Api, Owner, WithoutNotices, new_pair


class FakePool(WithoutNotices):
    """A pool whose calls wait until they are let go, and answer each row with itself."""

    def __init__(self) -> None:
        self.calls: list[list[Any]] = []
        self.go = asyncio.Event()
        self.error: Exception | None = None
        self.refuses: Exception | None = None

    @contextlib.asynccontextmanager
    async def acquire(self, timeout: float) -> AsyncIterator["FakePool"]:  # noqa: ASYNC109
        if self.refuses:
            raise self.refuses
        yield self

    async def fetch(self, query: str, rows: list[Any], name: str) -> list[Any]:
        self.calls.append(rows)
        await self.go.wait()
        if self.error and ("poison",) in rows:
            raise self.error
        return [("seen", *row) for row in rows]


def group_commit(pool: FakePool, *, writers: int = 1, max_pending: int = 10_000) -> GroupCommit:
    call = GroupedCall("test", "query", "readings")
    return GroupCommit(pool, call, writers=writers, max_pending=max_pending)  # type: ignore[arg-type]


async def start(*calls: Any) -> list[asyncio.Task[Any]]:
    tasks = [asyncio.create_task(call) for call in calls]
    await asyncio.sleep(0.01)
    return tasks


async def test_what_waits_goes_down_together_and_each_gets_its_own_answer() -> None:
    pool = FakePool()
    subject = group_commit(pool)
    first = await start(subject.call([("a",)]))
    others = await start(*(subject.call([(n,), (n, "too")]) for n in range(5)))
    assert (pool.calls, subject.pending) == ([[("a",)]], 11)
    pool.go.set()
    assert await asyncio.gather(*first, *others) == [
        [("seen", "a")],
        *([("seen", n), ("seen", n, "too")] for n in range(5)),
    ]
    assert [len(call) for call in pool.calls] == [1, 10]
    assert subject.pending == 0


async def test_nobody_waits_for_company() -> None:
    pool = FakePool()
    pool.go.set()
    subject = group_commit(pool)
    for n in range(3):
        await subject.call([(n,)])
    assert pool.calls == [[(0,)], [(1,)], [(2,)]]


async def test_a_second_writer_goes_while_the_first_is_under_way() -> None:
    pool = FakePool()
    subject = group_commit(pool, writers=2)
    first = await start(subject.call([(1,)]))
    second = await start(subject.call([(2,)]))
    others = await start(subject.call([(3,)]), subject.call([(4,)]))
    assert pool.calls == [[(1,)], [(2,)]]
    pool.go.set()
    await asyncio.gather(*first, *second, *others)
    assert pool.calls[2:] == [[(3,), (4,)]]


async def test_a_call_takes_no_more_than_its_limit_and_splits_no_request() -> None:
    pool = FakePool()
    subject = group_commit(pool)
    first = await start(subject.call([("first",)]))
    others = await start(*(subject.call([(n,)] * 400) for n in range(6)))
    pool.go.set()
    await asyncio.gather(*first, *others)
    assert [len(call) for call in pool.calls] == [1, 800, 800, 800]
    assert max(map(len, pool.calls)) <= MOST_ROWS_A_CALL


async def test_beyond_its_bound_a_request_is_turned_away_at_once() -> None:
    pool = FakePool()
    subject = group_commit(pool, max_pending=3)
    tasks = await start(subject.call([(1,)]), subject.call([(2,), (3,)]))
    with pytest.raises(Problem, match="overloaded") as caught:
        await subject.call([(4,)])
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})
    pool.go.set()
    await asyncio.gather(*tasks)
    assert await subject.call([(4,)]) == [("seen", 4)]


async def test_a_failed_call_is_answered_to_its_own_requests_and_the_next_goes_on() -> None:
    pool = FakePool()
    pool.error = asyncpg.ConnectionDoesNotExistError("gone")
    subject = group_commit(pool)
    first = await start(subject.call([("poison",)]))
    second = await start(subject.call([("good",)]))
    pool.go.set()
    with pytest.raises(asyncpg.ConnectionDoesNotExistError):
        await first[0]
    assert await second[0] == [("seen", "good")]
    assert subject.pending == 0


async def test_a_lost_connection_fails_all_whose_rows_went_down_it() -> None:
    pool = FakePool()
    pool.error = ConnectionResetError("gone")
    subject = group_commit(pool)
    await start(subject.call([("first",)]))
    tasks = await start(subject.call([("good",)]), subject.call([("poison",)]))
    pool.go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [ConnectionResetError] * 2


async def test_rows_that_nothing_foresaw_fail_their_own_request_only() -> None:
    pool = FakePool()
    pool.error = asyncpg.DataError("cannot encode")
    subject = group_commit(pool)
    await start(subject.call([("first",)]))
    tasks = await start(*(subject.call([(name,)]) for name in ("good", "poison", "better")))
    pool.go.set()
    good, poison, better = await asyncio.gather(*tasks, return_exceptions=True)
    assert (good, better) == ([("seen", "good")], [("seen", "better")])
    assert isinstance(poison, asyncpg.DataError)


async def test_without_a_connection_nobody_is_left_hanging() -> None:
    pool = FakePool()
    pool.refuses = TimeoutError("no connection")
    subject = group_commit(pool)
    results = await asyncio.gather(*(subject.call([(n,)]) for n in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [TimeoutError] * 5
    assert subject.pending == 0
    pool.refuses = None
    pool.go.set()
    assert await subject.call([("back",)]) == [("seen", "back")]


async def test_a_requester_that_is_gone_does_not_disturb_its_company() -> None:
    pool = FakePool()
    subject = group_commit(pool)
    await start(subject.call([("first",)]))
    gone, stays = await start(subject.call([("gone",)]), subject.call([("stays",)]))
    gone.cancel()
    pool.go.set()
    assert await stays == [("seen", "stays")]
    assert pool.calls[1] == [("gone",), ("stays",)]
    assert subject.pending == 0


async def test_requests_at_once_are_stored_in_few_commits_and_each_hears_its_own_outcome(
    api: Api, database: Database, owner: Owner
) -> None:
    await api.post_meter(new_pair().meter)
    pairs = [new_pair() for _ in range(60)]
    good = [api.post_meter(pair.meter) for pair in pairs]
    bad = [api.post_meter(pair.meter, kwhConsumedAc=-1) for pair in pairs]
    async with contextlib.AsyncExitStack() as busy:
        # until half of them wait, however quick the database is: else how many come together is a matter of luck
        for _ in range(database.write.get_max_size()):
            await busy.enter_async_context(database.write.acquire())
        asking = asyncio.gather(*(request for both in zip(good, bad, strict=True) for request in both))
        async with asyncio.timeout(10):
            while database._groups[METER.ingest].pending < 60:  # noqa: ASYNC110 - has no event for it
                await asyncio.sleep(0.01)
    answers = await asking
    assert [answer.status_code for answer in answers] == [201, 422] * 60
    rows = await owner.fetch(
        "SELECT xmin::text AS transaction FROM telemetry.meter_current_status WHERE meter_id = ANY ($1)",
        [pair.meter for pair in pairs],
    )
    assert len(rows) == 60
    assert len({row["transaction"] for row in rows}) < 40


async def test_an_acknowledged_reading_is_committed(database: Database, owner: Owner) -> None:
    pair = new_pair()
    rows = [(pair.meter, YESTERDAY + timedelta(minutes=n), 0.1, 230.0, None) for n in range(10)]
    outcomes = await database.call_grouped(METER.ingest, rows)
    assert [tuple(outcome) for outcome in outcomes] == [("stored", None, None)] * 10
    # seen by another session, where there is one
    query = "SELECT count(*) FROM telemetry.meter_telemetry_history WHERE meter_id = $1"
    assert await owner.fetchval(query, pair.meter) == 10


async def test_nobody_waits_for_longer_than_a_bound_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.database.group_commit.MOST_WAIT_S", 0.05)
    pool = FakePool()
    subject = group_commit(pool)
    first = await start(subject.call([("first",)]))
    late = await start(subject.call([("late",)]))
    await asyncio.sleep(0.1)
    with pytest.raises(Problem, match="overloaded"):
        await subject.call([("newcomer",)])
    pool.go.set()
    with pytest.raises(Problem, match="overloaded"):
        await late[0]
    assert await first[0] == [("seen", "first")]
    assert (pool.calls, subject.pending) == ([[("first",)]], 0)
    assert await subject.call([("next",)]) == [("seen", "next")]


async def test_a_full_queue_turns_a_batch_away_before_it_is_decoded() -> None:
    pool = FakePool()
    subject = group_commit(pool, max_pending=2)
    tasks = await start(subject.call([(1,), (2,), (3,)]))
    with pytest.raises(Problem, match="overloaded"):
        subject.check_room()
    pool.go.set()
    await asyncio.gather(*tasks)
    subject.check_room()
