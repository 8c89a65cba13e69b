"""A backup by pg_dump, restored into a new database, is the same engine: as docs/operations.md has it."""

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.database.calls import REFRESH_AGGREGATES
from service.database.migrate import migrate
from tests.oracle.records import Reading
from tests.support import TestDatabase, fresh_database
from tests.support.energy_world import EnergyDatabase
from tests.support.processes import run as run_command

DAY = timedelta(days=1)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
FIVE_MINUTES = [TODAY - 5 * DAY + n * timedelta(minutes=5) for n in range(1, 5 * 288 + 1)]
"""When readings come: over five days, up to a midnight."""
REFRESHED_SINCE = """
    SELECT count(*) FROM ops.job_health
    WHERE duty = 'refresh' AND health = 'ok' AND last_started_at > %s AND last_duration IS NOT NULL
"""
NAMES = "('telemetry', 'api', 'bi', 'ops')"
CATALOGUE = f"""
    SELECT 'relation', n.nspname || '.' || c.relname, c.relowner::regrole::text, c.relacl::text, obj_description(c.oid)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname IN {NAMES} AND c.relkind IN ('r', 'v', 'c')
    UNION ALL
    SELECT 'column', c.oid::regclass::text || '.' || a.attname, '', a.attacl::text, col_description(c.oid, a.attnum)
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace::regnamespace::text IN {NAMES} AND c.relkind IN ('r', 'v', 'c') AND a.attnum > 0
    AND NOT a.attisdropped
    UNION ALL
    SELECT 'function', p.oid::regprocedure::text, p.proowner::regrole::text, p.proacl::text, obj_description(p.oid)
    FROM pg_proc AS p WHERE p.pronamespace::regnamespace::text IN {NAMES}
    UNION ALL
    SELECT 'schema', nspname, nspowner::regrole::text, nspacl::text, obj_description(oid)
    FROM pg_namespace WHERE nspname IN {NAMES}
    UNION ALL
    SELECT 'default', defaclrole::regrole::text, defaclobjtype::text, defaclacl::text, '' FROM pg_default_acl
    ORDER BY 1, 2, 3
"""
JOBS = """
    SELECT job_id, proc_schema, proc_name, schedule_interval, owner::text, config, scheduled
    FROM timescaledb_information.jobs WHERE job_id >= 1000 ORDER BY 1
"""
CONTENTS = {
    "history": "SELECT * FROM telemetry.meter_telemetry_history ORDER BY 1, 2",
    "vehicles": "SELECT * FROM telemetry.vehicle_telemetry_history ORDER BY 1, 2",
    "status": "SELECT * FROM telemetry.meter_current_status ORDER BY 1",
    "quarter hours": "SELECT * FROM bi.meter_15min ORDER BY 1, 2",
    "hours": "SELECT * FROM bi.vehicle_hourly ORDER BY 1, 2",
    "days": "SELECT * FROM bi.fleet_efficiency_daily ORDER BY 1",
    "balance": f"SELECT * FROM api.get_vehicle_performance('V1', '{TODAY - 9 * DAY}', '{TODAY}')",
    "late": "SELECT aggregate, stale_ranges FROM ops.aggregate_lag ORDER BY 1",
    "policy": "SELECT * FROM ops.policy ORDER BY 1",
    "archived": "SELECT * FROM ops.archived_chunk ORDER BY 1, 2",
    "guard": "SELECT * FROM ops.archive_guard ORDER BY 1",
    "chunks": "SELECT object, chunk, range_start, is_compressed FROM ops.chunk_list ORDER BY 1, 2",
    "migrations": "SELECT * FROM ops.migration ORDER BY 1",
    "jobs": JOBS,
    "catalogue": CATALOGUE,
}


def run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stderr


def contents(connection: psycopg.Connection[Any]) -> dict[str, list[tuple]]:
    return {name: connection.execute(query).fetchall() for name, query in CONTENTS.items()}


@contextlib.contextmanager
def backed_up(url: str, dump: Path) -> Iterator[str]:
    """A new database that a backup of another is restored into, by the steps of docs/operations.md and no other."""
    run("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={url}")
    with fresh_database(url) as restored:
        with psycopg.connect(restored, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION timescaledb WITH SCHEMA public")
            connection.execute("SELECT timescaledb_pre_restore()")
        run("pg_restore", "--exit-on-error", f"--dbname={restored}", str(dump))
        with psycopg.connect(restored, autocommit=True) as connection:
            connection.execute("SELECT timescaledb_post_restore()")
            connection.execute("ANALYZE")
        assert migrate(restored) == []
        yield restored


def refresh(connection: psycopg.Connection[Any]) -> None:
    for statement in REFRESH_AGGREGATES:
        connection.execute(statement)


def aggregates(connection: psycopg.Connection[Any]) -> dict[str, list[tuple]]:
    """Every row of every relation that BI people read; floats to their ninth digit, as sums depend on their order.

    But for alerts, which a job opens at any moment, and the ids of sessions, which their first refresh decides.
    """
    connection.execute("SET TimeZone = 'UTC'")
    names = connection.execute(
        "SELECT relname::text FROM pg_class"
        " WHERE relnamespace = 'bi'::regnamespace AND relkind = 'v' AND relname <> 'alert' ORDER BY 1"
    ).fetchall()
    assert len(names) > 9
    return {
        name: sorted(
            [
                tuple(float(f"{value:.9g}") if isinstance(value, float) else value for value in row)[
                    name.startswith("charging_session") :
                ]
                for row in connection.execute(f"SELECT * FROM bi.{name}").fetchall()
            ],
            key=str,
        )
        for (name,) in names
    }


@pytest.fixture(autouse=True)
def _tools(migrated_database: TestDatabase) -> None:
    tools = [shutil.which(tool) for tool in ("pg_dump", "pg_restore")]
    if not all(tools):
        pytest.skip("pg_dump and pg_restore are not on PATH")
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        version = re.search(r"\d+", subprocess.check_output([str(tools[0]), "--version"], text=True))
        if version and int(version[0]) < connection.info.server_version // 10000:
            pytest.skip(f"pg_dump is {version[0]}, older than the server")


@pytest.fixture
def source(migrated_database: TestDatabase) -> Iterator[psycopg.Connection[Any]]:
    """A database that has worked for a while: late readings, compressed chunks, an archive, policies of its own."""
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        database = EnergyDatabase(connection)
        times = [TODAY - 9 * DAY + n * timedelta(hours=1) for n in range(200)]
        database.arrive([Reading("meter", "M1", time, 1.0, voltage=230.0) for time in times])
        database.arrive([Reading("vehicle", "V1", time, 0.9, soc=50.0, battery_temp=20.0) for time in times])
        refresh(connection)
        database.compress()
        database.arrive([Reading("meter", "M1", TODAY - 8 * DAY + timedelta(minutes=7), 1.0, voltage=230.0)])
        for policy in (
            ("telemetry.meter_telemetry_history", "archive", "on"),
            ("bi.meter_daily", "compress_after", "9 days"),
            ("telemetry.rejected_reading", "drop_after", "60 days"),
        ):
            connection.execute("SELECT ops.set_policy(%s, %s, %s)", policy)
        connection.execute("SELECT ops.apply_policies()")
        connection.execute("SELECT alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs")
        yield connection


@pytest.mark.concurrent
def test_what_pg_dump_leaves_out_is_in_the_roles(
    source: psycopg.Connection[Any], migrated_database: TestDatabase
) -> None:
    if not shutil.which("pg_dumpall"):
        pytest.skip("pg_dumpall is not on PATH")
    roles = subprocess.check_output(
        ["pg_dumpall", "--roles-only", "--no-role-passwords", f"--dbname={migrated_database.url}"], text=True
    )
    for role in ("energy_owner", "energy_service", "energy_bi", "energy_dba"):
        assert f"CREATE ROLE {role};" in roles
    assert re.search(r"ALTER ROLE energy_owner WITH .*\bLOGIN\b", roles)
    assert "ALTER ROLE energy_bi SET statement_timeout TO '60s';" in roles
    assert "ALTER ROLE energy_owner SET \"timescaledb.max_tuples_decompressed_per_dml_transaction\" TO '0';" in roles


@pytest.mark.concurrent
def test_a_restored_database_has_all_of_it_and_goes_on_working(
    source: psycopg.Connection[Any], migrated_database: TestDatabase, tmp_path: Path
) -> None:
    expected = contents(source)
    assert len(expected["history"]) == 201
    assert any(stale for _, stale in expected["late"])
    with backed_up(migrated_database.url, tmp_path / "energy.dump") as restored:
        with psycopg.connect(restored, autocommit=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            found = contents(connection)
            for name in CONTENTS:
                assert found[name] == expected[name], name
            assert {job[4] for job in found["jobs"]} == {"energy_owner"}
            # 2 refresh, 8 compress, 8 drop; one evaluates alerts, one watches BI sessions
            assert len(found["jobs"]) == 20
            assert connection.execute("SELECT * FROM ops.apply_policies()").fetchall() == []
        with psycopg.connect(restored, autocommit=True) as connection:
            database = EnergyDatabase(connection)
            # a retry is known, a new reading is stored, and what came late is taken up
            old = Reading("meter", "M1", TODAY - 9 * DAY, 1.0, voltage=230.0)
            new = Reading("meter", "M1", datetime.now(UTC), 1.0, voltage=230.0)
            assert database.arrive([old, new]) == ["duplicate", "stored"]
            refresh(connection)
            [day] = database.rows(
                "SELECT sum(readings) AS readings FROM bi.meter_daily WHERE bucket < %s", TODAY - 2 * DAY
            )
            # those up to that midnight, itself included
            assert day["readings"] == 201 - 31
            # the guard holds what it held, and every job runs
            with pytest.raises(psycopg.errors.DependentObjectsStillExist):
                connection.execute("SELECT drop_chunks('telemetry.meter_telemetry_history', INTERVAL '1 day')")
            for (job,) in connection.execute("SELECT job_id FROM ops.policy_job").fetchall():
                connection.execute(f"CALL run_job({job})")


@pytest.mark.concurrent
@pytest.mark.timeout(400)
@pytest.mark.parametrize("state", ["refreshed", "oldest days dropped", "never refreshed"])
def test_a_restored_database_answers_as_before_and_its_own_jobs_keep_it_so(
    migrated_database: TestDatabase, tmp_path: Path, state: str
) -> None:
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        database = EnergyDatabase(connection)
        database.arrive([Reading("meter", "M1", time, 1.0, voltage=230.0) for time in FIVE_MINUTES])
        database.arrive([Reading("vehicle", "V1", time, 0.9, soc=50.0, battery_temp=20.0) for time in FIVE_MINUTES])
        if state != "never refreshed":
            refresh(connection)
            database.compress()
            late = TODAY - 2 * DAY + timedelta(minutes=2)
            database.arrive([Reading("meter", "M1", late, 1.0, voltage=230.0)])
            refresh(connection)
        if state == "oldest days dropped":
            connection.execute("SELECT drop_chunks('telemetry.meter_telemetry_history', %s)", [TODAY - 3 * DAY])
            refresh(connection)
        expected = aggregates(connection)
        readings = [sum(row[3] for row in expected[f"meter_{name}"]) for name in ("15min", "hourly", "daily")]
        assert readings == [len(FIVE_MINUTES) + (state != "never refreshed")] * 3
        # as the jobs of a server are, so that those of the restored database begin by themselves
        connection.execute("SELECT alter_job(job_id, scheduled => TRUE) FROM timescaledb_information.jobs")

    with (
        backed_up(migrated_database.url, tmp_path / "energy.dump") as restored,
        psycopg.connect(restored, autocommit=True) as connection,
    ):
        assert aggregates(connection) == expected
        began = connection.execute("SELECT now()").fetchone()
        deadline = time.monotonic() + 240  # each job starts within its interval of three minutes
        while connection.execute(REFRESHED_SINCE, began).fetchone() != (2,):
            assert time.monotonic() < deadline, connection.execute("SELECT * FROM ops.job_health").fetchall()
            time.sleep(0.5)
        assert aggregates(connection) == expected
        connection.execute("SELECT alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs")
        for (job,) in connection.execute("SELECT job_id FROM ops.policy_job").fetchall():
            connection.execute(f"CALL run_job({job})")
        assert aggregates(connection) == expected
        assert connection.execute("SELECT count(*) FROM bi.stale_range").fetchone() == (0,)
        connection.execute("SELECT alter_job(job_id, scheduled => TRUE) FROM timescaledb_information.jobs")
        if (
            state == "oldest days dropped"
        ):  # by hand, which doctor takes for a fault until somebody says that it is none
            connection.execute("SELECT ops.accept_drift()")
        result = run_command("doctor", DATABASE_URL=restored)
        assert result.returncode == 0, result.stdout
