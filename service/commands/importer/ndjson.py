"""Rows of a file of JSON objects, one a line."""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import IO, Any

import msgspec

from service.commands.importer.rows import LONGEST_LINE, Row, RowsOfDicts, bounded_lines
from service.errors import OUTCOMES, Problem
from service.readings.decode_errors import UNDECODABLE, members, only_finite, reject_duplicates

_LOOKED_AT = 100
"""Lines that are searched for column names: a broken first line says nothing about the others."""


class NdjsonRows(RowsOfDicts):
    """Rows with a dict of the line's members as cells."""

    def __init__(self, content: IO[bytes], share: Callable[[], float]) -> None:
        super().__init__(share)
        self._lines = bounded_lines(content)
        self._first = list(islice(self._rows(), _LOOKED_AT))
        self.names = list(dict.fromkeys(name for row in self._first if not row.problem for name in row.cells))

    def read(self, columns: Sequence[str]) -> Iterator[Row]:
        """Iterate over all rows, once."""
        yield from self._first
        yield from self._rows()

    def _rows(self) -> Iterator[Row]:
        for number, text in self._lines:
            line = text.removeprefix(codecs.BOM_UTF8) if number == 1 else text
            if line.isspace():
                continue
            try:
                if len(line) >= LONGEST_LINE:
                    raise Problem("item_malformed", f"the line is longer than {LONGEST_LINE} bytes")
                cells = _decode(line)
                if type(cells) is not dict:
                    members(line)
                # two quotes a name and two a string; any other number is a repeated name, or needs a closer look
                if line.count(b'"') != 2 * (len(cells) + list(map(type, cells.values())).count(str)):
                    reject_duplicates(line)
                yield Row(number, cells)
            except Problem as problem:
                yield Row(number, line.decode(errors="replace"), _of_line(problem))
            except UNDECODABLE as error:
                fault = Problem("item_malformed", f"the line is not valid JSON: {error}")
                yield Row(number, line.decode(errors="replace"), fault)


_decode_json = msgspec.json.Decoder().decode


def _decode(line: bytes) -> Any:
    """Decode a line; a number of it may be NaN or infinite, and SQL judges it."""
    try:
        return _decode_json(line)
    except msgspec.DecodeError:
        if (finite := only_finite(line)) == line:
            raise
        cells = _decode_json(finite)
        return {**cells, **dict.fromkeys(reject_duplicates(line), math.nan)} if type(cells) is dict else cells


def _of_line(problem: Problem) -> Problem:
    if problem.code in OUTCOMES:
        return problem
    return Problem("item_malformed", problem.detail.replace("the body", "the line", 1))
