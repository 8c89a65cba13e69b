"""Interface of all formats: rows with their place in the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, AnyStr, NamedTuple, Protocol

from service.errors import Problem

LONGEST_LINE = 1 << 20
"""Longest line of a text, in characters (CSV) or bytes (NDJSON). A longer one is rejected, and only its beginning
kept."""


class FormatError(Exception):
    """A file that is not of its format or preset; the message names the place and the remedy, without the file."""


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
        facts: facts about the file's form, by name, for people.
        left_out: number of items that are no readings, by their description; complete once all rows are read.
    """

    names: Sequence[str]
    text: bool
    facts: dict[str, str]
    left_out: Counter[str]

    def read(self, columns: Sequence[str]) -> Iterator[Row]:
        """Iterate over all rows, once, with at least these columns."""

    def column(self, cells: Sequence[Any], name: str) -> list[Any]:
        """Return the values of one column; None for a row without it."""

    def share(self) -> float:
        """Return the share of the file that has been read, 0 to 1."""

    def show(self, cells: Any) -> Any:
        """Return a row as it was, in types that JSON can hold."""


class RowsOfDicts:
    """Base of formats whose cells are a dict of column and value.

    Attributes:
        names: the columns found.
        text: false, as values have types.
        facts: facts about the file's form.
        left_out: number of items that are no readings, by their description.
    """

    text = False

    def __init__(self, share: Callable[[], float]) -> None:
        self.names: Sequence[str] = ()
        self.facts: dict[str, str] = {}
        self.left_out: Counter[str] = Counter()
        self._share = share

    def share(self) -> float:
        """Return the share of the file that has been read, 0 to 1."""
        return self._share()

    def column(self, cells: Sequence[Any], name: str) -> list[Any]:
        """Return the values of one column; None for a row without it."""
        return [row.get(name) for row in cells]

    def show(self, cells: Any) -> Any:
        """Return a row as it was."""
        return cells


def bounded_lines(content: IO[AnyStr]) -> Iterator[tuple[int, AnyStr]]:
    """Iterate over lines with their numbers; an overlong one is cut to `LONGEST_LINE` characters."""
    number = 0
    while line := content.readline(LONGEST_LINE):
        number += 1
        rest = line
        while len(rest) == LONGEST_LINE and rest[-1:] not in {"\n", b"\n"}:
            rest = content.readline(LONGEST_LINE)
        yield number, line
