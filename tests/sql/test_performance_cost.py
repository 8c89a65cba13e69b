"""What is asked and written most costs what its own times cost, however long the history is."""

import json
import math
from collections.abc import AsyncIterator
from datetime import timedelta
from time import monotonic
from typing import Any

import psycopg
import pytest

from service.database.pool import Database
from service.readings.model import METER, VEHICLE
from tests.support import NOW, Owner, Pair, TestDatabase, own_pools

pytestmark = pytest.mark.long

END = NOW.replace(hour=0, minute=0)


@pytest.fixture(scope="module")
async def own(test_database: TestDatabase) -> AsyncIterator[tuple[Database, Owner]]:
    """A database of these tests alone: their 60,000 devices would be in the way of others."""
    async with own_pools(test_database) as own:
        yield own


@pytest.fixture(scope="module")
def database(own: tuple[Database, Owner]) -> Database:
    return own[0]


@pytest.fixture(scope="module")
def owner(own: tuple[Database, Owner]) -> Owner:
    return own[1]


async def store_days(owner: Owner, pair: Pair, days: range) -> None:
    """A reading a minute of both devices on these days before END, straight into history."""
    start, end = END - timedelta(days=days.stop), END - timedelta(days=days.start)
    for table, device, columns, values in (
        ("meter", pair.meter, "meter_id, counted_at, kwh_consumed_ac, voltage", "0.1, 230"),
        ("vehicle", pair.vehicle, "vehicle_id, counted_at, soc, kwh_delivered_dc, battery_temp", "50, 0.09, 20"),
    ):
        await owner.execute(
            f"INSERT INTO telemetry.{table}_telemetry_history ({columns}) SELECT $1, telemetry.counted_at(t), {values}"
            " FROM generate_series($2::timestamptz + interval '1 min', $3::timestamptz, '1 min') AS t",
            device,
            start,
            end,
        )


async def cost(owner: Owner, call: str, *arguments: Any) -> tuple[int, int]:
    """Chunks scanned and buffers touched, planning included, by one call of a session that has made it often."""
    scanned = "SELECT coalesce(sum(seq_scan + idx_scan), 0) FROM pg_stat_xact_user_tables WHERE relname LIKE '_hyper_%'"
    async with owner.connection() as connection:
        for _ in range(8):  # from the sixth on, PostgreSQL may prefer a generic plan
            await connection.fetch(call, *arguments)
        async with connection.transaction():
            before = await connection.fetchval(scanned)
            await connection.fetch(call, *arguments)
            chunks = await connection.fetchval(scanned) - before
        plan = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {call}", *arguments)
    top = json.loads(plan)[0]["Plan"]
    return chunks, top["Shared Hit Blocks"] + top["Shared Read Blocks"]


@pytest.mark.timeout(300)
async def test_last_24_hours_and_retries_cost_the_same_after_60_days_as_after_2(owner: Owner, pair: Pair) -> None:
    await owner.execute(
        "INSERT INTO telemetry.vehicle_current_status (vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp)"
        " VALUES ($1, $2, 50, 0.09, 20)",
        pair.vehicle,
        END,
    )
    await owner.execute("INSERT INTO telemetry.vehicle_meter_link VALUES ($1, $2, '(,)')", pair.vehicle, pair.meter)
    await store_days(owner, pair, range(2))
    performance = ("SELECT * FROM api.get_vehicle_performance($1, p_end => $2)", pair.vehicle, END)
    retry = (METER.ingest.query, [(pair.meter, END - timedelta(hours=1), 0.1, 230.0, None)])
    chunks_2, buffers_2 = await cost(owner, *performance)
    retry_chunks_2, retry_buffers_2 = await cost(owner, *retry)
    await store_days(owner, pair, range(2, 60))
    chunks_60, buffers_60 = await cost(owner, *performance)

    [row] = await owner.fetch(*performance)
    assert (row["meter_readings"], row["vehicle_readings"], row["efficiency_ratio"]) == (1440, 1440, 0.9)
    # one day of each history is one chunk of each; 24 hours that begin within a day would be two
    assert chunks_2 == chunks_60 == 2
    assert buffers_60 <= buffers_2 * 1.1, (buffers_2, buffers_60)

    # a retried reading is looked for in the chunk of its own time: by the insert, and by the comparison
    assert (await owner.fetch(*retry))[0]["outcome"] == "duplicate"
    retry_chunks_60, retry_buffers_60 = await cost(owner, *retry)
    assert retry_chunks_2 == retry_chunks_60 <= 2
    assert retry_buffers_60 <= retry_buffers_2 * 1.1, (retry_buffers_2, retry_buffers_60)


@pytest.mark.parametrize("name", ["meter", "vehicle"])
async def test_the_cost_of_a_large_batch_grows_with_its_length_and_not_its_square(
    database: Database, pair: Pair, name: str
) -> None:
    # 60,000 readings of one minute, one of them bad, and all of them again: a few seconds each; when readings were
    # compared with each other it was minutes
    numbers = (230.0,) if name == "meter" else (0.1, 20.0)
    device, kind = (pair.meter, METER) if name == "meter" else (pair.vehicle, VEHICLE)
    rows = [(f"{device}.{n}", END, 50.0 if n != 7 else math.nan, *numbers, None) for n in range(60_000)]
    async with database.write.acquire() as connection:
        for n in range(8):  # from the sixth on, PostgreSQL may prefer a generic plan, which knows no lengths
            await connection.fetch(kind.ingest.query, rows[n : n + 1])
        for outcome in ("stored", "duplicate"):
            answers = await connection.fetch(kind.ingest.query, rows, timeout=40)
            assert [answer["outcome"] for answer in answers[7:10]] == ["value_not_finite", outcome, outcome]
            assert len(answers) == len(rows)


async def test_the_findings_about_60000_devices_cost_what_their_sums_cost(owner: Owner) -> None:
    # those of the tests above; compared each with each, it was minutes
    async with owner.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM ops.diagnose()", timeout=40) > 0


def test_the_sessions_of_20000_vehicles_cost_what_each_of_them_costs(migrated_database: TestDatabase) -> None:
    # none of them stored: looked for among the meters of all vehicles, it was minutes
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        for kind, letter, columns, values in (
            ("meter", "M", "kwh_consumed_ac, voltage", "0.1, 230"),
            ("vehicle", "V", "soc, kwh_delivered_dc, battery_temp", "50, 0.09, 20"),
        ):
            for table, stamp in (("telemetry_history", "counted_at"), ("current_status", "recorded_at")):
                time = "$1" if stamp == "recorded_at" else "telemetry.counted_at($1)"
                connection.execute(
                    f"INSERT INTO telemetry.{kind}_{table} ({kind}_id, {stamp}, {columns})"
                    f" SELECT '{letter}' || n, {time.replace('$1', '%s::timestamptz')}, {values}"
                    " FROM generate_series(1, 20000) AS n",
                    [END],
                )
        page = "SELECT count(*) FROM api.list_sessions(NULL, NULL, %s, 24, NULL, NULL, NULL, NULL, NULL, 20000)"
        began = monotonic()
        assert connection.execute(page, [END + timedelta(hours=1)]).fetchone() == (20_000,)
        assert monotonic() - began < 20
