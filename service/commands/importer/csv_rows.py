"""Rows of a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from service.commands.importer.rows import LONGEST_LINE, Row, bounded_lines
from service.errors import Problem


class CsvRows:
    """Rows with a list of texts as cells; the first line names the columns."""

    text = True

    def __init__(self, content: TextIO, delimiter: str, share: Callable[[], float]) -> None:
        self._share = share
        self._taken: list[str] = []
        self._lines = bounded_lines(content)
        self._reader = csv.reader(self._take_lines(), delimiter=delimiter, strict=True)
        try:
            self.names: Sequence[str] = next(self._reader, [])
        except csv.Error:
            self.names = []

    def _take_lines(self) -> Iterator[str]:
        """Iterate over the lines for the reader, and remember them until it has made a row of them."""
        for _, line in self._lines:
            self._taken.append(line)
            yield line

    def read(self, columns: Sequence[str]) -> Iterator[Row]:
        """Iterate over all rows, once."""
        reader, taken, width = self._reader, self._taken, len(self.names)
        while True:
            taken.clear()
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                # the reader continues with the next line
                yield Row(line, "".join(taken), Problem("item_malformed", f"the row is not valid CSV: {error}"))
                continue
            if cells is None:
                return
            if len(taken[0]) >= LONGEST_LINE:
                detail = f"the line is longer than {LONGEST_LINE} characters"
                yield Row(line, "".join(taken), Problem("item_malformed", detail))
            elif len(cells) == width:
                yield Row(line, cells)
            elif cells:
                detail = f"the row has {len(cells)} cells, the header {width}"
                yield Row(line, "".join(taken), Problem("item_malformed", detail))

    def share(self) -> float:
        """Return the share of the file that has been read, 0 to 1."""
        return self._share()

    def column(self, cells: Sequence[Any], name: str) -> list[Any]:
        """Return the values of one column."""
        place = self.names.index(name)
        return [row[place] for row in cells]

    def show(self, cells: Any) -> Any:
        """Return a row as it was: the cells by column name."""
        return cells if isinstance(cells, str) else dict(zip(self.names, cells, strict=True))
