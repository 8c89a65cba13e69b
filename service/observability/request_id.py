"""The id of a request: the client's or made here; in its answer, and in every line that is logged meanwhile."""

from __future__ import annotations

import functools
import itertools
import re
import secrets
from contextvars import ContextVar

SERVICE = "energy-service"
"""`application_name` of the service's sessions, before the id of a request."""
MOST_NAME = 63
"""PostgreSQL's limit of a name."""
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered; empty outside of one."""

_PREFIX = secrets.token_hex(6)
_numbers = itertools.count(1)
# nothing that could break a log line or a header
_is_id = re.compile(rb"[A-Za-z0-9._:-]{1,64}").fullmatch


def request_id(given: bytes) -> bytes:
    """The id that the client gave, if it is one, else a new one."""
    return given if _is_id(given) else f"{_PREFIX}-{next(_numbers):x}".encode()


@functools.cache
def traced(query: str) -> str:
    """`query` with one parameter more, the `application_name` that the session has from just before it runs.

    So pg_stat_activity, `log_line_prefix` with %a and auto_explain name the request, without a round trip of their own:
    what needs none of the rows of a query is evaluated before any of them.
    """
    last = max(map(int, re.findall(r"\$(\d+)", query)), default=0)
    return (
        f"SELECT q.* FROM ({query}) AS q "  # noqa: S608 - a query of ours
        f"WHERE (SELECT pg_catalog.set_config('application_name', ${last + 1}::text, FALSE)) IS NOT NULL"
    )


def application_name(request: str, others: int = 0) -> str:
    """What a session is called while it works for this request and `others` more."""
    name = f"{SERVICE} {request}{f' +{others}' if others else ''}" if request else SERVICE
    return name[:MOST_NAME]
