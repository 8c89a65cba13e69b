"""Rows of a CSV file."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple, Protocol, TextIO

from service.commands.importer.dialect import LOOKED_AT, cells_of, find_dialect
from service.commands.importer.rows import LONGEST_LINE, Row, bounded_lines
from service.errors import Problem


class CsvForm(NamedTuple):
    """Form of a CSV file, as far as it is given.

    Attributes:
        delimiter: separator of the cells; None to find it.
        header_line: number of the header's line, from 1; None to find it.
        is_known: true for the name of a column that the import needs.
    """

    delimiter: str | None
    header_line: int | None
    is_known: Callable[[str], bool]


class Adapter(Protocol):
    """Change of the rows of a file whose cells are not yet those of readings."""

    def __call__(self, rows: CsvRows) -> Callable[[Iterator[Row]], Iterator[Row]]:
        """Add the columns that are derived, and return the change of the rows."""


class CsvRows:
    """Rows with a list of texts as cells; the header names the columns.

    Attributes:
        names: the columns found, without blanks around them.
        preamble: cells of the lines before the header.
    """

    text = True

    def __init__(self, content: TextIO, form: CsvForm, share: Callable[[], float]) -> None:
        self._share = share
        self._taken: list[str] = []
        self._adapt: Callable[[Iterator[Row]], Iterator[Row]] = iter
        self.left_out: Counter[str] = Counter()
        lines = bounded_lines(content)
        first = list(islice(lines, max(LOOKED_AT, form.header_line or 0)))
        dialect = find_dialect([line for _, line in first], form.is_known, form.delimiter, form.header_line)
        self.facts = {"delimiter": repr(dialect.delimiter), "header": f"line {dialect.header + 1}"}
        self.preamble = [cells_of(line, dialect.delimiter) for _, line in first[: dialect.header]]
        self._before = dialect.header
        self._lines = chain(first[dialect.header :], lines)
        self._reader = csv.reader(
            self._take_lines(), delimiter=dialect.delimiter, skipinitialspace=dialect.delimiter != " ", strict=True
        )
        try:
            self.names: Sequence[str] = [name.strip() for name in next(self._reader, [])]
        except csv.Error:
            self.names = []
        self._width = len(self.names)

    def adapt(self, adapter: Adapter) -> None:
        """Change all rows before they are read."""
        self._adapt = adapter(self)

    def _take_lines(self) -> Iterator[str]:
        """Iterate over the lines for the reader, and remember them until it has made a row of them."""
        for _, line in self._lines:
            self._taken.append(line)
            yield line

    def read(self, columns: Sequence[str]) -> Iterator[Row]:
        """Iterate over all rows, once."""
        return self._adapt(self._rows())

    def _rows(self) -> Iterator[Row]:
        reader, taken, width = self._reader, self._taken, self._width
        while True:
            taken.clear()
            line = self._before + reader.line_num + 1
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
            elif not cells:
                continue
            elif not cells[0].strip() and not any(map(str.strip, cells)):
                self.left_out["rows without a value"] += 1
            elif len(cells) == width or self._fit(cells):
                yield Row(line, cells)
            else:
                detail = f"the row has {len(cells)} cells, the header {width}"
                yield Row(line, "".join(taken), Problem("item_malformed", detail))

    def _fit(self, cells: list[str]) -> bool:
        """Fit a row whose end has more or fewer delimiters than the header, if no value is affected."""
        width = self._width
        if any(map(str.strip, cells[width:])) or any(self.names[len(cells) : width]):
            return False
        cells[width:] = []
        cells += [""] * (width - len(cells))
        return True

    def share(self) -> float:
        """Return the share of the file that has been read, 0 to 1."""
        return self._share()

    def column(self, cells: Sequence[Any], name: str) -> list[Any]:
        """Return the values of one column, without blanks around them."""
        place = self.names.index(name)
        return [row[place].strip() for row in cells]

    def show(self, cells: Any) -> Any:
        """Return a row as it was: the cells by column name."""
        return cells if isinstance(cells, str) else dict(zip(self.names, cells, strict=True))
