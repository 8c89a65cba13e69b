"""Dialect of a CSV file: its delimiter and the line of its header, given or found."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from typing import NamedTuple

DELIMITERS = (",", ";", "\t", "|")
LOOKED_AT = 50
"""First lines of a file that are searched for the header."""


class Dialect(NamedTuple):
    """Dialect of a CSV file.

    Attributes:
        delimiter: separator of the cells.
        header: number of lines before the header.
    """

    delimiter: str
    header: int


def find_dialect(
    lines: Sequence[str], is_known: Callable[[str], bool], delimiter: str | None, header_line: int | None
) -> Dialect:
    """Find the header among the first lines of a file: the line with the most known names.

    Without any known name it is the first line that is not blank, divided by the delimiter that makes the most cells.

    Args:
        lines: first lines of the file.
        is_known: true for the name of a column that the import needs.
        delimiter: the delimiter, if it is given.
        header_line: number of the header's line, from 1, if it is given.
    """
    places = range(len(lines)) if header_line is None else [header_line - 1]
    delimiters = DELIMITERS if delimiter is None else (delimiter,)
    best, found = (0, 0, 0), Dialect(delimiters[0], places[0] if places else 0)
    for place in places:
        for candidate in delimiters:
            names = cells_of(lines[place], candidate) if place < len(lines) else []
            score = (sum(map(is_known, dict.fromkeys(names))), -place, len(names))
            if names and (score > best or not best[2]):
                best, found = score, Dialect(candidate, place)
    return found


def cells_of(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line, without blanks around them; none for a line that is blank or no CSV."""
    if not line.strip():
        return []
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
    except csv.Error:
        return []
