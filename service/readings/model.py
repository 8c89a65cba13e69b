"""The two kinds of reading on the wire, and their decoders.

A good reading takes one pass of a prebuilt decoder. Only after a failure does `decode_errors` read the body again. SQL
checks the limits of the values (`telemetry.reject_*_reading`); here they only document the API.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeAlias, get_args

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from service.database.calls import INGEST_METER, INGEST_VEHICLE, IngestCall
from service.errors import Problem
from service.readings.decode_errors import explain, members, reject_duplicates
from service.readings.storable import storable_text, storable_time

ID_SCHEMA: dict[str, Any] = {"minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]*$"}
"""Limits of an id, for the OpenAPI document; SQL checks them."""
ID_DESCRIPTION = "1 to 64 characters of A-Z a-z 0-9 . _ : -, the first a letter or digit"

DeviceId = Annotated[str, Meta(description=ID_DESCRIPTION, extra_json_schema=ID_SCHEMA)]
Timestamp = Annotated[
    datetime, Meta(tz=True, description="the device's own time, ISO 8601 with an offset; the end of the interval")
]


def in_range(description: str, least: float, most: float) -> Meta:
    """Document a number with its range. SQL rejects values outside the range, by name."""
    return Meta(description=description, extra_json_schema={"minimum": least, "maximum": most})


class MeterReading(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """One reading of a smart meter."""

    meter_id: DeviceId
    kwh_consumed_ac: Annotated[float, in_range("AC energy drawn in the interval, kWh, 0 to 1e7", 0, 1e7)]
    voltage: Annotated[float, in_range("mains voltage, V, 0 to 1500; 0, or at least 1e-300", 0, 1500)]
    timestamp: Timestamp

    @property
    def device_id(self) -> str:
        """Id of the meter."""
        return self.meter_id

    def to_row(self, source: str | None) -> tuple[Any, ...]:
        """Return the reading as an `api.meter_reading`."""
        return (storable_text(self.meter_id), storable_time(self.timestamp), self.kwh_consumed_ac, self.voltage, source)


class VehicleReading(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """One reading of an electric vehicle."""

    vehicle_id: DeviceId
    soc: Annotated[float, in_range("state of charge, percent, 0 to 100", 0, 100)]
    kwh_delivered_dc: Annotated[float, in_range("DC energy delivered in the interval, kWh, 0 to 1e7", 0, 1e7)]
    battery_temp: Annotated[
        float, in_range("battery temperature, degrees Celsius, -60 to 120; 0, or at least 1e-300 from it", -60, 120)
    ]
    timestamp: Timestamp

    @property
    def device_id(self) -> str:
        """Id of the vehicle."""
        return self.vehicle_id

    def to_row(self, source: str | None) -> tuple[Any, ...]:
        """Return the reading as an `api.vehicle_reading`."""
        return (
            storable_text(self.vehicle_id),
            storable_time(self.timestamp),
            self.soc,
            self.kwh_delivered_dc,
            self.battery_temp,
            source,
        )


AnyReading: TypeAlias = MeterReading | VehicleReading


class Kind:
    """A kind of reading, with its decoders and the call that stores it.

    Attributes:
        name: as in `telemetry.rejected_reading.kind`.
        ingest: the call that stores rows and returns the outcome and detail of each, in input order.
        types: wire name of each field -> its annotated type.
    """

    def __init__(self, reading: type[AnyReading], ingest: IngestCall) -> None:
        fields = msgspec.structs.fields(reading)
        self.name = ingest.name
        self.ingest = ingest
        self.types = {field.encode_name: field.type for field in fields}
        self._decode = msgspec.json.Decoder(reading).decode
        self._decode_array = msgspec.json.Decoder(list[reading]).decode  # type: ignore[valid-type]
        self._decode_lines = msgspec.json.Decoder(reading).decode_lines
        # Two quotes a name, two more a string. A decoded body with another number repeats a name, or escapes a quote
        # within a string.
        self._quotes = sum(2 if get_args(field.type)[0] is float else 4 for field in fields)

    def decode(self, body: bytes) -> AnyReading:
        """Decode the reading in `body`.

        Raises:
            Problem: the body is not JSON, or not a reading of this kind; the detail names the first wrong field.
        """
        try:
            reading = self._decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise explain(body, self.name, self.types) from None
        if body.count(b'"') != self._quotes:
            reject_duplicates(body)
        return reading

    def decode_many(self, body: bytes, *, ndjson: bool) -> list[AnyReading] | None:
        """Decode a JSON array or NDJSON; None if a reading needs a closer look."""
        try:
            readings = self._decode_lines(body) if ndjson else self._decode_array(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if ndjson and body.strip().count(b"\n") + 1 != len(readings) > 0:
            return None  # several on a line, one on several lines, or empty lines
        # every reading has at least its quotes, so the sum holds only if each has exactly its own
        return readings if body.count(b'"') == self._quotes * len(readings) else None


METER = Kind(MeterReading, INGEST_METER)
VEHICLE = Kind(VehicleReading, INGEST_VEHICLE)
KINDS = {kind.name: kind for kind in (METER, VEHICLE)}


class _Ids(Struct, rename="camel"):
    """The ids of a reading, which tell its kind."""

    meter_id: Raw | UnsetType = UNSET
    vehicle_id: Raw | UnsetType = UNSET


_decode_ids = msgspec.json.Decoder(_Ids).decode


def claimed_device(body: bytes) -> tuple[str, str] | None:
    """Return the kind and id that a body claims, however invalid it is; None if it claims none or both."""
    try:
        ids = _decode_ids(body)
        if isinstance(ids.meter_id, Raw):
            named = ("meter", msgspec.json.decode(ids.meter_id, type=str))
            return named if ids.vehicle_id is UNSET else None
        if isinstance(ids.vehicle_id, Raw):
            return "vehicle", msgspec.json.decode(ids.vehicle_id, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return None


def decode_either(body: bytes) -> tuple[Kind, AnyReading]:
    """Decode the reading in `body`, and return its kind, too.

    Raises:
        Problem: as `kind_of` and `Kind.decode`.
    """
    likely = METER if b'"meterId":' in body else VEHICLE
    try:
        return likely, likely.decode(body)
    except Problem:
        kind = kind_of(body)
        if kind is likely:
            raise
        return kind, kind.decode(body)


def kind_of(body: bytes) -> Kind:
    """Return the kind of the reading in `body`, by its id.

    Raises:
        Problem: the body is not a JSON object, or has both ids or neither.
    """
    try:
        ids = _decode_ids(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        members(body)
        raise Problem("body_malformed", "the body is not valid JSON") from None
    if (ids.meter_id is UNSET) != (ids.vehicle_id is UNSET):
        return VEHICLE if ids.meter_id is UNSET else METER
    members(body)  # a reading rejected by its kind is valid JSON; so far only the ids were decoded
    raise Problem("kind_unknown", "a reading has either meterId or vehicleId, and not both")
