"""GET /v1/status/...: the newest reading of a device."""

from datetime import timedelta

from tests.support import NOW, YESTERDAY, Api, Owner, Pair, assert_problem, rfc3339


async def test_a_meters_status_is_its_newest_reading(api: Api, pair: Pair) -> None:
    await api.post_meter(pair.meter, YESTERDAY, kwhConsumedAc=1.0, voltage=229.0)
    await api.post_meter(pair.meter, YESTERDAY + timedelta(minutes=1), kwhConsumedAc=2.0, voltage=231.0)
    status = (await api.http.get(f"/v1/status/meter/{pair.meter}")).json()
    received_at = status.pop("receivedAt")
    assert received_at.endswith("Z")
    assert received_at >= rfc3339(NOW)
    assert status == {
        "meterId": pair.meter,
        "timestamp": rfc3339(YESTERDAY + timedelta(minutes=1)),
        "kwhConsumedAc": 2.0,
        "voltage": 231.0,
    }


async def test_a_late_reading_is_kept_in_history_but_does_not_overwrite_a_newer_status(
    api: Api, owner: Owner, pair: Pair
) -> None:
    await api.post_vehicle(pair.vehicle, YESTERDAY, soc=80)
    late = await api.post_vehicle(pair.vehicle, YESTERDAY - timedelta(minutes=5), soc=20)
    assert late.json() == {"outcome": "stored"}
    status = (await api.http.get(f"/v1/status/vehicle/{pair.vehicle}")).json()
    assert (status["soc"], status["timestamp"]) == (80.0, rfc3339(YESTERDAY))
    query = "SELECT count(*) FROM telemetry.vehicle_telemetry_history WHERE vehicle_id = $1"
    assert await owner.fetchval(query, pair.vehicle) == 2


async def test_a_vehicle_shows_whether_it_charges_and_its_meters_voltage(api: Api, pair: Pair) -> None:
    await api.post_vehicle(pair.vehicle, YESTERDAY, soc=75, kwhDeliveredDc=0.2, batteryTemp=32)
    status = (await api.http.get(f"/v1/status/vehicle/{pair.vehicle}")).json()
    assert (status["charging"], status["meterId"], status["meterVoltage"]) == (True, None, None)

    await api.post_meter(pair.meter, YESTERDAY, voltage=228.0)
    await api.post_vehicle(pair.vehicle, YESTERDAY + timedelta(minutes=1), soc=75, kwhDeliveredDc=0, batteryTemp=31)
    status = (await api.http.get(f"/v1/status/vehicle/{pair.vehicle}")).json()
    del status["receivedAt"]
    assert status == {
        "vehicleId": pair.vehicle,
        "timestamp": rfc3339(YESTERDAY + timedelta(minutes=1)),
        "soc": 75.0,
        "kwhDeliveredDc": 0.0,
        "batteryTemp": 31.0,
        "charging": False,
        "meterId": pair.meter,
        "meterTimestamp": rfc3339(YESTERDAY),
        "meterVoltage": 228.0,
    }


async def test_an_unknown_device_is_not_found(api: Api, pair: Pair) -> None:
    assert_problem(await api.http.get(f"/v1/status/meter/{pair.meter}"), 404, "meter_unknown", pair.meter)
    assert_problem(await api.http.get(f"/v1/status/vehicle/{pair.vehicle}"), 404, "vehicle_unknown", pair.vehicle)


async def test_an_id_that_no_device_can_have_is_no_server_error(api: Api) -> None:
    for id_ in ("%00", "a%00b", "%20", "..%2f..", "M" * 5000, "%F0%9F%94%8B", "'", "%ff"):
        for route in ("/v1/status/meter", "/v1/status/vehicle", "/v1/analytics/performance"):
            response = await api.http.get(f"{route}/{id_}")
            assert response.status_code in {404, 422}, (id_, response.text)
            assert response.headers["content-type"] == "application/problem+json"
