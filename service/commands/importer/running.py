"""Totals that run within a group of rows, as the energy of a charging process, and their differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from service.commands.importer.csv_rows import CsvRows
from service.commands.importer.rows import FormatError, Row
from service.errors import Problem

_DIP = Decimal("0.9")
"""Share of a total down to which a fall is a dip; below it the total has begun again."""


@dataclass(frozen=True)
class Differences:
    """Adds the rise of a running total since the row before it in its group.

    A group begins at 0. As for registers, a fall by at most a tenth is a dip, with energy 0; after a deeper one the
    total begins again from 0. The rows of a group must be in the order of time.

    Attributes:
        total: column of the total.
        within: column of the group.
        order: column of the time, written so that its order is that of the texts.
    """

    total: str
    within: str
    order: str

    @staticmethod
    def name_of(total: str) -> str:
        """Return the name of the added column."""
        return f"{total} since the row before"

    def __call__(self, rows: CsvRows) -> Callable[[Iterator[Row]], Iterator[Row]]:
        """Add the column.

        Raises:
            FormatError: a column is missing.
        """
        for column in (self.total, self.within, self.order):
            if column not in rows.names:
                raise FormatError(f"there is no column {column!r} (found: {', '.join(rows.names)})")
        total, within, order = map(rows.names.index, (self.total, self.within, self.order))
        rows.names = [*rows.names, self.name_of(self.total)]

        def adapt(found: Iterator[Row]) -> Iterator[Row]:
            last: dict[str, tuple[str, Decimal]] = {}
            for row in found:
                if row.problem:
                    yield row
                    continue
                group, time = row.cells[within].strip(), row.cells[order].strip()
                before, base = last.get(group, ("", Decimal(0)))
                try:
                    now = Decimal(row.cells[total].strip())
                    if not now.is_finite():
                        raise InvalidOperation
                except InvalidOperation:
                    yield Row(row.line, [*row.cells, row.cells[total]])  # is rejected as no number
                    continue
                if time < before:
                    detail = f"{self.order} {time} comes after {before} in {self.within} {group}: sort the rows by time"
                    yield Row(row.line, ";".join(row.cells), Problem("item_malformed", detail))
                    continue
                rise = now - base if now >= base else now if now < base * _DIP else Decimal(0)
                last[group] = (time, base if now < base and now >= base * _DIP else now)
                yield Row(row.line, [*row.cells, str(rise)])

        return adapt
