"""Progress bar of long commands, on standard error if that is a terminal."""

from __future__ import annotations

from rich import progress as bars
from rich.console import Console


def progress_bar() -> bars.Progress:
    """Return a progress bar whose tasks have the text field `speed`; it clears itself, and needs a terminal."""
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
    """Format rows per second for people."""
    return f"{rows / seconds:,.0f}" if seconds > 0 else "0"
