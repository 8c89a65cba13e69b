"""Energy is required, measures are not: an absent one is null, and a faulty sensor costs no reading."""

import json
from datetime import timedelta
from typing import Any

import pytest

from service.commands.rejected import replay
from service.database.pool import Database
from tests.http.test_metrics import key, readings, watch
from tests.support import YESTERDAY, Api, Owner, Pair, assert_problem, meter_reading, new_pair, rfc3339, vehicle_reading

MINUTE = timedelta(minutes=1)
MAKE = {"meter": meter_reading, "vehicle": vehicle_reading}
OUTSIDE: list[tuple[str, str, Any, str]] = [
    ("meter", "voltage", 20000, "voltage 20000 is outside 0 to 1500 V"),
    ("meter", "voltage", -0.001, "voltage -0.001 is outside 0 to 1500 V"),
    ("meter", "voltage", 5e-324, "voltage 5e-324 is not 0, and nearer to it than 1e-300 V"),
    ("vehicle", "batteryTemp", -127, "batteryTemp -127 is outside -60 to 120 °C"),
    ("vehicle", "batteryTemp", 120.5, "batteryTemp 120.5 is outside -60 to 120 °C"),
    ("vehicle", "batteryTemp", -9e-301, "batteryTemp -9e-301 is not 0, and nearer to it than 1e-300 °C"),
    ("vehicle", "soc", 100.4, "soc 100.4 is outside 0 to 100 %"),
    ("vehicle", "soc", 254, "soc 254 is outside 0 to 100 %"),
    ("vehicle", "soc", -1, "soc -1 is outside 0 to 100 %"),
]
TOO_LARGE = [b"1e999", b"-1e400", b"9" * 400]
COLUMNS = {"voltage": "voltage", "soc": "soc", "batteryTemp": "battery_temp"}


def ignored(field: str, detail: str) -> dict[str, str]:
    return {"field": field, "code": "value_out_of_range", "detail": detail}


async def measure(owner: Owner, kind: str, field: str, device: str) -> list[Any]:
    """A measure of a device in history and in current status."""
    tables = (f"telemetry.{kind}_telemetry_history", f"telemetry.{kind}_current_status")
    return [
        row["found"]
        for table in tables
        for row in await owner.fetch(
            f"SELECT {COLUMNS[field]} AS found FROM {table} WHERE {kind}_id = $1 ORDER BY received_at", device
        )
    ]


@pytest.mark.parametrize(("kind", "field", "value", "detail"), OUTSIDE, ids=str)
@pytest.mark.parametrize("route", ["own", "either"])
async def test_a_measure_outside_its_range_is_ignored_and_its_reading_stored(
    api: Api, owner: Owner, pair: Pair, route: str, kind: str, field: str, value: Any, detail: str
) -> None:
    path = f"/v1/ingest/{kind}" if route == "own" else "/v1/ingest"
    device = getattr(pair, kind)
    reading = MAKE[kind](device, **{field: value})
    for status, outcome in ((201, "stored"), (200, "duplicate")):
        answer = await api.post(path, reading)
        assert (answer.status_code, answer.json()) == (
            status,
            {"outcome": outcome, "ignored": [ignored(field, detail)]},
        )
    assert await measure(owner, kind, field, device) == [None, None]
    same = MAKE[kind](device, **{field: None})
    assert (await api.post(path, same)).json() == {"outcome": "duplicate"}
    assert_problem(await api.post(path, MAKE[kind](device)), 409, "conflict", f"{field} not measured")


@pytest.mark.parametrize("number", TOO_LARGE, ids=lambda number: number[:8].decode())
@pytest.mark.parametrize(("kind", "field"), [("meter", "voltage"), ("vehicle", "soc"), ("vehicle", "batteryTemp")])
async def test_a_measure_too_large_for_a_double_is_ignored(
    api: Api, owner: Owner, pair: Pair, kind: str, field: str, number: bytes
) -> None:
    device = getattr(pair, kind)
    body = json.dumps(MAKE[kind](device, **{field: 12345})).encode().replace(b"12345", number)
    answer = await api.post(f"/v1/ingest/{kind}", body)
    assert (answer.status_code, [found["field"] for found in answer.json()["ignored"]]) == (201, [field])
    assert await measure(owner, kind, field, device) == [None, None]
    batch = await api.post(f"/v1/ingest/{kind}/batch", b"[" + body + b"]")
    assert (batch.status_code, batch.json()["duplicates"], len(batch.json()["ignored"])) == (201, 1, 1)


@pytest.mark.parametrize("absent", [..., None], ids=["absent", "null"])
@pytest.mark.parametrize("kind", MAKE)
async def test_what_was_not_measured_is_null_everywhere_without_a_remark(
    api: Api, owner: Owner, pair: Pair, kind: str, absent: Any
) -> None:
    fields = {"meter": ["voltage"], "vehicle": ["soc", "batteryTemp"]}[kind]
    device = getattr(pair, kind)
    before = await owner.fetchval("SELECT coalesce(max(rejected_id), 0) FROM telemetry.rejected_reading")
    reading = MAKE[kind](device, **dict.fromkeys(fields, absent))
    assert (await api.post(f"/v1/ingest/{kind}", reading)).json() == {"outcome": "stored"}
    assert (await api.post(f"/v1/ingest/{kind}", reading)).json() == {"outcome": "duplicate"}
    query = "SELECT count(*) FROM telemetry.rejected_reading WHERE rejected_id > $1"
    assert await owner.fetchval(query, before) == 0

    status = (await api.http.get(f"/v1/status/{kind}/{device}")).json()
    window = {"hours": 72}
    [point] = (await api.http.get(f"/v1/history/{kind}/{device}", params=window)).json()["items"]
    for field in fields:
        assert (status[field], point[field]) == (None, None)
    header, row, _ = (
        await api.http.get(f"/v1/history/{kind}/{device}", params={**window, "format": "csv"})
    ).text.split("\r\n")
    shown = dict(zip(header.split(","), row.split(","), strict=True))
    assert [shown[field] for field in fields] == [""] * len(fields)
    for resolution in ("15min", "hourly", "daily"):
        page = await api.http.get(f"/v1/history/{kind}/{device}", params={**window, "resolution": resolution})
        [bucket] = page.json()["items"]
        assert bucket["readings"] == 1
        measured = {name: bucket[name] for name in bucket if name.startswith((*fields,))}
        assert len(measured) in {3, 5}
        assert set(measured.values()) == {None}


async def test_a_broken_thermometer_costs_no_energy(api: Api, pair: Pair) -> None:
    """Ten intervals of a healthy 0.9; in some of them a sensor fails or is silent."""
    faults: list[dict[str, Any]] = [
        {}, {"batteryTemp": -127}, {"soc": 100.4}, {"soc": 254}, {"soc": None}, {"batteryTemp": ...},
        {"batteryTemp": -127, "soc": 254}, {"batteryTemp": -127}, {"soc": ...}, {},
    ]  # fmt: skip
    for n, changed in enumerate(faults):
        at = YESTERDAY + n * MINUTE
        voltage = {} if n % 2 else {"voltage": ...}
        assert (await api.post_meter(pair.meter, at, kwhConsumedAc=0.1, **voltage)).status_code == 201
        vehicle = {"kwhDeliveredDc": 0.09, "batteryTemp": 30.0, "soc": 50.0 + n, **changed}
        assert (await api.post_vehicle(pair.vehicle, at, **vehicle)).status_code == 201
    window = {"start": YESTERDAY - MINUTE, "end": YESTERDAY + timedelta(hours=1)}
    found = await api.performance(pair.vehicle, **window)
    assert (found["efficiencyRatio"], found["efficiencyStatus"]) == (0.9, "normal")
    assert (found["vehicleReadings"], found["meterReadings"], found["avgBatteryTemp"]) == (10, 10, 30.0)
    params = {"resolution": "daily", "start": rfc3339(YESTERDAY - timedelta(days=1))}
    [bucket] = (await api.http.get(f"/v1/history/vehicle/{pair.vehicle}", params=params)).json()["items"]
    assert (bucket["batteryTempMin"], bucket["batteryTempAvg"], bucket["batteryTempMax"]) == (30.0, 30.0, 30.0)
    assert (bucket["socFirst"], bucket["socLast"]) == (50.0, 59.0)


async def test_a_temperature_of_85_is_a_value_as_any_other(api: Api, pair: Pair) -> None:
    assert (await api.post_vehicle(pair.vehicle, batteryTemp=85)).json() == {"outcome": "stored"}
    assert (await api.http.get(f"/v1/status/vehicle/{pair.vehicle}")).json()["batteryTemp"] == 85.0


@pytest.mark.parametrize("media_type", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize("route", ["own", "either"])
async def test_a_batch_lists_ignored_measures_by_index(
    api: Api, owner: Owner, pair: Pair, route: str, media_type: str
) -> None:
    for kind, fields in (("meter", ["voltage"]), ("vehicle", ["soc", "batteryTemp"])):
        device = getattr(pair, kind)
        changed: list[dict[str, Any]] = [{}, {fields[0]: ...}, {fields[-1]: 1e6}, {fields[0]: None}]
        items = [MAKE[kind](device, YESTERDAY + n * MINUTE, **change) for n, change in enumerate(changed)]
        items.append(MAKE[kind](device, YESTERDAY + 4 * MINUTE, **dict.fromkeys(fields, -1e6)))
        body = json.dumps(items) if media_type == "application/json" else "\n".join(map(json.dumps, items))
        path = f"/v1/ingest/{kind}/batch" if route == "own" else "/v1/ingest/batch"
        expected = [(2, fields[-1]), *((4, field) for field in fields)]
        for stored, duplicates in ((5, 0), (0, 5)):
            answer = await api.http.post(path, content=body.encode(), headers={"content-type": media_type})
            found = answer.json()
            assert (answer.status_code, found["stored"], found["duplicates"]) == (201, stored, duplicates)
            assert [(one["index"], one["field"]) for one in found["ignored"]] == expected
            assert {one["code"] for one in found["ignored"]} == {"value_out_of_range"}
            assert found["errors"] == []
        query = "SELECT count(*) FROM telemetry.rejected_reading WHERE is_stored AND strpos(payload, $1) > 0"
        assert await owner.fetchval(query, device) == 2


async def test_a_batch_without_ignored_measures_does_not_name_them(api: Api, pair: Pair) -> None:
    answer = await api.post(
        "/v1/ingest/batch", [meter_reading(pair.meter, voltage=None), vehicle_reading(pair.vehicle)]
    )
    assert (answer.status_code, answer.json()["stored"], "ignored" in answer.json()) == (201, 2, False)


async def test_at_most_a_thousand_ignored_measures_are_listed(api: Api, pair: Pair) -> None:
    items = [meter_reading(pair.meter, YESTERDAY + n * MINUTE, voltage=-n) for n in range(1, 1102)]
    answer = await api.post("/v1/ingest/meter/batch", items)
    assert (answer.status_code, answer.json()["stored"]) == (201, 1101)
    assert [one["index"] for one in answer.json()["ignored"]] == list(range(1000))


async def test_a_conflict_and_a_rejection_list_no_ignored_measures(api: Api, pair: Pair) -> None:
    await api.post_vehicle(pair.vehicle)
    items = [
        vehicle_reading(pair.vehicle, batteryTemp=-127),
        vehicle_reading(pair.vehicle, YESTERDAY + MINUTE, kwhDeliveredDc=-1, batteryTemp=-127),
    ]
    answer = (await api.post("/v1/ingest/batch", items)).json()
    assert [error["code"] for error in answer["errors"]] == ["conflict", "value_out_of_range"]
    assert "ignored" not in answer


@pytest.mark.parametrize("second", [b'"voltage": 231', b'"kwhConsumedAc": 0.1'], ids=["measure", "energy"])
@pytest.mark.parametrize("neighbour", ["absent", "null", "whole"])
async def test_a_repeated_name_is_found_beside_readings_without_measures(
    api: Api, owner: Owner, second: bytes, neighbour: str
) -> None:
    pairs = [new_pair(), new_pair()]
    changed = {"absent": {"voltage": ...}, "null": {"voltage": None}, "whole": {}}[neighbour]
    twice = json.dumps(meter_reading(pairs[0].meter)).encode()[:-1] + b", " + second + b"}"
    other = json.dumps(meter_reading(pairs[1].meter, **changed)).encode()
    answer = await api.post("/v1/ingest/meter/batch", b"[" + twice + b"," + other + b"]")
    assert [(error["index"], error["code"]) for error in answer.json()["errors"]] == [(0, "field_duplicate")]
    without = json.dumps(meter_reading(pairs[0].meter, voltage=...)).encode()[:-1] + b', "kwhConsumedAc": 0.1}'
    assert_problem(await api.post("/v1/ingest/meter", without), 422, "field_duplicate")
    assert (
        await owner.fetchval(
            "SELECT count(*) FROM telemetry.meter_telemetry_history WHERE meter_id = $1", pairs[0].meter
        )
        == 0
    )


async def test_ignored_measures_are_counted_once_and_listed_beside_the_rejected(
    api: Api, owner: Owner, database: Database, pair: Pair
) -> None:
    watching = await watch(api)
    broken = {"batteryTemp": -127, "soc": 254}
    for _ in range(2):  # the second is a duplicate
        await api.post_vehicle(pair.vehicle, **broken)
    assert await watching.rises(
        readings("vehicle", "stored"),
        readings("vehicle", "duplicate"),
        readings("vehicle", "value_out_of_range"),
        key("energy_measures_ignored_total", kind="vehicle", field="batteryTemp"),
        key("energy_measures_ignored_total", kind="vehicle", field="soc"),
    ) == [1, 1, 0, 1, 1]
    query = "SELECT * FROM telemetry.rejected_reading WHERE strpos(payload, $1) > 0"
    [kept] = await owner.fetch(query, pair.vehicle)
    assert (kept["kind"], kept["code"], kept["is_stored"]) == ("vehicle", "value_out_of_range", True)
    assert kept["detail"] == "soc 254 is outside 0 to 100 %; batteryTemp -127 is outside -60 to 120 °C"
    assert json.loads(kept["payload"]).items() >= {"vehicleId": pair.vehicle, **broken}.items()

    overview = (await api.http.get("/v1/fleet")).json()["rejected"]
    assert {"value_out_of_range"} == {one["code"] for one in overview if one["isStored"]}
    filters = {"since": kept["received_at"], "until": None, "kind": "vehicle", "code": None, "source": None}
    assert not await replay(database, dry_run=False, filters=filters)
