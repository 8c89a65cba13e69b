"""Restoration of archived chunks into their history, exactly as they were."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from service.commands.archive.chunks import Chunks, Record
from service.commands.archive.manifest import Manifest, differences
from service.commands.archive.parquet import counted, read
from service.commands.archive.places import Place
from service.commands.archive.run import ArchiveFault


class Restored(NamedTuple):
    """Readings of a chunk that were restored, and those that were present."""

    stored: int
    there: int


def restore_chunk(  # noqa: PLR0913, PLR0917
    chunks: Chunks,
    place: Place,
    manifest: Manifest,
    record: Record | None,
    until: datetime,
    show: Callable[[int, int], None],
) -> Restored:
    """Restore the readings of an archive, and keep retention from them until `until`; safe to repeat.

    A database without a record of the archive gets one. `show` is called with the rows read and their total.

    Raises:
        ArchiveFault: the file is not the archived one, or has rows that are no readings; nothing of it is restored.
    """
    address = place.address(manifest.file)
    try:
        with place.read(manifest.file) as copy:
            if copy.sha256 != manifest.sha256 or (record and copy.sha256 != record.sha256):
                raise ArchiveFault(f"{address} is not the file that was archived: its SHA-256 is {copy.sha256}")
            if faults := list(differences(manifest, copy)):
                raise ArchiveFault(f"{address} is not what its manifest says: {'; '.join(faults)}")
            with chunks.change():
                stored = chunks.store(manifest.chunk, counted(read(copy.path), manifest.readings, show))
                if record is None:
                    chunks.record(manifest, address, stored.fingerprint)
                chunks.keep(manifest.chunk, until)
    except ValueError as error:
        raise ArchiveFault(f"{address} has a row that is no reading: {error}") from None
    except FileNotFoundError:
        raise ArchiveFault(f"{address} is missing") from None
    return Restored(stored.absent, manifest.readings - stored.absent)
