"""What every format gives: rows one by one, each with its place in the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Any, AnyStr, NamedTuple, Protocol

from service.errors import Problem

LONGEST_LINE = 1 << 20
"""Of a text, in characters (CSV) or bytes (NDJSON); a longer one is rejected, and only its beginning kept."""


class Row(NamedTuple):
    """A row of a file.

    Attributes:
        line: where it begins, from 1; in Parquet the number of the row.
        cells: what it holds, in the way of its format; its text, where it has a problem.
        problem: why its form alone cannot be a reading.
    """

    line: int
    cells: Any
    problem: Problem | None = None


class Rows(Protocol):
    """The rows of an open file.

    Attributes:
        names: the columns found.
        text: whether numbers are written as text, as in CSV.
    """

    names: Sequence[str]
    text: bool

    def read(self, columns: Sequence[str]) -> Iterator[Row]:
        """Every row, once, with at least these columns."""

    def column(self, cells: Sequence[Any], name: str) -> list[Any]:
        """The values of one column; None where a row has none."""

    def share(self) -> float:
        """How much of the file has been read, 0 to 1."""

    def show(self, cells: Any) -> Any:
        """A row as it came, as something that JSON can hold."""


def bounded_lines(content: IO[AnyStr]) -> Iterator[tuple[int, AnyStr]]:
    """Each line with its number, of an overlong one its first `LONGEST_LINE` characters."""
    number = 0
    while line := content.readline(LONGEST_LINE):
        number += 1
        rest = line
        while len(rest) == LONGEST_LINE and rest[-1:] not in {"\n", b"\n"}:
            rest = content.readline(LONGEST_LINE)
        yield number, line
