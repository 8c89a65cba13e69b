"""Problem codes and their HTTP status, and the errors that carry them. No framework is imported here."""

from __future__ import annotations

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
"""Outcome of a reading -> HTTP status of the request that carried it alone."""

PROBLEMS: dict[str, int] = {
    "body_malformed": 400,
    "batch_empty": 400,
    "http_invalid": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "alert_unknown": 404,
    "link_unknown": 404,
    "route_unknown": 404,
    "meter_unknown": 404,
    "vehicle_unknown": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "link_conflict": 409,
    "exchange_conflict": 409,
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
"""Problem of any other request -> its HTTP status."""

SQLSTATES: dict[str, str] = {
    "IE001": "vehicle_unknown",
    "IE002": "meter_unknown",
    "IE003": "window_invalid",
    "IE004": "parameter_invalid",
    "IE005": "link_conflict",
    "IE006": "link_unknown",
    "IE007": "exchange_conflict",
    "IE008": "alert_unknown",
    "22021": "parameter_invalid",  # a NUL, which PostgreSQL's text cannot hold
}
"""SQLSTATE raised by the functions of schema api -> problem code. Class IE is this project's own."""

RETRY_AFTER_S = 1
_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": str(RETRY_AFTER_S)}}


class StartupError(Exception):
    """An error that prevents the service or a command from starting.

    The message is one line, with the remedy.
    """


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or the name of its class where it has no message."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


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
