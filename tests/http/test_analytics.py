"""GET /v1/analytics/performance/{vehicleId}: the numbers, the windows, and what is unknown or impossible."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support import NOW, YESTERDAY, Api, Owner, Pair, assert_problem, now, rfc3339

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


async def link(owner: Owner, vehicle: str, meter: str, start: datetime | None, end: datetime | None = None) -> None:
    query = "INSERT INTO telemetry.vehicle_meter_link VALUES ($1, $2, tstzrange($3, $4))"
    await owner.execute(query, vehicle, meter, start, end)


async def balance(api: Api, pair: Pair, ac: list[float], dc: list[float]) -> dict[str, Any]:
    """Post these energies, one at the end of each minute, and ask for the performance."""
    for minute, kwh in enumerate(ac, 1):
        await api.post_meter(pair.meter, YESTERDAY + minute * MINUTE, kwhConsumedAc=kwh)
    for minute, kwh in enumerate(dc, 1):
        await api.post_vehicle(pair.vehicle, YESTERDAY + minute * MINUTE, kwhDeliveredDc=kwh)
    return await api.performance(pair.vehicle, start=YESTERDAY, hours=1)


@pytest.mark.parametrize(
    ("ac", "dc", "ratio", "status"),
    [
        ([10.0], [9.0], 0.9, "normal"),
        ([10.0], [8.5], 0.85, "normal"),
        ([10.0], [8.499], 0.8499, "low"),
        ([10.0], [10.0], 1.0, "normal"),
        ([0.1, 0.1, 0.1], [0.1, 0.1, 0.1], 1.0, "normal"),
        ([0.1, 0.2], [0.30000000000000004], 1.0, "normal"),
        ([10.0], [10.001], 1.0001, "impossible"),
        ([10.0], [50.0], 5.0, "impossible"),
        ([10.0], [0.0], 0.0, "low"),
        ([0.0], [5.0], None, "impossible"),
        ([5e-324], [1e7], None, "impossible"),
        ([1e7], [5e-324], 0.0, "low"),
        ([0.0], [0.0], None, "idle"),
        ([0.05], [0.0], None, "idle"),
        ([0.051], [0.0], 0.0, "low"),
    ],
)
async def test_efficiency_is_delivered_by_consumed_and_judged_as_shown(
    api: Api, pair: Pair, ac: list[float], dc: list[float], ratio: float | None, status: str
) -> None:
    answer = await balance(api, pair, ac, dc)
    assert (answer["efficiencyRatio"], answer["efficiencyStatus"]) == (ratio, status)
    assert answer["totalEnergyConsumedAc"] == pytest.approx(sum(ac), rel=1e-12, abs=1e-9)
    assert answer["totalEnergyDeliveredDc"] == pytest.approx(sum(dc), rel=1e-12, abs=1e-9)


async def test_no_meter_data_is_unknown_and_not_zero(api: Api, pair: Pair) -> None:
    answer = await balance(api, pair, [], [9.0])
    assert answer["totalEnergyConsumedAc"] is None
    assert (answer["totalEnergyDeliveredDc"], answer["vehicleReadings"]) == (9.0, 1)
    assert (answer["efficiencyRatio"], answer["efficiencyStatus"]) == (None, "unknown")
    assert (answer["meterIds"], answer["meterReadings"]) == ([], 0)


async def test_no_vehicle_data_in_the_window_is_unknown_and_not_zero(api: Api, pair: Pair) -> None:
    await api.post_vehicle(pair.vehicle, YESTERDAY - 3 * HOUR)
    answer = await balance(api, pair, [10.0], [])
    assert (answer["totalEnergyDeliveredDc"], answer["avgBatteryTemp"]) == (None, None)
    assert (answer["totalEnergyConsumedAc"], answer["meterReadings"]) == (10.0, 1)
    assert (answer["efficiencyRatio"], answer["efficiencyStatus"]) == (None, "unknown")


async def test_an_empty_window_is_null_throughout(api: Api, pair: Pair) -> None:
    await balance(api, pair, [10.0], [9.0])
    answer = await api.performance(pair.vehicle, start="2026-01-01T00:00:00Z", hours=1)
    nulls = ("totalEnergyConsumedAc", "totalEnergyDeliveredDc", "efficiencyRatio", "avgBatteryTemp")
    assert [answer[name] for name in nulls] == [None] * 4
    assert (answer["efficiencyStatus"], answer["meterReadings"], answer["vehicleReadings"]) == ("unknown", 0, 0)


async def test_energies_far_below_a_watt_hour_add_up(api: Api, pair: Pair) -> None:
    answer = await balance(api, pair, [0.000001] * 4, [0.0000009] * 4)
    assert (answer["totalEnergyConsumedAc"], answer["totalEnergyDeliveredDc"]) == (0.000004, 0.0000036)
    assert answer["efficiencyRatio"] == 0.9


async def test_the_battery_temperature_is_the_mean_of_the_readings(api: Api, pair: Pair) -> None:
    for minute, temperature in enumerate((20.0, 21.0, 24.0), 1):
        await api.post_vehicle(pair.vehicle, YESTERDAY + minute * MINUTE, batteryTemp=temperature)
    assert (await api.performance(pair.vehicle, start=YESTERDAY, hours=1))["avgBatteryTemp"] == 21.67


async def test_the_window_has_its_end_and_not_its_start(api: Api, pair: Pair) -> None:
    for minute, kwh in enumerate((1.0, 2.0, 4.0)):
        await api.post_vehicle(pair.vehicle, YESTERDAY + minute * MINUTE, kwhDeliveredDc=kwh)
        await api.post_meter(pair.meter, YESTERDAY + minute * MINUTE, kwhConsumedAc=kwh)
    answer = await api.performance(pair.vehicle, start=YESTERDAY, end=YESTERDAY + 2 * MINUTE)
    assert (answer["totalEnergyDeliveredDc"], answer["vehicleReadings"]) == (6.0, 2)
    assert (answer["totalEnergyConsumedAc"], answer["meterReadings"]) == (6.0, 2)


async def test_without_a_window_it_is_the_last_24_hours(api: Api, pair: Pair) -> None:
    for hours_ago, kwh in ((25, 1.0), (23, 2.0), (1, 4.0)):
        await api.post_vehicle(pair.vehicle, NOW - hours_ago * HOUR, kwhDeliveredDc=kwh)
    await api.post_vehicle(pair.vehicle, now() + 4 * MINUTE, kwhDeliveredDc=8.0)  # a clock that is ahead: not yet
    answer = await api.performance(pair.vehicle)
    start, end = (datetime.fromisoformat(answer[name]) for name in ("periodStart", "periodEnd"))
    assert end - start == timedelta(hours=24)
    assert abs(end - datetime.now(UTC)) < timedelta(minutes=1)
    assert (answer["totalEnergyDeliveredDc"], answer["vehicleReadings"]) == (6.0, 2)


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        (
            {"start": "2026-02-08T00:00:00Z", "end": "2026-02-09T12:00:00Z"},
            "2026-02-08T00:00:00Z",
            "2026-02-09T12:00:00Z",
        ),
        ({"end": "2026-02-09T12:00:00Z"}, "2026-02-08T12:00:00Z", "2026-02-09T12:00:00Z"),
        ({"end": "2026-02-09T12:00:00Z", "hours": 1}, "2026-02-09T11:00:00Z", "2026-02-09T12:00:00Z"),
        ({"start": "2026-02-09T12:00:00Z", "hours": 0.5}, "2026-02-09T12:00:00Z", "2026-02-09T12:30:00Z"),
        ({"end": "2026-02-09T17:30:00+05:30", "hours": 1}, "2026-02-09T11:00:00Z", "2026-02-09T12:00:00Z"),
        (
            {"end": "2026-03-29T12:00:00+02:00"},
            "2026-03-28T10:00:00Z",
            "2026-03-29T10:00:00Z",
        ),  # 24 h over a DST change
    ],
    ids=str,
)
async def test_two_of_start_end_and_hours_give_the_window(
    api: Api, pair: Pair, window: dict, start: str, end: str
) -> None:
    await api.post_vehicle(pair.vehicle)
    answer = await api.performance(pair.vehicle, **window)
    assert (answer["periodStart"], answer["periodEnd"]) == (start, end)


async def test_a_plus_sign_that_became_a_space_on_its_way_is_understood(api: Api, pair: Pair) -> None:
    await api.post_vehicle(pair.vehicle)
    url = f"/v1/analytics/performance/{pair.vehicle}?end=2026-02-09T17:30:00+05:30"
    assert (await api.http.get(url)).json()["periodEnd"] == "2026-02-09T12:00:00Z"


async def test_start_alone_runs_to_now(api: Api, pair: Pair) -> None:
    await api.post_vehicle(pair.vehicle)
    answer = await api.performance(pair.vehicle, start=YESTERDAY)
    assert answer["periodStart"] == rfc3339(YESTERDAY)
    assert abs(datetime.fromisoformat(answer["periodEnd"]) - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("window", "code", "word"),
    [
        ({"start": "2026-02-09T00:00:00Z", "end": "2026-02-08T00:00:00Z"}, "window_invalid", "before"),
        ({"start": "2026-02-09T00:00:00Z", "end": "2026-02-09T00:00:00Z"}, "window_invalid", "before"),
        ({"start": "2026-02-09T00:00:00Z", "end": "2026-02-10T00:00:00Z", "hours": 24}, "window_invalid", "two of"),
        ({"start": "2022-02-09T00:00:00Z", "end": "2026-02-10T00:00:00Z"}, "window_invalid", "731 days"),
        ({"start": "0001-01-01T00:00:00Z"}, "window_invalid", "1970"),
        ({"end": "9999-12-31T23:59:59Z"}, "window_invalid", "9999"),
        ({"end": "0001-01-01T00:00:00+23:59"}, "window_invalid", "1970"),
        ({"end": "9999-12-31T23:59:59-23:59"}, "window_invalid", "9999"),
        ({"start": "2199-02-09T00:00:00Z"}, "window_invalid", "before"),
        ({"hours": 0}, "window_invalid", "hours"),
        ({"hours": -1}, "window_invalid", "hours"),
        ({"hours": 1e300}, "window_invalid", "hours"),
        ({"hours": "nan"}, "window_invalid", "hours"),
        ({"hours": "inf"}, "window_invalid", "hours"),
        ({"hours": "a day"}, "parameter_invalid", "hours"),
        ({"hours": ""}, "parameter_invalid", "hours"),
        ({"start": "5"}, "parameter_invalid", "start"),
        ({"start": "2026-02-31T00:00:00Z"}, "parameter_invalid", "start"),
        ({"end": "2026-02-08T18:01:00"}, "parameter_invalid", "offset"),
        ({"end": "2026-02-08"}, "parameter_invalid", "offset"),
        ({"end": "\x00"}, "parameter_invalid", "end"),
    ],
    ids=str,
)
async def test_a_window_that_makes_no_sense_is_refused(
    api: Api, pair: Pair, window: dict, code: str, word: str
) -> None:
    await api.post_vehicle(pair.vehicle)
    response = await api.http.get(f"/v1/analytics/performance/{pair.vehicle}", params=window)
    assert_problem(response, 422, code, word)


async def test_an_unknown_vehicle_is_not_found(api: Api, pair: Pair) -> None:
    response = await api.http.get(f"/v1/analytics/performance/{pair.vehicle}")
    assert_problem(response, 404, "vehicle_unknown", pair.vehicle)


async def test_a_meter_of_the_vehicles_own_id_goes_before_the_default_rule(api: Api, pair: Pair) -> None:
    await api.post_meter(pair.vehicle, YESTERDAY + MINUTE, kwhConsumedAc=20.0)
    answer = await balance(api, pair, [10.0], [9.0])
    assert (answer["meterIds"], answer["totalEnergyConsumedAc"]) == ([pair.vehicle], 20.0)


async def test_a_link_goes_before_the_default_meter(api: Api, owner: Owner, pair: Pair) -> None:
    station = f"station-{pair.meter}"
    await link(owner, pair.vehicle, station, YESTERDAY - HOUR)
    await api.post_meter(station, YESTERDAY + MINUTE, kwhConsumedAc=12.0)
    answer = await balance(api, pair, [10.0], [9.0])
    assert (answer["meterIds"], answer["totalEnergyConsumedAc"], answer["efficiencyRatio"]) == ([station], 12.0, 0.75)


async def test_where_no_link_holds_the_default_meter_counts(api: Api, owner: Owner, pair: Pair) -> None:
    station = f"station-{pair.meter}"
    await link(owner, pair.vehicle, station, YESTERDAY + MINUTE, YESTERDAY + 2 * MINUTE)
    for minute in range(4):
        await api.post_meter(station, YESTERDAY + (minute + 1) * MINUTE, kwhConsumedAc=100.0 + minute)
    answer = await balance(api, pair, [1.0, 2.0, 4.0, 8.0], [9.0])
    assert answer["totalEnergyConsumedAc"] == 1.0 + 101.0 + 4.0 + 8.0
    assert (answer["meterIds"], answer["meterReadings"]) == ([pair.meter, station], 4)


async def test_a_meter_that_changes_vehicle_is_split_at_that_moment(api: Api, owner: Owner, pair: Pair) -> None:
    other = f"other-{pair.vehicle}"
    await link(owner, other, pair.meter, YESTERDAY + 2 * MINUTE)
    await api.post_vehicle(other, YESTERDAY + 3 * MINUTE, kwhDeliveredDc=10.0)
    first = await balance(api, pair, [1.0, 2.0, 4.0, 8.0], [2.7])
    second = await api.performance(other, start=YESTERDAY, hours=1)
    # the default meter of the first vehicle is not counted for it once the meter is linked to the second
    assert (first["totalEnergyConsumedAc"], second["totalEnergyConsumedAc"]) == (3.0, 12.0)
    assert (first["efficiencyRatio"], second["efficiencyRatio"]) == (0.9, 0.8333)
