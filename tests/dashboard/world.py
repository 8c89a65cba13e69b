"""A small fleet for the pages, with values that were worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.support import Api, Pair, meter_reading, new_pair, rfc3339, vehicle_reading

HOUR = timedelta(hours=1)


def current_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


async def send_pair(api: Api, *, ac: float, dc: float) -> Pair:
    """A pair with two readings on each side, five and four hours ago: twice `ac` and twice `dc`, kWh."""
    pair = new_pair()
    for number, temperature in ((5, 20.0), (4, 36.0)):
        # within one quarter hour each, well inside
        at = current_hour() - number * HOUR + timedelta(minutes=20)
        sent = (
            await api.post("/v1/ingest/meter", meter_reading(pair.meter, at, kwhConsumedAc=ac, voltage=220 + number)),
            await api.post(
                "/v1/ingest/vehicle",
                vehicle_reading(
                    pair.vehicle, at, kwhDeliveredDc=dc, batteryTemp=temperature, soc=40 + 10 * (5 - number)
                ),
            ),
        )
        assert [response.status_code for response in sent] == [201, 201]
    return pair


def utc(time: datetime) -> str:
    return rfc3339(time)
