"""Database errors: retryable or not, and their description for logs and people."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg

from service.database_url import describe_url, parse_database_url
from service.errors import first_line

CONNECTION_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""Everything that asyncpg raises where a database is absent, refuses, or breaks off.

InternalClientError stands for a connection that broke in the middle of an exchange, and for a read-only server.
"""

_RETRYABLE_CLASSES = ("08", "25", "3D", "3F", "40", "53", "55", "57")
"""SQLSTATE classes that a retry may cure: connection, read-only replica or failover, absent database or schema (during
a restore), serialization, resources, locks, operator intervention."""


def is_retryable(error: Exception) -> bool:
    """Return true if a retry may cure the error."""
    if isinstance(error, asyncpg.PostgresError):
        return (getattr(error, "sqlstate", None) or "")[:2] in _RETRYABLE_CLASSES
    return isinstance(error, CONNECTION_ERRORS)


class NoHostError(ConnectionError):
    """None of several hosts can be used; the message has the reason of each."""


def describe_error(error: Exception) -> str:
    """Describe an error for a log, without values, which are private."""
    kind = type(error).__name__
    if not isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        return f"{kind}: {error}"[:200] if str(error) else kind
    sqlstate = getattr(error, "sqlstate", None) or ""
    # the server's own log has the rest; the session's name there has the request id
    return f"{kind} {sqlstate}: {error.args[0]}"[:200] if is_retryable(error) and error.args else f"{kind} {sqlstate}"


def describe_failure(error: Exception, url: str, variable: str = "DATABASE_URL") -> str:
    """Describe a failed connection in one line, with the remedy and without the password."""
    where = describe_url(url)
    said = first_line(error)
    match error:
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return f"the database at {where} refused the login ({said}): check user and password in {variable}"
        case asyncpg.InvalidSQLStatementNameError() | asyncpg.DuplicatePreparedStatementError():
            return describe_pooler(url, variable)
        case asyncpg.InvalidCatalogNameError():
            return f"the server answers, but {said}: create the database or correct {variable} ({where})"
        case asyncpg.InvalidParameterValueError():
            return f"the database at {where} refused ({said}): if it lacks energy_service, run `energy migrate` first"
        case asyncpg.InsufficientPrivilegeError():
            return f"the database at {where} refused ({said}): the login must be a member of energy_service"
        case asyncpg.PostgresError():
            return f"the database at {where} refused: {said}"
        case asyncpg.TargetServerAttributeNotMatched() if variable == "DATABASE_READ_URL":
            target = parse_database_url(url).target
            return f"the database at {where} is not {target}, as target_session_attrs of {variable} asks"
        case asyncpg.TargetServerAttributeNotMatched():
            return f"the database at {where} is read-only, as a standby is: {variable} must reach the primary"
        case FileNotFoundError() if missing := _missing_file(url):
            return f"{missing} of {variable} is no file that can be read"
        case NoHostError():
            return f"no database of {where} can be used ({said}): are they running, is {variable} right?"
        case TimeoutError() | asyncio.TimeoutError():
            timeout = parse_database_url(url).timeout
            return f"the database at {where} did not answer within {timeout:g} s: is it running, is {variable} right?"
        case _:
            return f"the database at {where} cannot be reached ({said}): is it running, is {variable} right?"


def _missing_file(url: str) -> str:
    """Return the parameter of TLS that names no file; empty if all do."""
    options = parse_database_url(url).options
    for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl"):
        if name in options and not Path(options[name]).is_file():
            return f"{name}={options[name]}"
    return ""


def describe_pooler(url: str, variable: str) -> str:
    """Describe a pooler that gives a session of the server to other clients in between, in one line."""
    return (
        f"{variable} ({describe_url(url)}) leads to a connection pooler in transaction or statement mode, which loses "
        "the role and settings of a session: use session mode (PgBouncer: pool_mode = session), or the server itself"
    )
