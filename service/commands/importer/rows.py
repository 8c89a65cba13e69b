"""Interface of all formats: rows with their place in the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Any, AnyStr, NamedTuple, Protocol

from service.errors import Problem

LONGEST_LINE = 1 << 20
"""Longest line of a text, in characters (CSV) or bytes (NDJSON). A longer one is rejected, and only its beginning
kept."""


class Row(NamedTuple):
    """A row of a file.

    Attributes:
        line: its first line, from 1; in Parquet the number of the row.
        cells: its cells, as its format has them; its text, if it has a problem.
        problem: the reason its form is invalid.
    """

    line: int
    cells: Any
    problem: Problem | None = None


class Rows(Protocol):
    """The rows of an open file.

    Attributes:
        names: the columns found.
        text: true if numbers are written as text, as in CSV.
    """

    names: Sequence[str]
    text: bool

    def read(self, columns: Sequence[str]) -> Iterator[Row]:
        """Iterate over all rows, once, with at least these columns."""

    def column(self, cells: Sequence[Any], name: str) -> list[Any]:
        """Return the values of one column; None for a row without it."""

    def share(self) -> float:
        """Return the share of the file that has been read, 0 to 1."""

    def show(self, cells: Any) -> Any:
        """Return a row as it was, in types that JSON can hold."""


def bounded_lines(content: IO[AnyStr]) -> Iterator[tuple[int, AnyStr]]:
    """Iterate over lines with their numbers; an overlong one is cut to `LONGEST_LINE` characters."""
    number = 0
    while line := content.readline(LONGEST_LINE):
        number += 1
        rest = line
        while len(rest) == LONGEST_LINE and rest[-1:] not in {"\n", b"\n"}:
            rest = content.readline(LONGEST_LINE)
        yield number, line
