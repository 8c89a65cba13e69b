"""What an import stores is in the aggregates soon, however old it is."""

import time
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from tests.support import YESTERDAY, TestDatabase, rfc3339
from tests.support.processes import run

PATIENCE_S = 45


@pytest.mark.concurrent
@pytest.mark.timeout(120)
def test_the_background_job_takes_up_an_old_import_with_its_next_run(
    migrated_database: TestDatabase, tmp_path: Path
) -> None:
    then = YESTERDAY - timedelta(days=200)
    file = tmp_path / "old.csv"
    # and a newer one, as any fleet has: the last bucket of all is read in real time, and not materialized
    file.write_text(
        f"meterId,kwhConsumedAc,voltage,timestamp\nM1,1.5,230,{rfc3339(then)}\nM1,2.5,230,{rfc3339(YESTERDAY)}\n"
    )
    result = run("import", str(file), DATABASE_URL=migrated_database.url)
    assert result.returncode == 0, result.stderr
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        connection.execute("SELECT ops.set_policy('bi.meter_15min', 'refresh_every', '10 seconds')")
        connection.execute("SELECT ops.apply_policies()")
        for resolution in ("15min", "hourly", "daily"):
            name = f"meter_{resolution}"
            [table] = connection.execute("SELECT telemetry.aggregate_table(%s)::text", [name]).fetchone() or ("",)
            deadline = time.monotonic() + PATIENCE_S
            query = f"SELECT sum(kwh_consumed_ac) FROM {table} WHERE bucket < %s"
            while connection.execute(query, [YESTERDAY - timedelta(days=100)]).fetchone() != (1.5,):
                assert time.monotonic() < deadline, f"{name} does not hold it"
                time.sleep(0.2)
