"""Archiving of chunks: write, read back, compare, and only then record, so that retention may drop them.

Nothing unverified is ever recorded: after a kill, the next run archives the chunk again. A file is overwritten only if
its rows are in the database.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from service import __version__
from service.commands.archive.chunks import Chunks, Summary
from service.commands.archive.manifest import (
    FORMAT,
    Chunk,
    Manifest,
    differences,
    file_facts,
    read_manifest,
    write_manifest,
)
from service.commands.archive.parquet import counted, examine, read, schema_of, write
from service.commands.archive.places import Copy, Place, measure

ENGINE = f"energy-ingestion-engine {__version__}"
_DAY = timedelta(days=1)


class ArchiveFault(Exception):  # noqa: N818
    """A chunk that cannot be archived or restored in its present state; others can."""


def archive_chunk(chunks: Chunks, place: Place, chunk: Chunk, show: Callable[[int, int], None]) -> Manifest:
    """Archive a chunk, and record it in the database.

    `show` is called with the rows written and their total.

    Raises:
        ArchiveFault: it cannot be archived; the message says why.
    """
    midnight = chunk.start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if chunk.end > midnight + _DAY:
        raise ArchiveFault(f"{chunk} reaches to {chunk.end}: archives are filed by the day, so it stays")
    try:
        before = read_manifest(place, chunk.kind, chunk.start)
    except ValueError as error:
        raise ArchiveFault(f"{place.address(chunk.manifest_path)}: {error}; move it away to archive anew") from error
    if before:
        manifest = _take_up(chunks, place, chunk, before)
        if manifest:
            chunks.record(manifest, place.address(chunk.data_path), manifest.fingerprint)
            return manifest
    with chunks.snapshot():
        summary = chunks.summarize(chunk)
        if not before:
            _require_all(chunks, place, chunk, summary.contents.readings)
        schema = schema_of(chunks.columns(chunk.kind), file_facts(chunk, ENGINE))
        # closed before the transaction ends: the connection does nothing else while COPY runs
        with place.create(chunk.data_path) as path, contextlib.closing(chunks.rows(chunk, schema)) as rows:
            write(path, schema, counted(rows, summary.contents.readings, show))
            written = measure(path)
    manifest = _manifest(chunk, summary, written)
    with place.read(chunk.data_path) as copy:
        if faults := list(differences(manifest, copy)):
            raise ArchiveFault(f"{place.address(chunk.data_path)} is not what was written: {'; '.join(faults)}")
    write_manifest(place, manifest)
    chunks.record(manifest, place.address(chunk.data_path), manifest.fingerprint)
    return manifest


def _take_up(chunks: Chunks, place: Place, chunk: Chunk, before: Manifest) -> Manifest | None:
    """Return the manifest of an existing archive of the same rows; else restore its rows into the chunk.

    So the next archive has all rows, and the aggregates follow the complete chunk. The old manifest is deleted, as the
    file will be replaced.
    """
    try:
        with place.read(chunk.data_path) as copy:
            faults = list(differences(before, copy))
            if faults:
                raise ArchiveFault(
                    f"{place.address(chunk.data_path)} is damaged ({'; '.join(faults)}): move it and its manifest away "
                    "to archive anew"
                )
            if before.range_end == chunk.end and before.fingerprint == chunks.summarize(chunk).fingerprint:
                return before
            with chunks.change():
                chunks.store(chunk, read(copy.path))
                chunks.take_up_again(chunk)
    except ValueError as error:
        raise ArchiveFault(f"{place.address(chunk.data_path)} has a row that is no reading: {error}") from None
    except FileNotFoundError:
        raise ArchiveFault(
            f"{place.address(chunk.data_path)} is missing, but not its manifest: restore it, or move the manifest away"
        ) from None
    place.delete(chunk.manifest_path)
    return None


def _require_all(chunks: Chunks, place: Place, chunk: Chunk, there: int) -> None:
    """Raise if a file without a manifest, or one elsewhere, has more readings than the chunk (`there`)."""
    copies = {record.location: record.readings for record in chunks.records() if record.chunk[:2] == chunk[:2]}
    try:
        with place.read(chunk.data_path) as copy, contextlib.suppress(pa.ArrowException):
            copies[place.address(chunk.data_path)] = examine(copy.path).readings
    except FileNotFoundError:
        pass
    for location, readings in copies.items():
        if readings > there:
            raise ArchiveFault(
                f"{chunk} has {there} readings, and {location} has {readings} readings without a manifest in this "
                "archive: restore the manifest, or move the file away"
            )


def _manifest(chunk: Chunk, summary: Summary, copy: Copy) -> Manifest:
    contents = summary.contents
    return Manifest(
        format=FORMAT,
        kind=chunk.kind,
        range_start=chunk.start.astimezone(UTC),
        range_end=chunk.end.astimezone(UTC),
        file=chunk.data_path,
        bytes=copy.size,
        sha256=copy.sha256,
        readings=contents.readings,
        devices=contents.devices,
        first_recorded_at=contents.first,
        last_recorded_at=contents.last,
        sums=dict(contents.sums),
        fingerprint=summary.fingerprint,
        engine=ENGINE,
        written_at=datetime.now(UTC),
    )
