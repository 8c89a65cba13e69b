"""Report of the measurements, printed as a table and written as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: the measurement.
        figures: name with unit -> value; None if it is invisible here.
        target: the target in words; empty without one.
        met: true if the target is met.
    """

    name: str
    figures: Mapping[str, float | None] = field(default_factory=dict)
    target: str = ""
    met: bool | None = None

    @classmethod
    def ratio(cls, name: str, value: float, *, at_least: float) -> Row:
        """Make a row for a ratio with a bound."""
        return cls(name, {"ratio": value}, f"at least {at_least:g}", value >= at_least)


def machine(database: str) -> dict[str, object]:
    """Describe the machine."""
    return {
        "database": database,
        "cores": os.cpu_count(),
        "machine": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows; those with a target come last, with a mark."""
    table = Table("measured", "figures", "target", "", box=None, header_style="bold", pad_edge=False)
    marks = {True: "met", False: "[red]short[/]", None: ""}
    for row in rows:
        figures = "  ".join(f"{_short(value)} {name}" for name, value in row.figures.items())
        table.add_row(row.name, figures, row.target, marks[row.met])
    Console().print(table)


def write_json(path: Path, where: dict[str, object], rows: Sequence[Row]) -> None:
    """Write the same rows with every digit."""
    path.write_text(json.dumps({**where, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")


def _short(value: float | None) -> str:
    """Format with three digits, or all of a whole number."""
    if value is None:
        return "?"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
