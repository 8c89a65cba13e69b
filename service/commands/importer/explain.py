"""`energy import --explain`: how a file is understood, and its first readings; no database is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from service.commands.importer.files import format_of, plain_faults
from service.commands.importer.mapping import ENERGIES, REGISTER
from service.commands.importer.presets import PRESETS
from service.commands.importer.report import list_left_out
from service.commands.importer.source import Source, open_source
from service.commands.importer.times import EPOCHS
from service.commands.output import make_console, make_table

_LOOKED_AT = 1000
_SHOWN = 5
_UNITS = dict.fromkeys((*ENERGIES.values(), REGISTER), "kWh") | {"voltage": "V", "soc": "%", "batteryTemp": "°C"}


def explain(path: Path, options: Any) -> None:
    """Print the form of a file, the source of each field, and the first readings.

    Raises:
        StartupError: the file cannot be understood.
    """
    with open_source(path, options) as source:
        with plain_faults(path):
            first = list(islice(source.rows.read(source.columns.used), _LOOKED_AT))
        good = [row for row in first if not row.problem]
        records, faults = source.columns.convert(source.rows, [row.cells for row in good])
        problems = {row.line: row.problem for row in first if row.problem}
        problems |= {good[place].line: problem for place, problem in faults.items()}
        readings = [record for place, record in enumerate(records) if place not in faults]
        lines = [row.line for place, row in enumerate(good) if place not in faults]
        console = make_console()
        console.print(f"{path}:")
        facts = [
            ("format", format_of(path, source.options.format)),
            *_facts(source),
            ("interval", _interval(readings)),
        ]
        console.print(make_table(["", ""], facts))
        names = ["line", *_order(source)]
        shown = [
            [str(line), *(_shown(name, value) for name, value in zip(names[1:], record, strict=True))]
            for line, record in zip(lines, readings[:_SHOWN], strict=False)
        ]
        console.print(make_table(names, shown) if shown else "no readings")
        for line, problem in list(problems.items())[:_SHOWN]:
            console.print(f"rejected: line {line}: {problem.detail if problem else ''}")
        if source.rows.left_out:
            console.print(f"left out: {list_left_out(source.rows.left_out)}")
        counted = f"{len(readings):,} readings and {len(problems):,} rejected"
        console.print(f"{counted} of the first {len(first):,} rows; nothing stored")


def _facts(source: Source) -> Iterator[tuple[str, str]]:
    rows, columns, options = source
    if options.preset:
        yield "preset", PRESETS[options.preset].source
    yield from rows.facts.items()
    yield "kind", columns.kind.name
    for name in (*columns.kind.types, REGISTER):
        unit = f", {_UNITS[name]}" if name in _UNITS else ""
        scale = f" x {options.scales[name]}" if name in options.scales else ""
        if name in options.constants:
            yield name, f"{options.constants[name]!r} in every row{scale}{unit}"
        elif name in columns.sources:
            yield name, f"column {' + '.join(map(repr, columns.sources[name]))}{scale}{unit}"
        elif name == ENERGIES[columns.kind.name]:
            yield name, f"derived from {REGISTER} as it is stored, kWh"
        elif name != REGISTER:
            yield name, "no column: not measured"
    if rows.text:
        yield "decimal point", options.decimal
    written = options.time_format or ("ISO 8601" if rows.text or "zone" not in rows.facts else "of the format")
    yield "time written", written
    if "zone" not in rows.facts and options.time_format not in EPOCHS:
        yield "zone", f"{options.timezone}, for times without an offset" if options.timezone else "offset of each time"


def _order(source: Source) -> list[str]:
    """Return the headings of records: the id, the time, the others."""
    kind = source.columns.kind
    first, *others = [name for name in kind.types if name != "timestamp"]
    return [first, "timestamp", *others, *([REGISTER] if source.columns.has_registers else [])]


def _interval(records: Sequence[tuple[Any, ...]]) -> str:
    """Return the most frequent time between two readings of a device."""
    gaps: Counter[timedelta] = Counter()
    last: dict[str, datetime] = {}
    for device, time, *_ in records:
        if device in last:
            gaps[abs(time - last[device])] += 1
        last[device] = time
    if not gaps:
        return "unknown: no device has two readings among the first rows"
    seconds = gaps.most_common(1)[0][0].total_seconds()
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"


def _shown(name: str, value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if value is None:
        return "derived" if name in ENERGIES.values() else "none" if name == REGISTER else "not measured"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
