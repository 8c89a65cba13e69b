"""How far a command is: the bar of those that go through many rows, on standard error where that is a terminal."""

from __future__ import annotations

from rich import progress as bars
from rich.console import Console


def progress_bar() -> bars.Progress:
    """A bar whose tasks have the field `speed`, in words; leaves nothing behind, and shows nothing off a terminal."""
    console = Console(stderr=True)
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
    """Rows a second, for people."""
    return f"{rows / seconds:,.0f}" if seconds > 0 else "0"
