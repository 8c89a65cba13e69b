"""Database errors: retryable or not, and their description for logs and people."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import parse_qs, urlsplit

import asyncpg

from service.errors import first_line

CONNECT_TIMEOUT_S = 5.0
"""Limit of a connection attempt."""

_RETRYABLE_CLASSES = ("08", "25", "3D", "3F", "40", "53", "55", "57")
"""SQLSTATE classes that a retry may cure: connection, read-only replica or failover, absent database or schema (during
a restore), serialization, resources, locks, operator intervention."""


def is_retryable(error: Exception) -> bool:
    """Return true if a retry may cure the error."""
    if isinstance(error, asyncpg.PostgresError):
        return (getattr(error, "sqlstate", None) or "")[:2] in _RETRYABLE_CLASSES
    # InternalClientError: asyncpg's error for a connection that broke in the middle of an exchange
    return isinstance(error, OSError | TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError)


def describe_error(error: Exception) -> str:
    """Describe an error for a log, without values, which are private."""
    kind = type(error).__name__
    if not isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        return f"{kind}: {error}"[:200] if str(error) else kind
    sqlstate = getattr(error, "sqlstate", None) or ""
    # the server's own log has the rest; the session's name there has the request id
    return f"{kind} {sqlstate}: {error.args[0]}"[:200] if is_retryable(error) and error.args else f"{kind} {sqlstate}"


def describe_failure(error: Exception, url: str) -> str:
    """Describe a failed connection in one line, with the remedy and without the password."""
    where = describe_url(url)
    said = first_line(error)
    match error:
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return f"the database at {where} refused the login ({said}): check user and password in its URL"
        case asyncpg.InvalidCatalogNameError():
            return f"the server answers, but {said}: create the database or correct the URL ({where})"
        case asyncpg.InvalidParameterValueError():
            return f"the database at {where} refused ({said}): if it lacks energy_service, run `energy migrate` first"
        case asyncpg.InsufficientPrivilegeError():
            return f"the database at {where} refused ({said}): the login must be a member of energy_service"
        case asyncpg.PostgresError():
            return f"the database at {where} refused: {said}"
        case TimeoutError() | asyncio.TimeoutError():
            return f"the database at {where} did not answer within {CONNECT_TIMEOUT_S:g} s: is it running?"
        case _:
            return f"the database at {where} cannot be reached ({said}): is it running, is DATABASE_URL right?"


def mask_password(text: str) -> str:
    """A URL without its password: before the last `@` of the address, and in the query."""
    address, mark, query = text.partition("?")
    address = re.sub(r"(//[^:/@]*:).*@", r"\1***@", address)
    return address + mark + re.sub(r"(?i)(password=)[^&]*", r"\1***", query)


def describe_url(url: str) -> str:
    """Return host, port and database of a URL, without user and password."""
    parts = urlsplit(url)
    host = parts.hostname or parse_qs(parts.query).get("host", ["localhost"])[0]
    return f"{host}:{parts.port or 5432}{parts.path}"
