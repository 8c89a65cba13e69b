"""Databases with chunks that are due, and places to archive them to."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from service.commands.archive import command
from service.commands.archive.chunks import Chunks, open_chunks
from service.database.calls import REFRESH_AGGREGATES
from service.startup import Prepared
from tests.support import TestDatabase, run_migrated_database
from tests.support.energy_world import AGGREGATES

DAY = timedelta(days=1)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
OLD = TODAY - 735 * DAY
HISTORY = {kind: f"telemetry.{kind}_telemetry_history" for kind in ("meter", "vehicle")}
# every column, values with all their digits, measures that are missing, registers, dips, times of microseconds; a day
# ends with its midnight
FILL = """
    INSERT INTO telemetry.meter_telemetry_history
    SELECT 'M' || d,
        telemetry.counted_at(%(day)s::timestamptz + (n + 1) * INTERVAL '15 min' - (d - 1) * INTERVAL '1 microsecond'),
        %(day)s::timestamptz + n * INTERVAL '15 min' + INTERVAL '1.234567 s', n / 7.0 + d,
        CASE WHEN d < 3 AND n %% 5 > 0 THEN 230 + 1e-9 * n END,
        CASE WHEN d = 2 THEN 1e6 + n / 3.0 END, CASE WHEN d = 2 THEN n %% 2 = 0 END
    FROM generate_series(0, 95) AS n CROSS JOIN generate_series(1, 3) AS d;
    INSERT INTO telemetry.vehicle_telemetry_history
    SELECT 'V' || d, telemetry.counted_at(%(day)s::timestamptz + (n + 1) * INTERVAL '15 min'), %(day)s::timestamptz,
        CASE WHEN n %% 7 > 0 THEN 50 END, n / 9.0, CASE WHEN n %% 3 > 0 THEN -n / 3.0 END
    FROM generate_series(0, 95) AS n CROSS JOIN generate_series(1, 2) AS d
"""


@dataclass
class Archive:
    """A database, what runs on it, and the folder or bucket it is archived to."""

    database: TestDatabase
    place: str
    connection: psycopg.Connection[Any]
    invoke: Callable[..., Result]

    @property
    def folder(self) -> Path:
        return Path(self.place)

    def __call__(self, *arguments: str, status: int = 0) -> Result:
        self.connection.execute("RESET ROLE")
        result = self.invoke(*arguments)
        assert result.exit_code == status, (result.output, result.exception)
        # the embedded database has one session, which the command leaves as it likes
        self.connection.execute("RESET ROLE; SET search_path = public")
        return result

    def rows(self, query: str, *arguments: Any) -> list[Any]:
        return self.connection.execute(query, arguments or None).fetchall()

    def all_rows(self) -> list[Any]:
        return [self.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in HISTORY.values()]

    def aggregates(self) -> dict[str, list[Any]]:
        return {name: self.rows(f"SELECT * FROM bi.{name} ORDER BY 1, 2") for name in AGGREGATES}

    def chunks(self) -> int:
        """How many chunks of the histories are older than two years."""
        return sum(
            self.rows("SELECT count(*) FROM show_chunks(%s::regclass, older_than => %s)", table, TODAY - 731 * DAY)[0][
                0
            ]
            for table in HISTORY.values()
        )

    def refresh(self) -> None:
        for refresh in REFRESH_AGGREGATES:
            self.connection.execute(refresh)

    def run_retention(self) -> None:
        """Run the jobs that drop, after those that refresh: nothing is dropped before the aggregates have it."""
        self.refresh()
        jobs = self.rows(
            "SELECT job_id FROM timescaledb_information.jobs "
            "WHERE proc_name = 'drop_due_chunks' AND config ->> 'object' LIKE '%history'"
        )
        assert len(jobs) == 2
        for (job,) in jobs:
            self.connection.execute(f"CALL run_job({job})")

    def files(self) -> dict[str, str]:
        """Every file of the folder, with its SHA-256."""
        return {
            path.relative_to(self.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }

    def parquet(self, kind: str = "meter", day: datetime = OLD) -> Path:
        return self.folder / f"{kind}/day={day:%Y-%m-%d}/{day:%Y%m%d}T000000Z.parquet"

    def manifest(self, kind: str = "meter", day: datetime = OLD) -> Path:
        return self.folder / f"manifest/{kind}/{day:%Y%m%d}T000000Z.json"


@pytest.fixture(scope="module")
def module_database(test_database: TestDatabase) -> Iterator[TestDatabase]:
    """A database for the tests of a module, each of which finds it without readings."""
    with run_migrated_database(test_database) as database:
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute("RESET ROLE")
            connection.execute("SELECT public.alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs")
        yield database


@contextlib.contextmanager
def archive_on(
    database: TestDatabase, place: str, monkeypatch: pytest.MonkeyPatch, *, on: bool = True
) -> Iterator[Archive]:
    """`energy archive` on a database, whose policies are made to archive."""

    @contextlib.contextmanager
    def prepared(*_: object) -> Iterator[Prepared]:
        # the embedded one runs already
        yield Prepared(database.url, "test", object() if database.is_embedded else None)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "prepared_database", prepared)
    monkeypatch.setenv("ENERGY_ARCHIVE", place)
    runner = CliRunner()
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("RESET ROLE; SET search_path = public; SET TimeZone = 'UTC'")
        connection.execute("UPDATE ops.policy SET archive = %s WHERE object LIKE 'telemetry.%%history'", [on])
        connection.execute("SELECT ops.apply_policies()")
        connection.execute("SELECT alter_job(job_id, scheduled => FALSE) FROM timescaledb_information.jobs")
        yield Archive(database, place, connection, lambda *arguments: runner.invoke(command.archive, arguments))


def clear(connection: psycopg.Connection[Any]) -> None:
    """As new: no readings, nothing archived."""
    connection.execute("RESET ROLE; SET search_path = public; DROP VIEW IF EXISTS ops.archive_guard")
    for table in HISTORY.values():
        connection.execute(f"SELECT drop_chunks('{table}', older_than => now() + INTERVAL '1 year')")
    connection.execute("DELETE FROM ops.archived_chunk; DELETE FROM telemetry.source_chunk")
    connection.execute("UPDATE telemetry.dropped_time SET times = '{}'")


@pytest.fixture
def archive(module_database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """Two old days of 288 meter and 192 vehicle readings each, one of them compressed, and a new one; archive on."""
    with psycopg.connect(module_database.url, autocommit=True) as connection:
        clear(connection)
        for day in (OLD, OLD + DAY, TODAY - DAY):
            with psycopg.ClientCursor(connection) as cursor:
                cursor.execute(FILL, {"day": day})
        connection.execute(
            "SELECT compress_chunk(c) FROM show_chunks(%s::regclass, older_than => %s) AS c",
            (HISTORY["meter"], OLD + DAY),
        )
    with archive_on(module_database, str(tmp_path / "archive"), monkeypatch) as found:
        yield found


@contextlib.contextmanager
def opened(archive: Archive) -> Iterator[Chunks]:
    """What the command works with."""
    with command.prepared_database(None) as prepared, open_chunks(prepared, alone=True) as chunks:  # type: ignore[arg-type]
        yield chunks
