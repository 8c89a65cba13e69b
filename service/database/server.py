"""Inspection of a database server: versions, edition, schema, findings."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import asyncpg

from service.database.connector import AnyConnection, Connector
from service.database.failures import CONNECTION_ERRORS, describe_failure
from service.database.migrations import NEWEST_MIGRATION
from service.database.pooler import refuse_transaction_pooling
from service.database.replica import CHECK_TIMEOUT_S
from service.database_url import describe_url
from service.errors import StartupError, first_line

MINIMUM_TIMESCALEDB = (2, 29)
"""Before it, a server refuses the refresh policies of migration 0010."""
EMBEDDED_TIMESCALEDB = "2.23.0-dev"
"""Version of the embedded database, which takes them."""
MOST_LAG_S = 60.0
"""A replica that lags further behind is a fault; alert EnergyReplicaLagging has the same limit."""


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
        if found < MINIMUM_TIMESCALEDB and self.timescaledb != EMBEDDED_TIMESCALEDB:
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
        connector = Connector(url, writable=True)
        connection: AnyConnection = await connector()
        try:
            await refuse_transaction_pooling(connection, connector, url, "DATABASE_URL")
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
                findings = await _diagnose(connection)
            return Server(postgresql.split(" ")[0], timescaledb, license_, version, migrations, time_zone, findings)
        finally:
            connection.terminate()
    except CONNECTION_ERRORS as error:
        raise StartupError(describe_failure(error, url)) from error


async def _diagnose(connection: AnyConnection) -> tuple[tuple[str, str, bool], ...]:
    """Return the findings of the database; those about the schema alone, if a changed schema makes the others fail."""
    failed: tuple[tuple[str, str, bool], ...] = ()
    try:
        rows = await connection.fetch("SELECT topic, finding, is_fault FROM ops.diagnose()")
    except asyncpg.PostgresError as error:
        failed = (("schema", f"ops.diagnose() fails: {first_line(error)}", True),)
        rows = await connection.fetch("SELECT 'schema' AS topic, finding, is_fault FROM ops.diagnose_schema()")
    return failed + tuple((row["topic"], row["finding"], row["is_fault"]) for row in rows)


async def check_replica_pooling(replica_url: str) -> None:
    """Check that the replica, if it answers, is not behind a pooler that does not keep sessions.

    Raises:
        StartupError: it is.
    """
    connector = Connector(replica_url, writable=False)
    with suppress(*CONNECTION_ERRORS):
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            connection: AnyConnection = await connector()
            try:
                await refuse_transaction_pooling(connection, connector, replica_url, "DATABASE_READ_URL")
            finally:
                connection.terminate()


async def inspect_replica(url: str, replica_url: str) -> tuple[str, list[str]]:
    """Compare the replica of the reads with the primary at `url`, without changing them.

    Returns:
        A line about the replica, and its faults, each a sentence with its remedy.

    Raises:
        StartupError: one of them cannot be reached or refuses; the message says what to do.
    """
    try:
        primary = await _position(await Connector(url, writable=True)(), None)
    except CONNECTION_ERRORS as error:
        raise StartupError(describe_failure(error, url)) from error
    try:
        replica = await _position(await Connector(replica_url, writable=False)(), primary.lsn)
    except CONNECTION_ERRORS as error:
        raise StartupError(
            f"{describe_failure(error, replica_url, 'DATABASE_READ_URL')} The primary answers the reads meanwhile"
        ) from error
    faults = []
    if primary.system and replica.system and (primary.system, primary.database) != (replica.system, replica.database):
        faults.append("DATABASE_READ_URL is another database than DATABASE_URL: reads do not show what is written")
    if replica.schema_version is None or replica.schema_version < NEWEST_MIGRATION:
        faults.append(
            f"the schema of DATABASE_READ_URL is at {replica.schema_version or 'none'}, this version needs "
            f"{NEWEST_MIGRATION}: the primary answers the reads until the replica has replayed `energy migrate`"
        )
    if replica.lag_s > MOST_LAG_S:
        faults.append(f"the replica lags {replica.lag_s:.0f} s behind: reads do not show what was written since")
    state = "standby" if replica.lsn is None else "no standby, a server that accepts writes"
    return f"{state}, {replica.lag_s:.0f} s behind, at {describe_url(replica_url)}", faults


class _Position(NamedTuple):
    """Place of a server in its cluster.

    Attributes:
        system: identifier that a primary and its standbys share; None for a login that may not see it.
        lsn: end of a primary's log; None on a standby.
        lag_s: age of the newest change that a standby shows, while it lacks any, seconds.
    """

    system: int | None
    database: str
    lsn: str | None
    lag_s: float
    schema_version: str | None


async def _position(connection: AnyConnection, lsn: str | None) -> _Position:
    """Read the position of a server; a standby without lag has replayed `lsn`."""
    try:
        system = None
        if await connection.fetchval("SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"):
            system = await connection.fetchval("SELECT system_identifier FROM pg_control_system()")
        is_standby = await connection.fetchval("SELECT pg_is_in_recovery()")
        position, lag_s = None, 0.0
        if not is_standby:
            position = await connection.fetchval("SELECT pg_current_wal_lsn()::text")
        elif not await connection.fetchval("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", lsn):
            age = "SELECT extract(EPOCH FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8"
            lag_s = await connection.fetchval(age) or 0.0
        version = None
        if await _exists(connection, "api", "to_regprocedure('api.get_schema_version()')"):
            version = await connection.fetchval("SELECT api.get_schema_version()")
        return _Position(system, await connection.fetchval("SELECT current_database()"), position, lag_s, version)
    finally:
        connection.terminate()


async def _exists(connection: AnyConnection, schema: str, lookup: str) -> bool:
    """Return true if `lookup` finds its object.

    Without the right to use the schema, the look-up itself would raise; so the right is checked first.
    """
    usable = "SELECT FROM pg_namespace WHERE nspname = $1 AND has_schema_privilege(oid, 'USAGE')"
    if not await connection.fetch(usable, schema):
        return False
    return bool(await connection.fetchval(f"SELECT {lookup} IS NOT NULL"))
