"""Mapping from the columns of a file to the fields of a reading."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import msgspec

from service.commands.importer.rows import Rows
from service.commands.importer.times import Times
from service.commands.importer.values import Faults, numbers
from service.commands.importer.values import ids as read_ids
from service.errors import StartupError
from service.readings.model import KINDS, Kind


def sql_name(name: str) -> str:
    """Return the database column of a wire field."""
    return "recorded_at" if name == "timestamp" else re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


COUNTED_AT = "counted_at"
"""Time column of the histories: one microsecond before the reading's time (`telemetry.counted_at`)."""
_MICROSECOND = timedelta(microseconds=1)

REGISTER = "registerKwh"
"""Running register, kWh: a field of both kinds in files. For devices that are declared to send one it is the energy."""
ENERGIES = {"meter": "kwhConsumedAc", "vehicle": "kwhDeliveredDc"}

FIELDS = {
    alias: name for kind in KINDS.values() for name in (*kind.types, REGISTER) for alias in (name, sql_name(name))
}
"""Every name of a field -> its name on the wire."""


@dataclass(frozen=True)
class Options:
    """Options of an import, from the command line.

    Attributes:
        kind: meter or vehicle; None to tell it from the columns.
        preset: name of the source of the files, in `presets.PRESETS`.
        format: csv, ndjson, parquet or another of `files.FORMATS`; None to tell it from the file names.
        encoding: encoding of a text; None to tell it from its byte order mark, else UTF-8.
        delimiter: separator of the cells of a CSV; None to find it.
        header_line: number of the line of a CSV that names the columns, from 1; None to find it.
        decimal: decimal point of numbers that are written as text.
        timezone: zone of times without an offset.
        time_format: format of times that are not ISO 8601, as for strptime, or one of `times.EPOCHS`.
        declare_registers: declare the devices with registers that have no profile.
        repeated_hour_by_order: tell the times that clocks show twice by the order of the rows.
        columns: field -> its column, or several of them as A+B.
        constants: field -> its value in every row.
        scales: field -> factor of its numbers.
    """

    kind: str | None = None
    preset: str | None = None
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header_line: int | None = None
    decimal: str = "."
    timezone: str | None = None
    time_format: str | None = None
    declare_registers: bool = False
    repeated_hour_by_order: bool = False
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

    def is_known(self, column: str) -> bool:
        """Return true for the name of a column that a field may have."""
        return (
            column in FIELDS
            or column == COUNTED_AT
            or any(column == name or column in name.split("+") for name in self.columns.values())
        )


class Columns:
    """The column or columns of each field in one file.

    Attributes:
        kind: kind of its readings.
        used: the columns that are needed.
        sources: column or columns of each field that has any; a field of `options.constants` has none.
        keeps_order: true if the times of a row depend on the rows before it.
    """

    def __init__(self, path: Path, names: Sequence[str], options: Options, *, is_open: bool = False) -> None:
        """Find the columns among `names`; `is_open`: later rows may have more of them, as in NDJSON."""
        self._path, self._names, self._options, self._is_open = path, names, options, is_open
        self.kind = self._kind()
        self._energy = ENERGIES[self.kind.name]
        self.keeps_order = options.repeated_hour_by_order
        zone = ZoneInfo(options.timezone) if options.timezone else None
        self._times = Times(zone, options.time_format, by_order=self.keeps_order)
        fields = (REGISTER, *self.kind.types)
        self.sources: dict[str, list[str]] = {}
        for name in fields:
            if name not in options.constants and (found := self._find(name)):
                self.sources[name] = found
        # a column named by the user holds times as they are, whatever its name
        self._is_counted = self.sources.get("timestamp") == [COUNTED_AT] and "timestamp" not in options.columns
        self.used = list(dict.fromkeys(column for columns in self.sources.values() for column in columns))
        for name in [*options.columns, *options.constants, *options.scales]:
            if name not in fields or (name == REGISTER and name in options.constants):
                raise StartupError(f"{path}: {name} is not a field of a {self.kind.name} reading")
        for column in self.used:
            if list(names).count(column) > 1:
                raise StartupError(f"{path}: the column {column!r} is there {list(names).count(column)} times")
        for name, value in options.constants.items():
            faults: Faults = {}
            self._constant(name, value, faults)
            if faults:
                raise StartupError(f"--set {name}={value}: {faults[0].detail}")

    def convert(self, rows: Rows, cells: Sequence[Any]) -> tuple[list[tuple[Any, ...]], Faults]:
        """Convert rows to tuples in the order of the import tables, without place; return the faults, too.

        In a file with registers, the register of each row, or None, follows at the end of its tuple.
        """
        faults: Faults = {}
        values: dict[str, Any] = {}
        device: Sequence[str] = ()
        decimal = self._options.decimal if rows.text else None
        for name in (*self.kind.types, *([REGISTER] if self.has_registers else [])):
            if name in self._options.constants:
                values[name] = self._constant(name, self._options.constants[name], {}) * len(cells)
            elif name not in self.sources:
                values[name] = [None] * len(cells)
            else:
                found = [rows.column(cells, column) for column in self.sources[name]]
                column = found[0] if len(found) == 1 else list(map(_joined, zip(*found, strict=True)))
                values[name] = self._values(name, column, faults, ids=device, decimal=decimal)
            device = device or values[name]
        first = next(iter(values))  # the id; then the time, the last field on the wire
        return list(zip(values.pop(first), values.pop("timestamp"), *values.values(), strict=True)), faults

    @property
    def has_registers(self) -> bool:
        """True if the file has registers."""
        return REGISTER in self.sources

    def _constant(self, name: str, value: str, faults: Faults) -> list[Any]:
        """Convert the value of an option, whose decimal point is that of the command line."""
        return list(self._values(name, [value], faults, ids=[""], decimal="."))

    def _values(
        self, name: str, column: list[Any], faults: Faults, *, ids: Sequence[str], decimal: str | None
    ) -> Sequence[Any]:
        if name == "timestamp":
            times = self._times.times(name, column, faults, ids)
            return [time + _MICROSECOND for time in times] if self._is_counted else times
        if name in self.kind.types and get_args(self.kind.types[name])[0] is str:
            return read_ids(name, column, faults)
        # an energy may be absent beside a register, and a register beside an energy
        optional = name in self.kind.optional or (name == REGISTER and self._energy in self.sources)
        found = numbers(name, column, faults, decimal=decimal, optional=optional)
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
        is_optional = name in self.kind.optional or name == REGISTER or (name == self._energy and self.has_registers)
        if not columns and name in self.kind.optional and self._is_open:
            return [name]
        if len(columns) == 1 or (not columns and is_optional):
            return columns
        which = f"both {' and '.join(columns)} are there" if columns else f"no column for {name}"
        raise StartupError(
            f"{self._path}: {which} ({self._found()}): --column {name}=COLUMN names it, --set {name}=VALUE gives "
            "one value for all rows"
        )

    def _found(self) -> str:
        names = ", ".join(name[:64] for name in self._names[:50])
        hint = ": is it not UTF-8, give --encoding" if "\\x" in names else ""
        return f"found: {names}{hint}" if names else "found none: is it empty?"


def _joined(cells: tuple[Any, ...]) -> str | None:
    return None if None in cells else " ".join(map(str, cells))
