"""Presets: the form of files that people have, one table. A new source that exports tables is one more entry.

A preset gives defaults, and every option of the command line stands above it. `columns` lists the names that a source
has given a column over the years; letters may be small or capital.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise

from service.commands.importer.csv_rows import Adapter, CsvRows
from service.commands.importer.mapping import ENERGIES, REGISTER, Options
from service.commands.importer.rows import FormatError, Row, Rows
from service.commands.importer.running import Differences
from service.readings.model import KINDS


@dataclass(frozen=True)
class Learned:
    """Facts from the lines before a header: values for every row, and factors."""

    constants: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, Fraction] = field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    """Form of the files of one source.

    Attributes:
        source: the files, for people.
        kind: kind of the readings.
        format: format of the files, one of `files.FORMATS`.
        columns: field -> names that its column may have.
        delimiter: separator of the cells; None to find it.
        timezone: zone of times without an offset; None if they have one.
        adapter: change of the rows.
        learn: reads the lines before the header.
        scale_hint: option to ask for if neither these lines nor the user give the factor of the energy.
    """

    source: str
    kind: str = "meter"
    format: str = "csv"
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    delimiter: str | None = None
    timezone: str | None = None
    adapter: Adapter | None = None
    learn: Callable[[Sequence[Sequence[str]]], Learned] | None = None
    scale_hint: str = ""

    def is_known(self, column: str) -> bool:
        """Return true for a name that one of the columns may have."""
        return any(_folded(column) == _folded(name) for names in self.columns.values() for name in names)

    def defaults(self, options: Options) -> Options:
        """Return the options with this preset's defaults, as far as no file is needed for them."""
        return replace(
            options,
            kind=options.kind or self.kind,
            format=options.format or self.format,
            delimiter=options.delimiter or self.delimiter,
            timezone=options.timezone or self.timezone,
        )

    def for_file(self, rows: Rows, options: Options) -> Options:
        """Return the options with the columns of an open file, and what its first lines tell.

        Raises:
            FormatError: the file is none of this source.
        """
        learned = self.learn(rows.preamble) if self.learn and isinstance(rows, CsvRows) else Learned()
        columns = {}
        known = {*KINDS[options.kind or self.kind].types, REGISTER}
        for name, candidates in self.columns.items():
            folded = {_folded(candidate) for candidate in candidates}
            found = [column for column in rows.names if _folded(column) in folded]
            if found and name in known and name not in options.constants:
                columns[name] = found[0]
        scales = {**learned.scales, **options.scales}
        if self.scale_hint and ENERGIES[options.kind or self.kind] not in scales:
            raise FormatError(self.scale_hint)
        return replace(
            options,
            columns={**columns, **options.columns},
            constants={
                **{name: value for name, value in learned.constants.items() if name not in options.columns},
                **options.constants,
            },
            scales=scales,
        )


def _folded(name: str) -> str:
    """Return a name without accents, in small letters."""
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().casefold().strip()


def _leave_out(column: str, values: frozenset[str]) -> Adapter:
    """Leave out the rows that have one of these values in a column."""

    def adapter(rows: CsvRows) -> Callable[[Iterator[Row]], Iterator[Row]]:
        def adapt(found: Iterator[Row]) -> Iterator[Row]:
            place = rows.names.index(column) if column in rows.names else None
            for row in found:
                value = None if place is None or row.problem else row.cells[place].strip()
                if value in values:
                    rows.left_out[f"{column} {value}"] += 1
                else:
                    yield row

        return adapt

    return adapter


_ENERGY_OF_UNIT = {"wh": Fraction(1, 1000), "kwh": Fraction(1)}


def _learn_enedis(preamble: Sequence[Sequence[str]]) -> Learned:
    """Read the delivery point, the unit, and the interval of a load curve of mean powers.

    Raises:
        FormatError: it is no consumption, or has another unit.
    """
    facts: dict[str, str] = {}
    for names, values in pairwise(preamble):
        if "identifiant prm" in map(_folded, names):
            facts = dict(zip(map(_folded, names), values, strict=False))
    constants = {"meterId": facts["identifiant prm"]} if facts.get("identifiant prm") else {}
    metering = facts.get("grandeur metier", "CONS")
    if metering.upper() != "CONS":
        raise FormatError(f"Grandeur metier is {metering!r}, and the preset enedis reads CONS, consumption")
    unit, minutes = facts.get("unite", ""), facts.get("pas en minutes", "")
    scale = _ENERGY_OF_UNIT.get(unit.lower())
    if unit in {"W", "kW"} and re.fullmatch(r"[1-9]\d{0,3}", minutes, re.ASCII):
        scale = Fraction(int(minutes), 60) * (Fraction(1, 1000) if unit == "W" else 1)
    return Learned(constants, {"kwhConsumedAc": scale} if scale else {})


PRESETS: dict[str, Preset] = {
    "enedis": Preset(
        "load curve of Enedis, France: mean power in W, stamped at the end of its interval",
        columns={"timestamp": ["Horodate"], "kwhConsumedAc": ["Valeur"]},
        delimiter=";",
        learn=_learn_enedis,
        scale_hint="the lines before the header do not tell unit and interval of Valeur: "
        "give --scale, as kwhConsumedAc=1/2000 for W in half hours",
    ),
    "octopus": Preset(
        "consumption of Octopus Energy, Great Britain",
        columns={"timestamp": ["End"], "kwhConsumedAc": ["Consumption (kwh)"]},
    ),
    "green-button": Preset("Green Button (ESPI): Atom XML of energy in Wh", format="green-button"),
    "nem12": Preset("NEM12 of Australian meters", format="nem12"),
    "dsmr": Preset("telegrams of a P1 port (DSMR 4 and 5)", format="dsmr"),
    "home-assistant": Preset(
        "history of an energy sensor of Home Assistant",
        columns={"meterId": ["entity_id"], "timestamp": ["last_changed"], "registerKwh": ["state"]},
        adapter=_leave_out("state", frozenset({"unavailable", "unknown", ""})),
    ),
    "teslamate": Preset(
        "table charges of TeslaMate",
        kind="vehicle",
        columns={
            "timestamp": ["date"],
            "soc": ["battery_level"],
            "kwhDeliveredDc": [Differences.name_of("charge_energy_added")],
        },
        timezone="UTC",
        adapter=Differences("charge_energy_added", within="charging_process_id", order="date"),
    ),
}
