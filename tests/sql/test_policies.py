"""What a DBA sets in ops.policy: what the database then does, what is refused, and what a DBA may not do."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from service.migrate import set_time_zone
from tests.energy_world import EnergyDatabase
from tests.oracle.records import Reading
from tests.support import TestDatabase, run_migrated_database

METER = "telemetry.meter_telemetry_history"
VEHICLE = "telemetry.vehicle_telemetry_history"
REJECTED = "telemetry.rejected_reading"
DEFAULTS = """
    telemetry.meter_telemetry_history   | 1 day | 3 days | 2 years | 2 years | | | | |
    telemetry.vehicle_telemetry_history | 1 day | 3 days | 2 years | 2 years | | | | |
    telemetry.rejected_reading | 1 day    |        | 30 days  | |         |            |            |          |
    bi.meter_15min             | 7 days   | 3 days | 5 years  | | 3 hours | 15 minutes | 5 minutes  | 700 days | 1 day
    bi.vehicle_15min           | 7 days   | 3 days | 5 years  | | 3 hours | 15 minutes | 5 minutes  | 700 days | 1 day
    bi.meter_hourly            | 28 days  | 3 days | 10 years | | 4 hours | 1 hour     | 15 minutes | 700 days | 1 day
    bi.vehicle_hourly          | 28 days  | 3 days | 10 years | | 4 hours | 1 hour     | 15 minutes | 700 days | 1 day
    bi.meter_daily             | 364 days | 4 days |          | | 4 days  | 1 day      | 1 hour     | 700 days | 1 day
    bi.vehicle_daily           | 364 days | 4 days |          | | 4 days  | 1 day      | 1 hour     | 700 days | 1 day
"""
SETTINGS = [
    "chunk_interval",
    "compress_after",
    "drop_after",
    "accept_for",
    "live_start",
    "live_end",
    "live_every",
    "late_start",
    "late_every",
]
STATE = """
    SELECT 'job', job_id::text, proc_name, schedule_interval::text, config::text FROM timescaledb_information.jobs
    UNION ALL SELECT 'chunks', hypertable_name, time_interval::text, '', '' FROM timescaledb_information.dimensions
    UNION ALL SELECT 'guard', to_regclass('ops.archive_guard')::text, '', '', ''
    ORDER BY 1, 2
"""

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def connection(test_database: TestDatabase) -> Iterator[Connection]:
    with (
        run_migrated_database(test_database) as another,
        psycopg.connect(another.url, autocommit=True) as connection,
    ):
        connection.execute("RESET ROLE; SET search_path = public; SET TimeZone = 'UTC'")
        connection.execute("SELECT alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs")
        yield connection


@pytest.fixture
def dba(connection: Connection) -> Iterator[Connection]:
    """A DBA at work; afterwards nothing of it has been."""
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL ROLE energy_dba")
        yield connection


def apply(connection: Connection, dry_run: bool = False) -> list[tuple]:
    return connection.execute("SELECT * FROM ops.apply_policies(%s)", [dry_run]).fetchall()


def set_policy(connection: Connection, *policy: str | None) -> None:
    connection.execute("SELECT ops.set_policy(%s, %s, %s)", policy)


def jobs(connection: Connection, object_: str) -> dict[str, tuple]:
    """Of an object: what its jobs call, how often, and with which times, as TimescaleDB itself has them."""
    rows = connection.execute(
        "SELECT proc_name::text, schedule_interval::text, config FROM timescaledb_information.jobs "
        "WHERE coalesce(config ->> 'object', hypertable_schema || '.' || hypertable_name) = %s",
        [object_],
    )
    known = ("compress_after", "drop_after", "start_offset", "end_offset")
    return {f"{name} {every}": tuple(config[key] for key in known if key in config) for name, every, config in rows}


def refusal(connection: Connection, *policy: str | None) -> str:
    with pytest.raises(psycopg.Error) as raised, connection.transaction():
        set_policy(connection, *policy)
    return str(raised.value)


def test_the_defaults_are_these_and_a_migrated_database_follows_them(dba: Connection) -> None:
    expected = {}
    for line in DEFAULTS.strip().splitlines():
        name, *values = (cell.strip() or None for cell in line.split("|"))
        expected[name] = values
    intervals = ", ".join(f"{setting}::text" for setting in SETTINGS)
    for name, archive, *values in dba.execute(f"SELECT object, archive, {intervals} FROM ops.policy").fetchall():
        wanted = dba.execute("SELECT v::interval::text FROM unnest(%s::text[]) AS v", [expected.pop(name)])
        assert (archive, values) == (False, [value for (value,) in wanted]), name
    assert expected == {}
    assert apply(dba) == []


def test_the_jobs_that_the_defaults_make_are_those_of_timescaledb(dba: Connection) -> None:
    assert jobs(dba, METER) == {
        "policy_compression 12:00:00": ("3 days",),
        "policy_retention 1 day": ("2 years",),
    }
    assert jobs(dba, REJECTED) == {"policy_retention 1 day": ("30 days",)}
    assert jobs(dba, "bi.vehicle_15min") == {
        "policy_compression 12:00:00": ("3 days",),
        "policy_retention 1 day": ("5 years",),
        "policy_refresh_continuous_aggregate 00:05:00": ("03:00:00", "00:15:00"),
        "policy_refresh_continuous_aggregate 1 day": ("700 days", "03:00:00"),
    }
    assert jobs(dba, "bi.meter_daily") == {
        "compress_due_chunks 12:00:00": ("4 days",),
        "refresh_daily 01:00:00": ("4 days", "1 day"),
        "refresh_daily 1 day": ("700 days", "4 days"),
    }


def test_a_dry_run_shows_what_would_change_and_changes_nothing(dba: Connection) -> None:
    before = dba.execute(STATE).fetchall()
    set_policy(dba, METER, "compress_after", "5 days")
    set_policy(dba, "bi.meter_hourly", "live_every", "30 minutes")
    expected = [
        ("bi.meter_hourly", "live_every", "00:15:00", "00:30:00"),
        (METER, "compress_after", "3 days", "5 days"),
    ]
    assert apply(dba, dry_run=True) == expected
    assert dba.execute("SELECT * FROM ops.pending_changes()").fetchall() == expected
    assert dba.execute(STATE).fetchall() == before
    assert apply(dba) == expected
    assert apply(dba) == apply(dba, dry_run=True) == []


def test_applied_policies_are_what_the_jobs_and_the_chunks_to_come_are(dba: Connection) -> None:
    changes = [
        (METER, "chunk_interval", "06:00:00"),
        (METER, "compress_after", "5 days"),
        (METER, "accept_for", "1 year"),
        (METER, "drop_after", "750 days"),
        ("bi.vehicle_15min", "live_start", "06:00:00"),
        ("bi.vehicle_15min", "live_end", "00:30:00"),
        ("bi.vehicle_15min", "live_every", "00:10:00"),
        ("bi.vehicle_15min", "late_start", "500 days"),
        ("bi.vehicle_15min", "late_every", "2 days"),
        ("bi.vehicle_15min", "drop_after", "6 years"),
        ("bi.vehicle_15min", "chunk_interval", "14 days"),
        ("bi.meter_daily", "live_start", "5 days"),
        ("bi.meter_daily", "compress_after", "9 days"),
        ("bi.meter_daily", "late_start", "600 days"),
        ("bi.meter_daily", "live_every", "02:00:00"),
        ("bi.meter_daily", "drop_after", "20 years"),
    ]
    for change in sorted(changes, key=lambda change: change[1] != "compress_after"):
        set_policy(dba, *change)
    told = {(object_, setting, becomes) for object_, setting, _, becomes in apply(dba)}
    assert told == {change for change in changes if change[1] != "accept_for"}  # which needs no job
    assert jobs(dba, METER) == {"policy_compression 12:00:00": ("5 days",), "policy_retention 1 day": ("750 days",)}
    assert jobs(dba, "bi.vehicle_15min") == {
        "policy_compression 12:00:00": ("3 days",),
        "policy_retention 1 day": ("6 years",),
        "policy_refresh_continuous_aggregate 00:10:00": ("06:00:00", "00:30:00"),
        "policy_refresh_continuous_aggregate 2 days": ("500 days", "06:00:00"),
    }
    assert jobs(dba, "bi.meter_daily") == {
        "compress_due_chunks 12:00:00": ("9 days",),
        "policy_retention 1 day": ("20 years",),
        "refresh_daily 02:00:00": ("5 days", "1 day"),
        "refresh_daily 1 day": ("600 days", "5 days"),
    }
    dba.execute("RESET ROLE")
    intervals = dba.execute(
        "SELECT time_interval FROM timescaledb_information.dimensions "
        "WHERE hypertable_name IN ('meter_telemetry_history', ("
        "SELECT materialization_hypertable_name FROM timescaledb_information.continuous_aggregates "
        "WHERE view_name = 'vehicle_15min')) ORDER BY 1"
    )
    assert [interval for (interval,) in intervals] == [timedelta(hours=6), timedelta(days=14)]
    assert apply(dba) == []


@pytest.mark.parametrize("written", ["24 hours", "1440 minutes", "1 month"])
def test_a_chunk_interval_is_followed_however_it_is_written(dba: Connection, written: str) -> None:
    set_policy(dba, METER, "chunk_interval", written)
    apply(dba)
    assert apply(dba) == []


def test_never_takes_the_job_away_and_a_time_brings_it_back(dba: Connection) -> None:
    set_policy(dba, METER, "compress_after", None)
    set_policy(dba, METER, "drop_after", None)
    set_policy(dba, "bi.meter_daily", "compress_after", None)
    assert apply(dba) == [
        ("bi.meter_daily", "compress_after", "4 days", None),
        (METER, "compress_after", "3 days", None),
        (METER, "drop_after", "2 years", None),
    ]
    assert jobs(dba, METER) == {}
    assert "compress_due_chunks 12:00:00" not in jobs(dba, "bi.meter_daily")
    assert apply(dba) == []
    set_policy(dba, METER, "drop_after", "2 years")
    assert apply(dba) == [(METER, "drop_after", None, "2 years")]
    assert jobs(dba, METER) == {"policy_retention 1 day": ("2 years",)}


REFUSED = [
    (METER, "chunk_interval", "10 minutes", "is less than 15 minutes"),
    (METER, "chunk_interval", "0", "is less than 15 minutes"),
    ("bi.meter_15min", "compress_after", "2 hours", "is less than live_start 03:00:00: the live tier would write into"),
    (METER, "compress_after", "30 minutes", "is less than 1 hour: readings that are a little late would go into"),
    (REJECTED, "compress_after", "3 days", "only histories and aggregates have a columnstore"),
    (REJECTED, "drop_after", "0", "is not more than 0"),
    (REJECTED, "drop_after", "-1 day", "is not more than 0"),
    ("bi.meter_hourly", "drop_after", "2 days", "is less than compress_after 3 days: nothing would ever be compressed"),
    (METER, "drop_after", "1 year", "is less than accept_for 2 years: readings would be acknowledged, and dropped at"),
    (METER, "accept_for", "10 minutes", "a history accepts readings of at least the last hour"),
    (METER, "accept_for", "3 years", "is less than accept_for 3 years: readings would be acknowledged, and dropped at"),
    ("bi.meter_15min", "accept_for", "1 year", "only the histories accept readings"),
    (REJECTED, "accept_for", "1 day", "only the histories accept readings"),
    ("bi.meter_15min", "live_start", None, "an aggregate has both tiers, with intervals of more than 0"),
    ("bi.meter_15min", "late_start", None, "an aggregate has both tiers, with intervals of more than 0"),
    ("bi.meter_15min", "live_every", "0", "an aggregate has both tiers, with intervals of more than 0"),
    ("bi.meter_daily", "live_end", "-1 hour", "an aggregate has both tiers, with intervals of more than 0"),
    (METER, "live_every", "1 hour", "only aggregates are refreshed"),
    ("bi.meter_15min", "live_start", "40 minutes", "from 00:40:00 to live_end 00:15:00 are less than two buckets"),
    ("bi.meter_hourly", "live_end", "5 hours", "from 04:00:00 to live_end 05:00:00 are less than two buckets"),
    ("bi.meter_hourly", "late_start", "5 hours", "from 05:00:00 to live_start 04:00:00 are less than two buckets"),
    ("bi.vehicle_daily", "late_start", "2 days", "from 2 days to live_start 4 days are less than two buckets"),
    ("bi.meter_15min", "late_start", "2 years", f"reaches what {METER} drops after 2 years: it would come out empty"),
    ("bi.meter_hourly", "late_start", "6 years", "reaches what bi.meter_15min drops after 5 years: it would come out"),
    ("bi.vehicle_daily", "late_start", "6 years", "reaches what bi.vehicle_15min drops after 5 years: it would come"),
    ("bi.vehicle_15min", "drop_after", "1 year", "reaches what bi.vehicle_15min drops after 1 year: it would come out"),
    ("bi.meter_15min", "archive", "on", "only the histories are archived"),
    (REJECTED, "archive", "on", "only the histories are archived"),
]


@pytest.mark.parametrize(
    ("object_", "setting", "value", "reason"), REFUSED, ids=[f"{o}-{s}-{v}" for o, s, v, _ in REFUSED]
)
def test_what_would_lose_data_is_refused_with_its_reason_and_nothing_changes(
    dba: Connection, object_: str, setting: str, value: str | None, reason: str
) -> None:
    before = dba.execute(STATE).fetchall()
    policy = dba.execute("SELECT * FROM ops.policy ORDER BY object").fetchall()
    assert reason in refusal(dba, object_, setting, value)
    assert dba.execute("SELECT * FROM ops.policy ORDER BY object").fetchall() == policy
    # the other way: the table says it until the database is told to follow
    dba.execute(f"UPDATE ops.policy SET {setting} = %s WHERE object = %s", [value, object_])
    for dry_run in (True, False):
        with pytest.raises(psycopg.errors.InvalidParameterValue) as raised, dba.transaction():
            apply(dba, dry_run)
        assert reason in (raised.value.diag.message_detail or "")
        assert " of " in (raised.value.diag.message_primary or "")
    assert reason in str(dba.execute("SELECT reason FROM ops.policy_faults()").fetchall())
    assert dba.execute(STATE).fetchall() == before


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ({"drop_after": None}, "nothing is archived that is never dropped: set drop_after"),
        ({"chunk_interval": "7 days"}, "chunk_interval 7 days is not a day or an even part of it"),
        ({"chunk_interval": "7 hours"}, "chunk_interval 07:00:00 is not a day or an even part of it"),
        ({"chunk_interval": "0"}, "chunk_interval 00:00:00 is less than 15 minutes"),
    ],
)
def test_only_what_can_be_filed_by_the_day_and_is_dropped_is_archived(
    dba: Connection, first: dict[str, str | None], reason: str
) -> None:
    for setting, value in first.items():
        dba.execute(f"UPDATE ops.policy SET {setting} = %s, archive = TRUE WHERE object = %s", [value, METER])
    faults = dba.execute("SELECT format('%s %s', setting, reason) FROM ops.policy_faults()").fetchall()
    assert reason in str(faults)
    with pytest.raises(psycopg.errors.InvalidParameterValue), dba.transaction():
        apply(dba)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (("telemetry.nothing", "archive", "on"), "ops.policy has no object telemetry.nothing"),
        ((None, "archive", "on"), "ops.policy has no object <NULL>"),
        ((METER, "colour", "red"), "ops.policy has no setting colour"),
        ((METER, "object", "x"), "ops.policy has no setting object"),
        ((METER, None, "x"), "ops.policy has no setting <NULL>"),
        ((METER, "ctid", "x"), "ops.policy has no setting ctid"),
        ((METER, "drop_after); DROP TABLE ops.policy; --", "x"), "ops.policy has no setting drop_after); DROP"),
        ((METER, "compress_after", "soon"), 'invalid input syntax for type interval: "soon"'),
        ((METER, "archive", "maybe"), 'invalid input syntax for type boolean: "maybe"'),
        ((METER, "chunk_interval", None), 'null value in column "chunk_interval"'),
        ((METER, "accept_for", None), 'constraint "a_history_accepts_readings"'),
    ],
)
def test_what_is_not_a_policy_at_all_is_refused_in_plain_words(
    dba: Connection, policy: tuple[str | None, ...], message: str
) -> None:
    assert message in refusal(dba, *policy)


def ingest(connection: Connection, age: timedelta) -> list[str]:
    connection.execute("RESET ROLE")
    reading = Reading("meter", "Mage", datetime.now(UTC) - age, 1.0, voltage=230.0)
    rows = connection.execute(
        "SELECT i.outcome FROM api.ingest_meter_readings(ARRAY[ROW(%s, %s, %s, %s, NULL)::api.meter_reading]) AS i",
        [reading.device_id, reading.recorded_at, reading.kwh, reading.voltage],
    ).fetchall()
    connection.execute("SET LOCAL ROLE energy_dba")
    return [outcome for (outcome,) in rows]


def test_ingest_accepts_at_once_what_accept_for_says(dba: Connection) -> None:
    day = timedelta(days=1)
    assert ingest(dba, 20 * day) == ["stored"]
    set_policy(dba, METER, "accept_for", "10 days")
    assert ingest(dba, 20 * day) == ["timestamp_too_old"]
    assert ingest(dba, 9 * day) == ["stored"]
    set_policy(dba, METER, "accept_for", "30 days")
    assert ingest(dba, 20.1 * day) == ["stored"]


def test_ingest_never_accepts_what_retention_drops_even_before_the_mistake_is_refused(dba: Connection) -> None:
    dba.execute("UPDATE ops.policy SET drop_after = '10 days' WHERE object = %s", [METER])
    assert ingest(dba, timedelta(days=20)) == ["timestamp_too_old"]


def chunks_of(connection: Connection) -> list[str]:
    return [chunk for (chunk,) in connection.execute(f"SELECT c::text FROM show_chunks('{METER}') AS c ORDER BY 1")]


def test_what_is_archived_first_is_dropped_by_nobody_else(dba: Connection) -> None:
    ingest(dba, timedelta(days=40))
    ingest(dba, timedelta(days=30))
    for _ in range(2):
        set_policy(dba, METER, "archive", "on")
    assert apply(dba) == [(METER, "archive", "false", "true")]
    assert apply(dba) == []
    assert jobs(dba, METER)["drop_archived_chunks 01:00:00"] == ("2 years",)
    assert "policy_retention 1 day" not in jobs(dba, METER)
    dba.execute("RESET ROLE")  # and now with every right
    chunks = chunks_of(dba)
    assert [row[0] for row in dba.execute("SELECT chunk FROM ops.archive_guard ORDER BY 1")] == sorted(chunks)
    for attempt in (
        f"SELECT drop_chunks('{METER}', older_than => INTERVAL '1 day')",
        f"TRUNCATE {METER}",
        f"DROP TABLE {chunks[0]}",
    ):
        with pytest.raises(psycopg.errors.DependentObjectsStillExist), dba.transaction():
            dba.execute(attempt)
    assert chunks_of(dba) == chunks
    dba.execute("SELECT compress_chunk(%s::regclass)", [chunks[0]])  # is not dropping
    assert dba.execute("SELECT bool_and(has_rows) FROM ops.archive_guard").fetchone() == (True,)
    # off again, retention is TimescaleDB's
    dba.execute("SET LOCAL ROLE energy_dba")
    set_policy(dba, METER, "archive", "off")
    assert apply(dba) == [(METER, "archive", "true", "false")]
    assert jobs(dba, METER)["policy_retention 1 day"] == ("2 years",)
    dba.execute("RESET ROLE")
    dba.execute(f"SELECT drop_chunks('{METER}', older_than => INTERVAL '1 day')")
    assert len(chunks_of(dba)) < len(chunks)


FOR_DBAS = {
    "functions": {
        "apply_policies", "bytes_left", "create_api_key", "current_policies", "diagnose", "list_chunks",
        "list_job_health", "list_stale_devices", "measure_aggregate_lag", "pending_changes", "policy_faults",
        "revoke_api_key", "rotate_api_key", "set_disk_bound", "set_policy",
    },
    "relations": {
        "aggregate_lag", "api_key", "archived_chunk", "chunk_list", "job_health", "migration", "policy", "policy_job",
        "stale_device", "storage",
    },
}  # fmt: skip


def test_dbas_may_call_and_read_this_and_nothing_else(connection: Connection) -> None:
    functions = connection.execute(
        "SELECT n.nspname || '.' || p.proname FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace "
        "WHERE n.nspname IN ('api', 'bi', 'ops', 'telemetry') "
        "AND has_schema_privilege('energy_dba', n.oid, 'USAGE') "
        "AND has_function_privilege('energy_dba', p.oid, 'EXECUTE')"
    )
    assert {name for (name,) in functions} == {f"ops.{name}" for name in FOR_DBAS["functions"]}
    relations = connection.execute(
        "SELECT n.nspname || '.' || c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname IN ('api', 'bi', 'ops', 'telemetry') AND c.relkind IN ('r', 'v', 'm', 'p') "
        "AND has_table_privilege('energy_dba', c.oid, 'SELECT')"
    )
    assert {name for (name,) in relations} == {f"ops.{name}" for name in FOR_DBAS["relations"]}
    writable = connection.execute(
        "SELECT c.relname || '.' || a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid "
        "WHERE c.relnamespace::regnamespace::text IN ('api', 'bi', 'ops', 'telemetry') AND a.attnum > 0 "
        "AND c.relkind IN ('r', 'v', 'm', 'p') AND NOT a.attisdropped "
        "AND (has_column_privilege('energy_dba', c.oid, a.attnum, 'INSERT, UPDATE') "
        "OR has_table_privilege('energy_dba', c.oid, 'DELETE, TRUNCATE'))"
    )
    assert {name for (name,) in writable} == {f"policy.{setting}" for setting in [*SETTINGS, "archive"]}


@pytest.mark.parametrize("relation", sorted(FOR_DBAS["relations"]))
def test_dbas_can_read_every_relation_that_is_for_them(dba: Connection, relation: str) -> None:
    dba.execute(f"SELECT * FROM ops.{relation}")


@pytest.mark.parametrize(
    "call",
    [
        "current_policies()",
        "pending_changes()",
        "policy_faults()",
        "diagnose()",
        "list_stale_devices(5)",
        "bytes_left()",
    ],
)
def test_dbas_can_call_what_is_for_them(dba: Connection, call: str) -> None:
    dba.execute(f"SELECT * FROM ops.{call}")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM telemetry.meter_telemetry_history",
        "INSERT INTO telemetry.stale_day (day) VALUES ('2026-01-01')",
        "UPDATE telemetry.meter_current_status SET voltage = 0",
        "DELETE FROM telemetry.vehicle_telemetry_history",
        "TRUNCATE telemetry.rejected_reading",
        "SELECT * FROM bi.meter_hourly",
        "SELECT telemetry.accepted_age('meter')",
        "SELECT * FROM api.get_vehicle_status('V1')",
        "SELECT api.unlink_vehicle('V1', now())",
        "SELECT ops.set_time_zone('Asia/Kolkata')",
        "SELECT ops.guard_chunks()",
        "SELECT ops.record_archive('meter', now(), now(), 0, 0, 'nowhere', '')",
        "CALL ops.drop_archived_chunks(NULL, '{}')",
        "SELECT drop_chunks('telemetry.meter_telemetry_history', older_than => INTERVAL '1 day')",
        "UPDATE ops.policy SET object = 'x'",
        "INSERT INTO ops.policy (object, chunk_interval) VALUES ('x', '1 day')",
        "DELETE FROM ops.policy",
        "UPDATE ops.migration SET sha256 = ''",
        "CREATE TABLE ops.mine (id int)",
    ],
)
def test_dbas_may_not_touch_readings_nor_what_is_not_for_them(dba: Connection, statement: str) -> None:
    with pytest.raises(psycopg.Error, match=r"permission denied|must be owner"), dba.transaction():
        dba.execute(statement)


@pytest.mark.concurrent  # within one session the embedded one ends when an aggregate is made after a refresh
def test_another_time_zone_keeps_the_policies_and_their_jobs_work_on_the_new_aggregates(
    migrated_database: TestDatabase,
) -> None:
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        set_policy(connection, "bi.meter_daily", "chunk_interval", "91 days")
        set_policy(connection, "bi.meter_daily", "drop_after", "20 years")
        apply(connection)
    set_time_zone(migrated_database.url, "Asia/Kolkata")
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        assert apply(connection) == []
        assert jobs(connection, "bi.meter_daily") == {
            "compress_due_chunks 12:00:00": ("4 days",),
            "policy_retention 1 day": ("20 years",),
            "refresh_daily 01:00:00": ("4 days", "1 day"),
            "refresh_daily 1 day": ("700 days", "4 days"),
        }
        energy_database = EnergyDatabase(connection)
        past = datetime.now(UTC) - timedelta(days=500)
        energy_database.arrive([Reading("meter", "Mzone", past, 1.0, voltage=230.0)])
        energy_database.refresh(past - timedelta(days=3), past + timedelta(days=3))
        compress = "SELECT job_id FROM ops.policy_job WHERE object = 'bi.meter_daily' AND duty = 'compress'"
        connection.execute("CALL run_job(%s)", connection.execute(compress).fetchone())
        compressed = "SELECT is_compressed FROM ops.chunk_list WHERE object = 'bi.meter_daily'"
        assert connection.execute(compressed).fetchall() == [(True,)]
