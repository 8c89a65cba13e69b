"""`energy archive run | list | verify | restore`."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import psycopg
import pyarrow as pa

from service.commands.archive.chunks import Chunks, open_chunks
from service.commands.archive.manifest import Manifest
from service.commands.archive.places import Place, open_place
from service.commands.archive.report import Report
from service.commands.archive.restore import restore_chunk
from service.commands.archive.run import ArchiveFault, archive_chunk
from service.commands.archive.verify import Span, find_archives
from service.commands.archive.verify import verify as verify_archive
from service.commands.command import Group
from service.commands.options import KIND, TIME, json_option
from service.commands.output import print_error, print_json, print_table
from service.database.replication import UnreplicatedCommitError
from service.errors import StartupError, first_line
from service.settings import Settings, check_archive, load_settings
from service.startup import prepared_database


def _span(required: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options that select chunks."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in (
            click.option("--to", "end", type=TIME, required=required, help="Up to this day, itself not included."),
            click.option("--from", "start", type=TIME, required=required, help="From this day on."),
            click.option("--kind", type=KIND, help="Only of this kind."),
        ):
            command = option(command)
        return command

    return add


RETRY_S = 300.0
"""Wait after a round that a lost database ended, as in a failover, whatever the interval of `--every`."""

_archive_option = click.option(
    "--archive",
    "archive_",
    metavar="PLACE",
    help="Destination of archives: a folder or s3://bucket/prefix; by default ENERGY_ARCHIVE.",
)


@click.group("archive", cls=Group)
def archive() -> None:
    """Old readings as Parquet, in a folder or in S3, before retention drops them; and their restoration.

    ops.policy selects the histories: SELECT ops.set_policy('telemetry.meter_telemetry_history', 'archive', 'true'),
    then SELECT * FROM ops.apply_policies(). The login of DATABASE_URL must be one that may act as energy_owner, as one
    of `energy migrate --archive-login`.
    """


@archive.command(
    "run",
    examples=("energy archive run --archive s3://bucket/energy", "energy archive run --drop --every 24"),
    statuses={0: "every due chunk is archived", 1: "it failed; or a chunk could not be archived, and stays"},
)
@_archive_option
@click.option("--drop", is_flag=True, help="Then drop at once the chunks that retention would drop within the hour.")
@click.option(
    "--every", type=click.IntRange(1, 720), metavar="HOURS", help="Repeat after so many hours, until stopped."
)
def run_command(archive_: str | None, drop: bool, every: int | None) -> None:
    """Archive every chunk that is due to be dropped: write it, read it back, compare, and only then release it.

    Whole chunks, oldest first. After an interruption, the same command continues with the chunk it was at. A chunk that
    cannot be archived stays, and the others are archived.
    """
    settings, place = _destination(archive_)
    if every is None:
        sys.exit(0 if _run(settings, place(), drop) else 1)
    if not settings.database_url:
        raise StartupError("--every needs DATABASE_URL: the embedded database would be in use all the time")
    while True:
        wait_s = every * 3600.0
        try:
            _run(settings, place(), drop)
        except StartupError as error:
            wait_s = RETRY_S
            print_error(f"{error}; again in {RETRY_S / 60:g} min")
        time.sleep(wait_s)


def _run(settings: Settings, place: Place, drop: bool) -> bool:
    """Run one round; return true if every due chunk is archived."""
    with _opened(settings, alone=True) as chunks:
        chunks.guard()
        if not chunks.archived_kinds():
            print("nothing is archived: ops.policy has archive on for no history")
            return True
        due = chunks.due()
        faults = 0
        with Report(len(due)) as report:
            for chunk in due:
                report.begin(str(chunk))
                try:
                    manifest = archive_chunk(chunks, place, chunk, report.show)
                except ArchiveFault as fault:
                    faults += 1
                    print_error(fault)
                    continue
                report.end(manifest.readings, f"{chunk}: {manifest.readings:,} rows, {_size(manifest)}")
        print(report.summary("archived") if due else "nothing is due", flush=True)
        if drop:
            chunks.drop()
        return not faults


@archive.command("list", examples=("energy archive list --kind meter --from 2026-01-01", "energy archive list --json"))
@_span(required=False)
@json_option
def list_command(as_json: bool, **span: Any) -> None:
    """Print the chunks with a verified copy, oldest first."""
    with _opened(load_settings(), alone=False) as chunks:
        meant = Span(**span)
        records = [record for record in chunks.records() if meant.has(record.chunk)]
    if as_json:
        for record in records:
            print_json(record._asdict())
        return
    rows = []
    for record in records:
        moments = (record.verified_at, record.dropped_at, record.keep_until)
        times = [moment.strftime("%Y-%m-%d %H:%M") if moment else "" for moment in moments]
        rows.append((str(record.chunk), f"{record.readings:,}", *times, record.location))
    print_table(("chunk", "readings", "verified", "dropped", "kept until", "file"), rows, "nothing archived")


@archive.command(
    "verify",
    examples=("energy archive verify", "energy archive verify --from 2026-01-01 --to 2026-02-01"),
    statuses={0: "every file is right", 1: "it failed; or a file is wrong or missing, and named"},
)
@_archive_option
@_span(required=False)
def verify_command(archive_: str | None, **span: Any) -> None:
    """Read archives again, and compare them with their manifests and with the records of the database."""
    settings, place = _destination(archive_)
    faults: list[str] = []
    with _opened(settings, alone=False) as chunks:
        records = chunks.records()
    at = place()
    with _plain_faults(), Report(len(found := list(find_archives(at, records, Span(**span))))) as report:
        for _, _, manifest, record, fault in found:
            if manifest is None:
                wrong = [fault]
            else:
                report.begin(str(manifest.chunk))
                wrong = list(verify_archive(at, manifest, record))
            for line in wrong:
                print(f"WRONG {line}", flush=True)
            if manifest and not wrong:
                report.end(manifest.readings, f"{manifest.chunk}: {manifest.readings:,} rows")
            faults += wrong
    print(report.summary("verified"))
    sys.exit(1 if faults else 0)


@archive.command(
    "restore",
    examples=("energy archive restore --from 2024-02-08 --to 2024-02-09 --kind meter",),
    statuses={0: "every chunk is restored", 1: "it failed; or a chunk could not be restored, and is named"},
)
@_archive_option
@_span(required=True)
@click.option(
    "--keep-days",
    type=click.IntRange(1, 36_500),
    default=30,
    show_default=True,
    help="Days for which retention keeps them.",
)
def restore_command(archive_: str | None, keep_days: int, **span: Any) -> None:
    """Restore archived readings into their history exactly as they were, in whole chunks; safe to repeat.

    Readings that are in the history stay as they are. It also works on a database that has no record of the archive.
    """
    settings, place = _destination(archive_)
    faults = stored = there = 0
    with _opened(settings, alone=True) as chunks:
        at = place()
        until = datetime.now(UTC) + timedelta(days=keep_days)
        found = list(find_archives(at, chunks.records(), Span(**span)))
        if not found:
            raise StartupError("the archive has nothing of these days")
        archived = chunks.archived_kinds()
        for kind in sorted({kind for kind, *_ in found} - archived):
            print_error(f"telemetry.{kind}_telemetry_history is not archived: retention drops due chunks regardless")
        with Report(len(found)) as report:
            for _, _, manifest, record, fault in found:
                try:
                    if manifest is None:
                        raise ArchiveFault(fault)
                    report.begin(str(manifest.chunk))
                    done = restore_chunk(chunks, at, manifest, record, until, report.show)
                except ArchiveFault as error:
                    faults += 1
                    print_error(error)
                    continue
                stored += done.stored
                there += done.there
                report.end(manifest.readings, f"{manifest.chunk}: {done.stored:,} restored, {done.there:,} were there")
    print(report.summary("restored") + f": {stored:,} restored, {there:,} were there")
    sys.exit(1 if faults else 0)


def _destination(given: str | None) -> tuple[Settings, Callable[[], Place]]:
    """Return the settings, and a function that opens the place named by them or by the option."""
    settings = load_settings()
    text = check_archive("--archive", given) or settings.archive
    if text is None:
        raise StartupError("there is no place for archives: set ENERGY_ARCHIVE, or give --archive")
    return settings, lambda: open_place(text, settings.archive_endpoint)


@contextlib.contextmanager
def _opened(settings: Settings, *, alone: bool) -> Iterator[Chunks]:
    """Open the chunks of the configured database; failures of it or of the archive become one line."""
    with prepared_database(settings) as prepared, _plain_faults(), open_chunks(prepared, alone=alone) as chunks:
        yield chunks


@contextlib.contextmanager
def _plain_faults() -> Iterator[None]:
    try:
        yield
    except (psycopg.Error, UnreplicatedCommitError) as error:
        raise StartupError(f"the database failed ({first_line(error)}): run it again, nothing is half done") from error
    except (OSError, pa.ArrowException) as error:
        raise StartupError(f"the archive failed ({first_line(error)}): run it again, nothing is half done") from error


def _size(manifest: Manifest) -> str:
    return f"{manifest.bytes / 1048576:,.1f} MiB"
