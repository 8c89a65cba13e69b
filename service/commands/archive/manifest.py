"""What is written beside each file of an archive, and what makes the two agree."""

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
"""Of sums: the order in which floats are added differs."""


class Chunk(NamedTuple):
    """A chunk of a kind's history: readings with `start` < recorded_at <= `end`."""

    kind: str
    start: datetime
    end: datetime

    @property
    def data_path(self) -> str:
        """Of its file."""
        return f"{self.kind}/day={self.start:%Y-%m-%d}/{self.start.strftime(_NAME)}.parquet"

    @property
    def manifest_path(self) -> str:
        """Of its manifest."""
        return manifest_path(self.kind, self.start)

    def __str__(self) -> str:
        return f"{self.kind} {self.start:%Y-%m-%d}" + (
            f" {self.start:%H:%M}" if self.start.hour or self.start.minute else ""
        )


class Manifest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What a file of an archive holds; written once the file has been read back."""

    format: int
    kind: str = msgspec.field(name="stream")  # the word of format 1, which archives that exist have
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
        """What it is of."""
        return Chunk(self.kind, self.range_start, self.range_end)

    @property
    def contents(self) -> Contents:
        """What is in the file."""
        return Contents(self.readings, self.devices, self.sums, self.first_recorded_at, self.last_recorded_at)


def manifest_path(kind: str, start: datetime) -> str:
    """Where the manifest of the chunk that begins at `start` lies."""
    return f"manifest/{kind}/{start.astimezone(UTC).strftime(_NAME)}.json"


def list_manifests(place: Place, kind: str) -> list[datetime]:
    """The starts of the chunks of which a place has a manifest, in order."""
    found = [re.fullmatch(r"(\d{8}T\d{6}Z)\.json", name) for name in place.names(f"manifest/{kind}")]
    return [datetime.strptime(match[1], _NAME).replace(tzinfo=UTC) for match in found if match]


def write_manifest(place: Place, manifest: Manifest) -> None:
    """Write a manifest; it is there whole or not at all."""
    with place.create(manifest.chunk.manifest_path) as path:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")


def read_manifest(place: Place, kind: str, start: datetime) -> Manifest | None:
    """The manifest of the chunk that begins at `start`; None where there is none.

    Raises:
        ValueError: it is not one, or not of this chunk.
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
    """What a file, of which every byte and every row is read, has otherwise than its manifest."""
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
    """What is found otherwise than expected, or outside the chunk."""
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
    # files of before the time rule of (start, end] have the start, and not the end
    if found.first and found.last and not chunk.start <= found.first <= found.last <= chunk.end:
        yield f"readings from {found.first} to {found.last}, outside the chunk"


def file_facts(chunk: Chunk, engine: str) -> dict[str, str]:
    """What a file says of itself."""
    bounds = {name.decode(): value.decode() for name, value in _bounds(chunk).items()}
    return {"engine": engine, "stream": chunk.kind, **bounds}


def _bounds(chunk: Chunk) -> dict[bytes, bytes]:
    names = (b"range_start", b"range_end")
    return {name: time.astimezone(UTC).isoformat().encode() for name, time in zip(names, chunk[1:], strict=True)}
