"""Decoding of a body with one reading: the reading with its kind, or a rejection."""

from __future__ import annotations

import contextlib
from collections.abc import Container
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from service.errors import Problem
from service.readings.decode_errors import UNDECODABLE, members, only_finite
from service.readings.model import METER, VEHICLE, AnyReading, Kind
from service.readings.storable import storable_text

KEPT_CHARACTERS = 8192
"""So much of a rejected reading is kept, by `telemetry.keep_rejected_readings`."""


class _Ids(Struct, rename="camel"):
    """Just enough of a reading to tell its kind."""

    meter_id: Raw | UnsetType = UNSET
    vehicle_id: Raw | UnsetType = UNSET


_decode_ids = msgspec.json.Decoder(_Ids).decode


class Rejection(Struct, frozen=True):
    """A body that is not a reading.

    Attributes:
        kind: the name of its kind, or `unknown`.
        code: from `OUTCOMES`, or `body_malformed` for a body that is not JSON.
        detail: for people; names the field and the limit.
        text: the body as it came.
    """

    kind: str
    code: str
    detail: str
    text: str

    @property
    def device(self) -> tuple[str, str] | None:
        """The kind and the id that the body names, or its part that is kept; None where it names none, or two."""
        for text in (self.text, self.text[:KEPT_CHARACTERS]):
            with contextlib.suppress(*UNDECODABLE):
                match _decode_ids(only_finite(text.encode())):
                    case _Ids(Raw() as raw, UnsetType()):
                        return "meter", msgspec.json.decode(raw, type=str)
                    case _Ids(UnsetType(), Raw() as raw):
                        return "vehicle", msgspec.json.decode(raw, type=str)
        return None

    def to_row(self, source: str | None) -> tuple[Any, ...]:
        """The rejection as an `api.rejected_reading`."""
        return (self.kind, self.code, self.detail, self.text, source)


Decoded: TypeAlias = tuple[Kind, AnyReading] | Rejection


def decode_reading(body: bytes, kind: Kind | None, dropped: Container[str] = ()) -> Decoded:
    """The reading in `body`, of `kind` or (None) of the kind that its id tells, without its fields in `dropped`."""
    likely = kind or (METER if b'"meterId":' in body else VEHICLE)
    try:
        return likely, likely.decode(body, dropped)
    except Problem as problem:
        fault = problem
    if kind is None:
        try:
            kind = _kind_of(body)
        except Problem as problem:
            return _reject(body, "unknown", problem)
        if kind is not likely:
            return decode_reading(body, kind, dropped)
    return _reject(body, kind.name, fault)


def _kind_of(body: bytes) -> Kind:
    """The kind of the reading in `body`, by its id.

    Raises:
        Problem: the body is not a JSON object, or has both ids or neither.
    """
    body = only_finite(body)
    try:
        match _decode_ids(body):
            case _Ids(Raw(), UnsetType()):
                return METER
            case _Ids(UnsetType(), Raw()):
                return VEHICLE
    except UNDECODABLE:
        members(body)
        raise Problem("body_malformed", "the body is not valid JSON") from None
    members(body)  # only the ids were looked at so far, and the rest may not be JSON
    raise Problem("kind_unknown", "a reading has either meterId or vehicleId, and not both")


def _reject(body: bytes, kind: str, problem: Problem) -> Rejection:
    return Rejection(kind, problem.code, problem.detail, storable_text(body.decode(errors="replace")))
