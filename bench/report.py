"""What was measured: printed as one table, written as JSON."""

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
        name: what was measured.
        figures: name with unit -> value; None where it cannot be seen here.
        target: what it is to be, in words; empty where nothing is asked.
        met: whether it is.
    """

    name: str
    figures: Mapping[str, float | None] = field(default_factory=dict)
    target: str = ""
    met: bool | None = None

    @classmethod
    def ratio(cls, name: str, value: float, *, at_least: float) -> Row:
        """A ratio that has to reach a bound."""
        return cls(name, {"ratio": value}, f"at least {at_least:g}", value >= at_least)


def machine(database: str) -> dict[str, object]:
    """Where it was measured."""
    return {
        "database": database,
        "cores": os.cpu_count(),
        "machine": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def print_table(rows: Sequence[Row]) -> None:
    """Figures that were asked for last, with a mark."""
    table = Table("measured", "figures", "target", "", box=None, header_style="bold", pad_edge=False)
    marks = {True: "met", False: "[red]short[/]", None: ""}
    for row in rows:
        figures = "  ".join(f"{_short(value)} {name}" for name, value in row.figures.items())
        table.add_row(row.name, figures, row.target, marks[row.met])
    Console().print(table)


def write_json(path: Path, where: dict[str, object], rows: Sequence[Row]) -> None:
    """The same, with every digit."""
    path.write_text(json.dumps({**where, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")


def _short(value: float | None) -> str:
    """Three digits, or all of a whole number."""
    if value is None:
        return "?"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
