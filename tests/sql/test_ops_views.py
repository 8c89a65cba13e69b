"""What the views of schema ops tell a DBA, in situations that really are so."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.support import TestDatabase, run_migrated_database

DAY = timedelta(days=1)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
METER = "telemetry.meter_telemetry_history"

Connection = psycopg.Connection[Any]


class Ops:
    """A database of its own, with every right."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        connection.execute("RESET ROLE; SET search_path = public; SET TimeZone = 'UTC'")

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, values or None).fetchall()

    def value(self, query: str, *values: Any) -> Any:
        [row] = self.rows(query, *values)
        return next(iter(row.values()))

    def store(self, name: str, start: datetime, number: int, every: timedelta = timedelta(minutes=1)) -> None:
        for stream, columns, measures in (
            ("meter", "kwh_consumed_ac, voltage", "1.0, 230"),
            ("vehicle", "soc, kwh_delivered_dc, battery_temp", "50, 1.0, 20"),
        ):
            self.connection.execute(
                f"INSERT INTO telemetry.{stream}_telemetry_history ({stream}_id, recorded_at, {columns}) "
                f"SELECT %s, %s + n * %s, {measures} FROM generate_series(0, %s) AS n",
                [name, start, every, number - 1],
            )

    def job(self, object_: str | None, duty: str) -> int:
        query = "SELECT job_id FROM ops.policy_job WHERE object IS NOT DISTINCT FROM %s AND duty = %s"
        return int(self.value(query, object_, duty))

    def run(self, object_: str | None, duty: str) -> None:
        self.connection.execute(f"CALL run_job({self.job(object_, duty)})")

    def refresh(self, duty: str) -> None:
        for resolution in ("15min", "hourly", "daily"):
            for stream in ("meter", "vehicle"):
                self.run(f"bi.{stream}_{resolution}", duty)

    def health(self, job: int) -> dict[str, Any]:
        [row] = self.rows("SELECT * FROM ops.job_health WHERE job_id = %s", job)
        return row

    def lag(self, aggregate: str) -> dict[str, Any]:
        [row] = self.rows("SELECT * FROM ops.aggregate_lag WHERE aggregate = %s", aggregate)
        return row


@pytest.fixture
def ops(test_database: TestDatabase) -> Iterator[Ops]:
    with (
        run_migrated_database(test_database) as another,
        psycopg.connect(another.url, autocommit=True) as connection,
    ):
        ops = Ops(connection)
        if not test_database.is_embedded:  # which has none
            connection.execute("SELECT _timescaledb_functions.stop_background_workers()")
        yield ops


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "it did not come about within a minute"
        time.sleep(0.2)


def test_a_new_databases_jobs_are_all_ok_and_each_says_what_it_is_for(ops: Ops) -> None:
    rows = ops.rows("SELECT * FROM ops.job_health")
    assert len(rows) == 28
    assert {row["health"] for row in rows} == {"ok"}
    assert len({row["purpose"] for row in rows}) == 28
    assert {row["duty"] for row in rows} == {"compress", "drop", "live", "late", "imports"}
    assert "refreshes what is new in bi.meter_hourly" in {row["purpose"] for row in rows}


def test_a_job_that_should_have_run_is_late_and_one_that_somebody_stopped_is_paused(ops: Ops) -> None:
    # nobody runs jobs here: background workers are stopped
    job = ops.job("bi.meter_15min", "live")
    for ago, overdue in ((timedelta(minutes=9), timedelta(0)), (timedelta(hours=3), timedelta(hours=3, minutes=-10))):
        ops.rows("SELECT alter_job(%s, next_start => %s)", job, datetime.now(UTC) - ago)
        found = ops.health(job)
        assert found["health"] == ("late" if overdue else "ok")
        assert abs(found["overdue"] - overdue) < timedelta(minutes=1)
    finding = ops.value("SELECT finding FROM ops.diagnose() WHERE is_fault")
    assert finding == f"job {job}, which refreshes what is new in bi.meter_15min, is late: see ops.job_health"
    ops.rows("SELECT alter_job(%s, scheduled => FALSE)", job)
    assert ops.health(job)["health"] == "paused"
    assert "is paused" in ops.value("SELECT finding FROM ops.diagnose() WHERE is_fault")


def test_a_daily_job_is_granted_a_day(ops: Ops) -> None:
    job = ops.job("bi.meter_hourly", "late")
    for hours, health in ((23, "ok"), (25, "late")):
        ops.rows("SELECT alter_job(%s, next_start => %s)", job, datetime.now(UTC) - timedelta(hours=hours))
        assert ops.health(job)["health"] == health


@pytest.mark.concurrent
def test_a_job_that_the_background_worker_ran_in_vain_is_failing_with_the_reason_until_it_works_again(ops: Ops) -> None:
    job = ops.job(None, "imports")
    body = ops.value("SELECT pg_get_functiondef('ops.refresh_stale_days(int, jsonb)'::regprocedure)")
    ops.connection.execute(
        "CREATE OR REPLACE PROCEDURE ops.refresh_stale_days(p_job_id int DEFAULT NULL, p_config jsonb DEFAULT NULL) "
        "LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'the moon is full'; END$$"
    )
    ops.connection.execute("SELECT _timescaledb_functions.start_background_workers()")
    ops.rows("SELECT alter_job(%s, next_start => now())", job)
    wait_for(lambda: ops.health(job)["health"] == "failing")
    # to a DBA, who is no member of the owner's role
    with ops.connection.transaction():
        ops.connection.execute("SET LOCAL ROLE energy_dba")
        assert "the moon is full" in ops.health(job)["last_error"]
        assert ops.health(job)["failures"] == 1
    assert "the moon is full" in ops.value("SELECT finding FROM ops.diagnose() WHERE is_fault AND topic = 'jobs'")
    ops.connection.execute(body)
    ops.rows("SELECT alter_job(%s, next_start => now())", job)
    wait_for(lambda: ops.health(job)["health"] == "ok")
    assert ops.health(job)["last_error"] is None
    assert ops.health(job)["last_started_at"] > datetime.now(UTC) - timedelta(minutes=1)


@pytest.mark.concurrent
def test_jobs_work_as_the_owner_with_its_settings_so_that_late_readings_reach_what_is_compressed(ops: Ops) -> None:
    ops.connection.execute(
        "CREATE PROCEDURE ops.remember(p_job_id integer, p_config jsonb) LANGUAGE plpgsql AS $$BEGIN "
        "CREATE TABLE ops.remembered AS SELECT current_user::text AS who, "
        "current_setting('timescaledb.max_tuples_decompressed_per_dml_transaction') AS most; END$$; "
        "ALTER PROCEDURE ops.remember OWNER TO energy_owner"
    )
    ops.connection.execute("SELECT _timescaledb_functions.start_background_workers()")
    ops.connection.execute("SET ROLE energy_owner; SELECT add_job('ops.remember', INTERVAL '1 day'); RESET ROLE")
    wait_for(lambda: ops.value("SELECT to_regclass('ops.remembered') IS NOT NULL"))
    assert ops.rows("SELECT * FROM ops.remembered") == [{"who": "energy_owner", "most": "0"}]
    ops.connection.execute("SELECT _timescaledb_functions.stop_background_workers()")

    # 140,000 rows of the aggregate have to be unpacked: more than TimescaleDB's limit of 100,000
    start = TODAY - 20 * DAY
    ops.connection.execute(
        "INSERT INTO telemetry.meter_telemetry_history (meter_id, recorded_at, kwh_consumed_ac, voltage) "
        "SELECT 'M' || m, %s + q * INTERVAL '15 minutes', 1, 230 "
        "FROM generate_series(1, 400) AS m, generate_series(0, 349) AS q",
        [start],
    )
    ops.run("bi.meter_15min", "late")
    table = ops.value("SELECT telemetry.aggregate_table('meter_15min')::text")
    ops.connection.execute(f"SELECT compress_chunk(c) FROM show_chunks('{table}') AS c")
    assert ops.value(f"SELECT count(*) FROM {table}") == 140_000
    ops.connection.execute(
        "INSERT INTO telemetry.meter_telemetry_history (meter_id, recorded_at, kwh_consumed_ac, voltage) "
        "SELECT 'M' || m, %s + q * INTERVAL '15 minutes' + INTERVAL '1 minute', 1, 230 "
        "FROM generate_series(1, 400) AS m, generate_series(0, 349) AS q",
        [start],
    )
    job = ops.job("bi.meter_15min", "late")
    ops.connection.execute("SELECT _timescaledb_functions.start_background_workers()")
    ops.rows("SELECT alter_job(%s, next_start => now())", job)
    wait_for(lambda: ops.value(f"SELECT sum(readings) FROM {table}") == 280_000)
    wait_for(lambda: ops.health(job)["last_duration"] is not None)
    assert ops.health(job)["health"] == "ok"


def test_an_aggregate_that_has_not_taken_up_what_its_live_tier_reaches_is_late_and_ok_once_it_has(ops: Ops) -> None:
    assert {row["health"] for row in ops.rows("SELECT * FROM ops.aggregate_lag")} == {"ok"}
    now = datetime.now(UTC)
    ops.store("Mlag", now - timedelta(hours=2), 120)
    lag = ops.lag("bi.meter_15min")
    assert (lag["health"], lag["materialized_until"]) == ("late", None)
    # the first reading is two hours old; the live tier leaves out a quarter of an hour, and the bucket before it
    assert abs(lag["behind"] - timedelta(hours=1, minutes=30)) < timedelta(minutes=1)
    assert ops.value(
        "SELECT count(*) FROM ops.diagnose() WHERE is_fault AND finding LIKE 'bi.meter_15min is % behind%'"
    )
    assert ops.lag("bi.meter_daily")["health"] == "ok"  # today's day is still to end
    ops.refresh("live")
    lag = ops.lag("bi.meter_15min")
    assert (lag["health"], lag["behind"], list(lag["stale_ranges"])) == ("ok", timedelta(0), [])
    assert now - timedelta(minutes=32) <= lag["materialized_until"] <= now


def test_late_readings_are_stale_ranges_until_the_late_tier_has_been(ops: Ops) -> None:
    ops.store("Mstale", TODAY - 3 * DAY, 2 * 1440)
    ops.refresh("late")
    ops.refresh("live")
    aggregates = [f"bi.{s}_{r}" for s in ("meter", "vehicle") for r in ("15min", "hourly", "daily")]
    assert not any(ops.lag(aggregate)["stale_ranges"] for aggregate in aggregates)
    late = TODAY - 3 * DAY + timedelta(hours=5, seconds=30)
    ops.store("Mstale", late, 1)
    [span] = ops.lag("bi.meter_15min")["stale_ranges"]
    assert late in span
    assert span.upper - span.lower < timedelta(days=1)
    assert ops.lag("bi.meter_15min")["health"] == "ok"  # until the night
    ops.refresh("late")
    ops.refresh("live")  # which has the days from four days ago on
    assert not any(ops.lag(aggregate)["stale_ranges"] for aggregate in aggregates)
    assert {row["health"] for row in ops.rows("SELECT * FROM ops.aggregate_lag")} == {"ok"}


def test_readings_that_no_tier_reaches_are_told_until_somebody_refreshes(ops: Ops) -> None:
    ops.store("Mold", TODAY - 710 * DAY, 10)
    ops.store("Mold", TODAY - 2 * DAY, 10)
    ops.refresh("late")
    lag = ops.lag("bi.meter_15min")
    assert lag["health"] == "unreached"
    assert TODAY - 710 * DAY in lag["stale_ranges"][0]
    told = "bi.meter_15min has late readings that no tier reaches: see ops.aggregate_lag"
    assert ops.value("SELECT count(*) FROM ops.diagnose() WHERE is_fault AND finding = %s", told) == 1
    ops.connection.execute(
        "CALL refresh_continuous_aggregate('bi.meter_15min', %s, %s)", [TODAY - 711 * DAY, TODAY - 709 * DAY]
    )
    assert ops.lag("bi.meter_15min")["health"] == "ok"


def test_storage_is_what_the_tables_themselves_say(ops: Ops) -> None:
    ops.store("Msize", TODAY - 5 * DAY, 4 * 1440)
    ops.refresh("late")
    ops.connection.execute("ANALYZE")
    for stream in ("meter", "vehicle"):
        history = f"telemetry.{stream}_telemetry_history"
        [row] = ops.rows("SELECT * FROM ops.storage WHERE object = %s", history)
        assert (row["chunks"], row["compressed_chunks"], row["compression_ratio"]) == (4, 0, None)
        assert row["rows_estimated"] == ops.value(f"SELECT count(*) FROM {history}") == 4 * 1440
        chunks = f"SELECT sum(pg_total_relation_size(c)) FROM show_chunks('{history}') AS c"
        assert row["bytes"] == row["raw_bytes"] == ops.value(chunks)
        assert row["bytes_a_day"] == row["bytes"] // 4
    table = ops.value("SELECT telemetry.aggregate_table('meter_hourly')::text")
    [row] = ops.rows("SELECT * FROM ops.storage WHERE object = 'bi.meter_hourly'")
    assert (row["rows_estimated"], row["chunks"]) == (96, ops.value(f"SELECT count(*) FROM show_chunks('{table}')"))

    ops.connection.execute(
        f"SELECT compress_chunk(c) FROM show_chunks('{METER}', older_than => %s) AS c", [TODAY - 2 * DAY]
    )
    [row] = ops.rows("SELECT * FROM ops.storage WHERE object = %s", METER)
    [size] = ops.rows(
        "SELECT sum(before_compression_total_bytes)::bigint AS raw, "
        "sum(after_compression_total_bytes)::bigint AS packed "
        f"FROM chunk_columnstore_stats('{METER}') WHERE compression_status = 'Compressed'"
    )
    assert (row["chunks"], row["compressed_chunks"], row["rows_estimated"]) == (4, 3, 4 * 1440)
    assert float(row["compression_ratio"]) == pytest.approx(size["raw"] / size["packed"], rel=0.3)
    plain = ops.value(f"SELECT bytes FROM ops.chunk_list WHERE object = '{METER}' AND NOT is_compressed")
    assert row["raw_bytes"] == size["raw"] + plain
    assert row["bytes"] == ops.value(f"SELECT hypertable_size('{METER}')") - ops.value(
        f"SELECT pg_total_relation_size('{METER}')"
    )


def test_the_days_that_are_left_follow_the_bound_of_the_disk(ops: Ops) -> None:
    ops.store("Mdisk", TODAY - 3 * DAY, 2 * 1440)
    days = "SELECT DISTINCT days_left FROM ops.storage"
    assert ops.value(days) is None
    with ops.connection.transaction():
        ops.connection.execute("SET LOCAL ROLE energy_dba")
        assert ops.value("SELECT ops.set_disk_bound('10 GB')") == 10 * 1024**3
    a_day = ops.value("SELECT sum(bytes_a_day) FROM ops.storage")
    left = 10 * 1024**3 - ops.value("SELECT pg_database_size(current_database())")
    assert ops.value(days) == pytest.approx(int(left / a_day), rel=0.01)
    ops.value("SELECT ops.set_disk_bound('1 MB')")
    assert ops.value(days) == 0
    assert ops.value("SELECT count(*) FROM ops.diagnose() WHERE is_fault AND finding LIKE '%, 0 days left'") == 1
    ops.value("SELECT ops.set_disk_bound(NULL)")
    assert ops.value(days) is None
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        ops.value("SELECT ops.set_disk_bound('plenty')")
    with pytest.raises(psycopg.errors.CheckViolation):
        ops.value("SELECT ops.set_disk_bound('0')")


def test_chunks_are_due_once_they_are_older_than_drop_after(ops: Ops) -> None:
    for days in (10, 20, 40):
        ops.store(f"M{days}", TODAY - days * DAY, 5)
    ops.rows(
        "UPDATE ops.policy SET accept_for = '15 days', drop_after = '19 days' "
        "WHERE object LIKE 'telemetry.%history' RETURNING 1"
    )
    due = "SELECT range_start, is_due FROM ops.chunk_list WHERE object = %s ORDER BY 1"
    assert [tuple(row.values()) for row in ops.rows(due, METER)] == [
        (TODAY - 40 * DAY, True),
        (TODAY - 20 * DAY, True),  # ended 19 days ago
        (TODAY - 10 * DAY, False),
    ]
    ops.rows("UPDATE ops.policy SET drop_after = NULL RETURNING 1")
    assert {row["is_due"] for row in ops.rows(due, METER)} == {False}


def test_silent_devices_are_those_whose_own_interval_has_passed_three_times(ops: Ops) -> None:
    now = datetime.now(UTC)
    for device, minutes, interval in (("Mquick", 5, None), ("Mslow", 5, "10 minutes"), ("Mgone", 40, "10 minutes")):
        ops.connection.execute(
            "INSERT INTO telemetry.meter_current_status (meter_id, recorded_at, kwh_consumed_ac, voltage) "
            "VALUES (%s, %s, 1, 230)",
            [device, now - timedelta(minutes=minutes)],
        )
        if interval:
            ops.connection.execute(
                "INSERT INTO telemetry.device_profile (stream, device_id, energy_kind, expected_interval) "
                "VALUES ('meter', %s, 'interval', %s)",
                [device, interval],
            )
    found = ops.rows("SELECT * FROM ops.stale_device ORDER BY device_id")
    assert [(row["device_id"], row["expected_interval_s"]) for row in found] == [("Mgone", 600), ("Mquick", 60)]
    assert abs(found[1]["silent_for"] - timedelta(minutes=5)) < timedelta(minutes=1)
    assert len(ops.rows("SELECT * FROM ops.list_stale_devices(6)")) == 0
