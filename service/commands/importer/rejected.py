"""File of rejected rows beside an import, one JSON object a line."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from service.errors import StartupError

_BEGINNING = b'{"file":'


class RejectedRow(Struct, frozen=True):
    """A row that was not stored: file, first line, code, reason, and the row as it was.

    Code `ignored` is a row that was stored, without a measure outside its range.
    """

    file: str
    line: int
    code: str
    detail: str
    row: Any


def _is_ours(path: Path) -> bool:
    """Return true if a file is empty or holds rejected rows; no other is ever overwritten."""
    with path.open("rb") as file:
        beginning = file.read(len(_BEGINNING))
    return beginning in {b"", _BEGINNING}


class RejectedFile:
    """Rejected rows, written before the commit of their chunk; `length` bytes are committed, or will be next."""

    def __init__(self, path: Path, length: int) -> None:
        """Continue after `length` bytes. Bytes beyond them, of a killed import, belong to rows that come again.

        Raises:
            StartupError: it is shorter than that, or cannot be written.
        """
        self.path = path
        self.length = length
        try:
            if path.exists() and not _is_ours(path):
                raise StartupError(f"{path} is there already and holds no rejected rows: give --rejected another name")
            if not length:
                path.unlink(missing_ok=True)
            elif not path.exists() or path.stat().st_size < length:
                raise StartupError(
                    f"{path} lacks rejected rows of the interrupted import: restore it, or add --no-resume"
                )
            else:
                os.truncate(path, length)
        except OSError as error:
            raise StartupError(f"{path} cannot be written: {error.strerror}") from error

    def write(self, rows: Iterable[RejectedRow]) -> None:
        """Append rows, and flush them to disk."""
        lines = msgspec.json.Encoder(enc_hook=str).encode_lines(list(rows))
        if not lines:
            return
        try:
            with self.path.open("ab") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StartupError(f"{self.path} cannot be written: {error.strerror}") from error
        self.length += len(lines)
