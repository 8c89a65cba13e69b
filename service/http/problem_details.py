"""RFC 9457 problem details: every error leaves the service as `application/problem+json`."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from types import NoneType
from typing import Any, Literal

import asyncpg
import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, InternalServerException, ValidationException
from litestar.types import ExceptionHandlersMap

from service.database.failures import describe_error, is_retryable
from service.errors import SQLSTATES, Problem
from service.observability.logs import REPEATED
from service.observability.request_id import REQUEST_ID

logger = logging.getLogger(__name__)

PROBLEM_MEDIA_TYPE = "application/problem+json"

_FORMS = {bool: "true or false", int: "a whole number", float: "a number"}
"""Type of a query parameter -> its form."""
_HTTP_CODES = {404: "route_unknown", 405: "method_not_allowed", 413: "body_too_large"}


def to_response(problem: Problem) -> Response[bytes]:
    """Render a problem as an `application/problem+json` answer."""
    body = ProblemDetails(
        title=problem.code.replace("_", " "),
        status=problem.status,
        code=problem.code,
        detail=problem.detail,
        request_id=REQUEST_ID.get(),
    )
    return Response(
        msgspec.json.encode(body), status_code=problem.status, headers=problem.headers, media_type=PROBLEM_MEDIA_TYPE
    )


class ProblemDetails(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """RFC 9457 problem details. `code` is stable, `detail` is for people, `requestId` is in the log, too."""

    title: str
    status: int
    code: str
    detail: str
    request_id: str


def exception_handlers(max_body_bytes: int) -> ExceptionHandlersMap:
    """Return Litestar's exception handlers: every error leaves as problem details."""

    def answer(translate: Callable[[Any], Problem]) -> Callable[[Request[Any, Any, Any], Any], Response[bytes]]:
        return lambda request, error: to_response(translate(error))

    return {
        Problem: answer(lambda problem: problem),
        ValidationException: lambda request, error: to_response(from_invalid_parameters(request, error)),
        HTTPException: answer(lambda error: from_http_exception(error, max_body_bytes)),
        Exception: answer(from_exception),
    }


def from_invalid_parameters(request: Request[Any, Any, Any], error: ValidationException) -> Problem:
    """Translate parameters of a wrong form: the detail has their names on the wire, and what they may be."""
    signature = request.route_handler.parsed_fn_signature.parameters
    details = []
    for item in error.extra if isinstance(error.extra, list) else []:
        field = signature[item["key"]]
        name = getattr(field.kwarg_definition, "name", None) or field.name
        [type_] = (
            [each for each in field.inner_types if each.annotation is not NoneType] if field.is_optional else [field]
        )
        allowed = f"one of {', '.join(type_.args)}" if type_.origin is Literal else _FORMS[type_.annotation]
        details.append(f"{name} must be {allowed}, not {request.query_params[name][:64]!r}")
    return Problem("parameter_invalid", "; ".join(details) or error.detail)


def from_http_exception(error: HTTPException, max_body_bytes: int) -> Problem:
    """Translate an error that Litestar raised itself."""
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


def from_exception(error: Exception) -> Problem:
    """Translate any other error: a domain error of SQL, an absent database, or a bug."""
    if isinstance(error, asyncpg.PostgresError):
        sqlstate = getattr(error, "sqlstate", None) or ""
        if code := SQLSTATES.get(sqlstate):
            return Problem(code, str(error.args[0]))
    if is_retryable(error):
        REPEATED.log(logger, logging.WARNING, "the database is away or refuses", error=describe_error(error))
        return Problem("database_unavailable", "the database cannot answer now, please retry")
    # not exc_info: database errors quote values
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("unexpected error", extra={"error": describe_error(error), "traceback": frames})
    return Problem("internal_error", "an unexpected error; it has been logged")
