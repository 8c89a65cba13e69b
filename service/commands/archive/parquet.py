"""Parquet files of chunks: the columns of the history, in order of device and time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from service.errors import StartupError

ROW_GROUP = 131_072
"""Rows of a row group, which is held in memory at once."""
_BUFFER_BYTES = 1 << 20
_TYPES = {
    "text": pa.string(),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "bigint": pa.int64(),
    "integer": pa.int32(),
}


class Column(NamedTuple):
    """A column of a history: name, PostgreSQL type, nullability, and its comment with the unit."""

    name: str
    kind: str
    nullable: bool
    comment: str


class Contents(NamedTuple):
    """Contents of a file or of a chunk.

    Attributes:
        readings: rows.
        devices: distinct ids.
        sums: of each column of numbers, in its unit; None without a value.
        first: earliest recorded_at, None without a row.
        last: latest recorded_at.
    """

    readings: int
    devices: int
    sums: Mapping[str, float | None]
    first: datetime | None = None
    last: datetime | None = None


def schema_of(columns: Iterable[Column], facts: Mapping[str, str]) -> pa.Schema:
    """Build the schema of a file with these columns, and with `facts` in its metadata.

    Raises:
        StartupError: a column has an unsupported type.
    """
    fields = []
    for column in columns:
        if column.kind not in _TYPES:
            raise StartupError(f"{column.name} is of type {column.kind}, which energy archive does not know")
        fields.append(pa.field(column.name, _TYPES[column.kind], column.nullable, {"comment": column.comment}))
    return pa.schema(fields, dict(facts))


def write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write the rows to a new file, a row group at a time."""
    times = [field.name for field in schema if pa.types.is_timestamp(field.type)]
    writer = pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        # times of a device rise by equal steps: their differences take almost no space
        use_dictionary=[field.name for field in schema if field.name not in times],
        column_encoding=dict.fromkeys(times, "DELTA_BINARY_PACKED"),
        write_page_checksum=True,
    )
    waiting: list[pa.RecordBatch] = []
    with writer:
        for batch in batches:
            waiting.append(batch)
            if sum(map(len, waiting)) >= ROW_GROUP:
                writer.write_table(pa.Table.from_batches(waiting, schema), ROW_GROUP)
                waiting = []
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting, schema), ROW_GROUP)


def read(path: Path, rows: int = ROW_GROUP) -> Iterator[pa.RecordBatch]:
    """Read the rows of a file, `rows` at a time."""
    # a buffer: else a row group is read at once
    with pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True) as file:
        yield from file.iter_batches(rows)


def schema_in(path: Path) -> pa.Schema:
    """Read the schema of a file, with its metadata."""
    return pq.read_schema(path)


def examine(path: Path) -> Contents:
    """Sum up the contents of a file; every row is read.

    Raises:
        pyarrow.ArrowException: it cannot be read.
        OSError: the same.
    """
    schema = schema_in(path)
    parts: dict[str, list[float]] = {field.name: [] for field in schema if pa.types.is_floating(field.type)}
    readings = devices = 0
    last_device: Any = None
    times: list[datetime] = []
    for batch in read(path):
        if not len(batch):
            continue
        readings += len(batch)
        ids = batch.column(0)
        # in order of device: each one is in one piece
        devices += pc.count_distinct(ids).as_py() - (ids[0].as_py() == last_device)
        last_device = ids[-1].as_py()
        for name, sums in parts.items():
            found = pc.sum(batch.column(name)).as_py()
            if found is not None:
                sums.append(found)
        bounds = pc.min_max(batch.column("recorded_at")).as_py()
        times = [min(times[0], bounds["min"]), max(times[1], bounds["max"])] if times else list(bounds.values())
    totals = {name: math.fsum(found) if found else None for name, found in parts.items()}
    return Contents(readings, devices, totals, *times)


def counted(
    batches: Iterable[pa.RecordBatch], readings: int, show: Callable[[int, int], None]
) -> Iterator[pa.RecordBatch]:
    """Pass batches on, and report to `show` the rows that the consumer has finished, of `readings`."""
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        show(done, readings)
