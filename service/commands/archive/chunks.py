"""Chunks of the histories in the database: listed, read, restored and dropped, as energy_owner."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Generator, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
import pyarrow as pa
import pyarrow.csv as pc
from psycopg import sql
from psycopg.rows import namedtuple_row

from service.commands.archive.manifest import Chunk, Manifest
from service.commands.archive.parquet import Column, Contents, schema_of
from service.database.calls import AWAIT_STANDBYS, REFRESH_AGGREGATES
from service.database.libpq import connect_libpq
from service.database.replication import replicated_commands
from service.database_url import describe_url
from service.errors import StartupError, first_line
from service.startup import Prepared

_LOCK_KEY = 0x61726368697665  # "archive"
_PAGE = 5_000
"""Rows per page, for a database without COPY."""
_BLOCK_BYTES = 1 << 22
_DUE = """
    SELECT substring(c.object FROM '[.](meter|vehicle)_'), c.range_start, c.range_end
    FROM ops.chunk_list AS c
    JOIN ops.policy AS p ON p.object = c.object
    WHERE p.archive AND c.is_due AND c.archived_at IS NULL
    ORDER BY c.range_start, c.object
"""
_RECORDS = """
    SELECT
        a.kind, a.range_start, a.range_end, a.readings, a.fingerprint::text, a.location, a.sha256, a.verified_at,
        a.dropped_at, a.keep_until
    FROM ops.archived_chunk AS a
    ORDER BY a.range_start, a.kind
"""
_COLUMNS = """
    SELECT
        CASE a.attname WHEN 'counted_at' THEN 'recorded_at' ELSE a.attname END,
        format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
        CASE a.attname
            WHEN 'counted_at' THEN 'The device''s own time: the end of the interval the energy belongs to'
            ELSE coalesce(col_description(a.attrelid, a.attnum), '')
        END
    FROM pg_attribute AS a
    WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""
_DROP = """
    SELECT jsonb_build_object('object', p.object, 'drop_after', p.drop_after, 'archive', TRUE)::text
    FROM ops.policy AS p WHERE p.archive ORDER BY p.object
"""
_RECORDED_AT = sql.SQL("telemetry.recorded_at(counted_at) AS recorded_at")
"""The device's own time, as in the files; the histories keep `counted_at`."""
_PREPARE = """
    SELECT fault, fingerprint::text FROM ops.prepare_restore(%s, 'pg_temp.archive_rows'::regclass, %s, %s)
"""
_RECORD = "SELECT ops.record_archive(%s, %s, %s, %s, %s::numeric, %s, %s)"


class Record(NamedTuple):
    """A row of ops.archived_chunk."""

    kind: str
    range_start: datetime
    range_end: datetime
    readings: int
    fingerprint: str
    location: str
    sha256: str
    verified_at: datetime
    dropped_at: datetime | None
    keep_until: datetime | None

    @property
    def chunk(self) -> Chunk:
        """The chunk of the record."""
        return Chunk(self.kind, self.range_start, self.range_end)


class Summary(NamedTuple):
    """Contents of a chunk, and the fingerprint by which the database recognises them."""

    contents: Contents
    fingerprint: str


class Stored(NamedTuple):
    """Rows of an archive in the history.

    Attributes:
        absent: how many of them were not there before.
        fingerprint: the database's own, of all of them.
    """

    absent: int
    fingerprint: str


class Chunks:
    """The chunks of the histories of a database, on one connection."""

    def __init__(self, connection: psycopg.Connection[Any], *, copy: bool) -> None:
        self._connection = connection
        self._copy = copy

    def archived_kinds(self) -> set[str]:
        """Return the kinds with archiving before retention."""
        query = "SELECT substring(p.object FROM '[.](meter|vehicle)_') FROM ops.policy AS p WHERE p.archive"
        return {row[0] for row in self._connection.execute(query)}

    def due(self) -> list[Chunk]:
        """List the chunks that are due to be dropped and have no verified copy, oldest first."""
        return [Chunk(*row) for row in self._connection.execute(_DUE).fetchall()]

    def records(self) -> list[Record]:
        """List the chunks with a verified copy, oldest first."""
        return [Record(*row) for row in self._connection.execute(_RECORDS).fetchall()]

    def guard(self) -> None:
        """Protect all present chunks, new ones included, from being dropped without a copy."""
        self._connection.execute("SELECT ops.guard_chunks()")

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Open a transaction with one snapshot for all of its queries."""
        with self._connection.transaction():
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield

    def summarize(self, chunk: Chunk) -> Summary:
        """Sum up the contents of a chunk."""
        found = self._connection.cursor(row_factory=namedtuple_row).execute(
            "SELECT readings, fingerprint::text, devices, sums FROM ops.summarize_readings(%s, %s, %s)", chunk
        )
        row: Any = found.fetchone()
        query = sql.SQL(
            "SELECT telemetry.recorded_at(min(counted_at)), telemetry.recorded_at(max(counted_at)) FROM {} "
            "WHERE counted_at >= %s AND counted_at < %s"
        )
        first, last = self._connection.execute(query.format(_table(chunk.kind)), chunk[1:]).fetchone() or (None, None)
        return Summary(Contents(row.readings, row.devices, row.sums, first, last), row.fingerprint)

    def columns(self, kind: str) -> list[Column]:
        """Return the columns of a history."""
        return [Column(*row) for row in self._connection.execute(_COLUMNS, [_table(kind).as_string()]).fetchall()]

    def rows(self, chunk: Chunk, schema: pa.Schema) -> Generator[pa.RecordBatch, None, None]:
        """Read the rows of a chunk, in order of device and time; within a snapshot."""
        query = sql.SQL("SELECT {} FROM {} WHERE counted_at >= {} AND counted_at < {} ORDER BY {}, counted_at").format(
            sql.SQL(", ").join(
                _RECORDED_AT if name == "recorded_at" else sql.Identifier(name) for name in schema.names
            ),
            _table(chunk.kind),
            chunk.start,
            chunk.end,
            sql.Identifier(f"{chunk.kind}_id"),
        )
        return self._copied_rows(query, schema) if self._copy else self._fetched_rows(query, schema)

    def _copied_rows(self, query: sql.Composed, schema: pa.Schema) -> Generator[pa.RecordBatch, None, None]:
        statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(query)
        with self._connection.cursor().copy(statement) as copy:
            source = _CopySource(copy)
            first = source.read(1)
            if not first:
                return
            source.put_back(first)
            found = pc.open_csv(
                source,
                pc.ReadOptions(column_names=schema.names, block_size=_BLOCK_BYTES),
                convert_options=pc.ConvertOptions(
                    column_types=schema,
                    true_values=["t"],
                    false_values=["f"],
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
            for batch in found:  # without comments
                yield pa.record_batch(batch.columns, schema)

    def _fetched_rows(self, query: sql.Composed, schema: pa.Schema) -> Generator[pa.RecordBatch, None, None]:
        with self._connection.cursor("archive_rows") as cursor:
            cursor.execute(query)
            while rows := cursor.fetchmany(_PAGE):
                columns = zip(*rows, strict=True)
                arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
                yield pa.record_batch(arrays, schema)

    def record(self, manifest: Manifest, location: str, fingerprint: str) -> None:
        """Record that a chunk has a verified copy, with the fingerprint of its rows in this database."""
        chunk, taken = manifest.chunk, (manifest.readings, fingerprint)
        self._connection.execute(_RECORD, (*chunk, *taken, location, manifest.sha256))

    def drop(self) -> None:
        """Drop the chunks that retention may drop now. The aggregates are refreshed first."""
        for refresh in REFRESH_AGGREGATES:
            with contextlib.suppress(psycopg.errors.LockNotAvailable):  # the job refreshes at this moment
                self._connection.execute(refresh)
        for (config,) in self._connection.execute(_DROP).fetchall():
            self._connection.execute("CALL ops.drop_due_chunks(NULL, %s)", [config])

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """Open a transaction: all of it is committed or nothing."""
        with self._connection.transaction():
            yield

    def store(self, chunk: Chunk, batches: Iterator[pa.RecordBatch]) -> Stored:
        """Restore rows into the history, within a change.

        Raises:
            StartupError: a column is absent in the history, or has another type there.
            ValueError: a row is no reading of the chunk; the message names the fault.
        """
        columns = self.columns(chunk.kind)
        known = {field.name: field.type for field in schema_of(columns, {})}
        kinds = {column.name: column.kind for column in columns}
        self._connection.execute("DROP TABLE IF EXISTS pg_temp.archive_rows")
        self._connection.execute(
            sql.SQL("CREATE TEMPORARY TABLE archive_rows ON COMMIT DROP AS SELECT *, {} FROM {} WITH NO DATA").format(
                _RECORDED_AT, _table(chunk.kind)
            )
        )
        for batch in batches:
            for field in batch.schema:
                if known.get(field.name) != field.type:
                    raise StartupError(f"{chunk.data_path} has a column {field.name} that the history does not have")
            if self._copy:
                self._copy_in(batch)
            else:
                self._insert(batch, kinds)
        self._connection.execute("ANALYZE pg_temp.archive_rows")
        fault, fingerprint = self._connection.execute(_PREPARE, chunk).fetchone() or ("", "")
        if fault:
            raise ValueError(fault)
        found = self._connection.execute(
            "SELECT ops.restore_readings(%s, 'pg_temp.archive_rows'::regclass)", [chunk.kind]
        )
        [stored] = found.fetchone() or [0]
        self._connection.execute("DROP TABLE pg_temp.archive_rows")
        self.guard()
        return Stored(int(stored), fingerprint)

    def _copy_in(self, batch: pa.RecordBatch) -> None:
        statement = sql.SQL("COPY pg_temp.archive_rows ({}) FROM STDIN (FORMAT csv)").format(_names(batch))
        buffer = io.BytesIO()
        # without the session's zone: with it, writing a time takes thirteen times as long
        columns = [
            column.cast(pa.timestamp("us")) if pa.types.is_timestamp(column.type) else column
            for column in batch.columns
        ]
        plain = pa.record_batch(columns, batch.schema.names)
        pc.write_csv(plain, buffer, pc.WriteOptions(include_header=False))
        with self._connection.cursor().copy(statement) as copy:
            copy.write(buffer.getbuffer())

    def _insert(self, batch: pa.RecordBatch, kinds: dict[str, Any]) -> None:
        arrays = sql.SQL(", ").join(sql.SQL("%s::{}[]").format(sql.SQL(kinds[name])) for name in batch.schema.names)
        statement = sql.SQL("INSERT INTO pg_temp.archive_rows ({}) SELECT * FROM unnest({})").format(
            _names(batch), arrays
        )
        for start in range(0, len(batch), _PAGE):
            self._connection.execute(statement, [column.to_pylist() for column in batch.slice(start, _PAGE).columns])

    def take_up_again(self, chunk: Chunk) -> None:
        """Let the aggregates follow a dropped chunk that is complete again."""
        history = f"telemetry.{chunk.kind}_telemetry_history"
        self._connection.execute("SELECT ops.take_up_again(%s, %s, %s)", (history, chunk.start, chunk.end))

    def keep(self, chunk: Chunk, until: datetime) -> None:
        """Record that a chunk was restored, and must not be dropped before `until`."""
        self._connection.execute("SELECT ops.keep_restored(%s, %s, %s)", (chunk.kind, chunk.start, until))


class _CopySource(io.RawIOBase):
    """The output of COPY as a file: COPY sends rows, the reader asks for blocks."""

    def __init__(self, copy: psycopg.Copy) -> None:
        self._copy = copy
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; fewer only at the end."""
        parts, length = [self._rest], len(self._rest)
        while length < size and (part := bytes(self._copy.read())):
            parts.append(part)
            length += len(part)
        taken = b"".join(parts)
        self._rest = taken[size:]
        return taken[:size]

    def put_back(self, taken: bytes) -> None:
        """Undo a read."""
        self._rest = taken + self._rest


@contextlib.contextmanager
def open_chunks(prepared: Prepared, *, alone: bool) -> Iterator[Chunks]:
    """Open the chunks of a database; `alone` excludes concurrent archivers and restores.

    Raises:
        StartupError: the login may not act as energy_owner, or another archiver is at work.
    """
    try:
        connection = connect_libpq(prepared.url)
    except psycopg.Error as error:
        raise StartupError(f"the database at {describe_url(prepared.url)} refused: {first_line(error)}") from error
    with connection:
        try:
            connection.execute("SET ROLE energy_owner")
        except psycopg.Error as error:
            raise StartupError(
                f"{first_line(error)}: the login of DATABASE_URL must be one that may act as energy_owner, "
                "as that of `energy migrate`"
            ) from error
        # the first three settings fix the output of COPY; a chunk may take any time
        connection.execute(
            "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET extra_float_digits = 1; SET jit = off; "
            "SET statement_timeout = 0; SET lock_timeout = '30s'; SET client_min_messages = warning"
        )
        if alone:
            [locked] = connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK_KEY]).fetchone() or [False]
            if not locked:
                raise StartupError("another `energy archive run` or `restore` is at work on this database")
        try:
            with replicated_commands(connection):
                yield Chunks(connection, copy=prepared.embedded is None)
                if alone:  # "nothing to do" tells of what an earlier run has recorded
                    connection.execute(AWAIT_STANDBYS)
        finally:
            # the session of the embedded database outlives the connection
            if prepared.embedded and not connection.broken:
                with contextlib.suppress(psycopg.Error):
                    connection.execute("SELECT pg_advisory_unlock_all()")
                    connection.execute("RESET ROLE")


def _table(kind: str) -> sql.Identifier:
    return sql.Identifier("telemetry", f"{kind}_telemetry_history")


def _names(batch: pa.RecordBatch) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, batch.schema.names))
