"""Files to import: format and compression by name, and errors of damaged files."""

from __future__ import annotations

import contextlib
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TextIO
from xml.parsers import expat

import pyarrow as pa

from service.commands.importer.csv_rows import CsvForm, CsvRows
from service.commands.importer.dsmr import DsmrRows
from service.commands.importer.encoding import as_text, as_utf8, find_encoding
from service.commands.importer.green_button import GreenButtonRows
from service.commands.importer.ndjson import NdjsonRows
from service.commands.importer.nem12 import Nem12Rows
from service.commands.importer.parquet import ParquetRows
from service.commands.importer.rows import FormatError, Rows
from service.errors import StartupError, first_line

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FORMATS = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet"}
_TEXT_ROWS: dict[str, Callable[[TextIO, Callable[[], float]], Rows]] = {"nem12": Nem12Rows, "dsmr": DsmrRows}
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
def open_rows(path: Path, format_: str, encoding: str | None, form: CsvForm) -> Iterator[Rows]:
    """Open the rows of a file.

    Args:
        path: the file.
        format_: csv, ndjson, parquet, nem12, dsmr or green-button.
        encoding: encoding of a text; None to find it.
        form: form of a CSV.

    Raises:
        StartupError: it cannot be opened, or its beginning is damaged.
    """
    with contextlib.ExitStack() as stack:
        with plain_faults(path):
            if path.exists() and not path.is_file():
                raise StartupError(f"{path} is not a regular file: an import must be able to read it again")
            file = stack.enter_context(path.open("rb", buffering=_BUFFER_BYTES))
            rows = ParquetRows(file) if format_ == "parquet" else _rows(stack, file, path, format_, encoding, form)
        yield rows


def _rows(  # noqa: PLR0913, PLR0917
    stack: contextlib.ExitStack, file: IO[bytes], path: Path, format_: str, encoding: str | None, form: CsvForm
) -> Rows:
    size = max(path.stat().st_size, 1)

    def share() -> float:
        return file.tell() / size

    content: Any = file
    if codec := _CODECS.get(path.suffix.lower()):
        unpacked = stack.enter_context(codec(file, "rb"))
        content = stack.enter_context(io.BufferedReader(unpacked, _BUFFER_BYTES))
    if format_ == "green-button":  # XML names its encoding itself
        return GreenButtonRows(content, share)
    found = find_encoding(content, encoding)
    rows: Any
    if format_ == "ndjson":
        rows = NdjsonRows(stack.enter_context(as_utf8(content, found)), share)
    else:
        text = stack.enter_context(as_text(content, found))
        rows = CsvRows(text, form, share) if format_ == "csv" else _TEXT_ROWS[format_](text, share)
    rows.facts = {"encoding": found.removesuffix("-sig"), **rows.facts}
    return rows  # type: ignore[no-any-return]


@contextlib.contextmanager
def plain_faults(path: Path) -> Iterator[None]:
    """Turn every error of reading a file into one line."""
    try:
        yield
    except FormatError as error:
        raise StartupError(f"{path}: {error}") from error
    except (
        EOFError,
        UnicodeError,
        zlib.error,
        expat.ExpatError,
        gzip.BadGzipFile,
        zstd.ZstdError,
        pa.ArrowException,
    ) as error:
        raise StartupError(f"{path} is damaged: {first_line(error)}") from error
    except OSError as error:
        raise StartupError(f"{path} cannot be read: {error.strerror or error}") from error
