"""What a DBA sets in ops.policy: what the database then does, what is refused, and what a DBA may not do."""

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from service.database.migrate import migrate, set_time_zone
from tests.oracle.records import Reading
from tests.support import TestDatabase, run_migrated_database
from tests.support.energy_world import EnergyDatabase

METER = "telemetry.meter_telemetry_history"
VEHICLE = "telemetry.vehicle_telemetry_history"
REJECTED = "telemetry.rejected_reading"
DEFAULTS = """
    telemetry.meter_telemetry_history   | 1 day    | 3 days | 2 years  | 2 years |           |
    telemetry.vehicle_telemetry_history | 1 day    | 3 days | 2 years  | 2 years |           |
    telemetry.rejected_reading          | 1 day    |        | 30 days  |         |           |
    telemetry.alert                     |          |        | 2 years  |         |           |
    bi.meter_15min                      | 7 days   | 3 days | 5 years  |         | 5 minutes | 3 minutes
    bi.vehicle_15min                    | 7 days   | 3 days | 5 years  |         | 5 minutes | 3 minutes
    bi.meter_hourly                     | 28 days  | 3 days | 10 years |         | 5 minutes |
    bi.vehicle_hourly                   | 28 days  | 3 days | 10 years |         | 5 minutes |
    bi.meter_daily                      | 364 days | 4 days |          |         | 5 minutes |
    bi.vehicle_daily                    | 364 days | 4 days |          |         | 5 minutes |
"""
SETTINGS = ["chunk_interval", "compress_after", "drop_after", "accept_for", "refresh_after", "refresh_every"]
STATE = """
    SELECT 'job', job_id::text, proc_name, schedule_interval::text, config::text FROM timescaledb_information.jobs
    UNION ALL SELECT 'chunks', hypertable_name, time_interval::text, '', '' FROM timescaledb_information.dimensions
    UNION ALL SELECT 'guard', to_regclass('ops.archive_guard')::text, '', '', ''
    UNION ALL SELECT 'applied', object, accept_for::text, refresh_after::text, '' FROM ops.applied_policy
    ORDER BY 1, 2
"""

AT_COMMIT = "SET CONSTRAINTS ALL IMMEDIATE"
"""What a COMMIT does with deferred constraints."""

Connection = psycopg.Connection[Any]


@pytest.fixture(scope="module")
def connection(test_database: TestDatabase) -> Iterator[Connection]:
    with (
        run_migrated_database(test_database) as another,
        psycopg.connect(another.url, autocommit=True) as connection,
    ):
        connection.execute("RESET ROLE; SET search_path = public; SET TimeZone = 'UTC'")
        stop_jobs(connection)
        yield connection


def stop_jobs(connection: Connection) -> None:
    connection.execute("SELECT alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs")


@pytest.fixture
def dba(connection: Connection) -> Iterator[Connection]:
    """A DBA at work; afterwards nothing of it has been."""
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL ROLE energy_dba")
        yield connection


@pytest.fixture
def session(connection: Connection) -> Iterator[Connection]:
    """A DBA whose transactions commit; afterwards the policies are the defaults again."""
    connection.execute("SET ROLE energy_dba")
    yield connection
    connection.execute("RESET ROLE")
    with connection.transaction():
        connection.execute("SELECT ops.reset_policy(p.object) FROM ops.policy AS p")
        apply(connection)
        stop_jobs(connection)


def apply(connection: Connection, dry_run: bool = False) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT * FROM ops.apply_policies(%s)", [dry_run]).fetchall()


def set_policy(connection: Connection, *policy: str | None) -> None:
    connection.execute("SELECT ops.set_policy(%s, %s, %s)", policy)


def jobs(connection: Connection, object_: str) -> dict[str, tuple[Any, ...]]:
    """The jobs of an object in TimescaleDB: the procedure and its interval, and the settings it is called with."""
    rows = connection.execute(
        "SELECT proc_name::text, schedule_interval::text, config FROM timescaledb_information.jobs "
        "WHERE coalesce(config ->> 'object', hypertable_schema || '.' || hypertable_name) = %s",
        [object_],
    )
    known = ("compress_after", "drop_after", "archive", "kind")
    return {f"{name} {every}": tuple(config[key] for key in known if key in config) for name, every, config in rows}


def update(connection: Connection, object_: str, setting: str, value: str | None) -> None:
    connection.execute(f"UPDATE ops.policy SET {setting} = %s WHERE object = %s", [value, object_])


def refusal(connection: Connection, *policy: str | None) -> psycopg.errors.Diagnostic:
    with pytest.raises(psycopg.Error) as raised, connection.transaction():
        set_policy(connection, *policy)
    return raised.value.diag


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
    policies = "SELECT * FROM ops.{} ORDER BY object"
    assert (
        dba.execute(policies.format("policy")).fetchall()
        == dba.execute(policies.format("default_policies()")).fetchall()
        == dba.execute(policies.format("current_policies()")).fetchall()
    )


def test_the_jobs_that_the_defaults_make_are_these(dba: Connection) -> None:
    assert jobs(dba, METER) == {
        "policy_compression 12:00:00": ("3 days",),
        "drop_due_chunks 1 day": ("2 years", False),
    }
    assert jobs(dba, REJECTED) == {"drop_due_chunks 1 day": ("30 days", False)}
    assert jobs(dba, "bi.vehicle_15min") == {
        "compress_due_chunks 12:00:00": ("3 days",),
        "drop_due_chunks 1 day": ("5 years", False),
        "refresh_aggregates 00:03:00": ("vehicle",),
    }
    assert jobs(dba, "bi.meter_hourly") == {
        "compress_due_chunks 12:00:00": ("3 days",),
        "drop_due_chunks 1 day": ("10 years", False),
    }
    assert jobs(dba, "bi.meter_daily") == {"compress_due_chunks 12:00:00": ("4 days",)}


def test_a_dry_run_shows_what_would_change_and_changes_nothing(dba: Connection) -> None:
    before = dba.execute(STATE).fetchall()
    set_policy(dba, METER, "compress_after", "5 days")
    set_policy(dba, METER, "accept_for", "1 year")
    set_policy(dba, "bi.meter_15min", "refresh_every", "2 minutes")
    set_policy(dba, "bi.meter_hourly", "refresh_after", "30 minutes")
    expected = [
        ("bi.meter_15min", "refresh_every", "00:03:00", "00:02:00"),
        ("bi.meter_hourly", "refresh_after", "00:05:00", "00:30:00"),
        (METER, "accept_for", "2 years", "1 year"),
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
        ("bi.vehicle_15min", "refresh_after", "00:30:00"),
        ("bi.vehicle_15min", "refresh_every", "00:10:00"),
        ("bi.vehicle_15min", "drop_after", "6 years"),
        ("bi.vehicle_15min", "chunk_interval", "14 days"),
        ("bi.meter_daily", "refresh_after", "01:00:00"),
        ("bi.meter_daily", "compress_after", "9 days"),
        ("bi.meter_daily", "drop_after", "20 years"),
    ]
    for change in changes:
        set_policy(dba, *change)
    assert {(object_, setting, becomes) for object_, setting, _, becomes in apply(dba)} == set(changes)
    assert jobs(dba, METER) == {
        "policy_compression 12:00:00": ("5 days",),
        "drop_due_chunks 1 day": ("750 days", False),
    }
    assert jobs(dba, "bi.vehicle_15min") == {
        "compress_due_chunks 12:00:00": ("3 days",),
        "drop_due_chunks 1 day": ("6 years", False),
        "refresh_aggregates 00:10:00": ("vehicle",),
    }
    assert jobs(dba, "bi.meter_daily") == {
        "compress_due_chunks 12:00:00": ("9 days",),
        "drop_due_chunks 1 day": ("20 years", False),
    }
    applied = "SELECT accept_for::text, refresh_after::text FROM ops.applied_policy WHERE object = %s"
    assert dba.execute(applied, [METER]).fetchone() == ("1 year", None)
    assert dba.execute(applied, ["bi.vehicle_15min"]).fetchone() == (None, "00:30:00")
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
    assert jobs(dba, "bi.meter_daily") == {}
    assert apply(dba) == []
    set_policy(dba, METER, "drop_after", "2 years")
    assert apply(dba) == [(METER, "drop_after", None, "2 years")]
    assert jobs(dba, METER) == {"drop_due_chunks 1 day": ("2 years", False)}


def test_a_setting_that_is_not_applied_is_named_with_both_values_and_no_value_is_never(dba: Connection) -> None:
    set_policy(dba, METER, "drop_after", None)
    set_policy(dba, "bi.meter_daily", "drop_after", "20 years")
    findings = dba.execute("SELECT finding FROM ops.diagnose() WHERE is_fault AND topic = 'policies' ORDER BY 1")
    assert [finding for (finding,) in findings] == [
        "drop_after of bi.meter_daily is never, and should be 20 years: SELECT ops.apply_policies()",
        f"drop_after of {METER} is 2 years, and should be never: SELECT ops.apply_policies()",
    ]


SLOW = "late readings would be accepted for quarter hours that are gone"
PARTLY = "is not a multiple of 15 minutes, which is what aggregates are made of"
MATERIALIZED = "a bucket of an aggregate is materialized from 0 to 1 day after its end"
REFRESHED = "the aggregates of a kind are refreshed every 10 seconds to 1 hour"
REFUSED = [
    (METER, "chunk_interval", "10 minutes", f"00:10:00 {PARTLY}"),
    (METER, "chunk_interval", "100 minutes", f"01:40:00 {PARTLY}"),
    (METER, "chunk_interval", "0", f"00:00:00 {PARTLY}"),
    ("bi.meter_15min", "compress_after", "2 minutes", "00:02:00 is less than refresh_after 00:05:00: every refresh"),
    (METER, "compress_after", "30 minutes", "is less than 1 hour: readings that are a little late would go into"),
    (REJECTED, "compress_after", "3 days", "only histories and aggregates have a columnstore"),
    (REJECTED, "drop_after", "0", "00:00:00 is not more than 0"),
    (REJECTED, "drop_after", "-1 day", "-1 days is not more than 0"),
    ("bi.meter_hourly", "drop_after", "2 days", "is less than compress_after 3 days: nothing would ever be compressed"),
    (METER, "drop_after", "1 year", "is less than accept_for 2 years: readings would be acknowledged, and dropped at"),
    ("bi.vehicle_15min", "drop_after", "1 year", f"1 year is less than accept_for 2 years of {VEHICLE}: {SLOW}"),
    (METER, "accept_for", "10 minutes", "00:10:00: a history accepts readings of at least the last hour"),
    (METER, "accept_for", "3 years", "is less than accept_for 3 years: readings would be acknowledged, and dropped at"),
    ("bi.meter_15min", "accept_for", "1 year", "only the histories accept readings"),
    (REJECTED, "accept_for", "1 day", "only the histories accept readings"),
    ("bi.meter_15min", "refresh_after", None, f"never: {MATERIALIZED}"),
    ("bi.vehicle_daily", "refresh_after", "-1 hour", f"-01:00:00: {MATERIALIZED}"),
    ("bi.meter_hourly", "refresh_after", "2 days", f"2 days: {MATERIALIZED}"),
    (METER, "refresh_after", "1 hour", "only aggregates are refreshed"),
    (REJECTED, "refresh_after", "1 hour", "only aggregates are refreshed"),
    ("bi.meter_15min", "refresh_every", None, f"never: {REFRESHED}"),
    ("bi.vehicle_15min", "refresh_every", "1 second", f"00:00:01: {REFRESHED}"),
    ("bi.vehicle_15min", "refresh_every", "2 hours", f"02:00:00: {REFRESHED}"),
    ("bi.meter_hourly", "refresh_every", "1 minute", "hours and days are refreshed with the quarter hours of their"),
    (METER, "refresh_every", "1 minute", "hours and days are refreshed with the quarter hours of their"),
    ("bi.meter_15min", "archive", "on", "only the histories are archived"),
    (REJECTED, "archive", "on", "only the histories are archived"),
]
REMEDY = re.compile(r"set (\w+) of (\S+) to (NULL|FALSE|\d+(?::\d+)*(?: \w+)?)(?= |,|$)")


@pytest.mark.parametrize(
    ("object_", "setting", "value", "reason"), REFUSED, ids=[f"{o}-{s}-{v}" for o, s, v, _ in REFUSED]
)
def test_what_would_lose_data_is_refused_with_its_reason_and_nothing_changes(
    dba: Connection, object_: str, setting: str, value: str | None, reason: str
) -> None:
    before = dba.execute(STATE).fetchall()
    policy = dba.execute("SELECT * FROM ops.policy ORDER BY object").fetchall()
    refused = refusal(dba, object_, setting, value)
    assert reason in (refused.message_primary or "")
    assert dba.execute("SELECT * FROM ops.policy ORDER BY object").fetchall() == policy
    # the other way: the table says it until the end of the transaction
    update(dba, object_, setting, value)
    for attempt in ("SELECT ops.apply_policies(TRUE)", "SELECT ops.apply_policies()", AT_COMMIT):
        with pytest.raises(psycopg.errors.InvalidParameterValue) as raised, dba.transaction():
            dba.execute(attempt)
        assert (raised.value.diag.message_primary, raised.value.diag.message_hint) == (
            refused.message_primary,
            refused.message_hint,
        )
    assert reason in str(dba.execute("SELECT reason FROM ops.policy_faults()").fetchall())
    assert dba.execute(STATE).fetchall() == before


@pytest.mark.parametrize(
    ("object_", "setting", "value"), [row[:3] for row in REFUSED], ids=[f"{o}-{s}-{v}" for o, s, v, _ in REFUSED]
)
def test_the_hint_of_a_refusal_says_what_to_change_in_the_same_transaction(
    dba: Connection, object_: str, setting: str, value: str | None
) -> None:
    update(dba, object_, setting, value)
    with pytest.raises(psycopg.errors.InvalidParameterValue) as raised, dba.transaction():
        dba.execute(AT_COMMIT)
    hint = raised.value.diag.message_hint or ""
    remedy = REMEDY.search(hint)
    assert remedy, hint
    update(dba, remedy[2], remedy[1], None if remedy[3] == "NULL" else remedy[3])
    dba.execute(AT_COMMIT)


@pytest.mark.parametrize(
    ("first", "reason", "hint"),
    [
        ({"drop_after": None}, "nothing is archived that is never dropped", f"set drop_after of {METER}"),
        ({"chunk_interval": "7 days"}, "chunk_interval 7 days is not a day or an even part of it", "to 1 day"),
        ({"chunk_interval": "7 hours"}, "chunk_interval 07:00:00 is not a day or an even part of it", "to 1 day"),
        ({"chunk_interval": "0"}, "00:00:00 is not a multiple of 15 minutes", "to 1 day"),
    ],
)
def test_only_what_can_be_filed_by_the_day_and_is_dropped_is_archived(
    dba: Connection, first: dict[str, str | None], reason: str, hint: str
) -> None:
    for setting, value in first.items():
        dba.execute(f"UPDATE ops.policy SET {setting} = %s, archive = TRUE WHERE object = %s", [value, METER])
    for attempt in ("SELECT ops.apply_policies()", AT_COMMIT):
        with pytest.raises(psycopg.errors.InvalidParameterValue) as raised, dba.transaction():
            dba.execute(attempt)
        assert reason in (raised.value.diag.message_primary or "")
        assert hint in (raised.value.diag.message_hint or "")


def test_several_faults_are_told_once_each(dba: Connection) -> None:
    dba.execute("UPDATE ops.policy SET drop_after = '1 day' WHERE object LIKE 'telemetry.%%history'")
    with pytest.raises(psycopg.errors.InvalidParameterValue) as raised, dba.transaction():
        dba.execute(AT_COMMIT)
    further = (raised.value.diag.message_detail or "").splitlines()
    told = [raised.value.diag.message_primary, *further]
    assert sorted(told, key=str) == sorted(
        f"drop_after of {object_}: 1 day is less than {than}"
        for object_ in (METER, VEHICLE)
        for than in (
            "accept_for 2 years: readings would be acknowledged, and dropped at once",
            "compress_after 3 days: nothing would ever be compressed",
        )
    )


def test_a_single_fault_has_no_detail(dba: Connection) -> None:
    assert refusal(dba, METER, "drop_after", "1 year").message_detail is None


def test_a_transaction_that_would_lose_data_is_refused_when_it_commits(session: Connection) -> None:
    before = session.execute("SELECT * FROM ops.policy ORDER BY object").fetchall()
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"drop_after of bi\.meter_15min: 1 year is"):
        session.execute("UPDATE ops.policy SET drop_after = '1 year' WHERE object = 'bi.meter_15min'")
    assert session.execute("SELECT * FROM ops.policy ORDER BY object").fetchall() == before
    session.execute("SELECT ops.apply_policies()")


def test_settings_of_two_objects_that_depend_on_each_other_change_in_one_transaction(session: Connection) -> None:
    with session.transaction():
        update(session, "bi.meter_15min", "drop_after", "1 year")  # refused alone, as the test before shows
        update(session, METER, "accept_for", "1 year")
    assert apply(session) == [
        ("bi.meter_15min", "drop_after", "5 years", "1 year"),
        (METER, "accept_for", "2 years", "1 year"),
    ]


def test_a_policy_that_is_reset_has_its_defaults_again(session: Connection) -> None:
    default = session.execute("SELECT * FROM ops.policy WHERE object = %s", [METER]).fetchone()
    with session.transaction():
        session.execute(
            "UPDATE ops.policy SET chunk_interval = '1 hour', compress_after = NULL, drop_after = '9 days', "
            "accept_for = '8 days', archive = TRUE WHERE object = %s",
            [METER],
        )
    assert len(apply(session)) == 5
    assert session.execute("SELECT * FROM ops.reset_policy(%s)", [METER]).fetchone() == default
    assert len(apply(session)) == 5
    assert jobs(session, METER) == {
        "policy_compression 12:00:00": ("3 days",),
        "drop_due_chunks 1 day": ("2 years", False),
    }


def test_a_default_that_would_lose_data_beside_other_settings_is_refused(session: Connection) -> None:
    with session.transaction():
        update(session, "bi.meter_15min", "drop_after", "1 year")
        update(session, METER, "accept_for", "1 year")
    with pytest.raises(psycopg.errors.InvalidParameterValue) as raised:
        session.execute("SELECT ops.reset_policy(%s)", [METER])
    assert raised.value.diag.message_hint == f"set accept_for of {METER} to 1 year or less in the same transaction"
    assert apply(session, dry_run=True)
    with session.transaction():
        session.execute("SELECT ops.reset_policy(%s)", [METER])
        session.execute("SELECT ops.reset_policy('bi.meter_15min')")
    assert apply(session, dry_run=True) == []


def test_an_unknown_object_or_setting_is_refused_with_the_known_ones(dba: Connection) -> None:
    objects = f"the objects are {', '.join(sorted(line.split()[0] for line in DEFAULTS.strip().splitlines()))}"
    assert refusal(dba, "meter_15min", "drop_after", "1 year").message_hint == objects
    with pytest.raises(psycopg.errors.InvalidParameterValue) as raised, dba.transaction():
        dba.execute("SELECT ops.reset_policy('meter_15min')")
    assert raised.value.diag.message_primary == "ops.policy has no object meter_15min"
    assert raised.value.diag.message_hint == objects
    settings = refusal(dba, METER, "retention", "1 year").message_hint or ""
    assert settings.startswith("the settings are ")
    assert set(settings.removeprefix("the settings are ").split(", ")) == {*SETTINGS, "archive"}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (("telemetry.nothing", "archive", "on"), "ops.policy has no object telemetry.nothing"),
        ((None, "archive", "on"), "ops.policy has no object NULL"),
        ((METER, "colour", "red"), "ops.policy has no setting colour"),
        ((METER, "object", "x"), "ops.policy has no setting object"),
        ((METER, None, "x"), "ops.policy has no setting NULL"),
        ((METER, "ctid", "x"), "ops.policy has no setting ctid"),
        ((METER, "drop_after); DROP TABLE ops.policy; --", "x"), "ops.policy has no setting drop_after); DROP"),
        ((METER, "compress_after", "soon"), 'invalid input syntax for type interval: "soon"'),
        ((METER, "archive", "maybe"), 'invalid input syntax for type boolean: "maybe"'),
        ((METER, "chunk_interval", None), "telemetry.alert has no chunks, and every other object has"),
        ((METER, "accept_for", None), "a history accepts readings of at least the last hour"),
    ],
)
def test_what_is_not_a_policy_at_all_is_refused_in_plain_words(
    dba: Connection, policy: tuple[str | None, ...], message: str
) -> None:
    assert message in (refusal(dba, *policy).message_primary or "")


def ingest(connection: Connection, age: timedelta) -> list[str]:
    """The outcome of a meter reading of this age, as the service stores it."""
    [role] = connection.execute("SELECT current_user::text").fetchone() or ("",)
    connection.execute("RESET ROLE")
    reading = Reading("meter", "Mage", datetime.now(UTC) - age, 1.0, voltage=230.0)
    rows = connection.execute(
        "SELECT i.outcome FROM api.ingest_meter_readings(ARRAY[ROW(%s, %s, %s, %s, NULL)::api.meter_reading]) AS i",
        [reading.device_id, reading.recorded_at, reading.kwh, reading.voltage],
    ).fetchall()
    connection.execute(f'SET ROLE "{role}"')
    return [outcome for (outcome,) in rows]


def test_ingest_accepts_what_was_applied_and_not_what_was_only_set(dba: Connection) -> None:
    day = timedelta(days=1)
    set_policy(dba, METER, "accept_for", "10 days")
    assert ingest(dba, 20 * day) == ["stored"]
    apply(dba)
    assert ingest(dba, 20 * day) == ["timestamp_too_old"]
    assert ingest(dba, 9 * day) == ["stored"]
    set_policy(dba, METER, "accept_for", "30 days")
    assert ingest(dba, 20.1 * day) == ["timestamp_too_old"]
    apply(dba)
    assert ingest(dba, 20.1 * day) == ["stored"]


def test_a_retention_that_is_refused_rejects_no_reading_while_its_transaction_is_open(dba: Connection) -> None:
    update(dba, METER, "drop_after", "1 day")
    assert ingest(dba, timedelta(days=20)) == ["stored"]
    with pytest.raises(psycopg.errors.InvalidParameterValue), dba.transaction():
        dba.execute(AT_COMMIT)


def test_a_row_that_would_lose_data_neither_fails_a_migration_nor_rejects_readings(
    migrated_database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        connection.execute("RESET ROLE; SET search_path = public")
        # only a superuser can bring such a row in
        connection.execute("ALTER TABLE ops.policy DISABLE TRIGGER policies_lose_nothing")
        update(connection, METER, "drop_after", "1 day")
        connection.execute("ALTER TABLE ops.policy ENABLE TRIGGER policies_lose_nothing")
    with caplog.at_level(logging.WARNING, "service.database.migrate"):
        assert migrate(migrated_database.url) == []
    [warning] = [record.getMessage() for record in caplog.records if record.name == "service.database.migrate"]
    assert warning.startswith(f"policies are not applied: drop_after of {METER}: 1 day is less than ")
    assert f"of {METER} to 1 day or less" in warning
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        connection.execute("RESET ROLE; SET search_path = public")
        assert ingest(connection, timedelta(days=20)) == ["stored"]
        assert jobs(connection, METER)["drop_due_chunks 1 day"] == ("2 years", False)
        findings = connection.execute("SELECT finding FROM ops.diagnose() WHERE topic = 'policies'").fetchall()
        assert f"drop_after of {METER}: 1 day is less than accept_for 2 years" in str(findings)


def chunks_of(connection: Connection) -> list[str]:
    return [chunk for (chunk,) in connection.execute(f"SELECT c::text FROM show_chunks('{METER}') AS c ORDER BY 1")]


def test_what_is_archived_first_is_dropped_by_nobody_else(dba: Connection) -> None:
    ingest(dba, timedelta(days=40))
    ingest(dba, timedelta(days=30))
    for _ in range(2):
        set_policy(dba, METER, "archive", "on")
    assert apply(dba) == [(METER, "archive", "false", "true")]
    assert apply(dba) == []
    assert jobs(dba, METER) == {
        "policy_compression 12:00:00": ("3 days",),
        "drop_due_chunks 01:00:00": ("2 years", True),
    }
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
    # off again, nothing holds the chunks
    dba.execute("SET LOCAL ROLE energy_dba")
    set_policy(dba, METER, "archive", "off")
    assert apply(dba) == [(METER, "archive", "true", "false")]
    assert jobs(dba, METER)["drop_due_chunks 1 day"] == ("2 years", False)
    dba.execute("RESET ROLE")
    dba.execute(f"SELECT drop_chunks('{METER}', older_than => INTERVAL '1 day')")
    assert len(chunks_of(dba)) < len(chunks)


FOR_DBAS = {
    "functions": {
        "apply_policies", "bytes_left", "create_api_key", "current_policies", "default_alert_rules", "default_policies",
        "diagnose", "end_bi_sessions", "evaluate_alerts", "preview_alert_rule", "remove_alert_rule", "set_alert_rule",
        "list_chunks", "list_excessive_devices", "list_job_health", "list_silent_devices",
        "list_stale_ranges", "list_standbys", "measure_aggregate_lag", "pending_changes", "policy_faults",
        "reset_policy", "revoke_api_key", "rotate_api_key", "set_default_max_kw", "set_disk_bound", "set_policy",
        "import_prices", "recompute_sessions", "remove_grid_intensity", "remove_price", "set_grid_intensity",
        "set_meter_zone", "set_price", "set_price_zone", "set_session_gap", "set_standby_kw",
    },
    "relations": {
        "aggregate_lag", "alert_rule", "api_key", "applied_policy", "archived_chunk", "bi_session_limit", "chunk_list",
        "grid_intensity", "job_health", "meter_zone", "migration", "policy", "policy_job", "price", "price_zone",
        "silent_device", "storage",
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
    limits = {f"bi_session_limit.{limit}" for limit in ("transaction_for", "idle_for", "blocking_for")}
    assert {name for (name,) in writable} == limits | {f"policy.{setting}" for setting in [*SETTINGS, "archive"]}


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
        "default_policies()",
        "default_alert_rules()",
        "set_alert_rule('battery_hot')",
        "preview_alert_rule('battery_hot')",
        "remove_alert_rule('battery_hot')",
        "evaluate_alerts()",
        "list_excessive_devices()",
        "list_silent_devices()",
        "list_stale_ranges()",
        "list_standbys()",
        "bytes_left()",
    ],
)
def test_dbas_can_call_what_is_for_them(dba: Connection, call: str) -> None:
    dba.execute(f"SELECT * FROM ops.{call}")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM telemetry.meter_telemetry_history",
        "UPDATE telemetry.refresh_state SET received_until = now()",
        "DELETE FROM telemetry.dropped_time",
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
        "SELECT ops.take_up_again('telemetry.meter_telemetry_history', now(), now())",
        "CALL ops.drop_due_chunks(NULL, '{}')",
        "CALL ops.refresh_aggregates(NULL, '{}')",
        "SELECT drop_chunks('telemetry.meter_telemetry_history', older_than => INTERVAL '1 day')",
        "UPDATE ops.policy SET object = 'x'",
        "INSERT INTO ops.policy (object, chunk_interval) VALUES ('x', '1 day')",
        "DELETE FROM ops.policy",
        "ALTER TABLE ops.policy DISABLE TRIGGER policies_lose_nothing",
        "UPDATE ops.applied_policy SET accept_for = '1 day'",
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
            "drop_due_chunks 1 day": ("20 years", False),
        }
        energy_database = EnergyDatabase(connection)
        past = datetime.now(UTC) - timedelta(days=500)
        # a day is materialized once there are readings after it
        times = (past, past + timedelta(days=3))
        energy_database.arrive([Reading("meter", "Mzone", time, 1.0, voltage=230.0) for time in times])
        connection.execute('CALL ops.refresh_aggregates(NULL, \'{"kind": "meter"}\')')
        compress = "SELECT job_id FROM ops.policy_job WHERE object = 'bi.meter_daily' AND duty = 'compress'"
        connection.execute("CALL run_job(%s)", connection.execute(compress).fetchone())
        compressed = "SELECT is_compressed FROM ops.chunk_list WHERE object = 'bi.meter_daily'"
        assert connection.execute(compressed).fetchall() == [(True,)]
