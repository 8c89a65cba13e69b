"""What is due goes into the archive, and only what is there is dropped, whoever drops."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import psycopg
import pyarrow.parquet as pq
import pytest

from service.commands.archive import command, run
from service.commands.archive import manifest as manifests
from service.commands.archive.chunks import Chunks
from service.commands.archive.manifest import Chunk
from service.commands.archive.run import archive_chunk
from service.errors import StartupError
from tests.commands.archive.conftest import DAY, HISTORY, OLD, TODAY, Archive, archive_on, opened
from tests.support import TestDatabase
from tests.support.processes import ENERGY, PLAIN

pytestmark = pytest.mark.long


def test_what_is_due_is_written_by_day_with_manifests_and_recorded(archive: Archive) -> None:
    result = archive("run")
    assert re.search(r"^archived 4 of 4 chunks, 960 rows; .* rows/s$", result.output, re.MULTILINE)
    days = (OLD, OLD + DAY)
    expected = {
        path.relative_to(archive.folder).as_posix()
        for day in days
        for kind in HISTORY
        for path in (archive.parquet(kind, day), archive.manifest(kind, day))
    }
    files = archive.files()
    assert files.keys() == expected
    manifest = json.loads(archive.manifest().read_text())
    assert (manifest["readings"], manifest["devices"]) == (288, 3)
    assert manifest["sha256"] == files[archive.parquet().relative_to(archive.folder).as_posix()]
    [(energy, voltage)] = archive.rows(
        f"SELECT sum(kwh_consumed_ac), sum(voltage) FROM {HISTORY['meter']} WHERE counted_at < %s", OLD + DAY
    )
    assert manifest["sums"]["kwh_consumed_ac"] == pytest.approx(energy, rel=1e-12)
    assert manifest["sums"]["voltage"] == pytest.approx(voltage, rel=1e-12)
    records = archive.rows("SELECT kind, range_start, readings, sha256, location FROM ops.archived_chunk ORDER BY 1, 2")
    assert records[0] == ("meter", OLD, 288, manifest["sha256"], str(archive.parquet()))
    assert len(records) == 4
    assert archive("run").output == "nothing is due\n"
    assert archive.files() == files


def test_the_file_has_every_column_as_the_database_documents_it(archive: Archive) -> None:
    archive("run")
    schema = pq.read_schema(archive.parquet())
    assert {field.name: str(field.type) for field in schema} == {
        "meter_id": "string",
        "recorded_at": "timestamp[us, tz=UTC]",
        "received_at": "timestamp[us, tz=UTC]",
        "kwh_consumed_ac": "double",
        "voltage": "double",
        "register_kwh": "double",
        "register_dip": "bool",
        "register_former_at": "timestamp[us, tz=UTC]",
        "exchange_kwh": "double",
    }
    assert schema.field("voltage").metadata[b"comment"] == b"Mains voltage, V; NULL where it was not measured"
    assert schema.metadata[b"stream"] == b"meter"
    group = pq.ParquetFile(archive.parquet()).metadata.row_group(0)
    assert {group.column(n).compression for n in range(group.num_columns)} == {"ZSTD"}
    kept = pq.read_table(archive.parquet(), partitioning=None).to_pylist()
    columns = ", ".join(schema.names).replace("recorded_at", "telemetry.recorded_at(counted_at)")
    query = f"SELECT {columns} FROM {HISTORY['meter']} WHERE counted_at < %s ORDER BY 1, 2"
    assert [tuple(row[name] for name in schema.names) for row in kept] == archive.rows(query, OLD + DAY)


def test_the_file_of_a_day_has_the_midnight_that_ends_it_and_not_the_one_before(archive: Archive) -> None:
    archive("run")
    for kind in HISTORY:
        times = pq.read_table(archive.parquet(kind), partitioning=None)["recorded_at"].to_pylist()
        assert min(times) > OLD and max(times) == OLD + DAY
        manifest = json.loads(archive.manifest(kind).read_text())
        assert datetime.fromisoformat(manifest["firstRecordedAt"]) == min(times)
        assert datetime.fromisoformat(manifest["lastRecordedAt"]) == OLD + DAY


def test_duckdb_and_pandas_find_the_days_energy_that_the_database_has(archive: Archive) -> None:
    days = "SELECT (counted_at AT TIME ZONE 'UTC')::date, sum(kwh_consumed_ac), count(*) FROM "
    expected = archive.rows(f"{days} {HISTORY['meter']} WHERE counted_at < %s GROUP BY 1 ORDER BY 1", OLD + 2 * DAY)
    archive("run", "--drop")
    found = duckdb.sql(
        f"SELECT day, sum(kwh_consumed_ac), count(*) FROM read_parquet('{archive.folder}/meter/*/*.parquet', "
        "hive_partitioning = true) GROUP BY day ORDER BY day"
    ).fetchall()
    assert [(day, count) for day, _, count in found] == [(day, count) for day, _, count in expected]
    assert [kwh for _, kwh, _ in found] == pytest.approx([kwh for _, kwh, _ in expected], rel=1e-12)
    frame = pd.read_parquet(archive.folder / "meter")
    by_day = frame.groupby("day", observed=True)["kwh_consumed_ac"].sum()
    assert list(by_day) == pytest.approx([kwh for _, kwh, _ in expected], rel=1e-12)
    assert [str(day) for day in by_day.index] == [str(day) for day, _, _ in expected]


def test_nobody_drops_what_is_not_archived(archive: Archive) -> None:
    before = archive.all_rows()
    archive.run_retention()
    for statement in (
        f"SELECT drop_chunks('{HISTORY['meter']}', older_than => '{OLD + 2 * DAY}'::timestamptz)",
        f"SELECT drop_chunks('{HISTORY['vehicle']}', older_than => INTERVAL '2 years')",
        f"TRUNCATE {HISTORY['meter']}",
    ):
        with pytest.raises(psycopg.errors.DependentObjectsStillExist):
            archive.connection.execute(statement)
    assert archive.all_rows() == before
    assert archive.chunks() == 4


def test_the_job_drops_what_is_archived_and_nothing_else(archive: Archive) -> None:
    archive("run")
    archive.run_retention()
    assert archive.chunks() == 0
    assert archive.rows(f"SELECT count(*) FROM {HISTORY['meter']}") == [(288,)]
    assert archive.rows("SELECT count(*) FROM ops.archived_chunk WHERE dropped_at IS NOT NULL") == [(4,)]


def test_run_with_drop_needs_no_job(archive: Archive) -> None:
    archive("run", "--drop")
    assert archive.chunks() == 0


def test_a_row_that_came_after_the_export_keeps_the_chunk_until_it_is_archived_again(archive: Archive) -> None:
    archive("run")
    insert = f"INSERT INTO {HISTORY['meter']} VALUES ('Mlate', %s, %s, 5, 230)"
    archive.connection.execute(insert, (OLD, OLD))
    archive.run_retention()
    assert archive.rows(f"SELECT count(*) FROM {HISTORY['meter']} WHERE counted_at < %s", OLD + DAY) == [(289,)]
    assert archive.rows("SELECT FROM ops.archived_chunk WHERE kind = 'meter' AND range_start = %s", OLD) == []
    assert "archived 1 of 1 chunks, 289 rows" in archive("run").output
    archive.run_retention()
    assert archive.chunks() == 0
    assert pq.read_metadata(archive.parquet()).num_rows == 289
    archive("verify")


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_row_that_comes_after_the_drop_does_not_cost_the_archive_its_rows(archive: Archive, forgotten: bool) -> None:
    archive("run", "--drop")
    if forgotten:
        archive.connection.execute("DELETE FROM ops.archived_chunk")
    archive.connection.execute(f"INSERT INTO {HISTORY['meter']} VALUES ('Mlate', %s, %s, 5, 230)", (OLD, OLD))
    archive.run_retention()
    assert archive.chunks() == 1
    readings = "SELECT sum(readings) FROM bi.meter_daily WHERE bucket = %s"
    assert archive.rows(readings, OLD) == [(288,)]  # what is in the history of that day is not the day
    assert "archived 1 of 1 chunks, 289 rows" in archive("run", "--drop").output
    assert archive.chunks() == 0
    assert archive.rows(readings, OLD) == [(289,)]  # it was whole for a moment
    assert pq.read_metadata(archive.parquet()).num_rows == 289
    archive("verify", "--kind", "meter")


def test_an_archive_without_a_manifest_or_elsewhere_is_not_written_over_with_less(
    archive: Archive, tmp_path: Path
) -> None:
    archive("run", "--drop")
    files = archive.files()
    archive.connection.execute(f"INSERT INTO {HISTORY['meter']} VALUES ('Mlate', %s, %s, 5, 230)", (OLD, OLD))
    other = archive("run", "--archive", str(tmp_path / "other"), status=1)
    assert "has 1 readings" in other.output
    archive.manifest().unlink()
    archive.connection.execute("DELETE FROM ops.archived_chunk")
    assert "readings without a manifest" in archive("run", status=1).output
    archive.manifest().write_text("{}")
    assert "it is not a manifest" in archive("run", status=1).output
    assert archive.files().keys() == files.keys()
    assert archive.parquet().read_bytes() and archive.chunks() == 1


def test_a_chunk_of_several_days_stays_and_the_others_are_archived(archive: Archive) -> None:
    with opened(archive) as chunks:
        [first, *_] = chunks.due()
        with pytest.raises(run.ArchiveFault, match="filed by the day"):
            archive_chunk(chunks, None, Chunk("meter", first.start, first.end + DAY), print)  # type: ignore[arg-type]


def test_with_archive_off_nothing_is_archived_and_retention_drops(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    with archive_on(archive.database, archive.place, monkeypatch, on=False) as off:
        assert off("run").output.startswith("nothing is archived")
        off.run_retention()
        assert off.chunks() == 0


class Killed(BaseException):
    """Ends a run wherever it is, as a kill does."""


STAGES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "before the file": lambda patch: patch.setattr(run, "write", _raise),
    "within the file": lambda patch: patch.setattr(run, "measure", _raise),
    "before it is read back": lambda patch: patch.setattr(run, "_manifest", _raise),
    "while it is read back": lambda patch: patch.setattr(run, "differences", _raise),
    "before the manifest": lambda patch: patch.setattr(run, "write_manifest", _raise),
    "before the record": lambda patch: patch.setattr(Chunks, "record", _raise),
    "before the drop": lambda patch: patch.setattr(Chunks, "drop", _raise),
}


def _raise(*_: Any) -> Any:
    raise Killed


@pytest.mark.parametrize("stage", STAGES)
def test_ended_at_any_stage_there_is_the_chunk_or_a_verified_archive_and_the_next_run_ends_it(
    archive: Archive, stage: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        STAGES[stage](patch)
        with pytest.raises(Killed):
            archive.invoke("run", "--drop")
    archive.connection.execute("RESET ROLE; SET search_path = public")
    archive.run_retention()
    recorded = {(row[0], row[1]) for row in archive.rows("SELECT kind, range_start FROM ops.archived_chunk")}
    assert archive.chunks() + len(recorded) == 4
    for kind, start in recorded:
        archive("verify", "--kind", kind, "--from", start.isoformat(), "--to", (start + DAY).isoformat())
    archive("run", "--drop")
    assert archive.chunks() == 0
    archive("verify")
    assert sum(pq.read_metadata(path).num_rows for path in archive.folder.rglob("*.parquet")) == 960
    assert not list(archive.folder.rglob(".*"))


@pytest.mark.parametrize("stage", [".part", ".parquet", ".json"])
@pytest.mark.concurrent
def test_killed_for_real_it_leaves_nothing_that_the_next_run_cannot_end(archive: Archive, stage: str) -> None:
    filler = f"""
        INSERT INTO {HISTORY["meter"]} SELECT 'N' || d, '{OLD}'::timestamptz + n * INTERVAL '1 min', now(), 1, 230
        FROM generate_series(0, 1439) AS n CROSS JOIN generate_series(1, 60) AS d
    """
    archive.connection.execute(filler)
    environment = {**PLAIN, "DATABASE_URL": archive.database.url, "ENERGY_ARCHIVE": archive.place}
    process = subprocess.Popen([*ENERGY, "archive", "run", "--drop"], env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not any(path.suffix == stage for path in archive.folder.rglob("*") if stage in path.name):
        assert time.monotonic() < deadline and process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    archive.run_retention()
    dropped = archive.rows("SELECT count(*) FROM ops.archived_chunk WHERE dropped_at IS NOT NULL")[0][0]
    assert archive.chunks() + dropped == 4
    assert subprocess.run([*ENERGY, "archive", "run", "--drop"], env=environment, check=False).returncode == 0
    assert archive.chunks() == 0
    archive("verify")
    assert pq.read_metadata(archive.parquet()).num_rows == 288 + 60 * 1440


def test_what_was_written_wrong_is_not_recorded(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_a_row(path: Path, schema: Any, batches: Any) -> None:
        write(path, schema, [batch.slice(1) for batch in batches])

    write = run.write
    monkeypatch.setattr(run, "write", lose_a_row)
    result = archive("run", status=1)
    assert "readings 287, not 288" in result.output
    assert archive.rows("SELECT FROM ops.archived_chunk") == []
    assert not list(archive.folder.rglob("*.json"))


@pytest.mark.concurrent
def test_one_archiver_works_at_a_time(archive: Archive) -> None:
    with opened(archive):
        result = archive("run", status=1)
    assert "another `energy archive run`" in str(result.exception)


@pytest.mark.concurrent
def test_a_login_that_may_not_act_as_the_owner_is_told_so(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "archive_nobody"
    archive.connection.execute(f"DROP ROLE IF EXISTS {name}; CREATE ROLE {name} LOGIN")
    try:
        url = re.sub(r"//[^@]*@", f"//{name}@", archive.database.url)
        with archive_on(TestDatabase("server", archive.database.url), archive.place, monkeypatch) as same:
            monkeypatch.setattr(same, "database", None)
            prepared = run_as(url)
            monkeypatch.setattr("service.commands.archive.command.prepared_database", prepared)
            result = same("run", status=1)
            assert "may act as energy_owner" in str(result.exception)
    finally:
        archive.connection.execute(f"DROP ROLE {name}")


def run_as(url: str) -> Any:
    import contextlib  # noqa: PLC0415

    from service.startup import Prepared  # noqa: PLC0415

    return lambda *_: contextlib.nullcontext(Prepared(url, "test", None))


def test_a_place_that_is_none_is_refused_in_one_line() -> None:
    for given, said in (
        ("ftp://x/y", "must be a folder or s3://bucket/prefix"),
        ("s3://Bad_Bucket", "must be a folder"),
    ):
        result = subprocess.run(
            [sys.executable, "-m", "service.cli", "archive", "run", "--archive", given],
            env=PLAIN,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 1
        assert re.fullmatch(r"energy: --archive .+\n", result.stderr) and said in result.stderr


def test_the_day_of_an_archive_is_that_of_utc() -> None:
    chunk = Chunk("meter", TODAY, TODAY + DAY)
    assert chunk.data_path == f"meter/day={TODAY:%Y-%m-%d}/{TODAY:%Y%m%d}T000000Z.parquet"
    assert manifests.manifest_path("meter", TODAY) == f"manifest/meter/{TODAY:%Y%m%d}T000000Z.json"


def test_a_round_that_a_lost_database_ended_is_tried_again_in_minutes_and_not_after_its_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = iter([StartupError("the database failed"), True, False])
    waits: list[float] = []

    def run(*_: object) -> bool:
        if isinstance(found := next(rounds), StartupError):
            raise found
        return found

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise RuntimeError("enough")

    monkeypatch.setattr(command, "_run", run)
    monkeypatch.setattr(command.time, "sleep", sleep)
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/none")
    with pytest.raises(RuntimeError, match="enough"):
        command.run_command.main(["--archive", str(tmp_path), "--every", "24"], standalone_mode=False)
    assert waits == [300, 24 * 3600, 24 * 3600]
