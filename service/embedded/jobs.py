"""Jobs of the embedded database, which has no background workers: refresh, compression, retention."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

import asyncpg

from service.database.connect import Session, set_up
from service.database.pool import Database

FIRST_AFTER_S = 5.0
"""Delay after the start, so that the first requests are answered at once."""
EVERY_S = 30.0
MOST_S = 3600.0
"""Limit of one job. Requests wait for the connection meanwhile."""

_log = logging.getLogger(__name__)


async def run_jobs(database: Database) -> None:
    """Run due jobs every `EVERY_S` until cancelled."""
    await asyncio.sleep(FIRST_AFTER_S)
    while True:
        await run_due_jobs(database)
        await asyncio.sleep(EVERY_S)


async def run_due_jobs(database: Database) -> list[int]:
    """Run the due jobs one after the other, with requests in between.

    Returns:
        The jobs that were run. `ops.job_health` has the errors of failed ones.
    """
    async with database.write.acquire() as connection:
        await _as_owner(connection)
        try:
            due = [row[0] for row in await connection.fetch("SELECT ops.list_due_jobs()")]
        finally:
            await set_up(connection)
    for job in due:
        async with database.write.acquire() as connection:
            await _run(connection, job)
    return due


async def _run(connection: Session, job: int) -> None:
    started, error = datetime.now(UTC), None
    await _as_owner(connection)
    try:
        try:
            await connection.execute(f"CALL public.run_job({job})", timeout=MOST_S)
        except asyncpg.PostgresError as failure:
            error = str(failure)
            _log.error("job %s failed: %s", job, error)
        await connection.execute("SELECT ops.record_job_run($1, $2, $3)", job, started, error)
    finally:
        await set_up(connection)


async def _as_owner(connection: Session) -> None:
    """Become the owner of the jobs, with the settings of that role, as TimescaleDB's workers do (migration 0012)."""
    await connection.execute(
        "RESET ROLE; SET ROLE energy_owner; SET lock_timeout = 0; "
        "SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0"
    )
