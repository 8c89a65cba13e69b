"""/v1/alerts: faults of devices, open and closed, and their acknowledgement."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter
from msgspec import Meta, Struct

from service.alerting.alertmanager import RULE_KINDS
from service.alerting.model import Alert, alert_of
from service.database.calls import ACKNOWLEDGE_ALERT, GET_ALERT, LIST_ALERTS
from service.database.pool import Database
from service.errors import Problem
from service.http.middleware import key_of, may
from service.http.openapi import problems, reads
from service.http.pages import FormatChoice, answer_page, page_operation, page_spec
from service.http.parameters import Cursor, Limit, check_limit, decode_cursor, encode_cursor, schema
from service.http.request_body import read_json
from service.readings.model import KINDS
from service.readings.storable import storable_text

State: TypeAlias = Literal["open", "closed", "all"]
MOST_ID = 2**63 - 1
_Position: TypeAlias = tuple[Annotated[int, Meta(ge=1, le=MOST_ID)]]


def _filter(name: str, description: str, *values: str) -> Any:
    only = {"enum": list(values)} if values else {}
    return QueryParameter(name=name, description=description, schema_extra=schema("string", **only))


AlertId = Annotated[
    str,
    PathParameter(description="number of an alert", schema_extra={"type": "integer", "minimum": 1, "maximum": MOST_ID}),
]


class Alerts(Struct, rename="camel", frozen=True):
    """A page of alerts, newest first, and the cursor of the next one.

    `mayAcknowledge` says if the API key of this request may acknowledge alerts.
    """

    items: list[Alert]
    next: str | None
    may_acknowledge: bool


class Acknowledgement(Struct, forbid_unknown_fields=True, frozen=True):
    """A note to an alert, at most 1024 characters."""

    note: Annotated[str, Meta(max_length=1024)] | None = None


@get(
    "/v1/alerts",
    operation_class=page_operation(),
    responses={200: page_spec(Alerts), **problems(400, 422, 503)},
    tags=["alerts"],
    summary="Alerts",
)
async def list_alerts(  # noqa: PLR0913, PLR0917
    request: Request[Any, Any, Any],
    database: NamedDependency[Database],
    alert_state: Annotated[State, QueryParameter(name="state", description="open, closed, or all")] = "open",
    kind: Annotated[str | None, _filter("kind", "only devices of this kind", *KINDS)] = None,
    device_id: Annotated[str | None, _filter("deviceId", "only those of this device")] = None,
    rule_kind: Annotated[str | None, _filter("ruleKind", "only this fault", *RULE_KINDS)] = None,
    severity: Annotated[str | None, _filter("severity", "only this severity", "info", "warning", "critical")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
    format: FormatChoice = None,  # noqa: A002
) -> Response[Any]:
    """List the alerts, newest first: the open ones, unless `state` says otherwise.

    NDJSON and CSV name the next page in the header `Link`.
    """
    filters = [text and storable_text(text) for text in (kind, device_id, rule_kind, severity)]
    after = decode_cursor(cursor, _Position)[0] if cursor is not None else None
    # one more than asked for, to see if there is a next page; SQL's limit is that of a page
    rows = await database.read_rows(LIST_ALERTS, alert_state, *filters, after, check_limit(limit) + 1)
    following = encode_cursor(rows[limit - 1]["id"]) if len(rows) > limit else None
    key = key_of(request.scope)
    may_acknowledge = key is None or may(key.scope, "POST", request.scope["path"])
    page = Alerts([alert_of(row) for row in rows[:limit]], following, may_acknowledge)
    return await answer_page(request, page, Alert, format)


@get("/v1/alerts/{alert_id:str}", responses=problems(400, 404, 422, 503), tags=["alerts"], summary="An alert")
async def get_alert(alert_id: AlertId, database: NamedDependency[Database]) -> Alert:
    """Return an alert by its number."""
    # from the primary: an alert that somebody was told of is there
    [row] = await database.read_primary_rows(GET_ALERT, _number(alert_id))
    return alert_of(row)


@post(
    "/v1/alerts/{alert_id:str}/acknowledge",
    status_code=200,
    operation_class=reads(Acknowledgement),
    responses=problems(400, 404, 413, 415, 422, 503),
    response_description="acknowledged, now or before",
    tags=["alerts"],
    summary="Acknowledge an alert",
)
async def post_acknowledgement(
    alert_id: AlertId, request: Request[Any, Any, Any], database: NamedDependency[Database]
) -> Alert:
    """Record that somebody looks after an alert; the first acknowledgement stays. Safe to retry.

    `acknowledgedBy` is the id of the API key, or the network address where keys are off.
    """
    said = await read_json(request, Acknowledgement, request.app.state.settings.max_body_bytes)
    key, client = key_of(request.scope), request.scope["client"]
    by = key.key_id if key else client[0] if client else "unknown"
    [row] = await database.write_rows(ACKNOWLEDGE_ALERT, _number(alert_id), by, said.note and storable_text(said.note))
    return alert_of(row)


def _number(text: str) -> int:
    """Return the number of an alert.

    Raises:
        Problem: no alert can have it.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= MOST_ID):
        raise Problem("alert_unknown", f"there is no alert {text[:64]!r}")
    return int(text)
