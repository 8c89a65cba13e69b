"""Files to import: format and compression by name, and errors of damaged files."""

from __future__ import annotations

import contextlib
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from service.commands.importer.csv_rows import CsvRows
from service.commands.importer.ndjson import NdjsonRows
from service.commands.importer.parquet import ParquetRows
from service.commands.importer.rows import Rows
from service.errors import StartupError, first_line

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FORMATS = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet"}
_CODECS: dict[str, Any] = {".gz": gzip.open, ".zst": zstd.open}
_BUFFER_BYTES = 1 << 20


def format_of(path: Path, chosen: str | None) -> str:
    """Return csv, ndjson or parquet, by the name of the file unless chosen."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _CODECS:
        suffixes.pop()
    found = chosen or (FORMATS.get(suffixes[-1]) if suffixes else None)
    if found is None:
        raise StartupError(f"{path}: the name does not tell the format ({', '.join(FORMATS)}): give --format")
    return found


@contextlib.contextmanager
def open_rows(path: Path, format_: str, delimiter: str) -> Iterator[Rows]:
    """Open the rows of a file.

    Raises:
        StartupError: it cannot be opened, or its beginning is damaged.
    """
    with contextlib.ExitStack() as stack:
        with plain_faults(path):
            if path.exists() and not path.is_file():
                raise StartupError(f"{path} is not a regular file: an import must be able to read it again")
            file = stack.enter_context(path.open("rb", buffering=_BUFFER_BYTES))
            rows = _rows(stack, file, path, format_, delimiter)
        yield rows


def _rows(stack: contextlib.ExitStack, file: IO[bytes], path: Path, format_: str, delimiter: str) -> Rows:
    if format_ == "parquet":
        return ParquetRows(file)
    size = max(path.stat().st_size, 1)

    def share() -> float:
        return file.tell() / size

    content: Any = file
    if codec := _CODECS.get(path.suffix.lower()):
        unpacked = stack.enter_context(codec(file, "rb"))
        content = stack.enter_context(io.BufferedReader(unpacked, _BUFFER_BYTES))
    if format_ == "csv":
        # bytes that are not UTF-8 become a backslash escape, which no valid id has
        text = io.TextIOWrapper(content, encoding="utf-8-sig", errors="backslashreplace", newline="")
        return CsvRows(stack.enter_context(text), delimiter, share)
    return NdjsonRows(content, share)


@contextlib.contextmanager
def plain_faults(path: Path) -> Iterator[None]:
    """Turn every error of reading a file into one line."""
    try:
        yield
    except (EOFError, UnicodeDecodeError, zlib.error, gzip.BadGzipFile, zstd.ZstdError, pa.ArrowException) as error:
        raise StartupError(f"{path} is damaged: {first_line(error)}") from error
    except OSError as error:
        raise StartupError(f"{path} cannot be read: {error.strerror or error}") from error
