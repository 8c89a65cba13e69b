"""`energy rejected list | replay`: lists rejected readings, and sends them again once their cause is mended."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Container
from typing import Any

import asyncpg
import click

from service.commands.command import Group
from service.commands.options import TIME, json_option
from service.commands.output import print_json, print_table
from service.database.calls import AWAIT_STANDBYS, LIST_REJECTED_READINGS, SETTLE_REJECTED_READINGS
from service.database.failures import CONNECTION_ERRORS
from service.database.group_commit import MOST_ROWS_A_CALL
from service.database.pool import Database, lend, open_database
from service.database.replication import replicated
from service.errors import OUTCOMES, StartupError, first_line
from service.readings.decode import Rejection, decode_reading
from service.readings.model import KINDS, METER, VEHICLE, Kind
from service.settings import load_settings
from service.startup import prepared_database

PAGE = MOST_ROWS_A_CALL
"""Readings that are replayed in one transaction."""


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that filter readings."""
    for option in (
        click.option("--source", metavar="ADDRESS", help="Only those of this sender."),
        click.option("--code", type=click.Choice(sorted(OUTCOMES)), help="Only those rejected for this reason."),
        click.option("--kind", type=click.Choice([*KINDS, "unknown"]), help="Only this kind."),
        click.option("--until", "until", type=TIME, help="Received before this time, or this long ago: 24h."),
        click.option("--since", "since", type=TIME, help="Received from this time on, or not longer ago: 24h, 7d."),
    ):
        command = option(command)
    return command


@click.group("rejected", cls=Group)
def rejected() -> None:
    """Rejected readings, kept for 30 days: list them, and send them again once their cause is mended."""


@rejected.command(
    "list",
    examples=("energy rejected list --since 24h", "energy rejected list --code timestamp_in_future --json"),
)
@_filters
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="Newest this many.")
@click.option("--all", "with_settled", is_flag=True, help="Also those that a replay has stored.")
@json_option
def list_command(limit: int, with_settled: bool, as_json: bool, **filters: Any) -> None:
    """Print rejected readings, and stored ones with an ignored measure, newest first."""
    asyncio_run(_list, limit, None if with_settled else False, as_json, filters)


async def _list(database: Database, limit: int, settled: bool | None, as_json: bool, filters: dict[str, Any]) -> None:
    rows = await database.write_rows(LIST_REJECTED_READINGS, True, None, limit, *_arguments(filters), settled, None)
    if as_json:
        for row in rows:
            print_json(dict(row))
        return
    cells = [
        (
            str(row["rejected_id"]),
            row["received_at"].isoformat(" ", "seconds").removesuffix("+00:00"),
            *(row["kind"], row["code"], row["detail"] + "; the reading is stored" * row["is_stored"]),
            *(row["payload"][:200], row["source"] or ""),
        )
        for row in rows
    ]
    print_table(("number", "received", "kind", "code", "why", "reading", "sender"), cells, "nothing rejected")
    if len(rows) == limit:
        print(f"the newest {limit}; --limit shows more, --since, --code and --source choose")


@rejected.command(
    "replay",
    examples=("energy rejected replay --dry-run", "energy rejected replay --kind meter --since 7d"),
)
@_filters
@click.option("--dry-run", is_flag=True, help="Count the readings that would be sent again, and change nothing.")
def replay_command(dry_run: bool, **filters: Any) -> None:
    """Send rejected readings again, oldest first.

    A reading that is stored, now or meanwhile, is settled. One that is rejected again stays, with the new reason beside
    the old one. One that was stored without an ignored measure is not sent. Safe to repeat, and to interrupt.
    """
    outcomes = asyncio_run(replay, dry_run, filters, load_settings().drop_fields)
    verb = "would be sent again" if dry_run else "sent again"
    found = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    print(f"{outcomes.total()} {verb}" + (f": {found}" if found else ""))


async def replay(
    database: Database, dry_run: bool, filters: dict[str, Any], dropped: Container[str] = ()
) -> Counter[str]:
    """Send unsettled readings again, a page a transaction; count the outcomes (`dry_run`: the old reasons).

    Fields in `dropped` are ignored.
    """
    outcomes: Counter[str] = Counter()
    async for rows in _pages(database, filters):
        if dry_run:
            outcomes.update(f"rejected as {row['code']}" for row in rows)
            continue
        ids, received = [row["rejected_id"] for row in rows], [row["received_at"] for row in rows]
        async with lend(database.write) as connection:
            with replicated(connection):
                async with connection.transaction():
                    found = await _send_again(connection, rows, dropped)
                    await connection.execute(SETTLE_REJECTED_READINGS, ids, received, found)
        outcomes.update(found)
    if not dry_run and not outcomes:
        # nothing is left: a replay that did not hear from the standbys may have settled all of it
        await database.write_rows(AWAIT_STANDBYS)
    return outcomes


async def _pages(database: Database, filters: dict[str, Any]) -> AsyncIterator[list[asyncpg.Record]]:
    """Iterate over pages of unsettled readings, in order of arrival."""
    last = None
    while rows := await database.write_rows(
        LIST_REJECTED_READINGS, False, last, PAGE, *_arguments(filters), False, False
    ):
        yield rows
        last = rows[-1]["rejected_id"]


async def _send_again(connection: Any, rows: list[asyncpg.Record], dropped: Container[str]) -> list[str]:
    """Return the outcome of each reading; none is kept a second time."""
    outcomes = [""] * len(rows)
    sent: dict[Kind, list[tuple[int, tuple[Any, ...]]]] = {METER: [], VEHICLE: []}
    for index, row in enumerate(rows):
        match decode_reading(row["payload"].encode(), KINDS.get(row["kind"]), dropped):
            case Rejection(code=code):
                outcomes[index] = code
            case kind, reading:
                sent[kind].append((index, reading.to_row(row["source"])))
    for kind, readings in sent.items():
        records = await connection.fetch(kind.ingest.query_once, [row for _, row in readings])
        for (index, _), (outcome, *_) in zip(readings, records, strict=True):
            outcomes[index] = outcome
    return outcomes


def _arguments(filters: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(filters[name] for name in ("since", "until", "kind", "code", "source"))


def asyncio_run(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run `work` on the configured database.

    Raises:
        StartupError: the database is not ready, or the connection was lost.
    """

    async def run(url: str, connections: int) -> Any:
        async with open_database(url, connections=connections) as database:
            return await work(database, *arguments)

    with prepared_database(load_settings()) as prepared:
        try:
            return asyncio.run(run(prepared.url, 1))
        except CONNECTION_ERRORS as error:
            raise StartupError(
                f"the database failed ({first_line(error)}): run it again, nothing is half done"
            ) from error
