"""Files whose measures are absent, blank or outside their range: such a measure is NULL, and its reading stored."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.commands.importer.conftest import Import
from tests.support import YESTERDAY, Owner, Pair, rfc3339

TIMES = [YESTERDAY + timedelta(minutes=n) for n in range(5)]


async def measures(owner: Owner, pair: Pair, kind: str = "meter", columns: str = "voltage") -> list[tuple[Any, ...]]:
    query = f"SELECT {columns} FROM telemetry.{kind}_telemetry_history WHERE {kind}_id = $1 ORDER BY counted_at"
    return [tuple(row) for row in await owner.fetch(query, getattr(pair, kind))]


@pytest.mark.parametrize("format_", ["csv", "ndjson", "parquet"])
async def test_a_file_without_a_voltage_is_stored(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path, format_: str
) -> None:
    path = tmp_path / f"a.{format_}"
    rows = [{"meterId": pair.meter, "kwhConsumedAc": 1.5, "timestamp": rfc3339(time)} for time in TIMES[:2]]
    if format_ == "csv":
        path.write_text("\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]) + "\n")
    elif format_ == "ndjson":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    assert (await import_(path)).counts == {"stored": 2}
    assert await measures(owner, pair) == [(None,), (None,)]
    assert (await import_(path)).counts == {"duplicates": 2}


async def test_blank_measures_are_not_measured(import_: Import, owner: Owner, pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = [
        f"{pair.vehicle},{rfc3339(time)},1,{cells}"
        for time, cells in zip(TIMES, ("50,20", ",20", "51,", ","), strict=False)
    ]
    path.write_text("\n".join(["vehicleId,timestamp,kwhDeliveredDc,soc,batteryTemp", *lines]))
    result = await import_(path, scales={"batteryTemp": "1/10"})
    assert (result.counts, result.rejected) == ({"stored": 4}, [])
    assert await measures(owner, pair, "vehicle", "soc, battery_temp") == [(50, 2), (None, 2), (51, None), (None, None)]


async def test_a_line_of_json_may_be_the_first_with_a_voltage(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path
) -> None:
    path = tmp_path / "a.ndjson"
    rows: list[dict[str, Any]] = [
        {"meterId": pair.meter, "kwhConsumedAc": 1, "timestamp": rfc3339(YESTERDAY + timedelta(seconds=n))}
        for n in range(120)
    ]
    rows[-2]["voltage"] = None
    rows[-1]["voltage"] = 231
    path.write_text("\n".join(map(json.dumps, rows)))
    assert (await import_(path)).counts == {"stored": 120}
    assert (await measures(owner, pair))[-3:] == [(None,), (None,), (231,)]


@pytest.mark.parametrize("chunk", ["new", "stored before"])
async def test_a_measure_outside_its_range_is_ignored_counted_and_listed(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path, chunk: str
) -> None:
    header = "vehicleId,timestamp,kwhDeliveredDc,soc,batteryTemp"
    cells = ["254,-127", "50,5e-324", "nan,-127", "100.4,1e999", "50,20"]
    lines = [f"{pair.vehicle},{rfc3339(time)},1,{cell}" for time, cell in zip(TIMES, cells, strict=True)]
    if chunk == "stored before":
        first = tmp_path / "first.csv"
        first.write_text(f"{header}\n{lines[-1]}\n")
        assert (await import_(first)).counts == {"stored": 1}
    path = tmp_path / "a.csv"
    path.write_text("\n".join([header, *lines]))
    result = await import_(path)
    stored = {"stored": 4} if chunk == "new" else {"stored": 3, "duplicates": 1}
    assert result.counts == {**stored, "rejected": 1, "ignored": 3}
    assert result.codes == [(2, "ignored"), (3, "ignored"), (4, "value_not_finite"), (5, "ignored")]
    assert result.rejected[0]["detail"] == "soc 254 is outside 0 to 100 %; batteryTemp -127 is outside -60 to 120 °C"
    assert result.rejected[0]["row"]["soc"] == "254"
    assert await measures(owner, pair, "vehicle", "soc, battery_temp") == [
        (None, None), (50, None), (None, None), (50, 20),
    ]  # fmt: skip


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400], ids=["large", "negative", "long"])
async def test_a_measure_too_large_for_a_double_is_ignored(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path, number: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"meterId,timestamp,kwhConsumedAc,voltage\n{pair.meter},{rfc3339(YESTERDAY)},1,{number}\n")
    assert (await import_(path)).counts == {"stored": 1, "ignored": 1}
    if number[-1] == number[0] == "9":
        reading = {"meterId": pair.meter, "timestamp": rfc3339(TIMES[1]), "kwhConsumedAc": 1, "voltage": int(number)}
        path.with_suffix(".ndjson").write_text(json.dumps(reading))
        assert (await import_(path.with_suffix(".ndjson"))).counts == {"stored": 1, "ignored": 1}
    assert set(await measures(owner, pair)) == {(None,)}
