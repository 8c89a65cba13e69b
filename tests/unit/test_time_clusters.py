"""Rows far apart in time go down in transactions of their own: the clusters, the queue, and what becomes stale."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from service.database.calls import REFRESH_AGGREGATES, GroupedCall
from service.database.group_commit import MOST_ROWS_A_CALL, GroupCommit
from service.database.time_clusters import MOST_CLUSTERS, REACH, Span, cluster, span_of
from service.settings import Settings
from tests.support import (
    Owner,
    TestDatabase,
    WithoutNotices,
    meter_reading,
    new_pair,
    owner_of,
    pools_of,
    run_migrated_database,
    served,
    vehicle_reading,
)

LIVE = datetime(2026, 2, 8, 18, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)
QUARTER = timedelta(minutes=15)


def at(*minutes: float) -> list[datetime]:
    return [LIVE + number * MINUTE for number in minutes]


def test_rows_within_reach_of_each_other_are_one_cluster() -> None:
    assert cluster([]) == [[]]
    assert cluster(at(0)) == [[0]]
    assert cluster(at(0, 0, 0)) == [[0, 1, 2]]
    # from one to the next, however long the chain is
    assert cluster(at(*range(0, 15 * 50, 15))) == [list(range(50))]


def test_a_gap_wider_than_the_reach_cuts_and_one_of_the_reach_does_not() -> None:
    assert cluster([LIVE, LIVE + REACH]) == [[0, 1]]
    assert cluster([LIVE, LIVE + REACH + MICROSECOND]) == [[0], [1]]
    assert cluster([LIVE, LIVE - 30 * 60 * MINUTE, LIVE + MINUTE]) == [[1], [0, 2]]


def test_the_input_order_is_kept_within_a_cluster() -> None:
    times = at(3, -1800, 1, 2, -1799, 0)
    assert cluster(times) == [[1, 4], [0, 2, 3, 5]]


def test_of_many_gaps_the_widest_cut() -> None:
    wide = [n * 24 * 60 for n in range(MOST_CLUSTERS)]
    narrow = [minute + 20 for minute in wide]
    found = cluster(at(*wide, *narrow))
    assert len(found) == MOST_CLUSTERS
    assert found == [[n, n + MOST_CLUSTERS] for n in range(MOST_CLUSTERS)]


@pytest.mark.parametrize("seed", range(20))
def test_every_row_is_in_one_cluster_and_no_two_overlap(seed: int) -> None:
    chance = random.Random(seed)
    times = at(*(chance.uniform(-3000, 0) for _ in range(chance.randrange(1, 200))))
    found = cluster(times)
    assert 1 <= len(found) <= MOST_CLUSTERS
    assert sorted(place for one in found for place in one) == list(range(len(times)))
    assert all(one == sorted(one) and one for one in found)
    spans = [span_of([(times[place],) for place in one], 0) for one in found]
    for before, after in pairwise(spans):
        assert after.first - before.last > REACH
        assert not before.reaches(after) and not after.reaches(before)


def test_spans_reach_each_other_up_to_a_quarter_hour_apart() -> None:
    early, late = Span(LIVE, LIVE + MINUTE), Span(LIVE + MINUTE + REACH, LIVE + 60 * MINUTE)
    assert early.reaches(late) and late.reaches(early) and early.reaches(early)
    assert not early.reaches(Span(late.first + MICROSECOND, late.last))
    assert early.with_(late) == late.with_(early) == Span(early.first, late.last)


class FakePool(WithoutNotices):
    """A pool whose calls answer each row with itself, one call after the other, once they are let go."""

    def __init__(self) -> None:
        self.calls: list[list[Any]] = []
        self.go = asyncio.Event()
        self.refuses: Exception | None = None

    @contextlib.asynccontextmanager
    async def acquire(self, timeout: float) -> AsyncIterator["FakePool"]:  # noqa: ASYNC109
        yield self

    async def fetch(self, query: str, rows: list[Any], name: str) -> list[Any]:
        self.calls.append(rows)
        await self.go.wait()
        await asyncio.sleep(0)
        if self.refuses and any(row[1] < LIVE - 60 * MINUTE for row in rows):
            raise self.refuses
        return [("seen", *row) for row in rows]


def group_commit(pool: FakePool, *, writers: int = 1) -> GroupCommit:
    call = GroupedCall("test", "query", "readings", time_at=1)
    return GroupCommit(pool, call, writers=writers, max_pending=1_000_000)  # type: ignore[arg-type]


def rows_at(device: str, *minutes: float) -> list[tuple[Any, ...]]:
    return [(device, time) for time in at(*minutes)]


def seen(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [("seen", *row) for row in rows]


async def start(*calls: Any) -> list[asyncio.Task[Any]]:
    tasks = [asyncio.create_task(call) for call in calls]
    await asyncio.sleep(0.01)
    return tasks


def assert_apart(pool: FakePool) -> None:
    """No call has a gap wider than the reach, nor too many rows."""
    for call in pool.calls:
        assert len(call) <= MOST_ROWS_A_CALL
        assert len(cluster([row[1] for row in call])) == 1, call


@pytest.mark.parametrize("writers", [1, 3])
async def test_a_late_request_shares_no_call_with_live_ones(writers: int) -> None:
    pool = FakePool()
    subject = group_commit(pool, writers=writers)
    busy = await start(*(subject.call(rows_at(f"busy{n}", 0)) for n in range(writers)))
    waiting = {f"live{n}": rows_at(f"live{n}", n % 10) for n in range(20)} | {"late": rows_at("late", -1800)}
    tasks = dict(zip(waiting, await start(*map(subject.call, waiting.values())), strict=True))
    assert subject.pending == writers + 21
    pool.go.set()
    await asyncio.gather(*busy)
    for name, rows in waiting.items():
        assert await tasks[name] == seen(rows)
    assert waiting["late"] in pool.calls
    assert_apart(pool)
    assert len(pool.calls) <= writers + 2, "the live ones go together"
    assert subject.pending == 0


async def test_a_batch_of_mixed_times_is_answered_in_its_order() -> None:
    pool = FakePool()
    pool.go.set()
    subject = group_commit(pool)
    chance = random.Random(7)
    minutes = [chance.choice([0, 1, 2, -1800, -1790, -9000, -20_000]) + chance.random() for _ in range(1000)]
    rows = [(f"M{n}", LIVE + minute * MINUTE) for n, minute in enumerate(minutes)]
    assert await subject.call(rows) == seen(rows)
    assert_apart(pool)
    assert len(pool.calls) == 4
    assert subject.pending == 0


async def test_one_batch_is_cut_into_no_more_calls_than_the_bound() -> None:
    pool = FakePool()
    pool.go.set()
    subject = group_commit(pool)
    rows = rows_at("M", *(-n * 60 for n in range(100)))
    assert await subject.call(rows) == seen(rows)
    assert len(pool.calls) == MOST_CLUSTERS


@pytest.mark.parametrize("writers", [1, 4])
async def test_nothing_starves_where_many_requests_are_far_apart_and_live_ones_keep_coming(writers: int) -> None:
    pool = FakePool()
    subject = group_commit(pool, writers=writers)
    far = await start(*(subject.call(rows_at(f"far{n}", -n * 60)) for n in range(1, 400)))
    pool.go.set()
    ended: list[int] = []
    for task in far:
        task.add_done_callback(lambda _: ended.append(len(pool.calls)))
    live: list[asyncio.Task[Any]] = []
    while not all(task.done() for task in far):
        live += await start(subject.call(rows_at("live", 0)))
        assert len(live) < 1000
    assert [await task for task in far] == [seen(rows_at(f"far{n}", -n * 60)) for n in range(1, 400)]
    # each goes when it is the oldest that waits, at the latest
    assert all(calls <= 399 + len(live) for calls in ended)
    await asyncio.gather(*live)
    assert_apart(pool)
    assert subject.pending == 0


async def test_requests_that_are_passed_over_keep_their_order() -> None:
    pool = FakePool()
    subject = group_commit(pool)
    first = await start(subject.call(rows_at("first", 0)))
    minutes = [0, -1800, 1, -3600, 2, -1801, 3, -3601]
    tasks = await start(*(subject.call(rows_at(str(n), minute)) for n, minute in enumerate(minutes)))
    pool.go.set()
    await asyncio.gather(*first, *tasks)
    assert [[row[0] for row in call] for call in pool.calls] == [
        ["first"],
        ["0", "2", "4", "6"],
        ["1", "5"],
        ["3", "7"],
    ]


async def test_what_fails_of_a_batch_fails_all_of_it_and_nothing_is_left_pending() -> None:
    pool = FakePool()
    pool.refuses = ConnectionResetError("gone")
    pool.go.set()
    subject = group_commit(pool)
    with pytest.raises(ConnectionResetError):
        await subject.call(rows_at("M", 0, -1800))
    live = await subject.call(rows_at("live", 0))
    assert live == seen(rows_at("live", 0))
    assert subject.pending == 0


@pytest.fixture
def own_database(test_database: TestDatabase) -> Iterator[TestDatabase]:
    with run_migrated_database(test_database) as database:
        yield database


@pytest.mark.concurrent
@pytest.mark.timeout(180)
async def test_a_late_reading_among_live_ones_makes_its_own_quarter_hour_stale_and_no_more(
    own_database: TestDatabase,
) -> None:
    async with pools_of(own_database) as database, owner_of(own_database, database) as owner:
        await owner.execute("SET TimeZone = 'UTC'")
        async with served(database, Settings()) as api:
            now = datetime.now(UTC).replace(microsecond=0)
            meters = [new_pair().meter for _ in range(1000)]
            # days of readings, so that there is something between the late one and the live ones
            times = [now - n * timedelta(minutes=10) for n in range(3 * 144)]
            for batch in (
                [meter_reading(meters[0], time) for time in times],
                [meter_reading(m, now) for m in meters[1:]],
            ):
                assert (await api.post("/v1/ingest/meter/batch", batch)).status_code == 201
            for statement in REFRESH_AGGREGATES:
                await owner.execute(statement)
            assert await stale(owner) == []

            late = now - timedelta(hours=30, minutes=35)
            batch = [meter_reading(meter, now + timedelta(seconds=1)) for meter in meters[:999]]
            batch.insert(500, meter_reading(meters[0], late))
            answer = await api.post("/v1/ingest/meter/batch", batch)
            assert (answer.status_code, answer.json()["stored"]) == (201, 1000)
            assert await stale(owner) == [quarter_of(late)]
            # of what is materialized; newer buckets come once they are over
            due = "SELECT due_start, due_end FROM telemetry.due_times($1) WHERE due_start < telemetry.held_until($1)"
            assert [tuple(row) for row in await owner.fetch(due, "meter_15min")] == [quarter_of(late)]
            await refresh(owner)

            # and so does one that is a little late, of a quarter hour that is materialized
            buffered = now - timedelta(minutes=41)
            batch = [meter_reading(meter, now + timedelta(seconds=2)) for meter in meters[:900]]
            batch += [meter_reading(meter, buffered) for meter in meters[900:999]]
            batch.insert(950, meter_reading(meters[0], late + timedelta(seconds=1)))
            answer = await api.post("/v1/ingest/meter/batch", batch)
            assert (answer.status_code, answer.json()["stored"]) == (201, 1000)
            assert await stale(owner) == [quarter_of(late), quarter_of(buffered)]
            await refresh(owner)

            # single requests at once, whose rows share calls
            second = late - timedelta(hours=20)
            live = [api.post_meter(meter, now + timedelta(seconds=3)) for meter in meters[:150]]
            vehicles = [api.post("/v1/ingest/vehicle", vehicle_reading(f"V{n}", now)) for n in range(20)]
            far = [api.post_meter(meters[n], time) for n, time in enumerate((second, late, buffered))]
            answers = await asyncio.gather(far[0], *live[:75], far[1], *vehicles, *live[75:], far[2])
            assert {response.status_code for response in answers} == {201}
            assert await stale(owner) == [quarter_of(second), quarter_of(late), quarter_of(buffered)]
            await refresh(owner)
            total = await owner.fetchval("SELECT count(*) FROM telemetry.meter_telemetry_history")
            for resolution in ("15min", "hourly", "daily"):
                assert await owner.fetchval(f"SELECT sum(readings) FROM bi.meter_{resolution}") == total


def quarter_of(time: datetime) -> tuple[datetime, datetime]:
    """The quarter hour that a reading stamped so counts in."""
    counted = time - MICROSECOND
    first = counted.replace(minute=counted.minute // 15 * 15, second=0, microsecond=0)
    return first, first + QUARTER


async def stale(owner: Owner) -> list[tuple[datetime, datetime]]:
    query = "SELECT range_start, range_end FROM bi.stale_range WHERE aggregate = 'bi.meter_15min' ORDER BY 1"
    return [tuple(row) for row in await owner.fetch(query)]


async def refresh(owner: Owner) -> None:
    for statement in REFRESH_AGGREGATES:
        await owner.execute(statement)
    assert await stale(owner) == []
    assert await owner.fetch("SELECT FROM bi.stale_range") == []
