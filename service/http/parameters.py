"""Shared request parameters: device id, time window, pagination."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar.params import PathParameter, QueryParameter

from service.errors import Problem
from service.readings.model import ID_DESCRIPTION, ID_SCHEMA
from service.readings.storable import storable_time
from service.readings.times import read_time

MOST_ITEMS = 10_000


def schema(type_: str | list[str], **more: Any) -> dict[str, Any]:
    """Return the OpenAPI schema of an optional query parameter, which is never null."""
    return {"one_of": None, "type": type_, **more}


PathId = Annotated[str, PathParameter(description=ID_DESCRIPTION, schema_extra=ID_SCHEMA)]
Time = Annotated[
    str | None,
    QueryParameter(
        description="ISO 8601 time with an offset, as 2026-02-08T18:01:00Z",
        schema_extra=schema("string", format="date-time"),
    ),
]
Hours = Annotated[
    float | None,
    QueryParameter(
        description="length of the window, hours (24 if neither start nor hours is given)",
        schema_extra=schema(["number", "null"], minimum=1 / 60, maximum=731 * 24),  # null: not given
    ),
]
Cursor = Annotated[str | None, QueryParameter(description="`next` of the page before", schema_extra=schema("string"))]
Limit = Annotated[
    int,
    QueryParameter(
        description="most items of a page, 1 to 10,000", schema_extra=schema("integer", minimum=1, maximum=MOST_ITEMS)
    ),
]


def parse_time(name: str, text: str | None) -> datetime | None:
    """Parse the query parameter `name` as a time; a `+` that was decoded to a space is restored.

    Raises:
        Problem: it is not an ISO 8601 time with an offset.
    """
    return parse_body_time(name, text and re.sub(r" (?=\d\d(:?\d\d)?$)", "+", text))


def parse_body_time(name: str, text: str | None) -> datetime | None:
    """Parse the field `name` of a body as a time.

    Raises:
        Problem: it is not an ISO 8601 time with an offset.
    """
    if text is None:
        return None
    if (time := read_time(text)) is None or time.tzinfo is None:
        raise Problem(
            "parameter_invalid",
            f"{name} must be an ISO 8601 time with an offset, as 2026-02-08T18:01:00Z, not {text[:64]!r}",
        )
    return storable_time(time)


def check_limit(limit: int) -> int:
    """Return the page size, if it is within its limits.

    Raises:
        Problem: it is out of range.
    """
    if not 1 <= limit <= MOST_ITEMS:
        raise Problem("parameter_invalid", f"limit must be from 1 to {MOST_ITEMS}, not {limit}")
    return limit


def encode_cursor(*position: Any) -> str:
    """Encode the end of a page as an opaque cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def decode_cursor(text: str, type_: Any) -> Any:
    """Decode a cursor of `encode_cursor` as `type_`.

    Raises:
        Problem: it is not a cursor of this route.
    """
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=type_)
    except (ValueError, msgspec.MsgspecError):
        raise Problem("parameter_invalid", "cursor must be the `next` of a page of this route") from None
