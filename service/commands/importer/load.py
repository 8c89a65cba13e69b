"""Loading of chunks: one is stored while the next is copied, and the one after that is read."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import asyncpg

from service.commands.importer.chunks import Chunk, read_chunks
from service.commands.importer.files import format_of, open_rows, plain_faults
from service.commands.importer.mapping import Columns, Options
from service.commands.importer.rejected import RejectedFile
from service.database.connector import AnyConnection
from service.errors import StartupError

BEGIN = "SELECT * FROM api.begin_import($1, $2, $3, $4)"
MAKE_TABLE = "SELECT api.make_import_table($1)"
RECORD = "SELECT api.record_import($1, $2, $3, $4, $5, $6, $7)"
FINISH = "SELECT api.finish_import($1)"
STORE = {
    "meter": "SELECT * FROM api.import_meter_readings($1)",
    "vehicle": "SELECT * FROM api.import_vehicle_readings($1)",
}
INSERT = {
    "meter": """
        INSERT INTO pg_temp.import_meter_reading
        SELECT r.position, r.meter_id, r.recorded_at, r.kwh_consumed_ac, r.voltage
        FROM unnest($1::api.meter_reading[]) WITH ORDINALITY
            AS r (meter_id, recorded_at, kwh_consumed_ac, voltage, source, position)
    """,
    "vehicle": """
        INSERT INTO pg_temp.import_vehicle_reading
        SELECT r.position, r.vehicle_id, r.recorded_at, r.soc, r.kwh_delivered_dc, r.battery_temp
        FROM unnest($1::api.vehicle_reading[]) WITH ORDINALITY
            AS r (vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp, source, position)
    """,
}
"""For a database without COPY."""

COUNTED = {"stored": "stored", "duplicate": "duplicates", "conflict": "conflicts", "rejected": "rejected"}
"""Outcome -> name of its count; every other outcome is a rejection."""


class Progress(NamedTuple):
    """Progress of an import.

    Attributes:
        rows: rows of the file that are done.
        counts: their number by outcome: stored, duplicates, conflicts, rejected.
        share: share of the file that has been read, 0 to 1.
    """

    rows: int
    counts: Counter[str]
    share: float


class Target(NamedTuple):
    """Destination of an import.

    Attributes:
        connections: one or two; of two, one can copy while the other stores.
        copy: true if the database supports COPY.
        chunk_rows: rows per commit.
    """

    connections: Sequence[AnyConnection]
    copy: bool
    chunk_rows: int


class _Staged(NamedTuple):
    """A chunk in the import table of a connection, in an open transaction."""

    chunk: Chunk
    connection: AnyConnection
    transaction: asyncpg.transaction.Transaction


async def import_file(  # noqa: PLR0913
    target: Target, path: Path, options: Options, rejected: Path, *, resume: bool, show: Callable[[Progress], None]
) -> Progress:
    """Import a file, and report progress at the beginning and after each chunk.

    Raises:
        StartupError: the file is damaged, or is being imported already; chunks stored until then stay.
    """
    with open_rows(path, format_of(path, options.format), options.delimiter) as rows:
        columns = Columns(path, rows.names, options)
        with plain_faults(path):
            import_id = await asyncio.to_thread(options.fingerprint, path)
        kind = columns.kind.name
        first = target.connections[0]
        for connection in target.connections:
            await connection.execute(MAKE_TABLE, kind)
        try:
            begun = await first.fetchrow(BEGIN, import_id, kind, path.name, resume)
        except asyncpg.LockNotAvailableError:
            raise StartupError(f"{path} is being imported by another process already") from None
        assert begun is not None  # noqa: S101
        counts = Counter({name: begun[name] for name in COUNTED.values()})
        progress = Progress(begun["rows_done"], counts, 0.0)
        show(progress)
        side = RejectedFile(rejected, begun["rejected_bytes"])
        all_new = True
        chunks = read_chunks(path, rows, columns, progress.rows, target.chunk_rows)
        async with contextlib.aclosing(_staged(target, kind, chunks)) as stages:
            async for staged in stages:
                async with _undone_on_failure(staged.transaction):
                    found = await _store(staged, kind, side, all_new=all_new)
                    progress = Progress(progress.rows + staged.chunk.size, progress.counts + found, staged.chunk.share)
                    done = [progress.counts[name] for name in COUNTED.values()]
                    await staged.connection.execute(RECORD, import_id, progress.rows, *done, side.length)
                    await staged.transaction.commit()
                all_new = not (found["duplicates"] or found["conflicts"])
                show(progress)
        await first.execute(FINISH, import_id)
        return progress


async def _store(staged: _Staged, kind: str, side: RejectedFile, *, all_new: bool) -> Counter[str]:
    """Store a chunk, write its rejected rows to the file beside, and count."""
    chunk = staged.chunk
    rejected = list(chunk.rejected)
    counts = Counter(rejected=len(rejected))
    if chunk.records:
        for outcome, readings, place, detail in await staged.connection.fetch(STORE[kind], all_new):
            counts[COUNTED.get(outcome, "rejected")] += readings
            if place is not None:
                rejected.append(chunk.reject(place - 1, outcome, detail))
    side.write(sorted(rejected, key=lambda row: row.line))
    return counts


async def _staged(target: Target, kind: str, chunks: Iterator[Chunk]) -> AsyncGenerator[_Staged, None]:
    """Iterate over the chunks in import tables; the next one is copied while the caller stores this one."""
    free: asyncio.Queue[AnyConnection] = asyncio.Queue()
    for connection in target.connections:
        free.put_nowait(connection)
    reading = asyncio.ensure_future(asyncio.to_thread(next, chunks, None))

    async def stage() -> _Staged | None:
        nonlocal reading
        chunk = await asyncio.shield(reading)
        if chunk is None:
            return None
        reading = asyncio.ensure_future(asyncio.to_thread(next, chunks, None))
        connection = await free.get()
        transaction = connection.transaction()
        await transaction.start()
        async with _undone_on_failure(transaction):
            if target.copy:
                table = f"import_{kind}_reading"
                records = [(place, *record) for place, record in enumerate(chunk.records, 1)]
                await connection.copy_records_to_table(table, records=records, schema_name="pg_temp")
            else:
                await connection.execute(INSERT[kind], [(*record, None) for record in chunk.records])
        return _Staged(chunk, connection, transaction)

    upcoming = asyncio.create_task(stage())
    try:
        while staged := await upcoming:
            upcoming = asyncio.create_task(stage())
            yield staged
            free.put_nowait(staged.connection)
    finally:
        # a thread cannot be cancelled; the file must not be closed under it
        upcoming.cancel()
        await asyncio.gather(upcoming, reading, return_exceptions=True)


@contextlib.asynccontextmanager
async def _undone_on_failure(transaction: asyncpg.transaction.Transaction) -> AsyncIterator[None]:
    """Roll back an open transaction if the block fails or is cancelled."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):  # the connection may be what failed
            await transaction.rollback()
        raise
