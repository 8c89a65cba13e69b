"""Imports that end before their time, and what the next run makes of them."""

import asyncio
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psycopg
import pytest

from service.commands.importer.load import Progress, copy_records
from service.commands.importer.mapping import Options
from service.commands.importer.rejected import RejectedFile
from service.database.connect import open_connection
from service.errors import StartupError
from tests.commands.importer.conftest import Import, opened
from tests.support import YESTERDAY, Owner, Pair, TestDatabase, rfc3339

ENERGY = [sys.executable, "-m", "service.cli", "import"]
ROWS = 2500
START = YESTERDAY - timedelta(days=9)


class Stopped(Exception):  # noqa: N818
    """What ends a run in a test."""


def write_rows(path: Path, meter: str, rows: int = ROWS, bad_every: int = 100) -> None:
    """Rows of a second each, 1 kWh each; of every `bad_every` the last has an impossible energy."""
    with path.open("w") as file:
        file.write("meterId,timestamp,kwhConsumedAc,voltage\n")
        for row in range(1, rows + 1):
            moment = rfc3339(START + timedelta(seconds=row))
            file.write(f"{meter},{moment},{1 if row % bad_every else -1},230\n")


def stop_after(chunks: int) -> Iterator[None]:
    yield from [None] * (chunks + 1)
    raise Stopped


async def stopped_run(test_database: TestDatabase, path: Path, chunks: int = 1) -> None:
    """A run that is cut off in the chunk after `chunks` of them."""
    steps = stop_after(chunks - 1)

    def show(progress: Progress) -> None:
        next(steps)

    async with opened(test_database) as target:
        with pytest.raises(Stopped):
            await Import(target)(path, show=show)


async def total(owner: Owner, meter: str) -> tuple[int, float]:
    query = "SELECT count(*), sum(kwh_consumed_ac) FROM telemetry.meter_telemetry_history WHERE meter_id = $1"
    return tuple((await owner.fetch(query, meter))[0])


async def test_a_run_goes_on_after_the_last_chunk_and_lists_every_rejected_row_once(
    test_database: TestDatabase, owner: Owner, import_: Import, pair: Pair, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    write_rows(path, pair.meter)
    await stopped_run(test_database, path)
    [progress] = await owner.fetch("SELECT rows_done, stored, rejected, file_name FROM telemetry.import_progress")
    assert tuple(progress) == (1000, 990, 10, "a.csv")
    assert await total(owner, pair.meter) == (990, 990)
    with (tmp_path / "a.csv.rejected.ndjson").open("a") as side:
        side.write('{"line": 1101, "half a li')  # what a run writes and is killed before it commits
    seen: list[Progress] = []
    result = await import_(path, show=seen.append)
    assert seen[0].rows == 1000
    assert (result.rows, result.counts) == (ROWS, {"stored": 2475, "rejected": 25})
    assert result.codes == [(line, "value_out_of_range") for line in range(101, ROWS + 2, 100)]
    assert await total(owner, pair.meter) == (2475, 2475)
    assert await owner.fetch("SELECT FROM telemetry.import_progress") == []


async def test_a_run_that_goes_on_within_the_repeated_hour_knows_the_rows_before(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path
) -> None:
    day = datetime.now(UTC).date()
    year = day.year if (day.month, day.day) > (11, 1) else day.year - 1
    sunday = date(year, 10, 31) - timedelta(days=(date(year, 10, 31).weekday() + 1) % 7)
    path = tmp_path / "a.csv"
    # a reading each 5 s of 02:00 to 03:00, twice: the first chunk of 1,000 rows ends in the second hour
    clocks = [f"02:{second // 60:02}:{second % 60:02}" for second in range(0, 3600, 5)] * 2
    path.write_text(
        "meterId,timestamp,kwhConsumedAc,voltage\n" + "".join(f"{pair.meter},{sunday} {c},1,230\n" for c in clocks)
    )
    options: dict[str, Any] = {"timezone": "Europe/Paris", "repeated_hour_by_order": True}
    steps = stop_after(0)
    with pytest.raises(Stopped):
        await import_(path, show=lambda progress: next(steps), **options)
    assert await total(owner, pair.meter) == (1000, 1000)
    result = await import_(path, **options)
    assert (result.rows, result.counts) == (1440, {"stored": 1440})
    query = "SELECT max(counted_at) - min(counted_at) FROM telemetry.meter_telemetry_history WHERE meter_id = $1"
    assert await owner.fetchval(query, pair.meter) == timedelta(hours=2, seconds=-5)


async def test_without_resume_or_with_another_meaning_it_begins_at_the_first_row(
    test_database: TestDatabase, owner: Owner, import_: Import, pair: Pair, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    write_rows(path, pair.meter)
    await stopped_run(test_database, path)
    result = await import_(path, resume=False)
    assert result.counts == {"stored": 1485, "duplicates": 990, "rejected": 25}
    assert len(result.rejected) == 25
    await stopped_run(test_database, path)
    result = await import_(path, scales={"kwhConsumedAc": "2"})
    assert result.counts == {"conflicts": 2475, "rejected": 25}
    await owner.execute("DELETE FROM telemetry.import_progress")


async def test_a_file_beside_that_was_taken_away_is_missed(
    test_database: TestDatabase, owner: Owner, import_: Import, pair: Pair, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    write_rows(path, pair.meter)
    await stopped_run(test_database, path)
    (tmp_path / "a.csv.rejected.ndjson").unlink()
    with pytest.raises(StartupError, match=r"lacks rejected rows .*--no-resume"):
        await import_(path)
    await owner.execute("DELETE FROM telemetry.import_progress")


async def test_rejected_rows_are_on_the_disk_before_their_chunk_is_committed(
    test_database: TestDatabase, owner: Owner, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    write_rows(path, pair.meter)

    def fail(self: RejectedFile, rows: object) -> None:
        raise StartupError("the disk is full")

    monkeypatch.setattr(RejectedFile, "write", fail)
    async with opened(test_database) as target:
        with pytest.raises(StartupError, match="disk is full"):
            await Import(target)(path)
    assert await total(owner, pair.meter) == (0, None)
    await owner.execute("DELETE FROM telemetry.import_progress")


async def test_new_old_and_rejected_rows_in_any_chunk_are_counted_as_they_are(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    write_rows(path, pair.meter, rows=1500, bad_every=10_000)
    assert (await import_(path)).counts == {"stored": 1500}
    write_rows(path, pair.meter, rows=3500, bad_every=3100)
    with path.open("a") as file:
        file.write(f"{pair.meter},{rfc3339(START + timedelta(seconds=3400))},1,230\n")
        file.write(f"{pair.meter},{rfc3339(START + timedelta(seconds=9000))},1,230\n" * 2)
    result = await import_(path)
    assert result.counts == {"stored": 2000, "duplicates": 1502, "rejected": 1}
    assert await total(owner, pair.meter) == (3500, 3500)


@pytest.mark.concurrent
async def test_the_same_file_is_imported_by_one_process_at_a_time(
    test_database: TestDatabase, owner: Owner, import_: Import, pair: Pair, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    write_rows(path, pair.meter, rows=1)
    for connection in import_.target.connections:
        await connection.execute("SET lock_timeout = '50ms'")
    lock = "(hashtextextended($1, 0))"
    await owner.fetch(f"SELECT pg_advisory_lock{lock}", Options().fingerprint(path))
    with pytest.raises(StartupError, match="being imported by another process"):
        await import_(path)
    await owner.fetch(f"SELECT pg_advisory_unlock{lock}", Options().fingerprint(path))
    assert (await import_(path)).counts == {"stored": 1}


@pytest.mark.concurrent
@pytest.mark.parametrize("steps", range(6))
async def test_a_connection_that_ends_while_a_statement_is_cancelled_complains_of_nothing(
    test_database: TestDatabase, caplog: pytest.LogCaptureFixture, steps: int
) -> None:
    with pytest.raises(Stopped):
        async with open_connection(test_database.url) as connection:
            statement = asyncio.create_task(connection.execute("SELECT pg_sleep(20)"))
            await asyncio.sleep(0.05)
            statement.cancel()
            for _ in range(steps):  # of the loop, in which the request that cancels it gets a little further
                await asyncio.sleep(0)
            raise Stopped
    await asyncio.gather(statement, return_exceptions=True)
    await asyncio.sleep(0.1)
    gc.collect()  # a future complains when nobody can retrieve its exception any more
    assert caplog.messages == []


@pytest.mark.concurrent
async def test_a_connection_that_is_lost_while_the_server_takes_no_more_data_ends_the_copy(
    test_database: TestDatabase,
) -> None:
    server = urlsplit(test_database.url)
    is_open, sockets = asyncio.Event(), []
    is_open.set()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event | None) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            if gate:
                await gate.wait()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(server.hostname, server.port or 5432)
        sockets.extend([writer, back])
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(pipe(reader, back, is_open), pipe(there, writer, None))

    proxy = await asyncio.start_server(forward, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    address = server._replace(netloc=f"{server.netloc.rpartition('@')[0]}@127.0.0.1:{port}").geturl()
    connection = await asyncpg.connect(address)
    await connection.execute("CREATE TEMPORARY TABLE t (a text)")
    is_open.clear()
    copying = asyncio.create_task(copy_records(connection, "t", [("x" * 1000,)] * 20_000))
    done, _ = await asyncio.wait({copying}, timeout=0.5)
    assert not done
    for socket in sockets:
        socket.transport.abort()
    done, _ = await asyncio.wait({copying}, timeout=10)
    assert done
    with pytest.raises(asyncpg.ConnectionDoesNotExistError):
        copying.result()
    is_open.set()
    proxy.close()


def process(url: str, path: Path, folder: Path) -> subprocess.Popen[str]:
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url}
    return subprocess.Popen(
        [*ENERGY, path], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def rows_done(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT max(rows_done) FROM telemetry.import_progress").fetchone()
    return (row and row[0]) or 0


@pytest.mark.concurrent
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, "lost"])
def test_an_import_that_is_killed_interrupted_or_cut_off_is_completed_by_the_next(
    migrated_database: TestDatabase, tmp_path: Path, end: signal.Signals | str
) -> None:
    path = tmp_path / "a.csv"
    rows = 300_000
    write_rows(path, "M1", rows, bad_every=50_000)
    with psycopg.connect(migrated_database.url, autocommit=True) as connection:
        running = process(migrated_database.url, path, tmp_path)
        while not rows_done(connection):
            assert running.poll() is None, running.communicate()
            time.sleep(0.01)
        if end == "lost":
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'energy-import' AND datname = current_database()"
            )
        else:
            running.send_signal(end)
        _, said = running.communicate(timeout=60)
        done = rows_done(connection)
        assert 0 < done < rows, "it ended too early for this test"
        if end == signal.SIGINT:
            assert (running.returncode, said) == (
                130,
                "energy: interrupted; the same command continues after the last stored rows\n",
            )
        if end == "lost":
            assert running.returncode == 1
            assert said.count("\n") == 1
            assert "the same command continues" in said
        second = process(migrated_database.url, path, tmp_path)
        printed, said = second.communicate(timeout=60)
        assert (second.returncode, f"continues after row {done:,}" in said) == (3, True), said
        bad = rows // 50_000
        assert f"{rows:,} rows: {rows - bad:,} stored, 0 duplicates, 0 conflicts, {bad} rejected" in printed
        found = connection.execute("SELECT count(*), sum(kwh_consumed_ac) FROM telemetry.meter_telemetry_history")
        assert found.fetchone() == (rows - bad, rows - bad)
    lines = [json.loads(line)["line"] for line in (tmp_path / "a.csv.rejected.ndjson").read_text().splitlines()]
    assert lines == [number * 50_000 + 1 for number in range(1, bad + 1)]


def test_a_file_that_is_not_of_rejected_rows_is_never_written_over(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("important")
    with pytest.raises(StartupError, match="holds no rejected rows"):
        RejectedFile(notes, 0)
    assert notes.read_text() == "important"
    old = tmp_path / "old.ndjson"
    old.write_text('{"file":"a.csv","line":2}\n')
    RejectedFile(old, 0)
    assert not old.exists()
