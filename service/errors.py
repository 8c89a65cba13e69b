"""Everything that can go wrong on the wire: one table of codes, and how exceptions become RFC 9457 problem details."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

import asyncpg
import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, InternalServerException, ValidationException
from litestar.types import ExceptionHandlersMap

from service.observability.logs import REPEATED
from service.observability.request_id import REQUEST_ID

logger = logging.getLogger(__name__)

PROBLEM_MEDIA_TYPE = "application/problem+json"

OUTCOMES: dict[str, int] = {
    "stored": 201,
    "duplicate": 200,
    "conflict": 409,
    "id_invalid": 422,
    "value_out_of_range": 422,
    "value_not_finite": 422,
    "timestamp_in_future": 422,
    "timestamp_too_old": 422,
    "field_missing": 422,
    "field_unknown": 422,
    "field_duplicate": 422,
    "field_type_invalid": 422,
    "timestamp_invalid": 422,
    "kind_unknown": 422,
    "implausible_energy": 422,
    "item_malformed": 422,
    "device_forbidden": 403,
}
"""What can become of a reading -> the status of the request that brought it alone."""

PROBLEMS: dict[str, int] = {
    "body_malformed": 400,
    "batch_empty": 400,
    "http_invalid": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "link_unknown": 404,
    "route_unknown": 404,
    "meter_unknown": 404,
    "vehicle_unknown": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "link_conflict": 409,
    "batch_too_large": 413,
    "body_too_large": 413,
    "media_type_unsupported": 415,
    "parameter_invalid": 422,
    "window_invalid": 422,
    "too_many_requests": 429,
    "headers_too_long": 431,
    "internal_error": 500,
    "database_unavailable": 503,
    "overloaded": 503,
    "schema_behind": 503,
}
"""What can become of any other request -> its status."""

SQLSTATES: dict[str, str] = {
    "IE001": "vehicle_unknown",
    "IE002": "meter_unknown",
    "IE003": "window_invalid",
    "IE004": "parameter_invalid",
    "IE005": "link_conflict",
    "IE006": "link_unknown",
    "22021": "parameter_invalid",  # a NUL, which PostgreSQL's text cannot hold
}
"""SQLSTATE raised by the functions of schema api -> code. Class IE is ours."""

_RETRYABLE_CLASSES = ("08", "25", "3D", "3F", "40", "53", "55", "57")
"""SQLSTATE classes that a retry may cure: connection, read-only replica or failover, no such database or schema (a
restore under way), serialization, resources, locks, operator intervention."""

_HTTP_CODES = {404: "route_unknown", 405: "method_not_allowed", 413: "body_too_large"}

RETRY_AFTER_S = 1
_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": str(RETRY_AFTER_S)}}


class StartupError(Exception):
    """The service or a command cannot start; the message is one line that says what to do."""


class Problem(Exception):  # noqa: N818 - the word RFC 9457 uses
    """A request that cannot be answered as asked.

    Attributes:
        code: stable, from `OUTCOMES` or `PROBLEMS`.
        detail: for people; names the field and the limit.
    """

    def __init__(self, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.status = OUTCOMES[code] if code in OUTCOMES else PROBLEMS[code]
        self.headers = headers or _HEADERS.get(self.status, {})

    def to_response(self) -> Response[bytes]:
        """The problem as an answer, `application/problem+json`."""
        body = ProblemDetails(
            title=self.code.replace("_", " "),
            status=self.status,
            code=self.code,
            detail=self.detail,
            request_id=REQUEST_ID.get(),
        )
        return Response(
            msgspec.json.encode(body), status_code=self.status, headers=self.headers, media_type=PROBLEM_MEDIA_TYPE
        )


class ProblemDetails(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """RFC 9457 problem details; `code` is stable, `detail` is for people, `requestId` stands in the log too."""

    title: str
    status: int
    code: str
    detail: str
    request_id: str


def exception_handlers(max_body_bytes: int) -> ExceptionHandlersMap:
    """Litestar's exception handlers: every error leaves as problem details."""

    def answer(translate: Callable[[Any], Problem]) -> Callable[[Request[Any, Any, Any], Any], Response[bytes]]:
        return lambda request, error: translate(error).to_response()

    return {
        Problem: answer(lambda problem: problem),
        HTTPException: answer(lambda error: from_http_exception(error, max_body_bytes)),
        Exception: answer(from_exception),
    }


def from_http_exception(error: HTTPException, max_body_bytes: int) -> Problem:
    """The problem behind an error that Litestar raised itself."""
    if isinstance(error, ValidationException):
        wrong = error.extra if isinstance(error.extra, list) else []
        detail = "; ".join(f"{item.get('key')}: {item.get('message')}" for item in wrong if isinstance(item, dict))
        return Problem("parameter_invalid", detail or error.detail)
    code = _HTTP_CODES.get(error.status_code)
    if code == "body_too_large":
        return Problem(code, f"the body is longer than {max_body_bytes} bytes (ENERGY_MAX_BODY_BYTES)")
    if code:
        return Problem(code, error.detail or "there is no such resource", dict(error.headers or {}))
    if type(error) is InternalServerException and error.detail == "client disconnected prematurely":
        return Problem("http_invalid", error.detail)
    if error.status_code < 500:
        return Problem("http_invalid", error.detail)
    return from_exception(error)


def is_retryable(error: Exception) -> bool:
    """Whether what the database answered, or its silence, may be cured by asking again."""
    if isinstance(error, asyncpg.PostgresError):
        return (getattr(error, "sqlstate", None) or "")[:2] in _RETRYABLE_CLASSES
    # InternalClientError: asyncpg's own word for a connection that broke at an unlucky moment
    return isinstance(error, OSError | TimeoutError | asyncpg.InterfaceError | asyncpg.InternalClientError)


def describe_error(error: Exception) -> str:
    """The kind of an error, for a log: without what it says of values, which are somebody's."""
    kind = type(error).__name__
    if not isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        return f"{kind}: {error}"[:200] if str(error) else kind
    sqlstate = getattr(error, "sqlstate", None) or ""
    # the server's own log has the rest, under the name that the session has from the id of the request
    return f"{kind} {sqlstate}: {error.args[0]}"[:200] if is_retryable(error) and error.args else f"{kind} {sqlstate}"


def from_exception(error: Exception) -> Problem:
    """The problem behind any other error: what the database said, its absence, or a bug."""
    if isinstance(error, asyncpg.PostgresError):
        sqlstate = getattr(error, "sqlstate", None) or ""
        if code := SQLSTATES.get(sqlstate):
            return Problem(code, str(error.args[0]))
    if is_retryable(error):
        REPEATED.log(logger, logging.WARNING, "the database is away or refuses", error=describe_error(error))
        return Problem("database_unavailable", "the database cannot answer now, please retry")
    # not exc_info: what the database says of values has the values in it
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("unexpected error", extra={"error": describe_error(error), "traceback": frames})
    return Problem("internal_error", "an unexpected error; it has been logged")
