"""api.ingest_*_readings called directly: one outcome per reading, in input order, whatever the values."""

import asyncio
import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from service.database.calls import KEEP_REJECTED
from service.database.pool import Database, open_database
from service.readings.model import METER, VEHICLE
from tests.support import NOW, YESTERDAY, Api, Owner, Pair, TestDatabase, new_pair

MINUTE = timedelta(minutes=1)
INFINITE_PAST = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)


async def ingest(database: Database, rows: list[Any], kind=METER) -> list[str]:
    return [outcome for outcome, *_ in await database.write_rows(kind.ingest.query, rows)]


def meter_row(meter: str | None, time: datetime | None = YESTERDAY, kwh: float | None = 0.1, voltage=230.0) -> tuple:
    return (meter, time, kwh, voltage, "test")


def vehicle_row(vehicle: str | None, time=YESTERDAY, soc=50.0, kwh=0.1, temperature=20.0) -> tuple:
    return (vehicle, time, soc, kwh, temperature, "test")


async def test_every_reading_of_a_batch_gets_its_own_outcome_in_input_order(database: Database, pair: Pair) -> None:
    await ingest(database, [meter_row(pair.meter, YESTERDAY)])
    assert await ingest(
        database,
        [
            meter_row(pair.meter, YESTERDAY + 2 * MINUTE),
            meter_row("no id!"),
            meter_row(pair.meter, YESTERDAY),
            meter_row(pair.meter, YESTERDAY, kwh=9.0),
            meter_row(pair.meter, NOW + timedelta(days=1)),
            meter_row(pair.meter, YESTERDAY + MINUTE),
            meter_row(pair.meter, YESTERDAY + 3 * MINUTE, kwh=-1.0),
            meter_row(pair.meter, YESTERDAY + 3 * MINUTE, kwh=math.nan),
            meter_row(pair.meter, NOW - timedelta(days=800)),
        ],
    ) == [
        "stored",
        "id_invalid",
        "duplicate",
        "conflict",
        "timestamp_in_future",
        "stored",
        "value_out_of_range",
        "value_not_finite",
        "timestamp_too_old",
    ]


@pytest.mark.parametrize("kind", ["meter", "vehicle"])
async def test_the_last_time_that_postgresql_has_is_in_the_future(owner: Owner, kind: str) -> None:
    numbers = {"meter": "1, 2", "vehicle": "1, 2, 3"}[kind]
    row = f"ROW('last', '294276-12-31T23:59:59.999999Z', {numbers}, NULL)"
    query = f"SELECT outcome FROM api.ingest_{kind}_readings(ARRAY[{row}::api.{kind}_reading])"
    assert await owner.fetchval(query) == "timestamp_in_future"


async def test_what_was_nearly_nothing_is_averaged_in_every_aggregate(api: Api, database: Database, pair: Pair) -> None:
    times = [YESTERDAY.replace(minute=minute) for minute in (1, 2, 3)]
    rows = [meter_row(pair.meter, time, voltage=volts) for time, volts in zip(times, (1e-300, 0.0, 0.0), strict=True)]
    assert await ingest(database, rows) == ["stored"] * 3
    rows = [vehicle_row(pair.vehicle, time, temperature=t) for time, t in zip(times, (-1e-300, 0.0, 0.0), strict=True)]
    assert await ingest(database, rows, VEHICLE) == ["stored"] * 3
    for resolution in ("15min", "hourly", "daily"):
        window = {"resolution": resolution, "hours": 72}
        for kind, device in (("meter", pair.meter), ("vehicle", pair.vehicle)):
            page = await api.http.get(f"/v1/history/{kind}/{device}", params=window)
            assert [item["readings"] for item in page.json()["items"]] == [3], page.text
    assert (await api.performance(pair.vehicle, hours=72))["avgBatteryTemp"] == 0


@pytest.mark.parametrize("resolution", ["raw", "", None, "15min; --", "efficiency_daily"])
@pytest.mark.parametrize("kind", ["meter", "vehicle"])
async def test_a_resolution_that_there_is_not_names_no_relation(
    database: Database, pair: Pair, kind: str, resolution: str | None
) -> None:
    await ingest(database, [meter_row(pair.meter)])
    await ingest(database, [vehicle_row(pair.vehicle)], VEHICLE)
    query = f"SELECT * FROM api.list_{kind}_buckets($1, $2, NULL, NULL, 24, NULL, 10)"
    side_by_side = "SELECT * FROM api.list_vehicle_efficiency_buckets($1, $2, NULL, NULL, 24)"
    for asked, device in ((query, pair.meter if kind == "meter" else pair.vehicle), (side_by_side, pair.vehicle)):
        with pytest.raises(asyncpg.PostgresError, match="resolution must be 15min, hourly or daily") as raised:
            await database.read_rows(asked, device, resolution)
        assert raised.value.sqlstate == "IE004"


async def test_an_empty_batch_has_no_outcomes(database: Database) -> None:
    assert await ingest(database, []) == []
    assert await ingest(database, [], VEHICLE) == []


async def test_of_two_readings_with_one_key_in_one_batch_the_first_speaks(database: Database, pair: Pair) -> None:
    rows = [meter_row(pair.meter, kwh=1.0), meter_row(pair.meter, kwh=1.0), meter_row(pair.meter, kwh=2.0)]
    assert await ingest(database, rows) == ["stored", "duplicate", "conflict"]
    rows = [vehicle_row(pair.vehicle, soc=1.0), vehicle_row(pair.vehicle, soc=2.0), vehicle_row(pair.vehicle, soc=1.0)]
    assert await ingest(database, rows, VEHICLE) == ["stored", "conflict", "duplicate"]


@pytest.mark.parametrize("seed", range(3))
async def test_the_newest_of_a_shuffled_batch_becomes_the_status(
    database: Database, owner: Owner, pair: Pair, seed: int
) -> None:
    rows = [meter_row(pair.meter, YESTERDAY + n * MINUTE, kwh=float(n)) for n in range(50)]
    random.Random(seed).shuffle(rows)
    assert await ingest(database, rows) == ["stored"] * 50
    query = "SELECT recorded_at, kwh_consumed_ac FROM telemetry.meter_current_status WHERE meter_id = $1"
    assert [tuple(row) for row in await owner.fetch(query, pair.meter)] == [(YESTERDAY + 49 * MINUTE, 49.0)]


HOSTILE_NUMBERS = [math.nan, math.inf, -math.inf, 1e308, -1e308, -0.0, 5e-324, None]
NOT_FINITE = [math.nan, math.inf, -math.inf]
HOSTILE_TIMES = [None, INFINITE_PAST, datetime(9999, 12, 30, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)]
HOSTILE_IDS = [None, "", " ", "'", '"', "\\", "%s", "{}", "a" * 100_000, "\ufffd", "💡", "x\ny", "../..", "-- x"]


async def test_hostile_values_give_one_outcome_each_and_never_an_error(
    database: Database, owner: Owner, pair: Pair
) -> None:
    meters = [meter_row(id_) for id_ in HOSTILE_IDS]
    meters += [meter_row(pair.meter, time) for time in HOSTILE_TIMES]
    meters += [meter_row(pair.meter, kwh=number) for number in HOSTILE_NUMBERS if number not in {-0.0, 5e-324}]
    meters += [meter_row(pair.meter, voltage=number) for number in NOT_FINITE]
    meters += [(None,) * 5, None]
    outcomes = await ingest(database, meters)
    assert len(outcomes) == len(meters)
    assert set(outcomes) <= {
        "id_invalid", "field_missing", "value_not_finite", "value_out_of_range", "timestamp_too_old",
        "timestamp_in_future",
    }  # fmt: skip

    vehicles = [vehicle_row(id_) for id_ in HOSTILE_IDS] + [vehicle_row(pair.vehicle, time) for time in HOSTILE_TIMES]
    for number in HOSTILE_NUMBERS:
        if number not in {-0.0, 5e-324}:
            vehicles += [vehicle_row(pair.vehicle, kwh=number)]
    for number in NOT_FINITE:
        vehicles += [vehicle_row(pair.vehicle, soc=number), vehicle_row(pair.vehicle, temperature=number)]
    outcomes = await ingest(database, vehicles, VEHICLE)
    assert len(outcomes) == len(vehicles)
    assert not {"stored", "duplicate", "conflict"} & set(outcomes)
    query = "SELECT count(*) FROM telemetry.vehicle_telemetry_history WHERE vehicle_id = $1"
    assert await owner.fetchval(query, pair.vehicle) == 0


async def test_a_bad_neighbour_does_not_fail_the_good_readings(database: Database) -> None:
    good = [meter_row(new_pair().meter) for _ in range(3)]
    bad = meter_row(None, None, math.nan)
    assert await ingest(database, [bad, good[0], bad, good[1], good[2], bad]) == [
        "id_invalid", "stored", "id_invalid", "stored", "stored", "id_invalid",
    ]  # fmt: skip


async def test_history_and_status_are_written_both_or_neither(database: Database, owner: Owner, pair: Pair) -> None:
    # a status table that rejects this meter: the history of the same call must not stay
    await owner.execute(
        "ALTER TABLE telemetry.meter_current_status ADD CONSTRAINT test_rejects CHECK (voltage <> 13) NOT VALID"
    )
    try:
        with pytest.raises(Exception, match="test_rejects"):
            await ingest(database, [meter_row(pair.meter, voltage=13.0)])
    finally:
        await owner.execute("ALTER TABLE telemetry.meter_current_status DROP CONSTRAINT test_rejects")
    query = "SELECT count(*) FROM telemetry.meter_telemetry_history WHERE meter_id = $1"
    assert await owner.fetchval(query, pair.meter) == 0


async def test_what_is_rejected_is_kept_with_reason_and_source(database: Database, owner: Owner, pair: Pair) -> None:
    rows = [vehicle_row(pair.vehicle, soc=math.inf), vehicle_row(pair.vehicle), vehicle_row(pair.vehicle, soc=51.0)]
    assert await ingest(database, rows, VEHICLE) == ["value_not_finite", "stored", "conflict"]
    kept = await owner.fetch(
        "SELECT kind, code, detail, payload::json ->> 'vehicleId' AS device, payload::json ->> 'soc' AS soc, source"
        " FROM telemetry.rejected_reading WHERE payload LIKE $1 ORDER BY code",
        f"%{pair.vehicle}%",
    )
    assert [(row["kind"], row["code"], row["device"], row["soc"], row["source"]) for row in kept] == [
        ("vehicle", "conflict", pair.vehicle, "51", "test"),
        ("vehicle", "value_not_finite", pair.vehicle, "Infinity", "test"),
    ]
    assert "soc 50" in kept[0]["detail"]


async def test_a_rejected_payload_is_kept_up_to_its_limit(database: Database, owner: Owner) -> None:
    source = new_pair().meter
    await database.write_rows(KEEP_REJECTED.query, [("unknown", "kind_unknown", "d" * 5000, "p" * 50_000, source)])
    [row] = await owner.fetch("SELECT detail, payload FROM telemetry.rejected_reading WHERE source = $1", source)
    assert (len(row["detail"]), len(row["payload"])) == (1024, 8192)


async def test_a_late_reading_into_a_compressed_chunk_is_stored_and_judged_like_any_other(
    database: Database, owner: Owner, pair: Pair
) -> None:
    day = YESTERDAY - timedelta(days=9)
    rows = [meter_row(pair.meter, day + n * MINUTE, kwh=float(n)) for n in range(100)]
    await ingest(database, rows)
    chunks = await owner.fetch(
        "SELECT public.compress_chunk(c) FROM public.show_chunks('telemetry.meter_telemetry_history', "
        "newer_than => $1::timestamptz, older_than => $2::timestamptz) AS c",
        day - timedelta(days=1),
        day + timedelta(days=2),
    )
    assert chunks
    late = [rows[3], meter_row(pair.meter, rows[4][1], kwh=99.0), meter_row(pair.meter, day + 200 * MINUTE)]
    assert await ingest(database, late) == ["duplicate", "conflict", "stored"]
    query = "SELECT count(*) FROM telemetry.meter_telemetry_history WHERE meter_id = $1"
    assert await owner.fetchval(query, pair.meter) == 101


@pytest.mark.concurrent
async def test_two_writers_of_the_same_devices_neither_deadlock_nor_store_twice(
    test_database: TestDatabase, owner: Owner
) -> None:
    pairs = [new_pair() for _ in range(40)]
    times = [YESTERDAY + n * MINUTE for n in range(25)]
    rows = [meter_row(pair.meter, time) for pair in pairs for time in times]

    async def write(seed: int) -> list[str]:
        chance = random.Random(seed)
        async with open_database(test_database.url, connections=1) as own:
            outcomes: list[str] = []
            for _ in range(60):
                outcomes += await ingest(own, chance.sample(rows, 100))
            return outcomes

    outcomes = [outcome for one in await asyncio.gather(*(write(seed) for seed in range(4))) for outcome in one]
    query = "SELECT count(*) FROM telemetry.meter_telemetry_history WHERE meter_id = ANY ($1)"
    meters = [pair.meter for pair in pairs]
    assert outcomes.count("stored") == await owner.fetchval(query, meters)
    assert set(outcomes) == {"stored", "duplicate"}
    stale = await owner.fetchval(
        "SELECT count(*) FROM telemetry.meter_current_status AS s WHERE meter_id = ANY ($1) AND recorded_at <> ("
        "SELECT telemetry.recorded_at(max(counted_at)) FROM telemetry.meter_telemetry_history AS h "
        "WHERE h.meter_id = s.meter_id)",
        meters,
    )
    assert stale == 0


@pytest.mark.concurrent
async def test_a_reading_that_another_writer_commits_meanwhile_is_a_duplicate(
    test_database: TestDatabase, pair: Pair
) -> None:
    async with open_database(test_database.url, connections=2) as own, own.write.acquire() as first:
        async with first.transaction():
            await first.fetch(METER.ingest.query, [meter_row(pair.meter)])
            second = asyncio.create_task(ingest(own, [meter_row(pair.meter), meter_row(pair.meter, kwh=7.0)]))
            await asyncio.sleep(0.3)
            assert not second.done()  # it waits for the first to commit or not
        assert await second == ["duplicate", "conflict"]


@pytest.mark.concurrent
async def test_a_reading_whose_other_writer_rolls_back_is_stored(test_database: TestDatabase, pair: Pair) -> None:
    async with open_database(test_database.url, connections=2) as own, own.write.acquire() as first:
        transaction = first.transaction()
        await transaction.start()
        await first.fetch(METER.ingest.query, [meter_row(pair.meter)])
        second = asyncio.create_task(ingest(own, [meter_row(pair.meter)]))
        await asyncio.sleep(0.3)
        await transaction.rollback()
        assert await second == ["stored"]
