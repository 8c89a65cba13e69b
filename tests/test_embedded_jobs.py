"""The embedded database does what background workers do elsewhere, so that it stays bounded when it is left on."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from service.db import open_database
from service.embedded import run_embedded
from service.embedded.jobs import FIRST_AFTER_S, run_due_jobs
from tests.processes import running
from tests.support import TestDatabase

STORE = """
    INSERT INTO telemetry.meter_telemetry_history (meter_id, recorded_at, kwh_consumed_ac, voltage)
    SELECT 'M1', now() - %s::interval - n * INTERVAL '1 minute', 0.1, 230 FROM generate_series(1, 30) AS n
"""
HEALTH = "SELECT count(*), count(*) FILTER (WHERE health = 'ok' AND last_started_at IS NOT NULL) FROM ops.job_health"


@pytest.fixture
def url(migrated_database: TestDatabase) -> str:
    return migrated_database.url


async def test_due_jobs_refresh_compress_and_drop_and_then_rest(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("RESET ROLE; SET search_path = public")
        for age in ("3 years", "10 days", "2 hours"):
            connection.execute(STORE, [age])
    async with open_database(url, connections=1) as database:
        assert len(await run_due_jobs(database)) > 20
        assert await run_due_jobs(database) == []
        assert await database.read.fetchval("SELECT current_user") == "energy_service"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("RESET ROLE; SET search_path = public")
        chunks = "SELECT is_compressed FROM ops.chunk_list WHERE object LIKE %s ORDER BY range_start"
        assert next(iter(connection.execute(chunks, ["telemetry.meter%"]))) == (True,)  # three years ago is gone
        [kept] = connection.execute("SELECT min(recorded_at) FROM telemetry.meter_telemetry_history").fetchone() or ()
        assert datetime.now(UTC) - kept < timedelta(days=11)
        assert set(connection.execute("SELECT health, behind::text FROM ops.aggregate_lag")) == {("ok", "00:00:00")}
        [table] = connection.execute("SELECT telemetry.aggregate_table('meter_15min')::text").fetchone() or ("",)
        assert connection.execute(f"SELECT sum(readings) FROM {table}").fetchone() == (60,)
        jobs, well = connection.execute(HEALTH).fetchone() or (0, 0)
        assert jobs == well > 20


async def test_a_job_that_fails_stops_no_other_and_is_reported(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("RESET ROLE; SET search_path = public")
        connection.execute(
            "CREATE OR REPLACE PROCEDURE ops.refresh_stale_days(p_job_id integer DEFAULT NULL, p_config jsonb "
            "DEFAULT NULL) LANGUAGE plpgsql "
            "AS $$BEGIN RAISE EXCEPTION 'the moon is full'; END$$"
        )
    async with open_database(url, connections=1) as database:
        assert len(await run_due_jobs(database)) > 20
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("RESET ROLE; SET search_path = public")
        failing = "SELECT duty, last_error FROM ops.job_health WHERE health = 'failing'"
        [(duty, error)] = connection.execute(failing).fetchall()
        assert duty == "imports"
        assert "the moon is full" in error
        findings = connection.execute("SELECT finding FROM ops.diagnose() WHERE is_fault").fetchall()
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
