"""Imports on the database of this run, without a process of their own."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from service.commands.importer.command import EMBEDDED_CHUNK_ROWS
from service.commands.importer.files import plain_faults
from service.commands.importer.load import Progress, Target, import_file
from service.commands.importer.mapping import Options
from service.commands.importer.source import open_source
from service.database.connect import open_connection
from tests.support import TestDatabase


@dataclass
class Imported:
    """What an import left."""

    rows: int
    counts: Counter[str]
    rejected: list[dict[str, Any]]
    left_out: dict[str, int]

    @property
    def codes(self) -> list[tuple[int, str]]:
        return [(row["line"], row["code"]) for row in self.rejected]


@dataclass
class Import:
    """Imports a file with these options."""

    target: Target

    async def __call__(
        self,
        path: Path,
        *,
        resume: bool = True,
        show: Callable[[Progress], None] = lambda progress: None,
        **options: Any,
    ) -> Imported:
        if "scales" in options:
            options["scales"] = {name: Fraction(scale) for name, scale in options["scales"].items()}
        side = path.with_name(path.name + ".rejected.ndjson")
        done = await import_file(self.target, path, Options(**options), side, resume=resume, show=show)
        rejected = side.read_text().splitlines() if side.exists() else []
        return Imported(done.rows, +done.counts, [json.loads(line) for line in rejected], dict(done.left_out))


@dataclass
class Parsed:
    """The columns of a file, converted without a database: records by line, and faults by line."""

    records: list[tuple[Any, ...]]
    wrong: dict[int, str]
    left_out: dict[str, int]


def parse(path: Path, **options: Any) -> Parsed:
    with open_source(path, Options(**options)) as (rows, columns, _), plain_faults(path):
        found = list(rows.read(columns.used))
        good = [row for row in found if not row.problem]
        records, faults = columns.convert(rows, [row.cells for row in good])
        wrong = {row.line: row.problem.detail for row in found if row.problem}
        wrong |= {good[place].line: problem.detail for place, problem in faults.items()}
        return Parsed(
            [record for place, record in enumerate(records) if place not in faults], wrong, dict(rows.left_out)
        )


@contextlib.asynccontextmanager
async def opened(test_database: TestDatabase) -> AsyncIterator[Target]:
    """What the command opens on this kind of database, with chunks small enough for tests."""
    async with contextlib.AsyncExitStack() as stack:
        count = 1 if test_database.is_embedded else 2
        connections = [await stack.enter_async_context(open_connection(test_database.url)) for _ in range(count)]
        yield Target(connections, not test_database.is_embedded, EMBEDDED_CHUNK_ROWS)


@pytest.fixture
async def import_(test_database: TestDatabase) -> AsyncIterator[Import]:
    async with opened(test_database) as target:
        yield Import(target)
