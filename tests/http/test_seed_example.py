"""The seed system's own example, as its README prints it, and a real meter's day."""

import csv
from datetime import UTC, datetime, timedelta

import pytest

from tests.support import ROOT, YESTERDAY, Api, Pair, assert_problem

SEED_TIME = datetime(2026, 2, 8, 18, 0, tzinfo=UTC)


@pytest.mark.skipif(datetime.now(UTC) > SEED_TIME + timedelta(days=725), reason="the example has left the retention")
@pytest.mark.usefixtures("without_example")
async def test_the_seeds_example_gives_what_its_readme_promises(api: Api) -> None:
    meter = await api.post_meter("M001", SEED_TIME, kwhConsumedAc=150.5, voltage=230)
    vehicle = await api.post_vehicle("V001", SEED_TIME, soc=75, kwhDeliveredDc=128.4, batteryTemp=32)
    assert (meter.status_code, meter.json()) == (201, {"outcome": "stored"})
    assert (vehicle.status_code, vehicle.json()) == (201, {"outcome": "stored"})

    assert await api.performance("V001", end="2026-02-08T18:01:00Z") == {
        "vehicleId": "V001",
        "periodStart": "2026-02-07T18:01:00Z",
        "periodEnd": "2026-02-08T18:01:00Z",
        "totalEnergyConsumedAc": 150.5,
        "totalEnergyDeliveredDc": 128.4,
        "efficiencyRatio": 0.8532,
        "efficiencyStatus": "normal",
        "avgBatteryTemp": 32.0,
        "meterIds": ["M001"],
        "meterReadings": 1,
        "vehicleReadings": 1,
    }


async def test_a_real_meters_day_sums_to_what_the_meter_measured(api: Api, pair: Pair) -> None:
    with (ROOT / "tests/support/data/smart_meter_2007-02-01.csv").open() as file:
        minutes = list(csv.DictReader(file, delimiter=";"))
    assert len(minutes) == 1440
    midnight = YESTERDAY.replace(hour=0, minute=0) - timedelta(days=1)

    for minute, row in enumerate(minutes):
        time = midnight + timedelta(minutes=minute + 1)
        kwh = float(row["Global_active_power"]) / 60
        stored = await api.post_meter(pair.meter, time, kwhConsumedAc=kwh, voltage=float(row["Voltage"]))
        assert stored.status_code == 201, stored.text
        stored = await api.post_vehicle(pair.vehicle, time, kwhDeliveredDc=kwh * 0.9)
        assert stored.status_code == 201, stored.text

    day = await api.performance(pair.vehicle, start=midnight, hours=24)
    assert round(day["totalEnergyConsumedAc"], 4) == 30.4127  # the sum of the file's column / 60
    assert round(day["totalEnergyDeliveredDc"], 4) == 27.3714
    assert day["efficiencyRatio"] == 0.9
    assert (day["meterReadings"], day["vehicleReadings"]) == (1440, 1440)
    assert day["meterIds"] == [pair.meter]


async def test_a_reading_as_old_as_the_file_itself_is_refused_with_the_reason(api: Api, pair: Pair) -> None:
    refused = await api.post_meter(pair.meter, "2007-02-01T00:00:00+01:00")
    assert_problem(refused, 422, "timestamp_too_old", "2007-01-31T23:00:00", "2 years")
