"""Inspection of a database server: versions, edition, schema, findings."""

from __future__ import annotations

import re
from dataclasses import dataclass

import asyncpg

from service.database.failures import CONNECT_TIMEOUT_S, describe_failure
from service.database.pool import AnyConnection
from service.errors import StartupError

MINIMUM_TIMESCALEDB = (2, 23)


@dataclass(frozen=True)
class Server:
    """Facts about a database server."""

    postgresql: str
    timescaledb: str | None
    """Version of the extension that is installed or available; None without TimescaleDB."""
    license: str | None
    """`timescale` (Community) or `apache`; None without TimescaleDB or before the extension is created."""
    schema_version: str | None
    """The newest applied migration; None in a database that has never been migrated."""
    migrations: dict[str, str]
    """Applied migrations, id -> SHA-256; empty, too, for a login without access to them, such as the service's."""
    time_zone: str | None = None
    """IANA name of the zone of the daily aggregates; None before they exist."""
    findings: tuple[tuple[str, str, bool], ...] = ()
    """Result of `ops.diagnose`: topic, finding, is it a fault; empty for a login that may not call it."""

    @property
    def edition(self) -> str:
        """The common name of the edition."""
        return {"timescale": "Community", "apache": "Apache"}.get(self.license or "", "edition unknown")

    def fault(self) -> str | None:
        """Return the reason this server cannot be used, with the remedy; None if it can."""
        if self.timescaledb is None:
            return (
                "this PostgreSQL server has no TimescaleDB: install TimescaleDB Community "
                "(image timescale/timescaledb), or unset DATABASE_URL to use the embedded database"
            )
        found = tuple(int(part) for part in re.findall(r"\d+", self.timescaledb)[:2])
        if found < MINIMUM_TIMESCALEDB:
            needed = ".".join(map(str, MINIMUM_TIMESCALEDB))
            return f"TimescaleDB {self.timescaledb} is too old: {needed} or newer is needed"
        if self.license == "apache":
            return (
                "this is the Apache edition of TimescaleDB (timescaledb.license = apache), which has no continuous "
                "aggregates, columnstore or policies: use the Community edition (an image tag without -oss)"
            )
        return None


async def inspect_server(url: str) -> Server:
    """Inspect the server at `url` without changing it.

    Raises:
        StartupError: it cannot be reached or refuses; the message says what to do.
    """
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
        try:
            postgresql = await connection.fetchval("SELECT current_setting('server_version')")
            timescaledb = await connection.fetchval(
                "SELECT coalesce(installed_version, default_version) FROM pg_available_extensions "
                "WHERE name = 'timescaledb'"
            )
            license_ = await connection.fetchval("SELECT current_setting('timescaledb.license', TRUE)")
            version, migrations, time_zone = None, {}, None
            findings: tuple[tuple[str, str, bool], ...] = ()
            # step by step: another process may be migrating, and the service's login has no access to schema ops
            if await _exists(connection, "api", "to_regprocedure('api.get_schema_version()')"):
                version = await connection.fetchval("SELECT api.get_schema_version()")
            if await _exists(connection, "api", "to_regprocedure('api.get_time_zone()')"):
                time_zone = await connection.fetchval("SELECT api.get_time_zone()")
            if await _exists(connection, "ops", "to_regclass('ops.migration')"):
                rows = await connection.fetch("SELECT migration_id, sha256 FROM ops.migration ORDER BY migration_id")
                migrations = {row["migration_id"]: row["sha256"] for row in rows}
            if await _exists(connection, "ops", "to_regprocedure('ops.diagnose()')"):
                rows = await connection.fetch("SELECT topic, finding, is_fault FROM ops.diagnose()")
                findings = tuple((row["topic"], row["finding"], row["is_fault"]) for row in rows)
            return Server(postgresql.split(" ")[0], timescaledb, license_, version, migrations, time_zone, findings)
        finally:
            connection.terminate()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StartupError(describe_failure(error, url)) from error


async def _exists(connection: AnyConnection, schema: str, lookup: str) -> bool:
    """Return true if `lookup` finds its object.

    Without the right to use the schema, the look-up itself would raise; so the right is checked first.
    """
    usable = "SELECT FROM pg_namespace WHERE nspname = $1 AND has_schema_privilege(oid, 'USAGE')"
    if not await connection.fetch(usable, schema):
        return False
    return bool(await connection.fetchval(f"SELECT {lookup} IS NOT NULL"))
