"""Loading of chunks: one is stored while the next is copied, and the one after that is read."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import asyncpg

from service.commands.importer.chunks import Chunk, read_chunks
from service.commands.importer.files import plain_faults
from service.commands.importer.mapping import Options
from service.commands.importer.registers import Registers
from service.commands.importer.rejected import RejectedFile
from service.commands.importer.source import open_source
from service.database.connector import AnyConnection
from service.database.replication import replicated
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
"""Outcome -> name of its count; every other outcome but `IGNORED` is a rejection."""
IGNORED = "ignored"
"""Not an outcome of its own: a row whose measure outside its range is stored as not measured."""


class Progress(NamedTuple):
    """Progress of an import.

    Attributes:
        rows: rows of the file that are done.
        counts: their number by outcome: stored, duplicates, conflicts, rejected; and of those with an ignored measure.
        share: share of the file that has been read, 0 to 1.
        left_out: number of items of the file that are no readings, by their description, once all is read.
    """

    rows: int
    counts: Counter[str]
    share: float
    left_out: Mapping[str, int] = MappingProxyType({})


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
    with open_source(path, options) as (rows, columns, _):
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
        registers = Registers(kind, declare=options.declare_registers) if columns.has_registers else None
        async with contextlib.aclosing(_staged(target, kind, chunks, registers)) as stages:
            async for staged in stages:
                async with _undone_on_failure(staged.transaction):
                    found = await _store(staged, kind, side, all_new=all_new)
                    progress = Progress(progress.rows + staged.chunk.size, progress.counts + found, staged.chunk.share)
                    done = [progress.counts[name] for name in COUNTED.values()]
                    await staged.connection.execute(RECORD, import_id, progress.rows, *done, side.length)
                    with replicated(staged.connection):
                        await staged.transaction.commit()
                all_new = not (found["duplicates"] or found["conflicts"])
                show(progress)
        with replicated(first):
            await first.execute(FINISH, import_id)
        return progress._replace(left_out=rows.left_out)


async def _store(staged: _Staged, kind: str, side: RejectedFile, *, all_new: bool) -> Counter[str]:
    """Store a chunk, write its rejected rows to the file beside, and count."""
    chunk = staged.chunk
    rejected = list(chunk.rejected)
    counts = Counter(rejected=len(rejected))
    if chunk.records:
        for outcome, readings, place, detail in await staged.connection.fetch(STORE[kind], all_new):
            counts[IGNORED if outcome == IGNORED else COUNTED.get(outcome, "rejected")] += readings
            if place is not None:
                rejected.append(chunk.reject(place - 1, outcome, detail))
    side.write(sorted(rejected, key=lambda row: row.line))
    return counts


async def _staged(
    target: Target, kind: str, chunks: Iterator[Chunk], registers: Registers | None
) -> AsyncGenerator[_Staged, None]:
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
        # before the transaction, which the look-up of an unknown device would end
        found = await registers.resolve(connection, chunk.records) if registers else chunk.records
        transaction = connection.transaction()
        await transaction.start()
        async with _undone_on_failure(transaction):
            if target.copy:
                await copy_records(
                    connection, f"import_{kind}_reading", [(place, *record) for place, record in enumerate(found, 1)]
                )
            else:
                await connection.execute(INSERT[kind], [(*record, None) for record in found])
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


async def copy_records(connection: AnyConnection, table: str, records: Sequence[tuple[Any, ...]]) -> None:
    """Copy records into a temporary table.

    asyncpg waits forever if the connection is lost while the server takes no more data, so the loss is watched here.

    Raises:
        asyncpg.ConnectionDoesNotExistError: the connection was lost.
    """
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(_: Any) -> None:
        if not lost.done():
            lost.set_result(None)

    connection.add_termination_listener(end)
    copy = asyncio.ensure_future(connection.copy_records_to_table(table, records=records, schema_name="pg_temp"))
    try:
        futures: set[asyncio.Future[Any]] = {copy, lost}
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        if not copy.done():
            raise asyncpg.ConnectionDoesNotExistError("the connection was lost during a copy")
        await copy
    finally:
        connection.remove_termination_listener(end)
        copy.cancel()
        await asyncio.gather(copy, return_exceptions=True)


@contextlib.asynccontextmanager
async def _undone_on_failure(transaction: asyncpg.transaction.Transaction) -> AsyncIterator[None]:
    """Roll back an open transaction if the block fails or is cancelled."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):  # the connection may be what failed
            await transaction.rollback()
        raise
