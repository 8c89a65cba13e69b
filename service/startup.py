"""Start-up of the database for a command or the service: found or started, inspected, and its schema checked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from service.database.migrate import migrate
from service.database.migrations import NEWEST_MIGRATION, digest_of
from service.database.server import Server, check_replica_pooling, inspect_server
from service.database_url import describe_url
from service.embedded import EmbeddedDatabase, run_embedded
from service.errors import StartupError
from service.settings import Settings


class Prepared(NamedTuple):
    """A database that is ready for use.

    Attributes:
        url: its address.
        name: for people.
        embedded: its process, for the embedded one.
    """

    url: str
    name: str
    embedded: EmbeddedDatabase | None


@contextlib.contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """The URL of the database as it is, not yet of this version's schema; the embedded one runs until the block ends.

    Raises:
        StartupError: the embedded one does not start.
    """
    if settings.database_url:
        yield settings.database_url
        return
    with run_embedded(settings.data_dir) as embedded:
        yield embedded.url


@contextlib.contextmanager
def prepared_database(settings: Settings, *, migrate_first: bool = False) -> Iterator[Prepared]:
    """Open the database of `DATABASE_URL`, or run the embedded one until the block ends.

    `migrate_first` brings the schema up to date. The embedded one is always migrated, as it has no other migrator.

    Raises:
        StartupError: it does not answer, cannot be used, or has another schema; the message says what to do.
    """
    if not settings.database_url:
        with run_embedded(settings.data_dir) as embedded:
            _bring_up_to_date(embedded, settings)
            server = asyncio.run(inspect_server(embedded.url))
            name = f"embedded TimescaleDB {server.timescaledb} in {settings.data_dir}, for trying out"
            yield Prepared(embedded.url, name, embedded)
        return
    if migrate_first:
        migrate(settings.database_url, time_zone=settings.timezone)
    server = asyncio.run(inspect_server(settings.database_url))
    _require(server)
    if settings.database_read_url:
        asyncio.run(check_replica_pooling(settings.database_read_url))
    name = f"TimescaleDB {server.timescaledb} ({server.edition}) at {describe_url(settings.database_url)}"
    yield Prepared(settings.database_url, name, None)


def _bring_up_to_date(embedded: EmbeddedDatabase, settings: Settings) -> None:
    """Migrate, unless the same SQL was the last to be applied: this saves seconds at each restart.

    It is safe only here, as nothing else changes the embedded database. `energy migrate` always runs everything.
    """
    mark, digest = settings.data_dir / "pgdata" / "energy_sql.sha256", digest_of()
    if mark.exists() and mark.read_text() == digest:
        return
    migrate(embedded.url, time_zone=settings.timezone)
    mark.write_text(digest)


def _require(server: Server) -> None:
    """Refuse a server that cannot be used, or with an older schema. A newer one is fine, as in a rolling deploy."""
    if fault := server.fault():
        raise StartupError(fault)
    found = server.schema_version
    if found is None:
        raise StartupError(
            "the database of DATABASE_URL has not been migrated, or not for this login: run `energy migrate` first"
        )
    if found < NEWEST_MIGRATION:
        raise StartupError(
            f"the schema of DATABASE_URL is at {found}, this version needs {NEWEST_MIGRATION}: "
            "run `energy migrate` first"
        )
