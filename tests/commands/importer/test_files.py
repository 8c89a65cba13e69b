"""Every format and codec, and every way in which a file can be broken."""

import csv
import gc
import gzip
import io
import json
import sys
import weakref
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.commands.importer.rows import LONGEST_LINE
from service.commands.importer.times import Times
from service.errors import Problem, StartupError
from tests.commands.importer.conftest import Import
from tests.support import YESTERDAY, Owner, Pair, rfc3339

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TIMES = [YESTERDAY + timedelta(minutes=minute) for minute in range(3)]
ENERGIES = [0.25, 0.5, 1.0]


def readings(meter: str) -> list[dict[str, Any]]:
    return [
        {"meterId": meter, "kwhConsumedAc": energy, "voltage": 230.5, "timestamp": rfc3339(time)}
        for energy, time in zip(ENERGIES, TIMES, strict=True)
    ]


def as_csv(rows: list[dict[str, Any]], **options: Any) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), **options)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_ndjson(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def as_is(content: bytes) -> bytes:
    return content


async def stored(owner: Owner, meter: str) -> list[tuple[Any, ...]]:
    rows = await owner.fetch(
        "SELECT telemetry.recorded_at(counted_at), kwh_consumed_ac, voltage FROM telemetry.meter_telemetry_history "
        "WHERE meter_id = $1 ORDER BY 1",
        meter,
    )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize(
    ("name", "write", "pack"),
    [
        ("a.csv", as_csv, as_is),
        ("a.csv.gz", as_csv, gzip.compress),
        ("a.CSV.ZST", as_csv, zstd.compress),
        ("a.ndjson", as_ndjson, as_is),
        ("a.jsonl.gz", as_ndjson, gzip.compress),
        ("a.ndjson.zst", as_ndjson, zstd.compress),
        ("a.parquet", as_parquet, as_is),
    ],
)
async def test_every_format_and_codec_stores_history_and_status_once(
    import_: Import,
    owner: Owner,
    pair: Pair,
    tmp_path: Path,
    name: str,
    write: Callable[[Any], bytes],
    pack: Callable[[bytes], bytes],
) -> None:
    path = tmp_path / name
    path.write_bytes(pack(write(readings(pair.meter))))
    first = await import_(path)
    assert (first.rows, first.counts, first.rejected) == (3, {"stored": 3}, [])
    expected = [(time, energy, 230.5) for time, energy in zip(TIMES, ENERGIES, strict=True)]
    assert await stored(owner, pair.meter) == expected
    status = "SELECT recorded_at, kwh_consumed_ac, voltage FROM telemetry.meter_current_status WHERE meter_id = $1"
    assert [tuple(row) for row in await owner.fetch(status, pair.meter)] == expected[-1:]
    assert (await import_(path)).counts == {"duplicates": 3}
    assert await stored(owner, pair.meter) == expected
    assert await owner.fetch("SELECT FROM telemetry.import_progress") == []


async def test_vehicles_are_told_by_their_columns(import_: Import, owner: Owner, pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text(
        f"vehicle_id,soc,recorded_at,kwh_delivered_dc,battery_temp\n{pair.vehicle},50,{rfc3339(TIMES[0])},1,-5.5\n"
    )
    assert (await import_(path)).counts == {"stored": 1}
    history = (
        "SELECT soc, kwh_delivered_dc, battery_temp FROM telemetry.vehicle_telemetry_history WHERE vehicle_id = $1"
    )
    assert [tuple(row) for row in await owner.fetch(history, pair.vehicle)] == [(50, 1, -5.5)]


async def test_a_late_file_leaves_a_newer_status_alone(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path
) -> None:
    for name, rows in (("new.ndjson", readings(pair.meter)[2:]), ("old.ndjson", readings(pair.meter)[:2])):
        (tmp_path / name).write_bytes(as_ndjson(rows))
        await import_(tmp_path / name)
    status = "SELECT recorded_at FROM telemetry.meter_current_status WHERE meter_id = $1"
    assert await owner.fetchval(status, pair.meter) == TIMES[2]


async def test_bom_crlf_quoted_newlines_and_other_delimiters_are_read(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    rows = [{"note": "two\nlines; and more", **row} for row in readings(pair.meter)]
    path.write_bytes(b"\xef\xbb\xbf" + as_csv(rows, delimiter=";"))
    assert b"\r\n" in path.read_bytes()
    assert (await import_(path, delimiter=";")).counts == {"stored": 3}
    path.write_bytes(b"\xef\xbb\xbf" + as_ndjson(readings(pair.meter)))
    assert (await import_(path, format="ndjson")).counts == {"duplicates": 3}


async def test_rows_that_are_no_readings_go_to_the_file_beside_with_line_code_and_row(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path
) -> None:
    time, other, third = map(rfc3339, TIMES)
    lines = [
        "meterId,timestamp,kwhConsumedAc,voltage",
        f'"{pair.meter}",{time},1,230',
        "",
        f"{pair.meter},{time},1",
        f"{pair.meter},{other},?,230",
        f"{pair.meter},{other},,230",
        f"{pair.meter},{other},1_0,230",
        f"{pair.meter},{other},nan,230",
        f"{pair.meter},{other},1,inf",
        f"{pair.meter},{other},-1,230",
        f"{pair.meter},{time},2,230",
        f"{pair.meter},1770000000,1,230",
        f"{pair.meter},2026-02-08T18:00:00,1,230",
        f"{pair.meter},1999-01-01T00:00:00Z,1,230",
        f",{other},1,230",
        f"a b,{other},1,230",
        f'"{pair.meter}"x,{other},1,230',
        f"{'x' * 140_000},{other},1,230",
        f"{pair.meter},{other},1,{'2' * LONGEST_LINE}",
        f"{pair.meter},{third},1,230",
    ]
    path = tmp_path / "a.csv"
    path.write_bytes("\n".join(lines).encode() + b"\nM\xff," + other.encode() + b",1,230\n")
    result = await import_(path)
    assert result.counts == {"stored": 2, "conflicts": 1, "rejected": 16}
    assert result.codes == [
        (4, "item_malformed"),
        (5, "field_type_invalid"),
        (6, "field_missing"),
        (7, "field_type_invalid"),
        (8, "value_not_finite"),
        (9, "value_not_finite"),
        (10, "value_out_of_range"),
        (11, "conflict"),
        (12, "timestamp_invalid"),
        (13, "timestamp_invalid"),
        (14, "timestamp_too_old"),
        (15, "field_missing"),
        (16, "id_invalid"),
        (17, "item_malformed"),
        (18, "item_malformed"),
        (19, "item_malformed"),
        (21, "id_invalid"),
    ]
    assert result.rejected[0] | {"detail": ""} == {
        "file": "a.csv",
        "line": 4,
        "code": "item_malformed",
        "detail": "",
        "row": f"{lines[3]}\n",
    }
    assert result.rejected[1]["row"] == {
        "meterId": pair.meter,
        "timestamp": other,
        "kwhConsumedAc": "?",
        "voltage": "230",
    }
    assert "--timezone" in result.rejected[9]["detail"]
    kept = "SELECT count(*) FROM telemetry.rejected_reading WHERE payload LIKE '%' || $1 || '%'"
    assert await owner.fetchval(kept, pair.meter) == 0
    assert [row[0] for row in await stored(owner, pair.meter)] == [TIMES[0], TIMES[2]]


async def test_lines_of_json_are_judged_as_the_wire_judges_them(import_: Import, pair: Pair, tmp_path: Path) -> None:
    good, *_ = readings(pair.meter)
    wrong = [
        b"{",
        b"17",
        json.dumps(good).replace('"voltage"', '"meterId"').encode(),
        json.dumps({**good, "voltage": "230"}).encode(),
        json.dumps({**good, "voltage": True}).encode(),
        json.dumps({**good, "kwhConsumedAc": None}).encode(),
        json.dumps({**good, "kwhConsumedAc": 10**400}).encode(),
        json.dumps({**good, "timestamp": 1770000000}).encode(),
        json.dumps({**good, "timestamp": ["x"]}).encode(),
        json.dumps({**good, "meterId": ["x"]}).encode(),
        b'{"meterId": "\xff"}',
        b"[" * 100_000,
        b'{"x": "' + b"x" * LONGEST_LINE + b'"}',
    ]
    path = tmp_path / "a.ndjson"
    extra = {**good, "voltage": 231, "more": 'a "quoted" word'}
    path.write_bytes(b"\n".join([*wrong, json.dumps(extra).encode()]))
    result = await import_(path)
    assert result.counts == {"stored": 1, "rejected": len(wrong)}
    assert [code for _, code in result.codes] == [
        "item_malformed",
        "field_type_invalid",
        "field_duplicate",
        "field_type_invalid",
        "field_type_invalid",
        "field_missing",
        "value_out_of_range",
        "timestamp_invalid",
        "timestamp_invalid",
        "field_type_invalid",
        "item_malformed",
        "item_malformed",
        "item_malformed",
    ]


async def test_parquet_brings_its_own_types(import_: Import, owner: Owner, pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    number = int("".join(filter(str.isdigit, pair.meter))) + 10**9
    columns = {
        "meter_id": pa.array([number] * 3),
        "recorded_at": pa.array(TIMES, pa.timestamp("ns", "Europe/Paris")),
        "kwh_consumed_ac": pa.array([Decimal("0.25"), Decimal("0.50"), None]),
        "voltage": pa.array([230, 231, 232], pa.int16()),
        "unused": pa.array([[1], [2], [3]]),
    }
    pq.write_table(pa.table(columns), path, row_group_size=2)
    result = await import_(path)
    assert (result.counts, result.codes) == ({"stored": 2, "rejected": 1}, [(3, "field_missing")])
    assert await stored(owner, str(number)) == [(TIMES[0], 0.25, 230), (TIMES[1], 0.5, 231)]
    columns["recorded_at"] = pa.array([time.replace(tzinfo=None) for time in TIMES], pa.timestamp("ms"))
    pq.write_table(pa.table(columns), path)
    naive = await import_(path)
    assert naive.codes == [(1, "timestamp_invalid"), (2, "timestamp_invalid"), (3, "field_missing")]
    assert "--timezone" in naive.rejected[0]["detail"]
    assert (await import_(path, timezone="UTC")).counts == {"duplicates": 2, "rejected": 1}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "found none: is it empty"),
        ("a.ndjson", b"\n\n", "found none: is it empty"),
        ("a.csv.gz", b"no gzip", "is damaged"),
        ("a.csv.zst", b"no zstd", "is damaged"),
        ("a.parquet", b"no parquet at all", "is damaged"),
        ("a.csv.gz", gzip.compress(b"meterId,timestamp\n" * 1000, mtime=0)[:-20], "is damaged|no column"),
        ("a.txt", b"", "--format"),
        (
            "a.csv",
            b"meterId,timestamp,voltage\n",
            "no column for kwhConsumedAc .*found: meterId.*--column kwhConsumedAc",
        ),
        ("a.csv", b"a,b\n", "do not tell .*--kind"),
        ("a.csv", b"meterId,vehicleId\n", "do not tell .*--kind"),
        ("a.csv", b"meterId,timestamp,voltage,voltage,kwhConsumedAc\n", "'voltage' is there 2 times"),
        ("a.csv", b"meterId,timestamp,recorded_at,voltage,kwhConsumedAc\n", "both timestamp and recorded_at"),
        ("a.csv", b"meterId,counted_at,recorded_at,voltage,kwhConsumedAc\n", "both recorded_at and counted_at"),
    ],
)
async def test_a_file_that_cannot_be_understood_is_rejected_before_anything_is_stored(
    import_: Import, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(StartupError, match=words):
        await import_(path)


async def test_a_header_alone_is_an_import_of_nothing(import_: Import, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"meterId,timestamp,kwhConsumedAc,voltage\n")
    assert (await import_(path)).rows == 0


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
async def test_what_is_damaged_further_on_is_stored_up_to_there_and_can_be_mended(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    rows = [{**readings(pair.meter)[0], "timestamp": rfc3339(YESTERDAY + timedelta(seconds=n))} for n in range(2500)]
    path = tmp_path / f"a.ndjson.{'gz' if pack is gzip.compress else 'zst'}"
    parts = [pack(as_ndjson(rows[:2000])), pack(as_ndjson(rows[2000:]))]
    path.write_bytes(parts[0] + parts[1][:-9])
    with pytest.raises(StartupError, match="is damaged"):
        await import_(path)
    path.write_bytes(b"".join(parts))
    assert (await import_(path)).rows == 2500
    assert len(await stored(owner, pair.meter)) == 2500
    await owner.execute("DELETE FROM telemetry.import_progress")


def test_a_bad_time_does_not_keep_its_chunk_in_memory() -> None:
    class Cell(str):
        """A value whose end can be seen."""

    gc.disable()
    try:
        cells = [Cell("2026-02-08T18:00:00Z"), Cell("noon")]
        gone = [weakref.ref(cell) for cell in cells]
        faults: dict[int, Problem] = {}
        Times(None, None).times("timestamp", cells, faults)
        assert faults[1].code == "timestamp_invalid"
        del cells
        assert [ref() for ref in gone] == [None, None]
    finally:
        gc.enable()
