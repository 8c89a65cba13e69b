"""`energy import FILE...`: files of readings into history and current status."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from service.commands.command import Command
from service.commands.importer.dialect import LOOKED_AT
from service.commands.importer.explain import explain
from service.commands.importer.files import FORMATS
from service.commands.importer.load import Progress, Target, import_file
from service.commands.importer.mapping import Options
from service.commands.importer.parameters import Assignment, Scale, read_delimiter, read_encoding, read_time_format
from service.commands.importer.presets import PRESETS
from service.commands.importer.report import Report, summary
from service.commands.importer.source import check_source
from service.commands.options import KIND, ZONE
from service.commands.output import print_error
from service.database.calls import REFRESH_AGGREGATES
from service.database.connect import open_connection
from service.database.failures import CONNECTION_ERRORS
from service.errors import StartupError, first_line
from service.settings import load_settings
from service.startup import Prepared, prepared_database

CHUNK_ROWS = 50_000
EMBEDDED_CHUNK_ROWS = 1_000
REJECTED_STATUS = 3


@click.command(
    "import",
    cls=Command,
    examples=(
        "energy import meters.csv",
        "energy import export.csv --explain",
        "energy import january.csv february.csv.gz --kind meter --column meterId=Zähler --timezone Europe/Berlin",
    ),
    statuses={
        0: "all rows are stored, now or before",
        130: "interrupted; the same command continues",
        REJECTED_STATUS: "some rows were rejected, or conflict",
    },
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--kind", type=KIND, help="Kind of the readings; needed if the columns do not tell it.")
@click.option("--preset", type=click.Choice(sorted(PRESETS)), help="Source of the files, whose form is then known.")
@click.option(
    "--explain", "explains", is_flag=True, help="Print how the files are understood, and first readings; store nothing."
)
@click.option(
    "--format", "format_", type=click.Choice(sorted(set(FORMATS.values()))), help="Format; by default told by the name."
)
@click.option(
    "--column",
    "columns",
    type=Assignment(),
    multiple=True,
    metavar="FIELD=COLUMN",
    help="Column of a field with another name; Date+Time joins two columns with a space.",
)
@click.option(
    "--set", "constants", type=Assignment(), multiple=True, metavar="FIELD=VALUE", help="One value for every row."
)
@click.option(
    "--scale",
    "scales",
    type=Scale(),
    multiple=True,
    metavar="FIELD=FACTOR",
    help="Factor of the numbers: 0.001 turns Wh into kWh, 1/60 the kW of a minute into kWh.",
)
@click.option("--timezone", type=ZONE, help="Zone of times without an offset, as Europe/Paris.")
@click.option(
    "--time-format",
    callback=read_time_format,
    metavar="FORMAT",
    help="Format of times that are not ISO 8601, as for strptime: %d/%m/%Y %H:%M; or epoch-s or epoch-ms.",
)
@click.option(
    "--repeated-hour-by-order",
    is_flag=True,
    help="Tell the local times that clocks show twice by the order of each device's rows.",
)
@click.option(
    "--delimiter",
    callback=read_delimiter,
    metavar="CHARACTER",
    help="Separator of the cells of a CSV; by default found among comma, semicolon, tab and bar.",
)
@click.option(
    "--header-line",
    type=click.IntRange(1, 1000),
    help=f"Line of a CSV that names the columns; by default found among the first {LOOKED_AT}.",
)
@click.option("--decimal", type=click.Choice([".", ","]), default=".", help="Decimal point of numbers in a CSV.")
@click.option(
    "--encoding",
    callback=read_encoding,
    metavar="NAME",
    help="Encoding of a text, as ISO-8859-1; by default told by the byte order mark, else UTF-8.",
)
@click.option(
    "--declare-registers",
    is_flag=True,
    help="Declare the devices with a registerKwh to send registers, if they have no profile.",
)
@click.option(
    "--rejected",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="File of rejected rows, for one FILE only; by default FILE.rejected.ndjson.",
)
@click.option("--no-resume", is_flag=True, help="Begin at the first row, whatever an interrupted import has stored.")
def import_command(
    files: tuple[Path, ...],
    format_: str | None,
    rejected: Path | None,
    no_resume: bool,
    explains: bool,
    **said: Any,
) -> None:
    """Import files of readings: CSV, NDJSON (both also compressed: .gz, .zst), Parquet.

    Columns have the names of the fields or of the database. Fields: meterId, kwhConsumedAc, voltage, timestamp;
    vehicleId, soc, kwhDeliveredDc, batteryTemp; registerKwh of both. Database: meter_id, recorded_at or counted_at, and
    so on. Others are ignored. Without voltage, soc or batteryTemp it is not measured.

    The readings are checked like those of devices. Rejected rows and conflicts (the first reading is kept) go to a file
    beside, with line and reason, and nowhere else. A time without an offset is rejected unless --timezone is given. So
    is a local time that the clocks of that zone show twice or never.

    After an interruption, the same command continues. A file may be imported again: its rows are duplicates.
    """
    for name in ("columns", "constants", "scales"):
        said[name] = dict(said[name])
    options = Options(format=format_, **said)
    if rejected and len(files) > 1:
        raise click.UsageError("--rejected is for one FILE")
    if explains:
        for path in files:
            explain(path, options)
        return
    for path in files:
        check_source(path, options)
    # millions of rows hold no cycles: the search for cycles took half of the reading time
    gc.disable()
    try:
        with prepared_database(load_settings()) as prepared:
            counts = asyncio.run(_run(prepared, files, options, rejected, resume=not no_resume))
    except KeyboardInterrupt:
        print_error("interrupted; the same command continues after the last stored rows")
        sys.exit(130)
    if counts["conflicts"] + counts["rejected"]:
        sys.exit(REJECTED_STATUS)


async def _run(
    prepared: Prepared, files: Sequence[Path], options: Options, rejected: Path | None, *, resume: bool
) -> Counter[str]:
    embedded = prepared.embedded is not None
    total: Counter[str] = Counter()
    rows = 0
    began = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        count = 1 if embedded else 2
        connections = [await stack.enter_async_context(open_connection(prepared.url)) for _ in range(count)]
        target = Target(connections, not embedded, EMBEDDED_CHUNK_ROWS if embedded else CHUNK_ROWS)
        for path in files:
            side = rejected or path.with_name(path.name + ".rejected.ndjson")
            with Report(path.name) as report:
                done = await _import(target, path, options, side, resume, report.show)
            print(report.summary(done, side))
            total += done.counts
            rows += done.rows
        if embedded:  # it runs no jobs; a server's job refreshes the aggregates by itself
            await connections[0].execute("RESET ROLE")
            for refresh in REFRESH_AGGREGATES:
                await connections[0].execute(refresh)
    if len(files) > 1:
        print(summary(f"{len(files)} files", rows, total, time.monotonic() - began))
    return total


async def _import(  # noqa: PLR0913, PLR0917
    target: Target, path: Path, options: Options, side: Path, resume: bool, show: Callable[[Progress], None]
) -> Progress:
    try:
        return await import_file(target, path, options, side, resume=resume, show=show)
    except CONNECTION_ERRORS as error:
        raise StartupError(
            f"the database failed ({first_line(error)}): no chunk is half stored, "
            "and the same command continues after the last one"
        ) from error
