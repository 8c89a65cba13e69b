"""Progress of an import: a bar on a terminal, else a line now and then; and a summary."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from service.commands.importer.load import COUNTED, IGNORED, Progress
from service.commands.output import printable, progress_bar, rate

LINE_EVERY_S = 10.0


class Report:
    """Progress of one file on standard error, and its summary."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._began = self._said = time.monotonic()
        self._first: Progress | None = None
        self._bar = progress_bar()
        self._task = self._bar.add_task(name, total=1.0, speed="")

    def __enter__(self) -> Report:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, now: Progress) -> None:
        """Show the progress."""
        if self._first is None:
            self._first, self._began = now, time.monotonic()
            if now.rows:
                self._bar.console.print(f"{self._name}: continues after row {now.rows:,}")
        speed = rate(now.rows - self._first.rows, time.monotonic() - self._began)
        self._bar.update(self._task, completed=now.share, speed=speed)
        if self._bar.disable and time.monotonic() - self._said > LINE_EVERY_S:
            self._said = time.monotonic()
            line = f"{self._name}: {now.share:.0%}, {now.rows:,} rows, {speed}"
            self._bar.console.print(line, soft_wrap=True)

    def summary(self, done: Progress, side: Path) -> str:
        """Return the summary of the file."""
        before = self._first.rows if self._first else 0
        text = summary(self._name, done.rows, done.counts, time.monotonic() - self._began, before)
        if done.left_out:
            text += f"; left out: {list_left_out(done.left_out)}"
        listed = sum(done.counts[name] for name in ("conflicts", "rejected", IGNORED))
        return f"{text}; rejected rows: {side}" if listed else text


def list_left_out(left_out: Mapping[str, int]) -> str:
    """Return the items of a file that are no readings, with their number."""
    return printable(", ".join(f"{what}: {count:,}" for what, count in sorted(left_out.items())))


def summary(name: str, rows: int, counts: Counter[str], seconds: float, before: int = 0) -> str:
    """Return a summary of rows; the first `before` of them were done earlier."""
    found = ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in COUNTED.values())
    if counts[IGNORED]:
        found += f", {counts[IGNORED]:,} with an ignored measure"
    return f"{name}: {rows:,} rows: {found}; {seconds:.1f} s, {rate(rows - before, seconds)}"
