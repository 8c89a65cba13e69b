"""Report of the measurements, printed as a table and written as JSON."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import msgspec
from rich.console import Console
from rich.table import Table

Figure: TypeAlias = float | list[float] | None
"""A value, the values of the rounds that were measured, or None if it is invisible here."""


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: the measurement.
        figures: name with unit -> figure; the median of its rounds is shown.
        target: the target in words; empty without one.
        met: true if the target is met.
    """

    name: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    target: str = ""
    met: bool | None = None

    @classmethod
    def ratio(cls, name: str, upper: list[float], lower: list[float], *, at_least: float) -> Row:
        """Make a row for the ratio of figures that were measured in turns, round by round, with a bound."""
        ratios = [one / other for one, other in zip(upper, lower, strict=True)]
        return cls(name, {"ratio": ratios}, f"at least {at_least:g}", statistics.median(ratios) >= at_least)


@dataclass(frozen=True)
class Run:
    """A run of the bench: the machine, and what was measured on it."""

    database: str
    cores: int | None
    machine: str
    python: str
    rows: list[Row]

    @classmethod
    def here(cls, database: str, rows: list[Row]) -> Run:
        """Make a run on this machine."""
        return cls(
            database, os.cpu_count(), f"{platform.system()} {platform.machine()}", platform.python_version(), rows
        )

    def write(self, path: Path) -> None:
        """Write it as JSON, with every digit."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")


def values(figure: Figure) -> list[float]:
    """Return the values of the rounds; none of an invisible figure."""
    if figure is None:
        return []
    return figure if isinstance(figure, list) else [figure]


def merge(repeats: Sequence[Sequence[Row]]) -> list[Row]:
    """Merge the rows of a measurement that was repeated: each figure has the rounds of all repeats."""
    merged: dict[str, Row] = {}
    for row in (row for rows in repeats for row in rows):
        if before := merged.get(row.name):
            figures = {name: values(before.figures.get(name)) + values(figure) for name, figure in row.figures.items()}
            met = None if row.met is None else row.met and bool(before.met)
            row = Row(row.name, {**before.figures, **figures}, row.target, met)  # noqa: PLW2901
        merged[row.name] = row
    return list(merged.values())


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows; those with a target come last, with a mark."""
    table = Table("measured", "figures", "target", "", box=None, header_style="bold", pad_edge=False)
    marks = {True: "met", False: "[red]short[/]", None: ""}
    for row in rows:
        figures = "  ".join(f"{short(figure)} {name}" for name, figure in row.figures.items())
        table.add_row(row.name, figures, row.target, marks[row.met])
    Console().print(table)


def short(figure: Figure) -> str:
    """Format the median with three digits, or all of a whole number."""
    if not (found := values(figure)):
        return "?"
    value = statistics.median(found)
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
