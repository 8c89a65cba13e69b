"""Benchmark of sustained ingest, with all that the database does beside it: refresh, charging sessions, alerts.

A tenth of a million meters and of a million vehicles send a reading a minute each, in batches. Some are late, twice or
broken. All jobs run at their default pace. The processor time of a reading tells what a million of each needs, as each
part of the work grows with the readings.
"""

from __future__ import annotations

from typing import Any

from bench.fleet import BATCH, NEEDED, simulate
from bench.report import Row
from bench.stage import Stage
from service.errors import StartupError

VEHICLES = 100_000
SECONDS = 30 * 60
"""At least one quarter hour begins, ends, is refreshed and is judged."""
MOST_CORES = 1.5
MOST_US = MOST_CORES / NEEDED * 1e6
"""Most processor time of service and database for a reading: with it, a million of each kind need `MOST_CORES`."""
JOBS = """
    SELECT
        p.procedure, sum(s.total_runs)::int, sum(s.total_failures)::int,
        extract(EPOCH FROM sum(s.total_duration))::float8
    FROM ops.policy_job AS p
    JOIN _timescaledb_internal.bgw_job_stat AS s USING (job_id)
    WHERE s.total_runs > 0
    GROUP BY p.procedure
    ORDER BY 4 DESC
"""


def measure(stage: Stage) -> list[Row]:
    """Measure on a server, as the embedded database has no jobs beside the load."""
    if stage.url is None:
        raise StartupError("sustained: the embedded database runs no jobs beside the load, set DATABASE_URL")
    found = simulate(stage, VEHICLES, SECONDS, "--batch", str(BATCH), "--concurrency", "16")
    counts: dict[str, Any] = found["counts"]
    settled = counts["sent"] - counts["lost"]
    needed = NEEDED * VEHICLES / 1_000_000
    rate = settled / found["seconds"]
    us = {name: found["spent"][name] / settled * 1e6 for name in ("service", "database")}
    total = sum(us.values())
    with stage.connection() as connection:
        jobs = connection.execute(JOBS).fetchall()
    kept_up = rate >= 0.99 * needed and not counts["lost"]
    return [
        Row(
            f"sustained, {VEHICLES:,} of each kind, {SECONDS // 60} min",
            {"rows/s": rate, "p50 ms": found["p50_ms"], "p99 ms": found["p99_ms"], "retries": counts["retries"]},
            f"{needed:,.0f} rows/s, none lost",
            kept_up,
        ),
        Row(
            "its processor time",
            {f"us of the {name} a reading": value for name, value in us.items()}
            | {"cores for a million of each kind": total * NEEDED / 1e6},
            f"at most {MOST_CORES:g} cores",
            total <= MOST_US,
        ),
        *(
            Row(f"  {procedure}", {"runs": runs, "failures": failures, "s in all": seconds})
            for procedure, runs, failures, seconds in jobs
        ),
        *found["usage"],
    ]
