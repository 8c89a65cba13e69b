"""The embedded database does what background workers do elsewhere, so that it stays bounded when it is left on."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from service.database.pool import open_database
from service.embedded import run_embedded
from service.embedded.jobs import FIRST_AFTER_S, run_due_jobs
from tests.support import TestDatabase
from tests.support.processes import running

STORE = """
    INSERT INTO telemetry.meter_telemetry_history (meter_id, counted_at, kwh_consumed_ac, voltage)
    SELECT 'M1', telemetry.counted_at(now() - %s::interval - n * INTERVAL '1 minute'), 0.1, 230
    FROM generate_series(1, 30) AS n
"""
JOBS = 20
HEALTH = "SELECT count(*), count(*) FILTER (WHERE health = 'ok' AND last_started_at IS NOT NULL) FROM ops.job_health"


@pytest.fixture
def url(migrated_database: TestDatabase) -> str:
    return migrated_database.url


async def test_due_jobs_refresh_compress_and_drop_and_then_rest(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("RESET ROLE; SET search_path = public")
        # a server would run the same jobs beside
        connection.execute("SELECT _timescaledb_functions.stop_background_workers()")
        for age in ("3 years", "10 days", "2 hours"):
            connection.execute(STORE, [age])
    async with open_database(url, connections=1) as database:
        assert len(await run_due_jobs(database)) == JOBS
        assert await run_due_jobs(database) == []
        assert await database.write.fetchval("SELECT current_user") == "energy_service"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("RESET ROLE; SET search_path = public")
        chunks = "SELECT is_compressed FROM ops.chunk_list WHERE object LIKE %s ORDER BY range_start"
        assert next(iter(connection.execute(chunks, ["telemetry.meter%"]))) == (True,)  # three years ago is gone
        [kept] = connection.execute("SELECT min(counted_at) FROM telemetry.meter_telemetry_history").fetchone() or ()
        assert datetime.now(UTC) - kept < timedelta(days=11)
        lags = "SELECT DISTINCT health, stale_ranges::text FROM ops.aggregate_lag"
        assert connection.execute(lags).fetchall() == [("ok", "{}")]
        # the refresh comes first, so quarter hours hold what retention has dropped
        [table] = connection.execute("SELECT telemetry.aggregate_table('meter_15min')::text").fetchone() or ("",)
        assert connection.execute(f"SELECT sum(readings) FROM {table}").fetchone() == (90,)
        assert connection.execute(HEALTH).fetchone() == (JOBS, JOBS)


async def test_a_job_that_fails_stops_no_other_and_is_reported(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("RESET ROLE; SET search_path = public")
        connection.execute(
            "CREATE OR REPLACE PROCEDURE ops.refresh_aggregates(p_job_id integer, p_config jsonb) LANGUAGE plpgsql "
            "AS $$BEGIN IF p_config ->> 'kind' = 'meter' THEN RAISE EXCEPTION 'the moon is full'; END IF; END$$"
        )
    async with open_database(url, connections=1) as database:
        assert len(await run_due_jobs(database)) == JOBS
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("RESET ROLE; SET search_path = public")
        failing = "SELECT object, duty, last_error FROM ops.job_health WHERE health = 'failing'"
        [(object_, duty, error)] = connection.execute(failing).fetchall()
        assert (object_, duty) == ("bi.meter_15min", "refresh")
        assert connection.execute(HEALTH).fetchone() == (JOBS, JOBS - 1)
        assert "the moon is full" in error
        findings = connection.execute("SELECT finding FROM ops.diagnose() WHERE is_fault AND topic = 'jobs'").fetchall()
        assert [error in finding for (finding,) in findings] == [True]


def test_the_service_runs_them(data_folder: dict[str, str]) -> None:
    with running(data_folder) as service:
        time.sleep(FIRST_AFTER_S + 1)
        assert service.get("/v1/analytics/fleet").status_code == 200  # which waits for the job that runs
    folder = Path(data_folder["ENERGY_DATA_DIR"])
    with run_embedded(folder) as database, psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("RESET ROLE; SET search_path = public")
        [runs] = connection.execute("SELECT count(*) FROM ops.job_run WHERE error IS NULL").fetchone() or (0,)
        assert runs > 0
