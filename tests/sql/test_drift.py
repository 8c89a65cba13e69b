"""Drift: ops.diagnose_schema names every change by hand, and nothing that a DBA or TimescaleDB may change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import asyncpg
import psycopg
import pytest

from service.commands.doctor import examine
from service.database.migrate import migrate, set_time_zone
from service.settings import Settings
from tests.support import Owner, TestDatabase
from tests.support.schema import golden, schema_of

HISTORY = "telemetry.meter_telemetry_history"
FAULTS = "SELECT finding FROM ops.diagnose_schema() WHERE is_fault"

BY_HAND = {
    f"ALTER TABLE {HISTORY} RENAME COLUMN voltage TO volts": [
        f"column {HISTORY}.voltage is missing",
        f"column {HISTORY}.volts was added by hand",
    ],
    "ALTER TABLE telemetry.meter_current_status DROP COLUMN voltage CASCADE": [
        "column telemetry.meter_current_status.voltage is missing"
    ],
    f"ALTER TABLE {HISTORY} ADD COLUMN note text": [f"column {HISTORY}.note was added by hand"],
    "ALTER TABLE telemetry.fleet ALTER COLUMN standby_kw SET DEFAULT 1": [
        "column telemetry.fleet.standby_kw was changed by hand"
    ],
    f"ALTER TABLE {HISTORY} ALTER COLUMN kwh_consumed_ac DROP NOT NULL": [
        f"column {HISTORY}.kwh_consumed_ac was changed by hand"
    ],
    f"CREATE INDEX by_voltage ON {HISTORY} (voltage)": [f"index {HISTORY}.by_voltage was added by hand"],
    "DROP INDEX telemetry.device_profile_checked": ["index telemetry.device_profile.device_profile_checked is missing"],
    "ALTER TABLE telemetry.vehicle_meter_link DROP CONSTRAINT meter_feeds_one_vehicle_at_a_time": [
        "constraint telemetry.vehicle_meter_link.meter_feeds_one_vehicle_at_a_time is missing"
    ],
    f"CREATE TRIGGER mine BEFORE INSERT ON {HISTORY} FOR EACH ROW "
    "EXECUTE FUNCTION suppress_redundant_updates_trigger()": [f"trigger {HISTORY}.mine was added by hand"],
    "ALTER TABLE telemetry.api_key DISABLE TRIGGER count_change": [
        "trigger telemetry.api_key.count_change was changed by hand"
    ],
    f"ALTER TABLE {HISTORY} SET (timescaledb.compress_orderby = 'counted_at')": [
        f"table {HISTORY} was changed by hand"
    ],
    "ALTER MATERIALIZED VIEW bi.meter_daily SET (timescaledb.materialized_only)": [
        "aggregate bi.meter_daily was changed by hand"
    ],
    "CREATE TABLE telemetry.mine (id int PRIMARY KEY)": ["table telemetry.mine was added by hand"],
    "DROP TABLE telemetry.vehicle_meter_link CASCADE": ["table telemetry.vehicle_meter_link is missing"],
    "CREATE OR REPLACE VIEW bi.stale_range AS "
    "SELECT NULL::text AS aggregate, NULL::timestamptz AS range_start, NULL::timestamptz AS range_end": [
        "view bi.stale_range was changed by hand"
    ],
    "ALTER FUNCTION telemetry.is_small_fleet() RENAME TO is_little_fleet": [
        "function telemetry.is_small_fleet() is missing",
        "function telemetry.is_little_fleet() was added by hand",
    ],
    "ALTER FUNCTION api.get_time_zone() SECURITY INVOKER": ["function api.get_time_zone() was changed by hand"],
}
"""A change by hand -> the beginning of the findings that name it."""

MEANT = [
    "SELECT ops.set_policy('telemetry.rejected_reading', 'drop_after', '60 days'), ops.apply_policies()",
    "SELECT ops.set_policy('bi.meter_15min', 'compress_after', '20 days'), ops.apply_policies()",
    f"SELECT ops.set_policy('{HISTORY}', 'archive', 'true'), ops.apply_policies()",
    "CREATE OR REPLACE FUNCTION telemetry.default_meter_id(p_vehicle_id text) RETURNS text "
    "LANGUAGE sql STABLE RETURN 'charger-' || p_vehicle_id",
    f"INSERT INTO {HISTORY} (meter_id, counted_at, kwh_consumed_ac) VALUES ('MD1', now(), 1)",
    f"INSERT INTO {HISTORY} (meter_id, counted_at, kwh_consumed_ac) VALUES ('MD1', now() - INTERVAL '9 days', 1); "
    f"SELECT public.compress_chunk(c) FROM public.show_chunks('{HISTORY}', older_than => INTERVAL '8 days') AS c",
    f"SELECT public.set_chunk_time_interval('{HISTORY}', INTERVAL '2 days')",
    "CREATE SCHEMA mine; CREATE TABLE mine.site (id text PRIMARY KEY); "
    "CREATE VIEW mine.day AS SELECT * FROM bi.meter_daily",
    "GRANT SELECT ON telemetry.meter_current_status TO energy_dba",
    "COMMENT ON TABLE telemetry.fleet IS 'ours'",
    "ALTER TABLE telemetry.meter_current_status SET (autovacuum_vacuum_scale_factor = 0.01)",
    f"ALTER TABLE {HISTORY} ALTER COLUMN meter_id SET STATISTICS 500",
    "SELECT ops.set_standby_kw(0.1), ops.set_default_max_kw('meter', 22), ops.set_disk_bound('1 TB')",
]
"""Changes that are a DBA's or TimescaleDB's own."""


async def faults_of(connection: asyncpg.Connection) -> list[str]:
    return [row["finding"] for row in await connection.fetch(FAULTS)]


@pytest.mark.parametrize("statement", BY_HAND)
async def test_a_change_by_hand_is_named(owner: Owner, statement: str) -> None:
    async with owner.undone() as connection:
        assert await faults_of(connection) == []
        await connection.execute(statement)
        found = await faults_of(connection)
        for beginning in BY_HAND[statement]:
            assert [finding for finding in found if finding.startswith(f"{beginning}: ")], found


@pytest.mark.parametrize("statement", MEANT)
async def test_what_a_dba_or_timescaledb_may_change_is_no_drift(owner: Owner, statement: str) -> None:
    async with owner.undone() as connection:
        await connection.execute(statement)
        assert await faults_of(connection) == []


async def test_the_parts_of_a_missing_table_go_without_saying_and_no_list_is_endless(owner: Owner) -> None:
    async with owner.undone() as connection:
        await connection.execute("DROP TABLE telemetry.rejected_source CASCADE")
        assert len(await faults_of(connection)) == 1
        for number in range(30):
            await connection.execute(f"CREATE TABLE telemetry.mine{number} (id int)")
        assert len(await faults_of(connection)) == 20
        [summary] = await connection.fetch("SELECT finding FROM ops.diagnose_schema() WHERE NOT is_fault")
        assert summary["finding"].endswith(" objects, 31 of them not as `energy migrate` left them")


async def test_after_an_upgrade_of_the_server_only_names_are_compared(owner: Owner) -> None:
    async with owner.undone() as connection:
        await connection.execute(
            "UPDATE ops.schema_object SET recorded_with = 'PostgreSQL 15, TimescaleDB 2.11', definition = 'other words'"
        )
        assert await faults_of(connection) == []
        [summary] = await connection.fetch("SELECT finding FROM ops.diagnose_schema() WHERE NOT is_fault")
        assert "PostgreSQL 15, TimescaleDB 2.11: only names are compared until" in summary["finding"]
        await connection.execute("CREATE TABLE telemetry.mine (id int)")
        assert len(await faults_of(connection)) == 1
        await connection.execute("DROP TABLE telemetry.mine; SELECT ops.record_schema()")
        await connection.execute("ALTER TABLE telemetry.fleet ALTER COLUMN standby_kw SET DEFAULT 1")
        assert len(await faults_of(connection)) == 1


async def test_a_database_without_a_record_is_told_to_migrate(owner: Owner) -> None:
    async with owner.undone() as connection:
        await connection.execute("DELETE FROM ops.schema_object")
        [row] = await connection.fetch("SELECT finding, is_fault FROM ops.diagnose_schema()")
        assert (row["is_fault"], "run `energy migrate`" in row["finding"]) == (False, True)


async def test_any_job_that_is_deleted_is_missed(owner: Owner) -> None:
    async with owner.undone() as connection:
        jobs = await connection.fetch("SELECT job_id, object, duty FROM ops.policy_job ORDER BY job_id")
        assert len(jobs) > 15
        for job in jobs:
            step = connection.transaction()
            await step.start()
            await connection.execute("SELECT public.delete_job($1)", job["job_id"])
            rows = await connection.fetch(
                "SELECT finding FROM ops.diagnose() WHERE is_fault AND topic IN ('jobs', 'policies')"
            )
            assert [row["finding"] for row in rows if "SELECT ops.apply_policies()" in row["finding"]], dict(job)
            await connection.execute("SELECT ops.apply_policies()")
            again = "SELECT object, duty FROM ops.policy_job WHERE object = $1 AND duty = $2"
            assert len(await connection.fetch(again, job["object"], job["duty"])) == 1
            await step.rollback()


@pytest.fixture
def session(migrated_database: TestDatabase) -> Iterator[psycopg.Connection[Any]]:
    """A session on a database of its own, with readings of the last days and of three years ago."""
    with psycopg.connect(migrated_database.url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("RESET ROLE; SET search_path = public; SET TimeZone = 'UTC'")
        connection.execute("SELECT alter_job(job_id, scheduled => FALSE) FROM ops.policy_job")
        connection.execute(
            f"INSERT INTO {HISTORY} (meter_id, counted_at, kwh_consumed_ac) "
            "SELECT 'M1', now() - n * INTERVAL '1 day', 1 FROM unnest(ARRAY[1, 2, 3, 1100, 1101]) AS n"
        )
        refresh(connection)
        yield connection


def refresh(connection: psycopg.Connection[Any]) -> None:
    connection.execute('CALL ops.refresh_aggregates(NULL, \'{"kind": "meter"}\')')


def faults(connection: psycopg.Connection[Any]) -> list[str]:
    return [finding for (finding,) in connection.execute(FAULTS).fetchall()]


def test_a_history_that_is_emptied_by_hand_is_a_fault_and_one_that_retention_shortens_is_none(
    session: psycopg.Connection[Any],
) -> None:
    [drop] = session.execute(
        f"SELECT job_id FROM ops.policy_job WHERE object = '{HISTORY}' AND duty = 'drop'"
    ).fetchone()
    session.execute(f"CALL run_job({drop})")
    left = session.execute(f"SELECT count(*) FROM {HISTORY}").fetchone()
    assert left == (3,)
    assert faults(session) == []
    refresh(session)  # it records the dropped chunks
    assert faults(session) == []
    # what is kept for longer from now on was dropped rightly
    session.execute(
        "UPDATE ops.policy SET drop_after = '5 years' WHERE object LIKE 'telemetry.%history';"
        "SELECT ops.apply_policies()"
    )
    assert faults(session) == []

    session.execute(f"TRUNCATE {HISTORY}")
    for _ in range(2):
        [fault] = faults(session)
        assert fault.startswith(f"readings of {HISTORY} from 20")
        refresh(session)
    session.execute("SELECT ops.accept_drift()")
    assert faults(session) == []


def test_no_migrate_takes_a_change_by_hand_for_right(
    session: psycopg.Connection[Any], migrated_database: TestDatabase
) -> None:
    session.execute(f"ALTER TABLE {HISTORY} ADD COLUMN note text")
    session.execute("ALTER FUNCTION api.get_time_zone() SECURITY INVOKER")
    session.execute("DROP INDEX telemetry.device_profile_checked")
    assert len(faults(session)) == 3
    url = migrated_database.url
    for change in (lambda: migrate(url), lambda: set_time_zone(url, "Europe/Berlin")):
        if migrated_database.is_embedded:  # which has one connection
            session.close()
        change()
        if session.closed:
            session = psycopg.connect(url, autocommit=True, prepare_threshold=None)
        assert [fault.partition(": ")[0] for fault in faults(session)] == [
            "index telemetry.device_profile.device_profile_checked is missing",
            f"column {HISTORY}.note was added by hand",
        ]
    session.execute("SELECT ops.accept_drift()")
    assert faults(session) == []
    session.close()


def test_doctor_names_the_column_that_makes_the_other_findings_fail(
    session: psycopg.Connection[Any], migrated_database: TestDatabase
) -> None:
    session.execute("ALTER TABLE ops.archived_chunk RENAME COLUMN verified_at TO checked_at")
    session.close()
    _, found = examine(Settings(database_url=migrated_database.url))
    assert ("schema", "column ops.archived_chunk.verified_at is missing") in [
        (topic, finding.partition(": ")[0]) for topic, finding in found
    ]
    assert any("ops.diagnose() fails" in finding for _, finding in found)


def test_a_fresh_installation_has_the_schema_that_is_written_down(session: psycopg.Connection[Any]) -> None:
    assert schema_of(session) == golden(), "run: make docs"
