"""Mapping from the columns of a file to the fields of a reading."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from itertools import repeat
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import msgspec

from service.commands.importer.rows import Rows
from service.commands.importer.values import Faults, Times, ids, numbers
from service.errors import StartupError
from service.readings.model import KINDS, Kind


def sql_name(name: str) -> str:
    """Return the database column of a wire field."""
    return "recorded_at" if name == "timestamp" else re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


COUNTED_AT = "counted_at"
"""Time column of the histories: one microsecond before the reading's time (`telemetry.counted_at`)."""
_MICROSECOND = timedelta(microseconds=1)

FIELDS = {alias: name for kind in KINDS.values() for name in kind.types for alias in (name, sql_name(name))}
"""Every name of a field -> its name on the wire."""


@dataclass(frozen=True)
class Options:
    """Options of an import, from the command line.

    Attributes:
        kind: meter or vehicle; None to tell it from the columns.
        format: csv, ndjson or parquet; None to tell it from the file names.
        delimiter: separator of the cells of a CSV.
        timezone: zone of times without an offset.
        time_format: format of times that are not ISO 8601, as for strptime.
        columns: field -> its column, or several of them as A+B.
        constants: field -> its value in every row.
        scales: field -> factor of its numbers.
    """

    kind: str | None = None
    format: str | None = None
    delimiter: str = ","
    timezone: str | None = None
    time_format: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, Fraction] = field(default_factory=dict)

    def fingerprint(self, path: Path) -> str:
        """Return the SHA-256 of a file's content and of these options: the identity of an import."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        said = {**vars(self), "scales": {name: str(scale) for name, scale in self.scales.items()}}
        digest.update(msgspec.json.encode(said, order="deterministic"))
        return digest.hexdigest()


class Columns:
    """The column or columns of each field in one file.

    Attributes:
        kind: kind of its readings.
        used: the columns that are needed.
    """

    def __init__(self, path: Path, names: Sequence[str], options: Options, *, is_open: bool = False) -> None:
        """Find the columns among `names`; `is_open`: later rows may have more of them, as in NDJSON."""
        self._path, self._names, self._options, self._is_open = path, names, options, is_open
        self.kind = self._kind()
        self._times = Times(ZoneInfo(options.timezone) if options.timezone else None, options.time_format)
        self._sources = {name: self._find(name) for name in self.kind.types if name not in options.constants}
        # a column named by the user holds times as they are, whatever its name
        self._is_counted = self._sources.get("timestamp") == [COUNTED_AT] and "timestamp" not in options.columns
        self.used = list(dict.fromkeys(column for columns in self._sources.values() for column in columns))
        for name in [*options.columns, *options.constants, *options.scales]:
            if name not in self.kind.types:
                raise StartupError(f"{path}: {name} is not a field of a {self.kind.name} reading")
        for column in self.used:
            if list(names).count(column) > 1:
                raise StartupError(f"{path}: the column {column!r} is there {list(names).count(column)} times")
        for name, value in options.constants.items():
            faults: Faults = {}
            self._values(name, [value], faults, text=True)
            if faults:
                raise StartupError(f"--set {name}={value}: {faults[0].detail}")

    def convert(self, rows: Rows, cells: Sequence[Any]) -> tuple[list[tuple[Any, ...]], Faults]:
        """Convert rows to tuples in the order of the import tables, without place; return the faults, too."""
        faults: Faults = {}
        values: dict[str, Any] = {}
        for name in self.kind.types:
            if name in self._options.constants:
                [value] = self._values(name, [self._options.constants[name]], {}, text=True)
                values[name] = repeat(value, len(cells))
            elif not self._sources[name]:  # a measure that the file does not have
                values[name] = repeat(None, len(cells))
            else:
                found = [rows.column(cells, column) for column in self._sources[name]]
                column = found[0] if len(found) == 1 else list(map(_joined, zip(*found, strict=True)))
                values[name] = self._values(name, column, faults, text=rows.text)
        first = next(iter(values))  # the id; then the time, the last field on the wire
        return list(zip(values.pop(first), values.pop("timestamp"), *values.values(), strict=True)), faults

    def _values(self, name: str, column: list[Any], faults: Faults, *, text: bool) -> Sequence[Any]:
        if name == "timestamp":
            times = self._times.times(name, column, faults)
            return [time + _MICROSECOND for time in times] if self._is_counted else times
        if get_args(self.kind.types[name])[0] is str:
            return ids(name, column, faults)
        found = numbers(name, column, faults, text=text, is_optional=name in self.kind.optional)
        if scale := self._options.scales.get(name):
            up, down = scale.numerator, scale.denominator
            return [None if value is None else value * up / down for value in found]
        return found

    def _kind(self) -> Kind:
        """Return the chosen kind, or the only one with a field of its own among the columns."""
        if self._options.kind:
            return KINDS[self._options.kind]
        known = {FIELDS.get(name) for name in self._names} | {*self._options.columns, *self._options.constants}
        kinds = [kind for kind in KINDS.values() if known & (kind.types.keys() - {"timestamp"})]
        if len(kinds) != 1:
            raise StartupError(
                f"{self._path}: the columns do not tell the kind, meter or vehicle ({self._found()}): give --kind"
            )
        return kinds[0]

    def _find(self, name: str) -> list[str]:
        """Find the columns of a field."""
        if given := self._options.columns.get(name):
            columns = [given] if given in self._names else given.split("+")
            for column in columns:
                if column not in self._names:
                    raise StartupError(f"{self._path}: there is no column {column!r} for {name} ({self._found()})")
            return columns
        aliases = (name, sql_name(name), *([COUNTED_AT] if name == "timestamp" else []))
        columns = [column for column in dict.fromkeys(aliases) if column in self._names]
        if len(columns) == 1:
            return columns
        if not columns and name in self.kind.optional:
            return [name] if self._is_open else []
        which = f"both {' and '.join(columns)} are there" if columns else f"no column for {name}"
        raise StartupError(
            f"{self._path}: {which} ({self._found()}): --column {name}=COLUMN names it, --set {name}=VALUE gives "
            "one value for all rows"
        )

    def _found(self) -> str:
        names = ", ".join(name[:64] for name in self._names[:50])
        return f"found: {names}" if names else "found none: is it empty?"


def _joined(cells: tuple[Any, ...]) -> str | None:
    return None if None in cells else " ".join(map(str, cells))
