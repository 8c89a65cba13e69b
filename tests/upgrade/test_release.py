"""A database that an earlier release made, filled and used is upgraded: readings, keys, policies, archive, aggregates.

Every release that `releases.txt` names makes its own, with its own code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.database.calls import REFRESH_AGGREGATES
from service.database.migrate import migrate
from service.settings import Settings
from tests.support import TestDatabase, pools_of, rfc3339, run_another_database, served
from tests.support.processes import run
from tests.support.releases import Release, releases
from tests.upgrade.test_upgrade import connect, is_fresh, run_jobs

# the time-out is that of the release's own code, too
pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

Connection = psycopg.Connection[Any]
Rows = dict[str, list[tuple[Any, ...]]]
DAY = timedelta(days=1)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
BEGIN = TODAY - 9 * DAY
HOUR = timedelta(hours=1)
FILL = f"""
    SELECT api.set_device_profile('meter', 'M9', 'register', 99999.9, 50, 3600);
    SELECT api.link_vehicle('V3', 'M2', '{TODAY - 5 * DAY}');
    SELECT api.ingest_meter_readings(array_agg(r::api.meter_reading)) FROM (
        SELECT
            'M' || m, '{BEGIN}'::timestamptz + n * INTERVAL '1 hour', m + n / 100.0,
            CASE WHEN m > 1 OR n % 7 > 0 THEN 229 + m END, '10.0.0.1'
        FROM generate_series(1, 3) AS m, generate_series(1, 9 * 24 - 1) AS n
        UNION ALL
        SELECT
            'M9', '{TODAY - DAY}'::timestamptz + n * INTERVAL '1 hour',
            CASE WHEN n < 14 THEN 1000 + n ELSE n - 13.5 END, 230, NULL
        FROM generate_series(1, 20) AS n
        UNION ALL
        SELECT 'M1', '{TODAY - DAY}', -1, 230, '10.0.0.9'
    ) AS r;
    SELECT api.ingest_vehicle_readings(array_agg(r::api.vehicle_reading)) FROM (
        SELECT
            'V' || v, '{BEGIN}'::timestamptz + n * INTERVAL '1 hour', 20 + 3 * (n % 24),
            (v + n / 100.0) * CASE WHEN v = 1 THEN 0.5 WHEN n % 24 < 4 THEN 0 ELSE 0.9 END,
            CASE WHEN n % 5 > 0 THEN 20 + v END, NULL
        FROM generate_series(1, 3) AS v, generate_series(1, 9 * 24 - 1) AS n
    ) AS r;
    SELECT api.exchange_register('meter', 'M9', '{TODAY - 10.5 * HOUR}', 1013.5, 0);
    SELECT ops.set_price(0.25, 'EUR', 'default', '{BEGIN}');
    SELECT ops.set_grid_intensity(50, 'default', '{BEGIN}');
    SELECT ops.set_price_zone('north', 'Europe/Oslo');
    SELECT ops.set_meter_zone('M1', 'north');
    SELECT ops.set_alert_rule('efficiency_low', p_threshold => 0.8);
    SELECT ops.set_webhook('desk', 'https://desk.example/hook');
    SELECT ops.set_policy('telemetry.rejected_reading', 'drop_after', '60 days');
    UPDATE ops.policy SET drop_after = '7 days', accept_for = '7 days', archive = TRUE
    WHERE object LIKE 'telemetry.%history';
    SELECT ops.apply_policies()
"""
"""Statements that every release understands, as devices, DBAs and operators say them."""
LATE = f"""
    SELECT api.ingest_meter_readings(
        ARRAY[ROW('M2', '{TODAY - 2 * DAY + HOUR / 2}', 5, 230, NULL)::api.meter_reading]
    );
    SELECT api.ingest_vehicle_readings(
        ARRAY[ROW('V2', '{TODAY - 2 * DAY + HOUR / 2}', NULL, 4, NULL, NULL)::api.vehicle_reading]
    )
"""
"""Readings of an hour that the aggregates and sessions have already."""
IN_PASSING = {
    "ops.alertmanager",
    "ops.job_run",
    "telemetry.alert_recheck",
    "telemetry.changed_midnight",
    "telemetry.import_progress",
    "telemetry.stale_session",
}
"""Tables of work that is under way, which the release may leave empty."""
CHANGING = {
    "ops.migration": "has the new ones too",
    "ops.schema_object": "is the schema itself",
    "ops.job_run": "the jobs go on",
    "bi.alert": "has how long an alert has been open",
}
"""Tables that an upgrade changes, and why."""
TABLES = """
    SELECT
        c.oid::regclass::text,
        array_agg(
            quote_ident(a.attname) || CASE a.atttypid WHEN 'float8'::regtype THEN '' ELSE '::text' END ORDER BY a.attnum
        )
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind = 'r' AND c.relnamespace IN ('telemetry'::regnamespace, 'ops'::regnamespace)
        OR c.relkind = 'v' AND c.relnamespace = 'bi'::regnamespace
    GROUP BY c.oid ORDER BY 1
"""
"""Tables of the engine and views of BI people, with their columns."""


@dataclass(frozen=True)
class Upgrade:
    """A database of a release, and what was there before this version migrated it."""

    database: TestDatabase
    archive: Path
    token: str
    tables: dict[str, list[str]]
    before: Rows
    calls: dict[str, list[str]]


def rows(connection: Connection, tables: dict[str, list[str]]) -> Rows:
    """The rows of tables and views, sorted; floats to their ninth digit, as sums depend on their order."""
    return {
        table: sorted(
            (
                tuple(f"{value:.9g}" if isinstance(value, float) else value for value in row)
                for row in connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
            ),
            key=str,
        )
        for table, columns in tables.items()
    }


def understood(connection: Connection, calls: list[str]) -> dict[str, list[str]]:
    """The types of the parameters, and the columns with their types, of each call, as the service's role sees them."""
    found = {}
    connection.execute("SET ROLE energy_service")
    for call in calls:
        prepared = connection.pgconn.prepare(b"a_call", call.encode())
        assert prepared.status == psycopg.pq.ExecStatus.COMMAND_OK, (call, prepared.error_message)
        described = connection.pgconn.describe_prepared(b"a_call")
        names = [(described.fname(i) or b"").decode() for i in range(described.nfields)]
        parameters, types = connection.execute(
            "SELECT parameter_types::text[], result_types::text[] FROM pg_prepared_statements WHERE name = 'a_call'"
        ).fetchone() or ([], [])
        # a function that may not be executed is refused here, and none is executed
        connection.execute(
            "EXPLAIN EXECUTE a_call" + (f"({', '.join(['NULL'] * len(parameters))})" if parameters else "")
        )
        connection.execute("DEALLOCATE a_call")
        found[call] = [*parameters, "->", *(f"{name} {type_}" for name, type_ in zip(names, types, strict=True))]
    connection.execute("RESET ROLE")
    return found


@pytest.fixture(scope="module", params=releases(), ids=str)
def upgrade(
    request: pytest.FixtureRequest, test_database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgrade]:
    release: Release = request.param
    old = release.check_out(tmp_path_factory.mktemp("release"))
    archive = tmp_path_factory.mktemp("archive")
    with run_another_database(test_database) as database:
        old.run("migrate", DATABASE_URL=database.url)
        with connect(database.url) as connection:
            connection.execute("SELECT _timescaledb_functions.stop_background_workers()")
            for statement in FILL.split(";\n"):
                connection.execute(statement)
            key = "SELECT key_id, token FROM ops.create_api_key('device', 'meter', '{M1}')"
            [key_id, token] = connection.execute(key).fetchone() or ("", "")
            connection.execute("SELECT api.record_api_key_use(ARRAY[%s])", [key_id])
            for refresh in REFRESH_AGGREGATES:
                connection.execute(refresh)
            connection.execute(
                "SELECT compress_chunk(c) FROM show_chunks('telemetry.meter_telemetry_history', older_than => %s) AS c",
                [TODAY - 4 * DAY],
            )
        url = "TEST_EMBEDDED_URL" if database.is_embedded else "DATABASE_URL"
        old.run("archive", "run", "--drop", ENERGY_ARCHIVE=str(archive), **{url: database.url})
        calls = old.calls()
        with connect(database.url) as connection:
            for refresh in REFRESH_AGGREGATES:
                connection.execute(refresh)
            connection.execute("SELECT ops.evaluate_alerts()")
            for statement in LATE.split(";\n"):
                connection.execute(statement)
            tables = dict(connection.execute(TABLES).fetchall())
            before = rows(connection, tables)
            before_calls = understood(connection, calls)
        migrate(database.url)
        yield Upgrade(database, archive, token, tables, before, before_calls)


def test_the_release_had_something_of_everything(upgrade: Upgrade) -> None:
    empty = {table for table, found in upgrade.before.items() if not found}
    assert empty <= IN_PASSING


def test_every_row_of_every_table_and_view_is_as_it_was(upgrade: Upgrade) -> None:
    kept = {table: columns for table, columns in upgrade.tables.items() if table not in CHANGING}
    with connect(upgrade.database.url) as connection:
        after = rows(connection, kept)
    differing = {}
    for table in kept:
        # of a new setting there may be new rows
        lost = [row for row in upgrade.before[table] if row not in after[table]]
        if lost or (not table.startswith("ops.") and len(after[table]) != len(upgrade.before[table])):
            differing[table] = (lost[:3], len(after[table]), len(upgrade.before[table]))
    assert differing == {}


def test_the_schema_is_that_of_a_fresh_installation_and_nothing_is_wrong(upgrade: Upgrade) -> None:
    with connect(upgrade.database.url) as connection:
        assert is_fresh(connection)
        assert connection.execute("SELECT * FROM ops.apply_policies()").fetchall() == []
        wrong = "SELECT topic, finding FROM ops.diagnose() WHERE is_fault AND topic <> 'jobs'"  # which do not run here
        assert connection.execute(wrong).fetchall() == []
    assert migrate(upgrade.database.url) == []


def test_every_call_of_the_releases_service_is_understood_as_before(upgrade: Upgrade) -> None:
    """It goes on while this version migrates, and until its last process is replaced."""
    assert len(upgrade.calls) > 40
    with connect(upgrade.database.url) as connection:
        now = understood(connection, list(upgrade.calls))
    # new columns may follow
    assert {call: found[: len(upgrade.calls[call])] for call, found in now.items()} == upgrade.calls


async def test_a_key_opens_what_it_opened_and_a_retry_is_known(upgrade: Upgrade) -> None:
    reading = {"meterId": "M1", "kwhConsumedAc": 1 + 215 / 100, "voltage": 230, "timestamp": rfc3339(TODAY - HOUR)}
    async with pools_of(upgrade.database) as database, served(database, Settings(auth="required")) as api:
        headers = {"authorization": f"Bearer {upgrade.token}"}
        for sent, status in ((reading, 200), (reading | {"meterId": "M2"}, 403)):
            answer = await api.http.post("/v1/ingest/meter", json=sent, headers=headers)
            assert answer.status_code == status, answer.text
        assert (await api.http.get("/v1/status/meter/M1")).status_code == 401


def test_a_late_reading_that_no_refresh_had_seen_is_taken_up_by_the_jobs(upgrade: Upgrade) -> None:
    query = "SELECT sum(kwh_consumed_ac), sum(readings) FROM bi.meter_daily WHERE meter_id = 'M2' AND bucket = %s"
    hours = [2 + n / 100 for n in range(7 * 24 + 1, 8 * 24 + 1)]
    with connect(upgrade.database.url) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM bi.stale_range").fetchone() == (True,)
        run_jobs(connection)
        assert connection.execute(query, [TODAY - 2 * DAY]).fetchone() == (pytest.approx(sum(hours) + 5), 25)
        assert connection.execute("SELECT count(*) FROM bi.stale_range").fetchone() == (0,)


def test_the_archive_is_valid_and_gives_back_what_retention_dropped(upgrade: Upgrade) -> None:
    place = {"ENERGY_ARCHIVE": str(upgrade.archive)}
    listed = run("archive", "list", "--json", on=upgrade.database, **place).stdout.splitlines()
    assert len([json.loads(line) for line in listed if json.loads(line)["dropped_at"]]) >= 4
    assert run("archive", "verify", on=upgrade.database, **place).returncode == 0
    with connect(upgrade.database.url) as connection:
        days = connection.execute("SELECT sum(kwh_consumed_ac) FROM bi.meter_daily").fetchone()
    span = ("--from", f"{BEGIN:%Y-%m-%d}", "--to", f"{BEGIN + DAY:%Y-%m-%d}")
    restored = run("archive", "restore", *span, on=upgrade.database, **place)
    assert restored.returncode == 0, restored.stderr
    with connect(upgrade.database.url) as connection:
        query = "SELECT count(*), sum(kwh_consumed_ac) FROM telemetry.meter_telemetry_history WHERE counted_at < %s"
        # three meters, and the hours of a day: its last one ends with it
        kwh = sum(m + n / 100 for m in (1, 2, 3) for n in range(1, 25))
        assert connection.execute(query, [BEGIN + DAY]).fetchone() == (3 * 24, pytest.approx(kwh))
        run_jobs(connection)
        assert connection.execute("SELECT sum(kwh_consumed_ac) FROM bi.meter_daily").fetchone() == pytest.approx(days)
