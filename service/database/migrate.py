"""Schema migration: brings a database to this version's schema.

Migrations run once, code runs always, and one migrator works at a time. yoyo-migrations finds, orders and records the
migrations. This module adds guarantees that yoyo lacks. A migration and its record commit together, a killed migrator
blocks no other, and an edited migration is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import itertools
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI

from service.database.calls import REFRESH_AGGREGATES
from service.database.libpq import connect_libpq
from service.database.migrations import SQL_DIR, check_applied, code_files, known_migrations
from service.database.replication import UnreplicatedCommitError, replicated_commands
from service.database.server import inspect_server
from service.database_url import describe_url, parse_database_url
from service.errors import StartupError, first_line

_log = logging.getLogger(__name__)
logging.getLogger("yoyo").setLevel(logging.WARNING)  # it logs each statement of a migration by its number

_LOCK_KEY = 0x656E65726779  # "energy"
_PATIENCE = "10min"
"""Longest wait for another migrator."""
_LOCK_TIMEOUT = "1200ms"
"""Longest wait of a statement for a table, behind which readings queue.

It is longer than the default deadlock_timeout, at which PostgreSQL cancels an autovacuum that is in the way.
"""
_LOCK_PAUSE_S = 1.0
"""Pause before a transaction that did not get a lock is tried again. The readings that queued are stored meanwhile."""
_LOCK_PATIENCE_S = 60.0
"""Time after which a transaction that does not get its locks is given up."""
_POLITE_TRIES = 3
"""Tries before sessions of BI that hold locks are ended."""
BI_CONNECTIONS = 20
"""Connection limit of a new BI login."""


def migrate(url: str, sql_dir: Path = SQL_DIR, *, time_zone: str | None = None) -> list[str]:
    """Migrate the database at `url` to this version's schema.

    Safe to run at any time and from several places at once: one works, the others wait and find nothing to do.
    `time_zone` (IANA name) sets the days of the daily aggregates when they are first created.

    Returns:
        The migrations that were applied, in order.

    Raises:
        StartupError: the server cannot carry the engine, a migration was edited, or the database refused a statement.
    """
    known = known_migrations(sql_dir)
    if fault := asyncio.run(inspect_server(url)).fault():
        raise StartupError(fault)
    try:
        with warnings.catch_warnings(), _locked_backend(url) as backend, replicated_commands(backend.connection):
            # yoyo takes a lost connection for a nested transaction
            warnings.filterwarnings("ignore", "Nested transaction")
            backend.execute("SELECT set_config('energy.time_zone', :zone, FALSE)", {"zone": time_zone or ""})
            pending = check_applied(known, _applied(backend.connection))
            drift = _list_drift(backend.connection)
            migrations = {migration.id: migration for migration in read_migrations(str(sql_dir / "migrations"))}
            for migration_id in pending:
                apply = functools.partial(_apply, backend, migrations[migration_id], known[migration_id])
                _until_locked(backend.connection, apply)
            _until_locked(backend.connection, lambda: _apply_code(backend.connection, sql_dir))
            if (sql_dir / "ops" / "secure_database.sql").exists():  # absent in older versions
                backend.connection.execute("SELECT ops.secure_database()")
            if (sql_dir / "ops" / "apply_policies.sql").exists():  # absent in older versions
                _until_locked(backend.connection, lambda: _apply_policies(backend.connection))
            if (sql_dir / "ops" / "record_schema.sql").exists():  # absent in older versions
                backend.connection.execute("SELECT ops.record_schema(%s)", [drift])
            return pending
    except (psycopg.Error, UnreplicatedCommitError) as error:
        raise StartupError(f"the database at {describe_url(url)} refused to migrate: {first_line(error)}") from error


def _until_locked(connection: psycopg.Connection[Any], transact: Callable[[], None]) -> None:
    """Run a transaction, again and again if another session holds a lock that it needs.

    Sessions of BI that still hold locks after a few tries are ended, where the database lets energy_owner do so.

    Raises:
        StartupError: it did not get its locks in `_LOCK_PATIENCE_S`; the message names the sessions that hold some.
    """
    give_up_at = time.monotonic() + _LOCK_PATIENCE_S
    for tries in itertools.count(1):
        try:
            transact()
            return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            holders = _ask(connection, "ops.describe_lock_holders()") or "other sessions"
            reason = f"{first_line(error)}: locks are held by {holders}"
        if time.monotonic() > give_up_at:
            raise StartupError(f"the database is in use, and nothing more was changed: {reason}")
        _log.warning("waiting for a lock: %s", reason)
        if tries >= _POLITE_TRIES:
            try:
                _ask(connection, "ops.end_bi_sessions(NULL, jsonb '{\"lock_holders\": true}')")
            except psycopg.errors.InsufficientPrivilege as error:
                _log.warning("sessions of BI are not ended: %s", first_line(error))
        time.sleep(_LOCK_PAUSE_S)


_LOCK_HOLDER = """
    SELECT pg_catalog.format('process %%s of %%s, application %%s', a.pid, a.usename, a.application_name)
    FROM pg_catalog.pg_locks AS l
    JOIN pg_catalog.pg_stat_activity AS a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND a.datname = pg_catalog.current_database()
        AND (l.classid::bigint << 32 | l.objid::bigint) = %(key)s AND l.objsubid = 1
"""
"""The session with an advisory lock, for people."""


def _ask(connection: psycopg.Connection[Any], call: str) -> Any:
    """Call a function, if the database has it; None without."""
    name = call.partition("(")[0]
    found = connection.execute("SELECT FROM pg_catalog.pg_proc WHERE oid = to_regproc(%s)", [name]).fetchone()
    row = connection.execute(f"SELECT {call}").fetchone() if found is not None else None
    return row[0] if row else None


def _apply_policies(connection: psycopg.Connection[Any]) -> None:
    """Apply `ops.policy` to the database. If a row would lose data, it is named, and nothing is applied."""
    try:
        with connection.transaction():
            connection.execute("SELECT ops.apply_policies()")
    except psycopg.errors.InvalidParameterValue as error:
        said = filter(None, (error.diag.message_primary, error.diag.message_detail, error.diag.message_hint))
        _log.warning("policies are not applied: %s", "; ".join(said).replace("\n", "; "))


def _list_drift(connection: psycopg.Connection[Any]) -> Jsonb:
    """Return the changes of the schema by hand, which no migrate takes for right; none in an older schema."""
    found = connection.execute("SELECT FROM pg_catalog.pg_proc WHERE oid = to_regproc('ops.list_drift')").fetchone()
    if found is None:
        return Jsonb([])
    rows = connection.execute("SELECT kind, object, definition FROM ops.list_drift()").fetchall()
    return Jsonb([{"kind": kind, "object": name, "definition": definition} for kind, name, definition in rows])


def set_time_zone(url: str, time_zone: str) -> None:
    """Rebuild the daily aggregates and the views on top of them for the days of `time_zone` (IANA name).

    Raises:
        StartupError: the database refused; the message says why.
    """
    try:
        with connect_libpq(url) as connection, replicated_commands(connection):
            _until_locked(connection, lambda: _rebuild_days(connection, time_zone))
            for kind, refresh in zip(("meter", "vehicle"), REFRESH_AGGREGATES, strict=True):
                left = None
                # a run ends after a minute, and the next one continues; the job does the rest once a run makes no
                # progress
                while (due := _due_days(connection, kind)) and due != left:
                    left = due
                    with contextlib.suppress(psycopg.errors.LockNotAvailable):  # the job refreshes at this moment
                        connection.execute(refresh)
    except (psycopg.Error, UnreplicatedCommitError) as error:
        raise StartupError(f"cannot change the time zone: {first_line(error)}") from error


def _rebuild_days(connection: psycopg.Connection[Any], time_zone: str) -> None:
    with connection.transaction():
        connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
        drift = _list_drift(connection)
        previous = connection.execute("SELECT time_zone FROM telemetry.fleet").fetchone()
        connection.execute("SELECT ops.set_time_zone(%s)", [time_zone])
        _apply_code(connection, SQL_DIR)
        _apply_policies(connection)
        connection.execute("SELECT ops.record_schema(%s)", [drift])
    connection.execute("SELECT ops.secure_database()")  # of the new aggregates
    connection.execute("SELECT ops.configure_bi_logins(%s)", previous)


def _due_days(connection: psycopg.Connection[Any], kind: str) -> int:
    """Count the pieces of a kind's daily aggregate that are due to be refreshed."""
    found = connection.execute("SELECT count(*) FROM telemetry.due_times(%s)", [f"{kind}_daily"]).fetchone()
    return int(found[0]) if found else 0


_POWERS = """
    SELECT CASE
        WHEN r.rolname ~ '^(energy_(owner|service|bi|dba)$|pg_)' THEN 'is a role of the engine or of PostgreSQL'
        WHEN r.rolsuper THEN 'is a superuser'
        WHEN r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
            THEN 'may create roles or databases, replicate, or bypass row security'
        WHEN m.other IS NOT NULL THEN 'is a member of ' || m.other
        WHEN d.datname IS NOT NULL THEN 'owns the database ' || d.datname
    END
    FROM pg_catalog.pg_roles AS r
    LEFT JOIN LATERAL (
        SELECT min(o.rolname) AS other FROM pg_catalog.pg_roles AS o
        WHERE o.rolname ~ '^(energy_(owner|service|bi|dba)$|pg_(write|execute|read_server|signal|maintain))'
            AND pg_catalog.pg_has_role(r.oid, o.oid, 'MEMBER') AND NOT pg_catalog.pg_has_role(%(role)s, o.oid, 'MEMBER')
    ) AS m ON TRUE
    LEFT JOIN pg_catalog.pg_database AS d ON d.datdba = r.oid AND d.datname = pg_catalog.current_database()
    WHERE r.rolname = %(name)s
"""
"""A right that a login has beside those of the role it is to be a member of; NULL without any."""


def make_login(url: str, name: str, password: str, role: str) -> None:
    """Create the login `name`, or give it a new password, as a member of `role` with the settings of that role.

    Raises:
        StartupError: the database refused, or `name` is a role of the engine, or has more rights than `role`.
    """
    try:
        with connect_libpq(url) as connection, replicated_commands(connection):
            found = connection.execute(_POWERS, {"name": name, "role": role}).fetchone()
            if found and found[0]:
                raise StartupError(f"{name} {found[0]}: a member of {role} needs a login of its own")
            # hashed here, so that the password itself never stands in a statement or a log
            verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
            connection.execute(
                sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
                    sql.SQL("ALTER" if found else "CREATE"), sql.Identifier(name), sql.Literal(verifier)
                )
            )
            connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(name)))
            if role == "energy_bi":
                _limit_connections(connection, name)
                connection.execute("SELECT ops.configure_bi_logins()")
            # membership grants the rights of a role, but not its settings
            query = "SELECT setting FROM pg_catalog.pg_roles, unnest(rolconfig) AS setting WHERE rolname = %s"
            for (setting,) in connection.execute(query, [role]).fetchall():
                parameter, _, value = setting.partition("=")
                connection.execute(
                    sql.SQL("ALTER ROLE {} SET {} = {}").format(
                        sql.Identifier(name), sql.Identifier(parameter), sql.Literal(value)
                    )
                )
    except (psycopg.Error, UnreplicatedCommitError) as error:
        raise StartupError(f"cannot make the login {name}: {first_line(error)}") from error


def _limit_connections(connection: psycopg.Connection[Any], name: str) -> None:
    """Give a login a connection limit, unless a DBA has given it one."""
    query = "SELECT FROM pg_catalog.pg_roles WHERE rolname = %s AND rolconnlimit = -1"
    if connection.execute(query, [name]).fetchone() is not None:
        statement = sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Literal(BI_CONNECTIONS)))


@contextlib.contextmanager
def _locked_backend(url: str) -> Iterator[PostgresqlPsycopgBackend]:
    """Open a yoyo backend on one connection that holds the migration lock.

    yoyo's own lock is a row, which outlives a killed migrator. The advisory lock ends with its connection, so its
    holder may clear that row.
    """
    parameters = parse_database_url(url).for_libpq()
    database = parameters.pop("dbname", None)
    # the rest as arguments: a URI of yoyo has one host
    uri = DatabaseURI("postgresql+psycopg", None, None, None, None, database, parameters | {"schema": "yoyo"})
    backend = PostgresqlPsycopgBackend(uri, "_yoyo_migration")
    with backend:
        # the next connection to the embedded database has the same session, and would prepare the same names again
        backend.connection.prepare_threshold = None
        backend.execute(f"SET lock_timeout = '{_PATIENCE}'")
        try:
            backend.execute(f"SELECT pg_catalog.pg_advisory_lock({_LOCK_KEY})")
        except psycopg.errors.LockNotAvailable as error:
            [holder] = backend.connection.execute(_LOCK_HOLDER, {"key": _LOCK_KEY}).fetchone() or [None]
            raise StartupError(
                f"another session has held the lock of migrations for {_PATIENCE}: "
                f"{holder or 'it has just ended, so try again'}"
            ) from error
        backend.execute(f"SET lock_timeout = '{_LOCK_TIMEOUT}'")
        try:
            backend.execute("CREATE SCHEMA IF NOT EXISTS yoyo")
            if backend.lock_table not in backend.list_tables():
                backend.create_lock_table()
            backend.break_lock()
            with backend.lock():
                backend.ensure_internal_schema_updated()
                yield backend
        finally:
            if not backend.connection.closed:
                backend.execute(f"SELECT pg_catalog.pg_advisory_unlock({_LOCK_KEY})")


def _applied(connection: psycopg.Connection[Any]) -> dict[str, str]:
    exists = connection.execute("SELECT to_regclass('ops.migration') IS NOT NULL").fetchone()
    if exists is None or not exists[0]:
        return {}
    return dict(connection.execute("SELECT migration_id, sha256 FROM ops.migration ORDER BY migration_id").fetchall())


def _apply(backend: PostgresqlPsycopgBackend, migration: Any, digest: str) -> None:
    """Apply one migration and record it, in one transaction."""
    with backend.transaction():
        with contextlib.redirect_stdout(io.StringIO()):  # yoyo prints the rows of every SELECT
            migration.process_steps(backend, "apply")
        backend.execute("RESET ROLE")
        backend.mark_one(migration)
        backend.execute(
            "INSERT INTO ops.migration (migration_id, sha256) VALUES (:id, :sha256)",
            {"id": migration.id, "sha256": digest},
        )


def _apply_code(connection: psycopg.Connection[Any], sql_dir: Path) -> None:
    """Run every code file, and drop retired code, in one transaction, as the owner of the objects."""
    with connection.transaction():
        connection.execute("SET LOCAL ROLE energy_owner")
        for path in [*code_files(sql_dir), sql_dir / "retired.sql"]:
            try:
                connection.execute(path.read_bytes())
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                raise
            except psycopg.Error as error:
                where = path.relative_to(sql_dir).as_posix()
                raise StartupError(f"sql/{where}: {first_line(error)}") from error
