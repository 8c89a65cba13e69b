"""Comparison with an earlier run: names what got slower.

A figure got slower if its median is worse by more than both runs' spreads together. A spread is the range of the rounds
of a figure. Of three rounds of equal speed, such a difference comes by chance once in 140 comparisons.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.report import Row, Run, short, values
from service.errors import StartupError

LEAST_ROUNDS = 3
"""Fewer rounds tell too little of a figure's spread."""
_is_rate = re.compile(r".*/s\b.*|ratio").fullmatch
_is_cost = re.compile(r"(.* )?(s|ms|us|cores|MiB|B|share|growth|times)\b.*").fullmatch


@dataclass(frozen=True)
class Change:
    """A figure in two runs.

    Attributes:
        row: the measurement.
        figure: name with unit.
        before: the rounds of the earlier run.
        now: the rounds of this run.
    """

    row: str
    figure: str
    before: list[float]
    now: list[float]

    @property
    def is_comparable(self) -> bool:
        """True if both runs have enough rounds to tell a change from chance."""
        return min(len(self.before), len(self.now)) >= LEAST_ROUNDS

    @property
    def is_slower(self) -> bool:
        """True if the median is worse by more than both spreads together; a rate is worse if it is lower."""
        worse = statistics.median(self.now) - statistics.median(self.before)
        if _is_rate(self.figure):
            worse = -worse
        return self.is_comparable and worse > _spread(self.before) + _spread(self.now)


def read_run(path: Path) -> Run:
    """Read an earlier run.

    Raises:
        StartupError: there is none in this file.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Run)
    except (OSError, msgspec.MsgspecError) as error:
        raise StartupError(f"{path} is not a bench.json of an earlier run ({error})") from None


def changes(before: Run, now: Run) -> Iterator[Change]:
    """Iterate over the rates and costs that both runs have measured. Counts have no better and worse."""
    earlier = {row.name: row for row in before.rows}
    for row in now.rows:
        for name, figure in row.figures.items():
            old = values(earlier.get(row.name, Row(row.name)).figures.get(name))
            if old and values(figure) and (_is_rate(name) or _is_cost(name)):
                yield Change(row.name, name, old, values(figure))


def print_comparison(before: Run, now: Run) -> bool:
    """Print the figures that got slower, and what was not compared; return true if none got slower."""
    console = Console()
    if replace(before, rows=[]) != replace(now, rows=[]):
        console.print(
            f"[yellow]the earlier run was on {_place(before)}, this one on {_place(now)}: compare ratios only[/]"
        )
    both = list(changes(before, now))
    slower = [change for change in both if change.is_slower]
    if slower:
        table = Table("slower", "figure", "before", "now", "spreads", box=None, header_style="bold red", pad_edge=False)
        for change in slower:
            spreads = f"{short(_spread(change.before))} and {short(_spread(change.now))}"
            table.add_row(change.row, change.figure, short(change.before), short(change.now), spreads)
        console.print(table)
    compared = sum(change.is_comparable for change in both)
    console.print(f"{len(slower)} of {compared} figures got slower")
    if len(both) > compared:
        console.print(
            f"{len(both) - compared} figures have fewer than {LEAST_ROUNDS} rounds: measure both runs with --repeat "
            f"{LEAST_ROUNDS}"
        )
    if missing := sorted({row.name for row in now.rows} - {row.name for row in before.rows}):
        console.print(f"not in the earlier run: {', '.join(missing)}")
    return not slower


def _spread(rounds: list[float]) -> float:
    return max(rounds) - min(rounds)


def _place(run: Run) -> str:
    return f"{run.database}, {run.cores} cores, {run.machine}, Python {run.python}"
