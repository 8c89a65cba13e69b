"""Verification of archives against their manifests and the records of the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from service.commands.archive.chunks import Record
from service.commands.archive.manifest import (
    KINDS,
    Chunk,
    Manifest,
    differences,
    list_manifests,
    manifest_path,
    read_manifest,
)
from service.commands.archive.places import Place


class Span:
    """A selection of chunks: of these kinds, from one moment up to another (None for any)."""

    def __init__(self, kind: str | None, start: datetime | None, end: datetime | None) -> None:
        self.kinds = (kind,) if kind else KINDS
        self._start = start
        self._end = end

    def has(self, chunk: Chunk) -> bool:
        """Return true if any part of a chunk is selected."""
        return (
            chunk.kind in self.kinds
            and (self._start is None or chunk.end > self._start)
            and (self._end is None or chunk.start < self._end)
        )


def find_archives(
    place: Place, records: Sequence[Record], span: Span
) -> Iterator[tuple[str, datetime, Manifest | None, Record | None, str]]:
    """Find every selected chunk with a manifest or a record, oldest first: kind, start, both, and a fault.

    The manifest is None if it cannot be read; the fault says why.
    """
    known = {(record.kind, record.range_start): record for record in records if record.kind in span.kinds}
    found = {(kind, start) for kind in span.kinds for start in list_manifests(place, kind)}
    for kind, start in sorted(known.keys() | found, key=lambda key: (key[1], key[0])):
        record, manifest, fault = known.get((kind, start)), None, ""
        if (kind, start) in found:
            try:
                manifest = read_manifest(place, kind, start)
            except ValueError as error:
                fault = f"{place.address(manifest_path(kind, start))}: {error}"
        elif record:
            fault = f"{place.address(record.chunk.manifest_path)} is missing (recorded: {record.location})"
        chunk = manifest.chunk if manifest else record.chunk if record else Chunk(kind, start, start)
        if span.has(chunk) or chunk.start == chunk.end:
            yield kind, start, manifest, record, fault


def verify(place: Place, manifest: Manifest, record: Record | None) -> Iterator[str]:
    """Iterate over the faults of an archive, each with its file. The whole file is read."""
    address = place.address(manifest.file)
    try:
        with place.read(manifest.file) as copy:
            yield from (f"{address}: {fault}" for fault in differences(manifest, copy))
    except FileNotFoundError:
        yield f"{address} is missing"
    if record:
        recorded = (record.range_end, record.readings, record.sha256)
        written = (manifest.range_end, manifest.readings, manifest.sha256)
        # not the fingerprint: a database of another schema has another one of the same rows
        names = ("range end", "readings", "SHA-256")
        for name, ours, theirs in zip(names, recorded, written, strict=True):
            if ours != theirs:
                yield f"{place.address(manifest.chunk.manifest_path)}: {name} {theirs}, the database recorded {ours}"
