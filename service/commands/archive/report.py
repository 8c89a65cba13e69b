"""Progress of `energy archive`: a bar on a terminal, and a line for each chunk."""

from __future__ import annotations

import time
from types import TracebackType

from service.commands.output import progress_bar, rate


class Report:
    """Progress of a command on standard error; its results on standard output."""

    def __init__(self, total: int) -> None:
        self._bar = progress_bar()
        self._total = total
        self._task = self._bar.add_task("", total=float(total), speed="")
        self._began = time.monotonic()
        self._chunk_began = self._began
        self.chunks = 0
        self.rows = 0

    def __enter__(self) -> Report:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, name: str) -> None:
        """Begin the next chunk."""
        self._chunk_began = time.monotonic()
        self._bar.update(self._task, description=name)

    def show(self, done: int, of: int) -> None:
        """Show the number of finished rows of the chunk."""
        speed = rate(self.rows + done, time.monotonic() - self._began)
        self._bar.update(self._task, completed=self.chunks + min(done / of if of else 1.0, 1.0), speed=speed)

    def end(self, rows: int, line: str) -> None:
        """End a chunk."""
        self.chunks += 1
        self.rows += rows
        self._bar.update(self._task, completed=float(self.chunks))
        print(f"{line}; {time.monotonic() - self._chunk_began:.1f} s", flush=True)

    def summary(self, verb: str) -> str:
        """Return a summary: chunks, rows, speed."""
        seconds = time.monotonic() - self._began
        speed = f"{seconds:.1f} s, {rate(self.rows, seconds)}"
        return f"{verb} {self.chunks} of {self._total} chunks, {self.rows:,} rows; {speed}"
