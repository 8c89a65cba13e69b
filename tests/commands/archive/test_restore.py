"""What was archived comes back as it was."""

import json
import math
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from service.commands.archive.parquet import examine
from service.commands.archive.places import measure
from tests.commands.archive.conftest import DAY, HISTORY, OLD, TODAY, Archive, archive_on
from tests.support import TestDatabase

pytestmark = pytest.mark.long

BOTH = ("--from", f"{OLD:%Y-%m-%d}", "--to", f"{OLD + 2 * DAY:%Y-%m-%d}")


def test_restored_readings_are_what_they_were_and_twice_is_as_good_as_once(archive: Archive) -> None:
    before = archive.all_rows()
    archive("run", "--drop")
    assert archive.all_rows() != before
    assert "960 restored, 0 were there" in archive("restore", *BOTH).output
    assert archive.all_rows() == before
    assert "0 restored, 960 were there" in archive("restore", *BOTH).output
    assert archive.all_rows() == before


def test_only_the_days_and_the_stream_that_were_asked_for_come_back(archive: Archive) -> None:
    archive("run", "--drop")
    archive("restore", "--kind", "meter", "--from", f"{OLD:%Y-%m-%d}", "--to", f"{OLD + DAY:%Y-%m-%d}")
    days = archive.rows(f"SELECT DISTINCT counted_at::date FROM {HISTORY['meter']} ORDER BY 1")
    assert days == [(OLD.date(),), ((TODAY - DAY).date(),)]
    assert archive.rows(f"SELECT count(*) FROM {HISTORY['vehicle']}") == [(192,)]


def test_retention_leaves_restored_chunks_alone_for_as_long_as_was_said_and_then_drops_them(archive: Archive) -> None:
    archive("run", "--drop")
    archive("restore", *BOTH, "--keep-days", "7")
    archive.run_retention()
    assert archive.chunks() == 4
    assert archive("run", "--drop").output == "nothing is due\n"
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        archive.connection.execute(f"SELECT drop_chunks('{HISTORY['meter']}', older_than => INTERVAL '2 years')")
    [(until,)] = archive.rows("SELECT DISTINCT keep_until FROM ops.archived_chunk")
    assert timedelta(days=6) < until - TODAY < timedelta(days=9)
    archive.connection.execute("UPDATE ops.archived_chunk SET keep_until = now()")
    archive.run_retention()
    assert archive.chunks() == 0
    archive("verify")


def test_what_is_in_the_history_stays_and_what_is_missing_comes_back(archive: Archive) -> None:
    archive("run")
    archive.connection.execute(f"DELETE FROM {HISTORY['meter']} WHERE meter_id = 'M1' AND counted_at < %s", [OLD + DAY])
    archive.connection.execute(f"UPDATE {HISTORY['meter']} SET voltage = 1 WHERE meter_id = 'M3'")
    assert "96 restored, 192 were there" in archive("restore", "--kind", "meter", *BOTH).output
    query = f"SELECT meter_id, count(*), max(voltage) = 1 FROM {HISTORY['meter']} WHERE counted_at < %s GROUP BY 1"
    assert sorted(archive.rows(query, OLD + DAY)) == [("M1", 96, False), ("M2", 96, False), ("M3", 96, True)]


def test_a_file_that_is_not_the_one_that_was_archived_is_not_restored_and_the_others_are(archive: Archive) -> None:
    archive("run", "--drop")
    flip(archive.parquet())
    archive.parquet("vehicle").unlink()
    result = archive("restore", *BOTH, status=1)
    assert "is not the file that was archived" in result.output
    assert f"{archive.parquet('vehicle')} is missing" in result.output
    assert archive.chunks() == 2


def test_a_fresh_database_takes_an_archive_up(
    archive: Archive, migrated_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = archive.all_rows()
    archive("run", "--drop")
    with archive_on(migrated_database, archive.place, monkeypatch) as fresh:
        assert "960 restored" in fresh("restore", *BOTH).output
        assert fresh.all_rows() == [[row for row in rows if row[1] < OLD + 2 * DAY] for rows in before]
        fresh("verify")
        fresh.run_retention()
        assert fresh.chunks() == 4
        fresh.connection.execute("UPDATE ops.archived_chunk SET keep_until = NULL")
        fresh.run_retention()
        assert fresh.chunks() == 0


def test_a_column_that_the_archive_does_not_have_yet_is_null_and_one_too_many_is_refused(archive: Archive) -> None:
    archive("run", "--drop")
    rewrite(archive, pq.read_table(archive.parquet(), partitioning=None).drop_columns("register_dip"))
    one = ("--kind", "meter", "--from", f"{OLD:%Y-%m-%d}", "--to", f"{OLD + DAY:%Y-%m-%d}")
    archive("restore", *one)
    assert archive.rows(
        f"SELECT count(*), count(register_dip) FROM {HISTORY['meter']} WHERE counted_at < %s", OLD + DAY
    ) == [(288, 0)]
    table = pq.read_table(archive.parquet(), partitioning=None)
    rewrite(archive, table.append_column("color", pa.array(["red"] * len(table))))
    assert "a column color that the history does not have" in str(archive("restore", *one, status=1).exception)


def test_a_file_of_before_the_time_rule_has_the_midnight_that_begins_its_day_and_is_as_good(archive: Archive) -> None:
    archive("run", "--drop")
    table = pq.read_table(archive.parquet("vehicle"), partitioning=None)
    place = table.schema.get_field_index("recorded_at")
    earlier = pc.subtract(table["recorded_at"], pa.scalar(timedelta(minutes=15)))
    last = OLD + DAY - timedelta(minutes=15)
    times = {"firstRecordedAt": OLD.isoformat(), "lastRecordedAt": last.isoformat()}
    rewrite(archive, table.set_column(place, table.schema.field(place), earlier), "vehicle", **times)
    archive("verify")
    one = ("--kind", "vehicle", "--from", f"{OLD:%Y-%m-%d}", "--to", f"{OLD + DAY:%Y-%m-%d}")
    assert "192 restored" in archive("restore", *one).output
    query = f"SELECT min(counted_at), max(counted_at) FROM {HISTORY['vehicle']} WHERE counted_at < %s"
    before = timedelta(microseconds=1)
    assert archive.rows(query, OLD + DAY) == [(OLD - before, last - before)]


FORGED: dict[str, tuple[str, str, Any, str]] = {
    "a page's script": ("meter", "meter_id", "<img src=x onerror=alert(1)>", "meterId must be"),
    "a formula": ("vehicle", "vehicle_id", "=HYPERLINK(1)", "vehicleId must be"),
    "escape codes": ("meter", "meter_id", "M\x1b[2J", "(M?[2J, "),
    "no id": ("meter", "meter_id", "", "meterId must be"),
    "not a number": ("meter", "kwh_consumed_ac", float("nan"), "not what its manifest says"),
    "too much energy": ("vehicle", "kwh_delivered_dc", 1e8, "outside 0 to"),
    "energy that is negative": ("meter", "kwh_consumed_ac", -1.0, "outside 0 to"),
    "an infinite measure": ("vehicle", "soc", float("inf"), "not what its manifest says"),
    "a register that is none": ("meter", "register_kwh", -1.0, "register_kwh -1 is outside 0 to"),
    "another day": ("meter", "recorded_at", OLD + 9 * DAY, "outside the chunk"),
}
ONE_DAY = ("--from", f"{OLD:%Y-%m-%d}", "--to", f"{OLD + DAY:%Y-%m-%d}")


def forge(archive: Archive, kind: str, column: str, value: Any) -> None:
    """Give the first row of a file another value, and let its manifest agree with it, as one who writes both can."""
    table = pq.read_table(archive.parquet(kind), partitioning=None)
    place = table.schema.get_field_index(column)
    field = table.schema.field(place)
    values = [value, *table[column].to_pylist()[1:]]
    pq.write_table(table.set_column(place, field, pa.array(values, field.type)), archive.parquet(kind))
    found, was = examine(archive.parquet(kind)), json.loads(archive.manifest(kind).read_text())
    path = archive.parquet(kind)
    sums = {name: sum_ if sum_ is None or math.isfinite(sum_) else 0.0 for name, sum_ in found.sums.items()}
    facts = {"devices": found.devices, "sums": sums, "sha256": measure(path).sha256, "bytes": path.stat().st_size}
    archive.manifest(kind).write_text(json.dumps({**was, **facts}))


@pytest.mark.parametrize("forged", FORGED)
def test_a_file_with_a_row_that_ingest_would_reject_is_not_restored_nor_recorded(archive: Archive, forged: str) -> None:
    kind, column, value, said = FORGED[forged]
    archive("run", "--drop")
    archive.connection.execute("DELETE FROM ops.archived_chunk")
    forge(archive, kind, column, value)
    output = archive("restore", "--kind", kind, *ONE_DAY, status=1).output
    assert str(archive.parquet(kind)) in output
    assert said in output, output
    assert "\x1b" not in output
    assert (archive.chunks(), archive.rows("SELECT * FROM ops.archived_chunk")) == (0, [])


def test_a_measure_outside_its_range_is_restored_as_ingest_stores_it(archive: Archive) -> None:
    archive("run", "--drop")
    archive.connection.execute("DELETE FROM ops.archived_chunk")
    forge(archive, "meter", "voltage", 20_000.0)
    forge(archive, "vehicle", "battery_temp", 500.0)
    assert "480 restored" in archive("restore", *ONE_DAY).output
    for kind, measure_ in (("meter", "voltage"), ("vehicle", "battery_temp")):
        query = f"SELECT max({measure_}) FROM {HISTORY[kind]} WHERE counted_at < %s"
        [(most,)] = archive.rows(query, OLD + DAY)
        assert most < 300


def test_a_manifest_that_is_not_of_its_file_restores_nothing(archive: Archive) -> None:
    archive("run", "--drop")
    archive.connection.execute("DELETE FROM ops.archived_chunk")
    was = json.loads(archive.manifest().read_text())
    archive.manifest().write_text(json.dumps({**was, "readings": 5}))
    output = archive("restore", "--kind", "meter", *ONE_DAY, status=1).output
    assert "is not what its manifest says: readings 288, not 5" in output
    assert archive.chunks() == 0


def test_the_fingerprint_of_a_restored_chunk_is_the_databases_own(archive: Archive) -> None:
    """With that of the manifest, a chunk of other rows could pass for one with a verified copy."""
    archive("run", "--drop")
    recorded = archive.rows("SELECT kind, fingerprint FROM ops.archived_chunk WHERE range_start = %s ORDER BY 1", OLD)
    archive.connection.execute("DELETE FROM ops.archived_chunk")
    for kind in HISTORY:
        was = json.loads(archive.manifest(kind).read_text())
        archive.manifest(kind).write_text(json.dumps({**was, "fingerprint": "1"}))
    archive("restore", *ONE_DAY)
    assert archive.rows("SELECT kind, fingerprint FROM ops.archived_chunk ORDER BY 1") == recorded
    archive("verify", *ONE_DAY)


def test_files_are_for_the_owner_and_the_group(archive: Archive) -> None:
    umask = os.umask(0)
    try:
        archive("run")
    finally:
        os.umask(umask)
    assert {oct(path.stat().st_mode & 0o777) for path in archive.folder.rglob("*") if path.is_file()} == {"0o640"}


def test_without_archive_restore_says_what_retention_will_do(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    archive("run", "--drop")
    with archive_on(archive.database, archive.place, monkeypatch, on=False) as off:
        assert "retention drops due chunks regardless" in off("restore", *BOTH).output


def test_a_restored_day_does_not_hide_the_dropped_days_after_it(archive: Archive) -> None:
    archive.connection.execute(
        "INSERT INTO telemetry.vehicle_current_status (vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp, "
        "received_at) VALUES ('V1', now(), 60, 0, 25, now()) ON CONFLICT DO NOTHING"
    )
    window = "SELECT total_energy_delivered_dc FROM api.get_vehicle_performance('V1', %s, %s)"
    for aggregate in ("15min", "hourly"):
        for kind in HISTORY:
            archive.connection.execute(
                f"CALL refresh_continuous_aggregate('bi.{kind}_{aggregate}', %s, %s)", (OLD - DAY, OLD + 3 * DAY)
            )
    [before] = archive.rows(window, OLD, OLD + 2 * DAY)
    assert before[0] > 0
    archive("run", "--drop")
    assert archive.rows(window, OLD, OLD + 2 * DAY) == [pytest.approx(before)]
    archive("restore", "--from", f"{OLD:%Y-%m-%d}", "--to", f"{OLD + DAY:%Y-%m-%d}")
    assert archive.rows(window, OLD, OLD + 2 * DAY) == [pytest.approx(before)]


def test_the_aggregates_follow_a_restored_day_as_any_other_and_keep_it_when_it_is_dropped_again(
    archive: Archive,
) -> None:
    archive("run", "--drop")
    before = archive.aggregates()
    kept = totals(archive)
    assert kept == [(3 * 288, 3 * 192)] * 3
    archive("restore", *BOTH)
    archive.refresh()
    assert close(archive.aggregates()) == close(before)
    archive.connection.execute(
        f"UPDATE {HISTORY['meter']} SET kwh_consumed_ac = kwh_consumed_ac + 1000 WHERE meter_id = 'M1' "
        "AND counted_at = telemetry.counted_at(%s)",
        [OLD + DAY],
    )
    archive.connection.execute(
        f"INSERT INTO {HISTORY['vehicle']} VALUES ('Vlate', telemetry.counted_at(%s), now(), 50, 7, 20)",
        [OLD + 2 * DAY],
    )
    archive.refresh()
    assert totals(archive) == [(3 * 288, 3 * 192 + 1)] * 3
    energy = "SELECT sum(kwh_consumed_ac) FROM bi.meter_{} WHERE meter_id = 'M1' AND bucket >= %s AND bucket < %s"
    [(wanted,)] = archive.rows(
        f"SELECT sum(kwh_consumed_ac) FROM {HISTORY['meter']} WHERE meter_id = 'M1' AND counted_at < %s", OLD + DAY
    )
    assert wanted > 1000
    for resolution in ("15min", "hourly", "daily"):
        assert archive.rows(energy.format(resolution), OLD, OLD + DAY) == [(pytest.approx(wanted),)]
    after = archive.aggregates()
    archive.connection.execute("UPDATE ops.archived_chunk SET keep_until = now()")
    archive("run", "--drop")  # those that have changed are archived again
    archive("run", "--drop")
    archive.refresh()
    assert archive.chunks() == 0
    assert close(archive.aggregates()) == close(after)


@pytest.mark.parametrize("archived_again", [False, True])
def test_a_late_reading_of_a_day_that_is_archived_and_dropped_shows_once_that_day_is_archived_again(
    archive: Archive, archived_again: bool
) -> None:
    archive("run", "--drop")
    archive.refresh()
    before = archive.aggregates()
    for moment in (OLD + DAY / 2, OLD + DAY, OLD + 2 * DAY):
        archive.connection.execute(
            f"INSERT INTO {HISTORY['meter']} VALUES ('M1', telemetry.counted_at(%s) - INTERVAL '7 s', now(), 5, 230)",
            [moment],
        )
    archive.refresh()
    assert archive.aggregates() == before
    assert archive.rows("SELECT * FROM bi.stale_range") == []
    if archived_again:  # which brings all rows of these days back for a moment
        assert "archived 2 of 2 chunks, 579 rows" in archive("run", "--drop").output
        assert archive.chunks() == 0
    archive.run_retention()
    archive.refresh()
    assert (archive.aggregates() == before) is not archived_again
    readings = "SELECT sum(readings) FROM bi.meter_{} WHERE bucket < %s"
    for resolution in ("15min", "hourly", "daily"):
        found = archive.rows(readings.format(resolution), OLD + 2 * DAY)
        assert found == [(579 if archived_again else 576,)]


def totals(archive: Archive) -> list[Any]:
    """The readings of meters and of vehicles in the aggregates, by resolution."""
    query = "SELECT (SELECT sum(readings) FROM bi.meter_{0}), (SELECT sum(readings) FROM bi.vehicle_{0})"
    return [archive.rows(query.format(resolution))[0] for resolution in ("15min", "hourly", "daily")]


def close(aggregates: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Floats to their ninth digit: rows that were restored are added in another order."""
    return {
        name: [[float(f"{value:.9g}") if isinstance(value, float) else value for value in row] for row in rows]
        for name, rows in aggregates.items()
    }


def test_nothing_to_restore_is_said(archive: Archive) -> None:
    result = archive("restore", "--from", "2001-01-01", "--to", "2001-01-02", status=1)
    assert "nothing of these days" in str(result.exception)
    assert "nor a day of UTC" in archive("restore", "--from", "soon", "--to", "2001-01-02", status=2).output


def flip(path: Any) -> None:
    """Change one byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def rewrite(archive: Archive, table: pa.Table, kind: str = "meter", **changed: str) -> None:
    """Put another file in the place of one, as an older or newer version of the engine might have written it."""
    path, manifest = archive.parquet(kind), archive.manifest(kind)
    pq.write_table(table, path)
    digest = archive.files()[path.relative_to(archive.folder).as_posix()]
    was = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**was, "sha256": digest, "bytes": path.stat().st_size, **changed}))
    archive.connection.execute("UPDATE ops.archived_chunk SET sha256 = %s WHERE location = %s", (digest, str(path)))


@pytest.fixture(autouse=True)
def _as_it_was(archive: Archive) -> Iterator[None]:
    yield
    archive.connection.execute("RESET ROLE")
