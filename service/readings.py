"""The two kinds of reading on the wire: how they are decoded, and how a wrong one is explained.

A good reading takes one pass of a prebuilt decoder. Only when that fails is the body looked at again, field by field,
to say what is wrong with it. The limits of the values are not here: they stand in `telemetry.refuse_*_reading`.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, get_args

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from service.db import storable_text, storable_time
from service.errors import Problem

DeviceId = Annotated[str, Meta(description="1 to 64 characters of A-Z a-z 0-9 . _ : -, the first a letter or digit")]
Timestamp = Annotated[
    datetime, Meta(tz=True, description="the device's own time, ISO 8601 with an offset; the end of the interval")
]


class MeterReading(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """One reading of a smart meter."""

    meter_id: DeviceId
    kwh_consumed_ac: Annotated[float, Meta(description="AC energy drawn in the interval, kWh, 0 to 1e7")]
    voltage: Annotated[float, Meta(description="mains voltage, V, 0 to 1500")]
    timestamp: Timestamp

    def to_row(self, source: str | None) -> tuple[Any, ...]:
        """The reading as an `api.meter_reading`."""
        return (storable_text(self.meter_id), storable_time(self.timestamp), self.kwh_consumed_ac, self.voltage, source)


class VehicleReading(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """One reading of an electric vehicle."""

    vehicle_id: DeviceId
    soc: Annotated[float, Meta(description="state of charge, percent, 0 to 100")]
    kwh_delivered_dc: Annotated[float, Meta(description="DC energy delivered in the interval, kWh, 0 to 1e7")]
    battery_temp: Annotated[float, Meta(description="battery temperature, degrees Celsius, -60 to 120")]
    timestamp: Timestamp

    def to_row(self, source: str | None) -> tuple[Any, ...]:
        """The reading as an `api.vehicle_reading`."""
        return (
            storable_text(self.vehicle_id),
            storable_time(self.timestamp),
            self.soc,
            self.kwh_delivered_dc,
            self.battery_temp,
            source,
        )


class Stream:
    """One of the two kinds of reading, and the call that stores it.

    Attributes:
        name: as in `telemetry.rejected_reading.stream`.
        ingest: the query that takes an array of rows and answers outcome and detail of each, in input order.
        types: wire name of each field -> its annotated type.
    """

    def __init__(self, name: str, reading: type[MeterReading | VehicleReading], ingest: str) -> None:
        fields = msgspec.structs.fields(reading)
        self.name = name
        self.ingest = ingest
        self.types = {field.encode_name: field.type for field in fields}
        self._decode = msgspec.json.Decoder(reading).decode
        # Two quotes a name, two more a string: a body that decodes but has other than these says a name twice, or
        # escapes a quote within a string.
        self._quotes = sum(2 if get_args(field.type)[0] is float else 4 for field in fields)

    def decode(self, body: bytes) -> MeterReading | VehicleReading:
        """The reading in `body`.

        Raises:
            Problem: the body is not JSON, or not this kind of reading; names the first field that is wrong.
        """
        try:
            reading = self._decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._explain(body) from None
        if body.count(b'"') != self._quotes:
            _refuse_duplicates(body)
        return reading

    def _explain(self, body: bytes) -> Problem:
        """Why `body` is not this kind of reading."""
        fields = _fields(body)
        _refuse_duplicates(body)
        for name in self.types:
            if name not in fields:
                return Problem("field_missing", f"{name} is missing; a {self.name} reading has {', '.join(self.types)}")
        for name in fields:
            if name not in self.types:
                return Problem("field_unknown", f"{name[:64]!r} is not a field; these are: {', '.join(self.types)}")
        for name, type_ in self.types.items():
            if problem := _explain_value(name, type_, fields[name]):
                return problem
        return Problem("body_malformed", "the body is not valid JSON")


METER = Stream("meter", MeterReading, "SELECT outcome, detail FROM api.ingest_meter_readings($1::api.meter_reading[])")
VEHICLE = Stream(
    "vehicle", VehicleReading, "SELECT outcome, detail FROM api.ingest_vehicle_readings($1::api.vehicle_reading[])"
)


class _Ids(Struct, rename="camel"):
    """Just enough of a reading to tell its kind."""

    meter_id: Raw | UnsetType = UNSET
    vehicle_id: Raw | UnsetType = UNSET


_decode_ids = msgspec.json.Decoder(_Ids).decode


def stream_of(body: bytes) -> Stream:
    """The kind of the reading in `body`, by which id it has.

    Raises:
        Problem: the body is not a JSON object, or has both ids or neither.
    """
    try:
        ids = _decode_ids(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        _fields(body)
        raise Problem("body_malformed", "the body is not valid JSON") from None
    if (ids.meter_id is UNSET) != (ids.vehicle_id is UNSET):
        return VEHICLE if ids.meter_id is UNSET else METER
    raise Problem("kind_unknown", "a reading has either meterId or vehicleId, and not both")


def _fields(body: bytes) -> dict[str, Raw]:
    """The members of the JSON object `body`, undecoded."""
    if not body.strip():
        raise Problem("body_malformed", "the body is empty; send one reading as a JSON object")
    try:
        body.decode()
        msgspec.json.decode(body, type=Raw)  # is it JSON at all, to its end?
        return msgspec.json.decode(body, type=dict[str, Raw])
    except msgspec.ValidationError:
        raise Problem("field_type_invalid", f"a reading is a JSON object, not {_json_type(body)}") from None
    except RecursionError:
        raise Problem("body_malformed", "the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise Problem("body_malformed", "the body is not valid UTF-8") from None
    except msgspec.DecodeError as error:
        raise Problem("body_malformed", f"the body is not valid JSON: {error}") from None


def _refuse_duplicates(body: bytes) -> None:
    """Refuse a name that stands twice in the JSON object `body`: which of the two was meant?"""
    # numbers stay text, as they may be longer than Python converts
    try:
        pairs = json.loads(body, object_pairs_hook=list, parse_int=str, parse_float=str)
    except RecursionError:
        raise Problem("body_malformed", "the body is nested too deeply") from None
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise Problem("field_duplicate", f"{name[:64]!r} is there more than once")


def _explain_value(name: str, type_: Any, raw: Raw) -> Problem | None:
    """What is wrong with one value, if anything."""
    try:
        msgspec.json.decode(raw, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = _json_type(bytes(raw))
    else:
        return None
    if type_ == Timestamp:
        shown = bytes(raw)[:64].decode(errors="replace")
        return Problem(
            "timestamp_invalid", f"{name} must be an ISO 8601 time with an offset, as 2026-02-08T18:00:00Z, not {shown}"
        )
    if type_ == DeviceId:
        return Problem("field_type_invalid", f"{name} must be a string, not {found}")
    if found == "a number":
        return Problem("value_out_of_range", f"{name} is a number too large to be stored")
    return Problem("field_type_invalid", f"{name} must be a number, not {found}")


def _json_type(text: bytes) -> str:
    """What kind of JSON value `text` begins."""
    names = {b"{": "an object", b"[": "an array", b'"': "a string", b"t": "a boolean", b"f": "a boolean", b"n": "null"}
    return names.get(text.lstrip()[:1], "a number")
