"""What the views of schema ops tell a DBA, in situations that really are so."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.support import TestDatabase, run_migrated_database

pytestmark = pytest.mark.long

DAY = timedelta(days=1)
KINDS = ("meter", "vehicle")
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
METER = "telemetry.meter_telemetry_history"
VEHICLE = "telemetry.vehicle_telemetry_history"
AGGREGATES = [f"bi.{kind}_{resolution}" for resolution in ("15min", "hourly", "daily") for kind in KINDS]

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
        """Readings of 1 kWh of a meter and a vehicle, the first one `every` after `start`."""
        for kind, columns, measures in (
            ("meter", "kwh_consumed_ac, voltage", "1.0, 230"),
            ("vehicle", "soc, kwh_delivered_dc, battery_temp", "50, 1.0, 20"),
        ):
            self.connection.execute(
                f"INSERT INTO telemetry.{kind}_telemetry_history ({kind}_id, counted_at, {columns}) "
                f"SELECT %s, telemetry.counted_at(%s + n * %s), {measures} FROM generate_series(1, %s) AS n",
                [name, start, every, number],
            )

    def job(self, object_: str | None, duty: str) -> int:
        query = "SELECT job_id FROM ops.policy_job WHERE object IS NOT DISTINCT FROM %s AND duty = %s"
        return int(self.value(query, object_, duty))

    def run(self, object_: str | None, duty: str) -> None:
        self.connection.execute(f"CALL run_job({self.job(object_, duty)})")

    def refresh(self) -> None:
        for kind in KINDS:
            self.run(f"bi.{kind}_15min", "refresh")

    def set_policies(self, **settings: str) -> None:
        """Give all histories these settings, and apply them."""
        changes = ", ".join(f"{setting} = '{value}'" for setting, value in settings.items())
        self.rows(f"UPDATE ops.policy SET {changes} WHERE object LIKE '%%history' RETURNING 1")
        self.rows("SELECT * FROM ops.apply_policies()")

    def kwh(self, name: str) -> list[float | None]:
        """The energy of a device in each of the aggregates."""
        energy = {"meter": "kwh_consumed_ac", "vehicle": "kwh_delivered_dc"}
        query = "SELECT sum({}) FROM {} WHERE {}_id = %s"
        return [
            self.value(query.format(energy[kind], aggregate, kind), name)
            for aggregate in AGGREGATES
            for kind in KINDS
            if f".{kind}_" in aggregate
        ]

    def faults(self) -> list[str]:
        return [row["finding"] for row in self.rows("SELECT finding FROM ops.diagnose() WHERE is_fault ORDER BY 1")]

    def age_last_refresh(self, age: str) -> None:
        """As if the last complete refresh of all aggregates had begun this long ago."""
        self.connection.execute("UPDATE telemetry.refresh_state SET received_until = now() - %s::interval", [age])

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
    assert len(rows) == 20
    assert {row["health"] for row in rows} == {"ok"}
    assert len({row["purpose"] for row in rows}) == 20
    assert {row["duty"] for row in rows} == {"compress", "drop", "evaluate", "refresh", "watch"}
    assert "refreshes bi.meter_15min and what is made of it" in {row["purpose"] for row in rows}


def test_a_job_that_should_have_run_is_late_and_one_that_somebody_stopped_is_paused(ops: Ops) -> None:
    # nobody runs jobs here: background workers are stopped
    job = ops.job("bi.meter_15min", "refresh")
    for ago, overdue in ((timedelta(minutes=9), timedelta(0)), (timedelta(hours=3), timedelta(hours=3, minutes=-10))):
        ops.rows("SELECT alter_job(%s, next_start => %s)", job, datetime.now(UTC) - ago)
        found = ops.health(job)
        assert found["health"] == ("late" if overdue else "ok")
        assert abs(found["overdue"] - overdue) < timedelta(minutes=1)
    assert ops.faults() == [
        f"job {job}, which refreshes bi.meter_15min and what is made of it, is late: see ops.job_health"
    ]
    ops.rows("SELECT alter_job(%s, scheduled => FALSE)", job)
    assert ops.health(job)["health"] == "paused"
    [finding] = ops.faults()
    assert "is paused" in finding


def test_a_job_that_a_failover_left_without_a_next_run_is_stuck_and_what_to_do_is_said(ops: Ops) -> None:
    job = ops.job("bi.meter_15min", "refresh")
    ops.rows("SELECT alter_job(%s, next_start => now())", job)  # makes the row of its statistics
    as_while_it_runs = (
        "UPDATE _timescaledb_internal.bgw_job_stat SET next_start = '-infinity', last_start = now() - %s::interval "
        "WHERE job_id = %s"
    )
    for ago, health in (("9 minutes", "ok"), ("11 minutes", "stuck")):
        ops.connection.execute(as_while_it_runs, [ago, job])
        assert ops.health(job)["health"] == health
    [finding] = ops.faults()
    assert finding.endswith(f"is stuck: as energy_owner, SELECT alter_job({job}, next_start => now())")
    with ops.connection.transaction():
        ops.connection.execute("SET LOCAL ROLE energy_owner")
        ops.connection.execute(re.findall("SELECT .*", finding)[0])
    assert ops.health(job)["health"] == "ok"


def test_what_would_be_lost_with_this_server_is_said_or_that_it_cannot_be_seen(ops: Ops) -> None:
    said = "SELECT finding FROM ops.diagnose() WHERE topic = 'standbys'"
    metrics = "SELECT count(*) FROM api.get_database_metrics() WHERE name = 'energy_standbys'"
    assert "there is none" in ops.value(said)
    assert ops.value(metrics) == 2
    assert ops.faults() == []
    ops.connection.execute("REVOKE pg_read_all_stats FROM energy_owner")
    try:
        assert "cannot be seen" in ops.value(said)
        assert ops.value(metrics) == 0
        assert ops.faults() == []
    finally:
        ops.connection.execute("GRANT pg_read_all_stats TO energy_owner")


def test_with_standbys_a_timescaledb_that_can_leave_jobs_behind_is_named(ops: Ops) -> None:
    version = ops.value("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
    is_old = tuple(map(int, re.findall(r"\d+", version)[:3])) < (2, 26, 4)  # that of the embedded database is
    assert ops.faults() == []
    body = ops.value("SELECT pg_get_functiondef('ops.list_standbys()'::regprocedure)")
    made_up = "SELECT 'standby', 'streaming', TRUE, 0::bigint"
    ops.connection.execute(
        re.sub(r"\$function\$.*\$function\$", f"$function$ {made_up} $function$", body, flags=re.DOTALL)
    )
    assert [fault for fault in ops.faults() if "2.26.4 or newer is needed" in fault] == ops.faults()
    assert len(ops.faults()) == is_old
    finding = "SELECT finding FROM ops.diagnose() WHERE topic = 'standbys' AND NOT is_fault"
    assert "acknowledged readings outlive a failover" in ops.value(finding)


def test_a_daily_job_is_granted_a_day(ops: Ops) -> None:
    job = ops.job("bi.meter_hourly", "drop")
    for hours, health in ((23, "ok"), (25, "late")):
        ops.rows("SELECT alter_job(%s, next_start => %s)", job, datetime.now(UTC) - timedelta(hours=hours))
        assert ops.health(job)["health"] == health


@pytest.mark.concurrent
def test_a_job_that_the_background_worker_ran_in_vain_is_failing_with_the_reason_until_it_works_again(ops: Ops) -> None:
    job = ops.job("bi.meter_15min", "refresh")
    body = ops.value("SELECT pg_get_functiondef('ops.refresh_aggregates(int, jsonb)'::regprocedure)")
    ops.connection.execute(
        "CREATE OR REPLACE PROCEDURE ops.refresh_aggregates(p_job_id int, p_config jsonb) LANGUAGE plpgsql "
        "AS $$BEGIN IF p_config ->> 'kind' = 'meter' THEN RAISE EXCEPTION 'the moon is full'; END IF; END$$"
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
        "INSERT INTO telemetry.meter_telemetry_history (meter_id, counted_at, kwh_consumed_ac, voltage) "
        "SELECT 'M' || m, %s + q * INTERVAL '15 minutes', 1, 230 "
        "FROM generate_series(1, 400) AS m, generate_series(0, 349) AS q",
        [start],
    )
    ops.run("bi.meter_15min", "refresh")
    table = ops.value("SELECT telemetry.aggregate_table('meter_15min')::text")
    ops.connection.execute(f"SELECT compress_chunk(c) FROM show_chunks('{table}') AS c")
    assert ops.value(f"SELECT count(*) FROM {table}") == 140_000
    ops.connection.execute(
        "INSERT INTO telemetry.meter_telemetry_history (meter_id, counted_at, kwh_consumed_ac, voltage) "
        "SELECT 'M' || m, %s + q * INTERVAL '15 minutes' + INTERVAL '1 minute', 1, 230 "
        "FROM generate_series(1, 400) AS m, generate_series(0, 349) AS q",
        [start],
    )
    job = ops.job("bi.meter_15min", "refresh")
    ops.connection.execute("SELECT _timescaledb_functions.start_background_workers()")
    ops.rows("SELECT alter_job(%s, next_start => now())", job)
    wait_for(lambda: ops.value(f"SELECT sum(readings) FROM {table}") == 280_000)
    wait_for(lambda: ops.health(job)["last_duration"] is not None)
    assert ops.health(job)["health"] == "ok"


def test_a_new_installation_with_its_first_readings_is_quiet(ops: Ops) -> None:
    ops.store("Mfirst", datetime.now(UTC) - timedelta(hours=2), 119)
    ops.age_last_refresh("1 hour")  # nothing was refreshed yet, and views read in real time
    lags = ops.rows("SELECT * FROM ops.aggregate_lag")
    assert [row["aggregate"] for row in lags] == sorted(AGGREGATES)
    for lag in lags:
        assert (lag["health"], lag["materialized_until"], list(lag["stale_ranges"])) == ("ok", None, [])
    assert ops.kwh("Mfirst") == [119] * 6
    assert ops.faults() == []


def test_after_a_refresh_an_aggregate_holds_all_buckets_that_are_over_and_what_was_received_before(ops: Ops) -> None:
    now = datetime.now(UTC)
    ops.store("Mnew", now - timedelta(hours=2), 119)
    ops.refresh()
    for aggregate in ("bi.meter_15min", "bi.vehicle_15min"):
        lag = ops.lag(aggregate)
        assert (
            now - timedelta(minutes=20)
            <= lag["materialized_until"]
            <= now - timedelta(minutes=5) + timedelta(seconds=5)
        )
        # a transaction of the service that is open when the refresh begins commits within 10 seconds
        assert now - timedelta(seconds=10) <= lag["received_until"] <= datetime.now(UTC) - timedelta(seconds=10)
    assert ops.kwh("Mnew") == [119] * 6


def test_late_readings_make_their_buckets_stale_until_the_next_refresh(ops: Ops) -> None:
    day = TODAY - 3 * DAY
    ops.store("Mstale", day, 2 * 1440)
    ops.refresh()
    assert not any(ops.lag(aggregate)["stale_ranges"] for aggregate in AGGREGATES)
    # counts from 05:00 to 05:15, between two others
    ops.store("Mstale", day + timedelta(hours=5, seconds=30), 1)
    stale = {
        "15min": (day + timedelta(hours=5), day + timedelta(hours=5, minutes=15)),
        "hourly": (day + timedelta(hours=5), day + timedelta(hours=6)),
        "daily": (day, day + DAY),
    }
    for aggregate in AGGREGATES:
        lag = ops.lag(aggregate)
        [span] = lag["stale_ranges"]
        assert (span.lower, span.upper) == stale[aggregate.split("_")[1]], aggregate
        assert lag["health"] == "ok"  # until two refreshes have been missed
    with ops.connection.transaction():
        ops.connection.execute("SET LOCAL ROLE energy_bi")
        shown = ops.rows("SELECT * FROM bi.stale_range")
    assert sorted(tuple(row.values()) for row in shown) == sorted(
        (aggregate, *stale[aggregate.split("_")[1]]) for aggregate in AGGREGATES
    )
    assert ops.kwh("Mstale") == [2880] * 6
    ops.refresh()
    assert not any(ops.lag(aggregate)["stale_ranges"] for aggregate in AGGREGATES)
    assert ops.rows("SELECT * FROM bi.stale_range") == []
    assert ops.kwh("Mstale") == [2881] * 6


def test_what_is_stale_is_late_once_two_refreshes_and_five_minutes_have_passed(ops: Ops) -> None:
    ops.store("Mlate", TODAY - 3 * DAY, 2 * 1440)
    ops.refresh()
    ops.age_last_refresh("1 day")
    assert ops.faults() == []  # nothing is stale
    ops.store("Mlate", TODAY - 3 * DAY + timedelta(seconds=30), 1)
    for age, health in (("10 minutes 50 seconds", "ok"), ("11 minutes 10 seconds", "late")):
        ops.age_last_refresh(age)
        assert {ops.lag(aggregate)["health"] for aggregate in AGGREGATES} == {health}
    since = ops.value("SELECT min(received_until) FROM ops.aggregate_lag").strftime("%Y-%m-%d %H:%M:%S UTC")
    assert ops.faults() == [
        f"{aggregate} does not show readings received since {since}: see ops.aggregate_lag, and the job of duty refresh"
        for aggregate in sorted(AGGREGATES)
    ]
    # a refresh that runs every 10 minutes is granted 25
    for kind in KINDS:
        ops.value("SELECT ops.set_policy(%s, 'refresh_every', '10 minutes')", f"bi.{kind}_15min")
    ops.rows("SELECT * FROM ops.apply_policies()")
    assert ops.faults() == []
    ops.age_last_refresh("1 day")
    ops.refresh()
    assert ops.faults() == []


def test_a_reading_of_almost_two_years_ago_is_refreshed_as_any_other(ops: Ops) -> None:
    ops.store("Mold", TODAY - 2 * DAY, 10)
    ops.refresh()
    ops.store("Mold", TODAY - 710 * DAY, 10)
    ops.refresh()
    assert {row["health"] for row in ops.rows("SELECT * FROM ops.aggregate_lag")} == {"ok"}
    assert ops.kwh("Mold") == [20] * 6
    table = ops.value("SELECT telemetry.aggregate_table('meter_daily')::text")
    assert ops.value(f"SELECT sum(readings) FROM {table} WHERE bucket < now() - INTERVAL '700 days'") == 10


def test_a_quarter_hour_is_materialized_when_it_has_the_age_of_refresh_after(ops: Ops) -> None:
    ops.store("Mafter", datetime.now(UTC) - timedelta(hours=4), 239)
    for object_ in AGGREGATES:
        ops.value("SELECT ops.set_policy(%s, 'refresh_after', '2 hours')", object_)
    ops.rows("SELECT * FROM ops.apply_policies()")
    ops.refresh()
    age = datetime.now(UTC) - ops.lag("bi.meter_15min")["materialized_until"]
    assert timedelta(hours=2) <= age < timedelta(hours=2, minutes=16)


def test_storage_is_what_the_tables_themselves_say(ops: Ops) -> None:
    ops.store("Msize", TODAY - 5 * DAY, 4 * 1440)
    ops.refresh()
    ops.connection.execute("ANALYZE")
    for kind in ("meter", "vehicle"):
        history = f"telemetry.{kind}_telemetry_history"
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
    ops.set_policies(accept_for="15 days", drop_after="19 days")
    due = "SELECT range_start, is_due FROM ops.chunk_list WHERE object = %s ORDER BY 1"
    assert [tuple(row.values()) for row in ops.rows(due, METER)] == [
        (TODAY - 40 * DAY, True),
        (TODAY - 20 * DAY, True),  # ended 19 days ago
        (TODAY - 10 * DAY, False),
    ]
    ops.rows("UPDATE ops.policy SET drop_after = NULL RETURNING 1")
    assert {row["is_due"] for row in ops.rows(due, METER)} == {False}


def test_retention_waits_until_the_aggregates_have_taken_up_what_it_drops(ops: Ops) -> None:
    ops.set_policies(accept_for="9 days", drop_after="9 days")
    ops.store("Mdue", TODAY - 20 * DAY, 49, timedelta(minutes=15))
    ops.store("Mdue", TODAY - 2 * DAY, 49, timedelta(minutes=15))
    oldest = "SELECT min(range_start) FROM ops.chunk_list WHERE object = %s"

    def drop() -> list[datetime]:
        for history in (METER, VEHICLE):
            ops.run(history, "drop")
        return [ops.value(oldest, history) for history in (METER, VEHICLE)]

    assert drop() == [TODAY - 20 * DAY] * 2  # no aggregate has it
    ops.refresh()
    ops.store("Mdue", TODAY - 20 * DAY + timedelta(hours=3, seconds=30), 1)
    assert drop() == [TODAY - 20 * DAY] * 2  # all but the late reading
    ops.refresh()
    assert drop() == [TODAY - 2 * DAY] * 2
    ops.refresh()
    assert ops.kwh("Mdue") == [99] * 6
    assert ops.faults() == []


def test_quarter_hours_are_dropped_once_hours_and_days_hold_them(ops: Ops) -> None:
    ops.set_policies(accept_for="9 days", drop_after="9 days")
    for kind in KINDS:
        ops.value("SELECT ops.set_policy(%s, 'drop_after', '10 days')", f"bi.{kind}_15min")
    ops.rows("SELECT * FROM ops.apply_policies()")
    old = TODAY - 40 * DAY
    ops.store("Mfine", old, 49, timedelta(minutes=15))
    ops.store("Mfine", TODAY - 2 * DAY, 49, timedelta(minutes=15))
    oldest = "SELECT min(range_start) FROM ops.chunk_list WHERE object = 'bi.meter_15min'"
    for aggregate in AGGREGATES[:2]:
        ops.connection.execute(f"CALL refresh_continuous_aggregate('{aggregate}', %s, %s)", [old - DAY, TODAY - DAY])
        ops.run(aggregate, "drop")
    assert ops.value(oldest) < old + DAY
    ops.refresh()
    for aggregate in AGGREGATES[:2]:
        ops.run(aggregate, "drop")
    assert ops.value(oldest) > old + DAY
    ops.refresh()
    assert ops.kwh("Mfine") == [49, 49, 98, 98, 98, 98]
    assert ops.faults() == []


@pytest.mark.parametrize("is_noted", [True, False], ids=["refreshed in between", "not refreshed in between"])
def test_what_was_dropped_by_hand_stays_in_the_aggregates_whatever_comes_late(ops: Ops, is_noted: bool) -> None:
    day = TODAY - 20 * DAY
    ops.store("Mhand", day, 49, timedelta(minutes=15))
    ops.store("Mrest", TODAY - 2 * DAY, 49, timedelta(minutes=15))
    ops.refresh()
    assert ops.kwh("Mhand") == [49] * 6
    for history in (METER, VEHICLE):
        ops.rows(f"SELECT drop_chunks('{history}', older_than => %s)", TODAY - 9 * DAY)
    if is_noted:
        ops.refresh()
    assert ops.faults() == []
    ops.store("Mhand", day + timedelta(hours=5, seconds=30), 1)
    for _ in range(2):
        ops.refresh()
        assert ops.kwh("Mhand") == [49] * 6
    told = (
        "readings came for times of which {} was dropped, the first in {}: they are in no aggregate. Store the rest of "
    )
    told += "that time again, and call ops.take_up_again"
    start = day.strftime("%Y-%m-%d 00:00:00+00")
    assert ops.faults() == [told.format(history, start) for history in (METER, VEHICLE)]
    assert ops.value("SELECT count(*) FROM bi.stale_range") == 0


def test_what_is_stored_again_is_taken_up_again(ops: Ops) -> None:
    day = TODAY - 20 * DAY
    ops.store("Magain", day, 49, timedelta(minutes=15))
    ops.store("Mrest", TODAY - 2 * DAY, 49, timedelta(minutes=15))
    ops.refresh()
    for history in (METER, VEHICLE):
        ops.rows(f"SELECT drop_chunks('{history}', older_than => %s)", TODAY - 9 * DAY)
    ops.refresh()
    ops.store("Magain", day, 49, timedelta(minutes=15))
    ops.store("Magain", day + timedelta(hours=5, seconds=30), 1)
    ops.refresh()
    assert ops.kwh("Magain") == [49] * 6
    with ops.connection.transaction():
        ops.connection.execute("SET LOCAL ROLE energy_owner")
        for history in (METER, VEHICLE):
            ops.rows("SELECT ops.take_up_again(%s, %s, %s)", history, day, day + DAY)
    ops.refresh()
    assert ops.kwh("Magain") == [50] * 6
    assert ops.faults() == []


def test_retention_and_refresh_of_others_are_named_until_they_are_deleted(ops: Ops) -> None:
    foreign = [
        ops.value(f"SELECT add_retention_policy('{METER}', INTERVAL '1 year')"),
        ops.value(
            "SELECT add_continuous_aggregate_policy('bi.vehicle_hourly', INTERVAL '3 days', INTERVAL '1 hour', "
            "INTERVAL '1 hour')"
        ),
    ]
    assert ops.faults() == [
        f"job {foreign[0]} (policy_retention, owner energy_owner) drops chunks of {METER}, and does not wait for the "
        "aggregates to take them up: delete it",
        f"job {foreign[1]} (policy_refresh_continuous_aggregate, owner energy_owner) refreshes bi.vehicle_hourly apart "
        "from the engine, which shows hours of half their quarter hours: delete it",
    ]
    assert ops.value("SELECT count(*) FROM ops.policy_job WHERE job_id = ANY (%s)", foreign) == 0
    for job in foreign:
        ops.rows("SELECT delete_job(%s)", job)
    assert ops.faults() == []


def test_silent_devices_are_those_in_use_that_missed_more_than_five_of_their_intervals(ops: Ops) -> None:
    now = datetime.now(UTC)
    devices = [
        # name, minutes since its newest reading, interval of its profile, interval that was observed
        ("Mminute", 4, None, None),
        ("Mminutes", 6, None, None),
        ("Mslow", 49, "10 minutes", "1 minute"),
        ("Mgone", 51, "10 minutes", "1 minute"),
        ("Mseen", 24, None, "5 minutes"),
        ("Munseen", 26, None, "5 minutes"),
        ("Mretired", 600, "10 minutes", None),
    ]
    for device, minutes, interval, observed in devices:
        ops.connection.execute(
            "INSERT INTO telemetry.meter_current_status "
            "(meter_id, recorded_at, received_at, kwh_consumed_ac, voltage, observed_interval) "
            "VALUES (%s, %s, %s, 1, 230, %s)",
            [device, now - timedelta(minutes=minutes), now - timedelta(minutes=minutes), observed],
        )
        if interval:
            ops.connection.execute(
                "INSERT INTO telemetry.device_profile (kind, device_id, energy_kind, expected_interval, retired_at) "
                "VALUES ('meter', %s, 'interval', %s, %s)",
                [device, interval, now - timedelta(hours=1) if device == "Mretired" else None],
            )
    found = {row["device_id"]: row for row in ops.rows("SELECT * FROM ops.silent_device")}
    assert {name: row["expected_interval"] for name, row in found.items()} == {
        "Mminutes": timedelta(minutes=1),
        "Mgone": timedelta(minutes=10),
        "Munseen": timedelta(minutes=5),
    }
    assert abs(found["Mgone"]["silent_for"] - timedelta(minutes=51)) < timedelta(minutes=1)
    assert {row["kind"] for row in found.values()} == {"meter"}
    assert ops.value("SELECT finding FROM ops.diagnose() WHERE topic = 'devices'").startswith("3 are silent")
    # a retired device that reports again is in use, and can fall silent again
    ops.connection.execute(
        "UPDATE telemetry.meter_current_status SET recorded_at = %s, received_at = %s WHERE meter_id = 'Mretired'",
        [now - timedelta(minutes=55), now - timedelta(minutes=55)],
    )
    assert ops.value("SELECT count(*) FROM ops.silent_device WHERE device_id = 'Mretired'") == 1


def test_the_standby_threshold_is_set_in_kilowatts(ops: Ops) -> None:
    with ops.connection.transaction():
        ops.connection.execute("SET LOCAL ROLE energy_dba")
        assert ops.value("SELECT ops.set_standby_kw(0.2)") == 0.2
    assert ops.value("SELECT standby_kw FROM telemetry.fleet") == 0.2
    for value in (-0.1, 1001, None):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="standby_kw must be from 0 to 1000 kW, not "):
            ops.value("SELECT ops.set_standby_kw(%s::float8)", value)
    assert ops.value("SELECT standby_kw FROM telemetry.fleet") == 0.2


@pytest.mark.parametrize("chunk_interval", ["6 hours", "1 day"])
def test_metrics_tell_of_chunks_and_lag_whatever_the_length_of_a_chunk(ops: Ops, chunk_interval: str) -> None:
    with ops.connection.transaction(force_rollback=True):
        ops.connection.execute("SELECT ops.set_policy(%s, 'chunk_interval', %s)", [METER, chunk_interval])
        ops.connection.execute("SELECT ops.apply_policies()")
        before = ops.value("SELECT chunks FROM ops.storage WHERE object = %s", METER)
        midnight = datetime(2026, 1, 10, tzinfo=UTC)
        for hour in (1, 7, 13, 19):
            ops.store("Mlong", midnight + timedelta(hours=hour), 3)
        samples = {
            (row["name"], *sorted(row["labels"].values())): row["value"]
            for row in ops.rows("SELECT * FROM api.get_database_metrics()")
        }
        chunks = {"6 hours": 4, "1 day": 1}[chunk_interval]
        assert samples["energy_chunks", METER] - before == chunks
        for row in ops.rows("SELECT object, chunks, bytes FROM ops.storage"):
            assert samples["energy_chunks", row["object"]] == row["chunks"]
            states = [
                samples["energy_storage_bytes", *sorted((row["object"], s))] for s in ("compressed", "uncompressed")
            ]
            assert (sum(states) > 0) == (row["bytes"] > 0)
        for row in ops.rows("SELECT aggregate, stale_ranges::text <> '{}' AS is_stale FROM ops.aggregate_lag"):
            assert (samples["energy_aggregate_lag_seconds", row["aggregate"]] > 0) == row["is_stale"]


@pytest.mark.parametrize("kind", KINDS)
def test_devices_with_a_thousand_times_the_energy_of_the_others_are_named(ops: Ops, kind: str) -> None:
    columns = {"meter": "kwh_consumed_ac, voltage", "vehicle": "kwh_delivered_dc, soc, battery_temp"}[kind]
    measures = {"meter": "230", "vehicle": "50, 20"}[kind]

    def send(device: str, kwh: float, days: float) -> None:
        ops.connection.execute(
            f"INSERT INTO telemetry.{kind}_telemetry_history ({kind}_id, counted_at, {columns}) "
            f"VALUES (%s, %s, %s, {measures})",
            [device, TODAY - timedelta(days=days), kwh],
        )

    for n in range(3):
        send(f"D{n}", 10.0, 0.5)
    send("Wh", 10_000.0, 0.5)
    for n in range(5):
        send(f"parked{n}", 0.0, 0.5)  # without energy, it is no neighbour
    for n in range(20):
        send(f"negligible{n}", 5e-324, 0.5)  # nor with one that no ratio can be made of
    assert ops.rows("SELECT * FROM ops.list_excessive_devices()") == []  # four have energy
    send("D3", 20.0, 1.5)  # the day before
    send("today", 1e6, -0.1)  # not over
    send("long ago", 1e6, 2.5)
    [found] = ops.rows("SELECT kind, device_id, kwh, median_kwh, devices FROM ops.list_excessive_devices()")
    assert tuple(found.values()) == (kind, "Wh", 10_000.0, 10.0, 5)
    [finding] = [finding for finding in ops.faults() if "median" in finding]
    assert finding.startswith(f"1 of 5 {kind}s had at least 300 times the median energy of 10.000 kWh since ")
    assert ": Wh (1000 times). " in finding
    send("much", 2999.0, 0.5)  # 299.9 times
    assert len(ops.rows("SELECT * FROM ops.list_excessive_devices()")) == 1
    for n in range(6):
        send(f"more{n}", 9000.0 - n, 0.5)
    for n in range(9):
        send(f"other{n}", 10.0, 0.5)
    [finding] = [finding for finding in ops.faults() if "median" in finding]
    assert "Wh (1000 times), more0 (900 times), more1 (900 times), more2 (900 times), more3 (900 times), ..." in finding
