"""Rows of a Parquet file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from service.commands.importer.rows import Row
from service.readings.storable import EARLIEST, LATEST

_ROWS_AT_ONCE = 16_384
_BUFFER_BYTES = 1 << 20


class ParquetRows:
    """Rows with a tuple of the requested columns as cells."""

    text = False

    def __init__(self, file: IO[bytes]) -> None:
        # a buffer: else the column chunks of a row group, of any size, are read at once
        self._file = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        self.names: Sequence[str] = self._file.schema_arrow.names
        self.facts: dict[str, str] = {}
        self.left_out: Counter[str] = Counter()
        self._columns: Sequence[str] = ()
        self._done = 0

    def read(self, columns: Sequence[str]) -> Iterator[Row]:
        """Iterate over all rows, once, with these columns."""
        self._columns = columns
        for batch in self._file.iter_batches(_ROWS_AT_ONCE, columns=list(columns), use_threads=False):
            values = [_plain(batch.column(name)).to_pylist() for name in columns]
            for cells in zip(*values, strict=True):
                self._done += 1
                yield Row(self._done, cells)

    def column(self, cells: Sequence[Any], name: str) -> list[Any]:
        """Return the values of one column; None for a row without it."""
        place = self._columns.index(name)
        return [row[place] for row in cells]

    def show(self, cells: Any) -> Any:
        """Return a row as it was, with its requested columns."""
        return dict(zip(self._columns, map(_shown, cells), strict=True))

    def share(self) -> float:
        """Return the share of the file that has been read, 0 to 1."""
        return float(self._done / max(self._file.metadata.num_rows, 1))


def _plain(column: pa.Array) -> pa.Array:
    """Convert a column to values that Python can hold.

    Dictionaries are decoded; times are in microseconds, in UTC or without a zone.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type):
        kind = pa.timestamp("us", "UTC" if column.type.tz else None)
        naive = pa.timestamp("us")
        first, last = (pa.scalar(bound.replace(tzinfo=None), naive) for bound in (EARLIEST, LATEST))
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(kind).cast(naive)
        column = pc.max_element_wise(
            pc.min_element_wise(column, last, skip_nulls=False),
            first,
            skip_nulls=False,
        ).cast(kind)
    return column


def _shown(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
