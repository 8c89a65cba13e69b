"""Manifests of archive files: written, read, and compared with the files."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

import msgspec
import pyarrow as pa

from service.commands.archive.parquet import Contents, examine, schema_in
from service.commands.archive.places import Copy, Place
from service.errors import first_line

FORMAT = 1
KINDS = ("meter", "vehicle")
_NAME = "%Y%m%dT%H%M%SZ"
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_TOLERANCE = 1e-9
"""Relative tolerance of sums: the order of addition differs."""


class Chunk(NamedTuple):
    """A chunk of a kind's history: readings with `start` < recorded_at <= `end`."""

    kind: str
    start: datetime
    end: datetime

    @property
    def data_path(self) -> str:
        """Path of its file."""
        return f"{self.kind}/day={self.start:%Y-%m-%d}/{self.start.strftime(_NAME)}.parquet"

    @property
    def manifest_path(self) -> str:
        """Path of its manifest."""
        return manifest_path(self.kind, self.start)

    def __str__(self) -> str:
        return f"{self.kind} {self.start:%Y-%m-%d}" + (
            f" {self.start:%H:%M}" if self.start.hour or self.start.minute else ""
        )


class Manifest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Contents of an archive file, written once the file has been read back."""

    format: int
    kind: str = msgspec.field(name="stream")  # the word of format 1, which existing archives have
    range_start: _Moment
    range_end: _Moment
    file: str
    bytes: int
    sha256: str
    readings: int
    devices: int
    first_recorded_at: _Moment | None
    last_recorded_at: _Moment | None
    sums: dict[str, float | None]
    fingerprint: str
    engine: str
    written_at: _Moment

    @property
    def chunk(self) -> Chunk:
        """The chunk of the file."""
        return Chunk(self.kind, self.range_start, self.range_end)

    @property
    def contents(self) -> Contents:
        """The contents of the file."""
        return Contents(self.readings, self.devices, self.sums, self.first_recorded_at, self.last_recorded_at)


def manifest_path(kind: str, start: datetime) -> str:
    """Return the path of the manifest of the chunk that begins at `start`."""
    return f"manifest/{kind}/{start.astimezone(UTC).strftime(_NAME)}.json"


def list_manifests(place: Place, kind: str) -> list[datetime]:
    """List the starts of the chunks with a manifest, in order."""
    found = [re.fullmatch(r"(\d{8}T\d{6}Z)\.json", name) for name in place.names(f"manifest/{kind}")]
    return [datetime.strptime(match[1], _NAME).replace(tzinfo=UTC) for match in found if match]


def write_manifest(place: Place, manifest: Manifest) -> None:
    """Write a manifest atomically."""
    with place.create(manifest.chunk.manifest_path) as path:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")


def read_manifest(place: Place, kind: str, start: datetime) -> Manifest | None:
    """Read the manifest of the chunk that begins at `start`; None if there is none.

    Raises:
        ValueError: it is not a manifest, or is of another chunk.
    """
    try:
        with place.read(manifest_path(kind, start)) as copy:
            manifest = msgspec.json.decode(copy.path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise ValueError(f"it is not a manifest: {error}") from None
    if manifest.format != FORMAT:
        raise ValueError(f"it is of format {manifest.format}, this version knows {FORMAT}")
    if (manifest.kind, manifest.range_start, manifest.file) != (kind, start, manifest.chunk.data_path):
        raise ValueError("it is of another chunk")
    return manifest


def differences(manifest: Manifest, copy: Copy) -> Iterator[str]:
    """Compare a file with its manifest; every byte and row is read."""
    if (copy.size, copy.sha256) != (manifest.bytes, manifest.sha256):
        yield f"{copy.size} bytes with SHA-256 {copy.sha256[:12]}, not {manifest.bytes} with {manifest.sha256[:12]}"
    try:
        found = examine(copy.path)
        facts = schema_in(copy.path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        yield f"it cannot be read: {first_line(error)}"
        return
    bounds = {b"stream": manifest.kind.encode(), **_bounds(manifest.chunk)}
    if any(facts.get(name) != value for name, value in bounds.items()):
        yield "it is of another chunk"
    yield from compare(manifest.contents, found, manifest.chunk)


def compare(expected: Contents, found: Contents, chunk: Chunk) -> Iterator[str]:
    """Compare contents with the expected ones and with the bounds of the chunk."""
    for name in ("readings", "devices", "first", "last"):
        if getattr(expected, name) != getattr(found, name):
            yield f"{name} {getattr(found, name)}, not {getattr(expected, name)}"
    if expected.sums.keys() != found.sums.keys():
        yield f"columns {', '.join(found.sums)}, not {', '.join(expected.sums)}"
    for name in expected.sums.keys() & found.sums.keys():
        ours, theirs = expected.sums[name], found.sums[name]
        if ours is None or theirs is None:
            same = ours is theirs
        else:
            same = math.isclose(ours, theirs, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE * expected.readings)
        if not same:
            yield f"sum of {name} {theirs}, not {ours}"
    # files from before the time rule of (start, end] include the start, and not the end
    if found.first and found.last and not chunk.start <= found.first <= found.last <= chunk.end:
        yield f"readings from {found.first} to {found.last}, outside the chunk"


def file_facts(chunk: Chunk, engine: str) -> dict[str, str]:
    """Return the metadata of a file."""
    bounds = {name.decode(): value.decode() for name, value in _bounds(chunk).items()}
    return {"engine": engine, "stream": chunk.kind, **bounds}


def _bounds(chunk: Chunk) -> dict[bytes, bytes]:
    names = (b"range_start", b"range_end")
    return {name: time.astimezone(UTC).isoformat().encode() for name, time in zip(names, chunk[1:], strict=True)}
