"""`energy prices import | list`: prices and grid intensities of AC energy."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import click
import msgspec

from service.commands.command import Group
from service.commands.database import ask_as_dba
from service.commands.options import json_option
from service.commands.output import print_json, print_table
from service.errors import StartupError
from service.readings.times import read_time

IMPORT = "SELECT prices, grid_intensities FROM ops.import_prices(%s::jsonb)"
LIST = """
    SELECT
        p.price_id, NULL AS grid_intensity_id, p.zone, p.meter_id AS meter,
        lower(p.during) AS valid_from, upper(p.during) AS valid_to,
        p.days, p.local_from::text AS local_from, p.local_until::text AS local_until,
        p.price_per_kwh::text AS price_per_kwh, p.currency, NULL AS co2_g_per_kwh
    FROM ops.price AS p
    UNION ALL
    SELECT
        NULL, g.grid_intensity_id, g.zone, g.meter_id, lower(g.during), upper(g.during), g.days, g.local_from::text,
        g.local_until::text, NULL, NULL, g.co2_g_per_kwh::text
    FROM ops.grid_intensity AS g
    ORDER BY zone, meter NULLS FIRST, price_id NULLS LAST, grid_intensity_id
"""
PURPOSE = "manage prices"


def _time(text: str) -> str:
    found = read_time(text)
    if found is None or found.tzinfo is None:
        raise ValueError("is not a time with an offset, as 2026-01-01T00:00:00+01:00")
    return found.isoformat()


def _number(text: str) -> str:
    if not re.fullmatch(r"[+-]?\d{1,12}(\.\d{1,12})?", text, re.ASCII):
        raise ValueError("is not a number with at most 12 digits before and after a decimal point, as 0.31")
    return text


def _clock(text: str) -> str:
    try:
        return text if text == "24:00" else time.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError("is not a local time, as 06:00") from None


COLUMNS: dict[str, Callable[[str], str]] = {
    "zone": str,
    "meter": str,
    "valid_from": _time,
    "valid_to": _time,
    "price_per_kwh": _number,
    "currency": str,
    "co2_g_per_kwh": _number,
    "days": str,
    "local_from": _clock,
    "local_until": _clock,
}
"""Column of a file -> check of a field that is not empty."""


@click.group("prices", cls=Group)
def prices() -> None:
    """Prices and grid intensities of AC energy: import and list them. Needs a login that is a member of energy_dba."""


@prices.command("import", examples=("energy prices import day-ahead.csv",))
@click.argument("file", type=click.Path(path_type=Path))
def import_command(file: Path) -> None:
    """Set the prices and grid intensities in a CSV FILE, all of them or none.

    Columns, in any order: zone, meter, valid_from, valid_to, price_per_kwh, currency, co2_g_per_kwh, days, local_from,
    local_until. Any may be absent or empty. An empty zone is default. Without a meter a row is for the whole zone, and
    without valid_to it holds until further notice. A row with the times of one that is there changes it, so a file may
    be imported again. A row that overlaps another is refused.
    """
    lines = list(_lines(file))
    imported, intensities = ask_as_dba(PURPOSE, IMPORT, msgspec.json.encode(lines).decode())[0]
    print(f"{len(lines)} lines: {imported} prices, {intensities} grid intensities")


@prices.command("list", examples=("energy prices list", "energy prices list --json"))
@json_option
def list_command(as_json: bool) -> None:
    """Print prices and grid intensities by zone, meter and time, with the numbers by which they are removed."""
    rows = ask_as_dba(PURPOSE, LIST)
    if as_json:
        for row in rows:
            print_json(row._asdict())
        return
    names = ("price", "intensity", "zone", "meter", "from", "to", "days", "local", "per kWh", "currency", "g CO2/kWh")
    cells = [
        tuple(
            map(_shown, (*row[:6], _days(row[6]), f"{row[7][:5]}-{row[8][:5]}", *row[9:]))
        )  # one cell for local times
        for row in rows
    ]
    print_table(names, cells, "no prices")


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """Read the lines of a file, each as the object that `ops.import_prices` takes.

    Raises:
        StartupError: the file cannot be read, or a field is not what its column holds; the message names the line.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            rows = csv.reader(opened, strict=True)
            header = [name.strip() for name in next(rows, [])]
            if unknown := [name for name in header if name not in COLUMNS]:
                raise StartupError(f"{file}: column {unknown[0]!r} is unknown; the columns are {', '.join(COLUMNS)}")
            if len(set(header)) < len(header) or not header:
                raise StartupError(f"{file}: line 1 must name each column once")
            for row in rows:
                if row:
                    yield _line(file, rows.line_num, header, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StartupError(f"{file} cannot be read: {error}") from error


def _line(file: Path, number: int, header: list[str], row: list[str]) -> dict[str, Any]:
    if len(row) != len(header):
        raise StartupError(f"{file}: line {number} has {len(row)} fields, not {len(header)}")
    fields: dict[str, Any] = {"line": number}
    for name, text in zip(header, map(str.strip, row), strict=True):
        if not text:
            continue
        try:
            fields[name] = COLUMNS[name](text)
        except ValueError as error:
            raise StartupError(f"{file}: line {number}: {name} {text[:64]!r} {error}") from None
    return fields


def _days(days: str) -> str:
    return "all" if days == "1234567" else days


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
    return "" if value is None else str(value)
