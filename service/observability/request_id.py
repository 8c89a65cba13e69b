"""Request ids: given by the client or made here, and part of the answer and of every log line."""

from __future__ import annotations

import functools
import itertools
import re
import secrets
from contextvars import ContextVar

SERVICE = "energy-service"
"""`application_name` of the service's sessions, before the request id."""
MOST_NAME = 63
"""PostgreSQL's limit for a name, bytes."""
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the current request; empty outside of one."""

_PREFIX = secrets.token_hex(6)
_numbers = itertools.count(1)
# no characters that break a log line or a header
_is_id = re.compile(rb"[A-Za-z0-9._:-]{1,64}").fullmatch


def request_id(given: bytes) -> bytes:
    """Return the client's id if it is valid, else a new one."""
    return given if _is_id(given) else f"{_PREFIX}-{next(_numbers):x}".encode()


@functools.cache
def traced(query: str) -> str:
    """Add a last parameter to `query`: the `application_name` of the session, set just before the query runs.

    So pg_stat_activity, `log_line_prefix` with %a and auto_explain name the request without another round trip.
    PostgreSQL evaluates a condition that needs no row before it reads any.
    """
    last = max(map(int, re.findall(r"\$(\d+)", query)), default=0)
    return (
        f"SELECT q.* FROM ({query}) AS q "  # noqa: S608 - a query of ours
        f"WHERE (SELECT pg_catalog.set_config('application_name', ${last + 1}::text, FALSE)) IS NOT NULL"
    )


def application_name(request: str, others: int = 0) -> str:
    """Return the session's name for this request and `others` more."""
    name = f"{SERVICE} {request}{f' +{others}' if others else ''}" if request else SERVICE
    return name[:MOST_NAME]
