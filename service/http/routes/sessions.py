"""GET /v1/sessions and /v1/sessions/{vehicleId}: charging sessions, computed in SQL."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from service.database.calls import LIST_SESSIONS, LIST_VEHICLE_SESSIONS
from service.database.pool import Database
from service.errors import Problem
from service.http.openapi import problems
from service.http.pages import Format, FormatChoice, answer_page, page_operation, page_spec
from service.http.parameters import (
    Cursor,
    Hours,
    Limit,
    PathId,
    Time,
    check_limit,
    decode_cursor,
    encode_cursor,
    parse_time,
    schema,
)
from service.readings.model import ID_DESCRIPTION, ID_SCHEMA
from service.readings.storable import storable_text, storable_time

Status: TypeAlias = Literal["normal", "low", "impossible", "unknown"]


class Session(Struct, rename="camel", frozen=True):
    """A charging session, after `startedAt`, up to and including `endedAt`: kWh, kW, %, degrees Celsius, seconds.

    `sessionId` stays while it grows. `meterId` is the meter of its first AC reading. A side or a measure without
    readings is null. `kwhLost`, `efficiencyRatio` and `efficiencyStatus` are as in a vehicle's performance. They are
    unknown if intervals of a slower meter lie across the start or the end. `isComplete`: at most one expected reading
    of each side is missing. `isOpen`: it may still grow. With `withCost`, `cost` (in `currency`) and `co2Kg` are
    those of its AC energy. They are null without a price or a grid intensity; the cost also with several currencies.
    """

    session_id: UUID
    vehicle_id: str
    meter_id: str | None
    started_at: datetime
    ended_at: datetime
    duration_s: float
    kwh_delivered_dc: float
    kwh_consumed_ac: float | None
    kwh_lost: float | None
    efficiency_ratio: float | None
    efficiency_status: str
    soc_start: float | None
    soc_end: float | None
    battery_temp_avg: float | None
    battery_temp_max: float | None
    mean_kw: float
    peak_kw: float
    readings: int
    meter_readings: int
    is_complete: bool
    is_open: bool
    currency: str | None
    cost: float | None
    co2_kg: float | None


class Sessions(Struct, frozen=True):
    """A page of sessions, in order of start and vehicle, and the cursor of the next one."""

    items: list[Session]
    next: str | None


MOST_WITH_COST = 1000
"""Most sessions of a page with their cost: each is computed when it is asked for, and a statement ends after 10 s."""
WithCost = Annotated[
    bool,
    QueryParameter(
        name="withCost",
        description=f"true: with the cost and CO2 of each session; then a page has at most {MOST_WITH_COST:,}",
        schema_extra=schema("boolean"),
    ),
]
_Aware = Annotated[datetime, Meta(tz=True)]
_POSITION = tuple[_Aware, _Aware, _Aware, str]
"""Content of a cursor: window, and the start and vehicle of the last session of the page."""


class _Page:
    """The window and the position that the parameters of a request name, and the rows asked for."""

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        start: str | None,
        end: str | None,
        hours: float | None,
        cursor: str | None,
        limit: int,
        with_cost: bool,
    ) -> None:
        self.window: tuple[Any, ...] = (parse_time("start", start), parse_time("end", end), hours)
        self.after: tuple[Any, Any] = (None, None)
        if cursor is not None:
            *times, vehicle = decode_cursor(cursor, _POSITION)
            begin, until, after = map(storable_time, times)
            self.window, self.after = (begin, until, None), (after, storable_text(vehicle))
        self._limit = check_limit(limit)
        if with_cost and limit > MOST_WITH_COST:
            raise Problem("parameter_invalid", f"with withCost, limit must be from 1 to {MOST_WITH_COST}, not {limit}")
        self.size = limit + 1  # one more than asked for, to see if there is a next page

    async def answer(self, request: Request[Any, Any, Any], rows: list[Any], chosen: Format | None) -> Response[Any]:
        items = [Session(*list(row.values())[:-2]) for row in rows[: self._limit]]
        following = None
        if len(rows) > self._limit:
            window = (rows[0]["window_start"], rows[0]["window_end"])
            following = encode_cursor(*window, items[-1].started_at, items[-1].vehicle_id)
        return await answer_page(request, Sessions(items, following), Session, chosen)


def _id_filter(kind: str) -> Any:
    return QueryParameter(
        name=f"{kind}Id",
        description=f"of this {kind} only: {ID_DESCRIPTION}",
        schema_extra=schema("string", **ID_SCHEMA),
    )


@get(
    "/v1/sessions",
    operation_class=page_operation(),
    responses={200: page_spec(Sessions), **problems(400, 422, 503)},
    tags=["sessions"],
    summary="Charging sessions of the fleet",
)
async def list_sessions(  # noqa: PLR0913, PLR0917
    request: Request[Any, Any, Any],
    database: NamedDependency[Database],
    vehicle_id: Annotated[str | None, _id_filter("vehicle")] = None,
    meter_id: Annotated[str | None, _id_filter("meter")] = None,
    status: Annotated[
        Status | None,
        QueryParameter(
            description="of this efficiency only",
            schema_extra=schema("string", enum=["normal", "low", "impossible", "unknown"]),
        ),
    ] = None,
    is_open: Annotated[
        bool | None,
        QueryParameter(
            name="isOpen", description="true: that may still grow; false: that may not", schema_extra=schema("boolean")
        ),
    ] = None,
    start: Time = None,
    end: Time = None,
    hours: Hours = None,
    with_cost: WithCost = False,
    cursor: Cursor = None,
    limit: Limit = 1000,
    format: FormatChoice = None,  # noqa: A002
) -> Response[Any]:
    """The sessions that began in the last 24 hours or the window given, a page at a time.

    The pages after the first keep its window, and are asked for with the same filters. NDJSON and CSV name the next
    page in the header `Link`.
    """
    page = _Page(start, end, hours, cursor, limit, with_cost)
    vehicle, meter = (None if id_ is None else storable_text(id_) for id_ in (vehicle_id, meter_id))
    rows = await database.read_rows(
        LIST_SESSIONS, vehicle, *page.window, meter, status, is_open, *page.after, page.size, with_cost
    )
    return await page.answer(request, rows, format)


@get(
    "/v1/sessions/{vehicle_id:str}",
    operation_class=page_operation(),
    responses={200: page_spec(Sessions), **problems(400, 404, 422, 503)},
    tags=["sessions"],
    summary="Charging sessions of a vehicle",
)
async def list_vehicle_sessions(  # noqa: PLR0913, PLR0917
    vehicle_id: PathId,
    request: Request[Any, Any, Any],
    database: NamedDependency[Database],
    start: Time = None,
    end: Time = None,
    hours: Hours = None,
    with_cost: WithCost = False,
    cursor: Cursor = None,
    limit: Limit = 1000,
    format: FormatChoice = None,  # noqa: A002
) -> Response[Any]:
    """The vehicle's sessions that began in the last 24 hours or the window given, a page at a time.

    The pages after the first keep its window. NDJSON and CSV name the next page in the header `Link`.
    """
    page = _Page(start, end, hours, cursor, limit, with_cost)
    rows = await database.read_rows(
        LIST_VEHICLE_SESSIONS, vehicle_id, *page.window, page.after[0], page.size, with_cost
    )
    return await page.answer(request, rows, format)
