"""A file of readings, opened by its options and its preset."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from service.commands.importer.csv_rows import CsvForm, CsvRows
from service.commands.importer.files import format_of, open_rows, plain_faults
from service.commands.importer.mapping import Columns, Options
from service.commands.importer.ndjson import NdjsonRows
from service.commands.importer.presets import PRESETS
from service.commands.importer.rows import Rows
from service.errors import StartupError

_LOOKED_AT = 100


class Source(NamedTuple):
    """An open file: its rows, the columns of its fields, and the options that hold for it."""

    rows: Rows
    columns: Columns
    options: Options


@contextlib.contextmanager
def open_source(path: Path, given: Options) -> Iterator[Source]:
    """Open a file, and find the columns of its fields.

    Raises:
        StartupError: the file cannot be read, or its columns do not tell the fields.
    """
    preset = PRESETS[given.preset] if given.preset else None
    options = preset.defaults(given) if preset else given

    def is_known(column: str) -> bool:
        return options.is_known(column) or (preset is not None and preset.is_known(column))

    form = CsvForm(options.delimiter, options.header_line, is_known)
    with open_rows(path, format_of(path, options.format), options.encoding, form) as rows:
        if preset:
            with plain_faults(path):
                if preset.adapter and isinstance(rows, CsvRows):
                    rows.adapt(preset.adapter)
                options = preset.for_file(rows, options)
        yield Source(rows, Columns(path, rows.names, options, is_open=isinstance(rows, NdjsonRows)), options)


def check_source(path: Path, given: Options) -> None:
    """Check that a file can be imported, before anything is stored.

    Raises:
        StartupError: its columns do not tell the fields, or its times are not written in the format that is given.
    """
    with open_source(path, given) as (rows, columns, options):
        if not options.time_format or "timestamp" in options.constants:
            return
        with plain_faults(path):
            first = [row for row in islice(rows.read(columns.used), _LOOKED_AT) if not row.problem]
        columns_of_time = columns.sources["timestamp"]
        _, faults = columns.convert(rows, [row.cells for row in first])
        details = [fault.detail for fault in faults.values() if fault.code == "timestamp_invalid"]
        if first and len(details) == len(first):
            raise StartupError(
                f"{path}: line {first[0].line}, column {'+'.join(columns_of_time)}: {details[0]}; "
                f"nor is any other of the first {len(first)} rows: --time-format {options.time_format} is wrong"
            )
