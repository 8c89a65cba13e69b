"""Chunks of rows, stored and committed together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from service.commands.importer.files import plain_faults
from service.commands.importer.mapping import Columns
from service.commands.importer.rejected import RejectedRow
from service.commands.importer.rows import Row, Rows


class Chunk(NamedTuple):
    """Rows that are committed together.

    Attributes:
        size: number of rows of the file.
        records: values of the rows that may be readings, in the order of the import tables, without place; in a file
            with registers, the register follows at the end.
        rejected: the other rows.
        reject: makes a rejected row of a record, by its place from 0, with code and detail.
        share: share of the file that has been read with them, 0 to 1.
    """

    size: int
    records: list[tuple[Any, ...]]
    rejected: list[RejectedRow]
    reject: Callable[[int, str, str], RejectedRow]
    share: float


def read_chunks(path: Path, rows: Rows, columns: Columns, skip: int, size: int) -> Iterator[Chunk]:
    """Read the rows after the first `skip`, in chunks of `size`.

    Raises:
        StartupError: the file is damaged.
    """
    found = rows.read(columns.used)
    with plain_faults(path):
        while columns.keeps_order and skip and (skipped := list(islice(found, min(skip, size)))):
            columns.convert(rows, [row.cells for row in skipped if not row.problem])
            skip -= len(skipped)
        deque(islice(found, skip), maxlen=0)
    while True:
        with plain_faults(path):
            taken = list(islice(found, size))
        if not taken:
            return
        yield _chunk(path, rows, columns, taken)


def _chunk(path: Path, rows: Rows, columns: Columns, taken: Sequence[Row]) -> Chunk:
    def reject(row: Row, code: str, detail: str) -> RejectedRow:
        cells = row.cells if row.problem else rows.show(row.cells)
        return RejectedRow(path.name, row.line, code, detail, cells)

    rejected = [reject(row, row.problem.code, row.problem.detail) for row in taken if row.problem]
    good = [row for row in taken if not row.problem] if rejected else taken
    records, faults = columns.convert(rows, [row.cells for row in good])
    if faults:
        rejected += [reject(good[place], problem.code, problem.detail) for place, problem in faults.items()]
        records = [record for place, record in enumerate(records) if place not in faults]
        good = [row for place, row in enumerate(good) if place not in faults]
    return Chunk(
        len(taken), records, rejected, lambda place, code, detail: reject(good[place], code, detail), rows.share()
    )
