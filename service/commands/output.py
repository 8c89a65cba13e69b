"""Output of the commands: tables, JSON lines, the progress bar, the error line."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich import progress as bars
from rich.console import Console
from rich.table import Table

WIDTH = 500
"""Columns of a line that goes to a file or another command: enough for every table."""


def make_console(*, stderr: bool = False) -> Console:
    """A console that prints text as it is, in lines of `WIDTH` columns where it is no terminal."""
    console = Console(stderr=stderr, markup=False, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    return console


def make_table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of text, in which a cell that is too long goes on in the next line."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(printable, row))
    return table


def print_table(names: Sequence[str], rows: Iterable[Sequence[str]], empty: str) -> None:
    """Print a table, or `empty` where there is no row."""
    table = make_table(names, rows)
    make_console().print(table if table.row_count else empty)


def print_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def print_error(message: object) -> None:
    """Print the error line, which every command has in common."""
    print(f"energy: {message}", file=sys.stderr, flush=True)


def progress_bar() -> bars.Progress:
    """A bar on standard error, removed at the end and absent off a terminal; its tasks have the text field `speed`."""
    console = make_console(stderr=True)
    return bars.Progress(
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.TaskProgressColumn(),
        bars.TextColumn("{task.fields[speed]}"),
        bars.TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def rate(rows: int, seconds: float) -> str:
    """Rows a second, as text with the unit."""
    return f"{rows / seconds if seconds > 0 else 0:,.0f} rows/s"


def printable(text: str) -> str:
    """The text without control characters, by which a device could command the terminal of the reader."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
