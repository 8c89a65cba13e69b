"""Parquet files of other tools: times of nanoseconds and of INT96, decimals and half floats as numbers."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.commands.importer.conftest import Import
from tests.support import YESTERDAY, Owner, Pair

TIMES = [YESTERDAY, YESTERDAY + timedelta(minutes=1, microseconds=123_456)]
NANOSECONDS = [int(time.replace(microsecond=0).timestamp()) * 10**9 + time.microsecond * 1000 for time in TIMES]
ENERGY = [0.25, 0.5]
VOLTAGE = [230.0, 231.5]


async def stored(owner: Owner, meter: str) -> list[tuple[datetime, float, float]]:
    query = (
        "SELECT telemetry.recorded_at(counted_at), kwh_consumed_ac, voltage"
        " FROM telemetry.meter_telemetry_history WHERE meter_id = $1 ORDER BY 1"
    )
    return [tuple(row) for row in await owner.fetch(query, meter)]


async def import_columns(import_: Import, path: Path, meter: str, columns: dict[str, pa.Array], **options: str) -> None:
    columns = {"meter_id": pa.array([meter] * 2), **columns}
    pq.write_table(pa.table(columns), path, use_deprecated_int96_timestamps=options.pop("int96", "") == "yes")
    assert (await import_(path, **options)).counts == {"stored": 2}


NUMBERS = {
    "decimal(9,3)": (pa.decimal128(9, 3), Decimal),
    "decimal(38,18)": (pa.decimal128(38, 18), Decimal),
    "decimal256": (pa.decimal256(60, 10), Decimal),
    "float16": (pa.float16(), np.float16),
    "float32": (pa.float32(), float),
    "double": (pa.float64(), float),
}


@pytest.mark.parametrize(("type_", "make"), NUMBERS.values(), ids=NUMBERS)
async def test_a_number_is_read_from_every_type(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path, type_: pa.DataType, make: type
) -> None:
    columns = {
        "recorded_at": pa.array(TIMES, pa.timestamp("us", "UTC")),
        "kwh_consumed_ac": pa.array([make(str(value)) if make is Decimal else make(value) for value in ENERGY], type_),
        "voltage": pa.array([make(str(value)) if make is Decimal else make(value) for value in VOLTAGE], type_),
    }
    await import_columns(import_, tmp_path / "a.parquet", pair.meter, columns)
    assert await stored(owner, pair.meter) == list(zip(TIMES, ENERGY, VOLTAGE, strict=True))


TYPES = {
    "ns in UTC": (pa.timestamp("ns", "UTC"), {}),
    "ns in Paris": (pa.timestamp("ns", "Europe/Paris"), {}),
    "ns without a zone": (pa.timestamp("ns"), {"timezone": "UTC"}),
    "INT96": (pa.timestamp("ns"), {"int96": "yes", "timezone": "UTC"}),
}


@pytest.mark.parametrize(("type_", "options"), TYPES.values(), ids=TYPES)
async def test_a_time_is_read_from_every_type_to_the_microsecond(
    import_: Import, owner: Owner, pair: Pair, tmp_path: Path, type_: pa.DataType, options: dict[str, str]
) -> None:
    columns = {
        "recorded_at": pa.array([nanoseconds + 789 for nanoseconds in NANOSECONDS], pa.int64()).cast(type_),
        "kwh_consumed_ac": pa.array(ENERGY),
        "voltage": pa.array(VOLTAGE),
    }
    path = tmp_path / "a.parquet"
    await import_columns(import_, path, pair.meter, columns, **options)
    physical = pq.ParquetFile(path).schema.column(1).physical_type
    assert physical == ("INT96" if "int96" in options else "INT64")
    assert await stored(owner, pair.meter) == list(zip(TIMES, ENERGY, VOLTAGE, strict=True))
