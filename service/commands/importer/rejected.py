"""The file beside an import with the rows that were not stored, one JSON object a line."""

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
    """A row that was not stored: the file, the line where it begins, why, and the row as it came."""

    file: str
    line: int
    code: str
    detail: str
    row: Any


def _is_ours(path: Path) -> bool:
    """Whether a file holds rejected rows, or nothing: no other is ever written over."""
    with path.open("rb") as file:
        beginning = file.read(len(_BEGINNING))
    return beginning in {b"", _BEGINNING}


class RejectedFile:
    """Written ahead of the commit of what it belongs to; `length` is the part that is committed, or will be next."""

    def __init__(self, path: Path, length: int) -> None:
        """Go on after `length` bytes: what a killed import wrote beyond them belongs to rows that come again.

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
                    f"{path} lacks rejected rows of the import that is to go on: bring it back, or add --no-resume"
                )
            else:
                os.truncate(path, length)
        except OSError as error:
            raise StartupError(f"{path} cannot be written: {error.strerror}") from error

    def write(self, rows: Iterable[RejectedRow]) -> None:
        """Append rows; they are on the disk when it returns."""
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
