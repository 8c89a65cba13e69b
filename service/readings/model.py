"""The two kinds of reading on the wire, with their decoders.

A good reading takes one pass of a prebuilt decoder. Where that fails, `decode_errors` reads the fields one by one.
The limits of the values are judged in `telemetry.reject_*_reading` and `telemetry.ignore_*`; here they are only told to
the OpenAPI document. Measures are optional: absent (`UNSET`) and null both mean that nothing was measured.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from typing import Annotated, Any, TypeAlias, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from service.database.calls import INGEST_METER, INGEST_VEHICLE, IngestCall
from service.readings.decode_errors import UNDECODABLE, decode_fields, reject_duplicates
from service.readings.storable import storable_text, storable_time

ID_SCHEMA: dict[str, Any] = {"minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]*$"}
"""For the OpenAPI document: there it is said, and in SQL it is judged."""
ID_DESCRIPTION = "1 to 64 characters of A-Z a-z 0-9 . _ : -, the first a letter or digit"

DeviceId = Annotated[str, Meta(description=ID_DESCRIPTION, extra_json_schema=ID_SCHEMA)]
Timestamp = Annotated[
    datetime, Meta(tz=True, description="the device's own time, ISO 8601 with an offset; the end of the interval")
]

# no range for the OpenAPI document: a reading with a measure outside it is stored
Voltage = Annotated[float, Meta(description="mains voltage, V; ignored outside 0 to 1500")]
Soc = Annotated[float, Meta(description="state of charge, percent; ignored outside 0 to 100")]
BatteryTemp = Annotated[float, Meta(description="battery temperature, degrees Celsius; ignored outside -60 to 120")]


def in_range(description: str, least: float, most: float) -> Meta:
    """A number's description, and its range for the OpenAPI document: what lies outside is rejected in SQL, by name."""
    return Meta(description=description, extra_json_schema={"minimum": least, "maximum": most})


class MeterReading(Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One reading of a smart meter."""

    meter_id: DeviceId
    kwh_consumed_ac: Annotated[float, in_range("AC energy drawn in the interval, kWh, 0 to 1e7", 0, 1e7)]
    voltage: Voltage | UnsetType | None = UNSET
    timestamp: Timestamp

    @property
    def device_id(self) -> str:
        """The device's id."""
        return self.meter_id

    @property
    def absent(self) -> int:
        """The number of its fields that are absent."""
        return self.voltage is UNSET

    def to_row(self, source: str | None) -> tuple[Any, ...]:
        """The reading as an `api.meter_reading`."""
        return (
            storable_text(self.meter_id),
            storable_time(self.timestamp),
            self.kwh_consumed_ac,
            None if self.voltage is UNSET else self.voltage,
            source,
        )


class VehicleReading(Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One reading of an electric vehicle."""

    vehicle_id: DeviceId
    soc: Soc | UnsetType | None = UNSET
    kwh_delivered_dc: Annotated[float, in_range("DC energy delivered in the interval, kWh, 0 to 1e7", 0, 1e7)]
    battery_temp: BatteryTemp | UnsetType | None = UNSET
    timestamp: Timestamp

    @property
    def device_id(self) -> str:
        """The device's id."""
        return self.vehicle_id

    @property
    def absent(self) -> int:
        """The number of its fields that are absent."""
        return (self.soc is UNSET) + (self.battery_temp is UNSET)

    def to_row(self, source: str | None) -> tuple[Any, ...]:
        """The reading as an `api.vehicle_reading`."""
        return (
            storable_text(self.vehicle_id),
            storable_time(self.timestamp),
            None if self.soc is UNSET else self.soc,
            self.kwh_delivered_dc,
            None if self.battery_temp is UNSET else self.battery_temp,
            source,
        )


AnyReading: TypeAlias = MeterReading | VehicleReading


class Kind:
    """One of the two kinds of reading, and the call that stores it.

    Attributes:
        name: as in `telemetry.rejected_reading.kind`.
        reading: the struct of its readings.
        ingest: the call that stores rows and answers outcome and detail of each, in input order.
        types: wire name of each field -> its annotated type; of a measure, that of its number.
        optional: wire names of the measures: they may be absent or null.
    """

    def __init__(self, reading: type[AnyReading], ingest: IngestCall) -> None:
        fields = msgspec.structs.fields(reading)
        self.name = ingest.name
        self.reading = reading
        self.ingest = ingest
        self.optional = {field.encode_name for field in fields if not field.required}
        self.types = {field.encode_name: field.type if field.required else get_args(field.type)[0] for field in fields}
        self._decode = msgspec.json.Decoder(reading).decode
        self._decode_array = msgspec.json.Decoder(list[reading]).decode  # type: ignore[valid-type]
        self._decode_lines = msgspec.json.Decoder(reading).decode_lines
        # Two quotes a name that is there, two more a string: a body that decodes but has other than these says a name
        # twice, or escapes a quote within a string.
        self._quotes = sum(2 if get_args(type_)[0] is float else 4 for type_ in self.types.values())

    def decode(self, body: bytes, dropped: Container[str] = ()) -> AnyReading:
        """The reading in `body`, without its fields in `dropped`.

        Raises:
            Problem: the body is not JSON, or not this kind of reading; names the first field that is wrong.
        """
        try:
            reading = self._decode(body)
        except UNDECODABLE:
            return msgspec.convert(decode_fields(body, self.name, self.types, self.optional, dropped), self.reading)
        if body.count(b'"') != self._quotes - 2 * reading.absent:
            reject_duplicates(body)
        return reading

    def decode_many(self, body: bytes, *, ndjson: bool) -> list[AnyReading] | None:
        """The readings in `body`, a JSON array or one JSON object a line; None where one needs a closer look."""
        try:
            readings = self._decode_lines(body) if ndjson else self._decode_array(body)
        except UNDECODABLE:
            return None
        if ndjson and body.strip().count(b"\n") + 1 != len(readings) > 0:
            return None  # more than one on a line, one on several lines, or empty lines
        # none has fewer quotes than it must, so that the sum tells of each
        absent = sum([reading.absent for reading in readings])
        return readings if body.count(b'"') == self._quotes * len(readings) - 2 * absent else None


METER = Kind(MeterReading, INGEST_METER)
VEHICLE = Kind(VehicleReading, INGEST_VEHICLE)
KINDS = {kind.name: kind for kind in (METER, VEHICLE)}
