"""POST /v1/ingest...: every outcome and its status, and what must never be stored."""

import json
import math
from datetime import timedelta, timezone

import pytest

from tests.support import NOW, YESTERDAY, Api, Owner, Pair, assert_problem, meter_reading, now, rfc3339, vehicle_reading


async def stored_rows(owner: Owner, pair: Pair) -> int:
    return await owner.fetchval(
        "SELECT (SELECT count(*) FROM telemetry.meter_telemetry_history WHERE meter_id = $1)"
        " + (SELECT count(*) FROM telemetry.vehicle_telemetry_history WHERE vehicle_id = $2)",
        pair.meter,
        pair.vehicle,
    )


async def test_a_reading_is_stored_in_history_and_in_current_status(api: Api, owner: Owner, pair: Pair) -> None:
    reading = meter_reading(pair.meter, YESTERDAY, kwhConsumedAc=1.25, voltage=229.5)
    response = await api.post("/v1/ingest/meter", reading)
    assert (response.status_code, response.json()) == (201, {"outcome": "stored"})
    recorded_at = {"meter_telemetry_history": "telemetry.recorded_at(counted_at) AS", "meter_current_status": ""}
    for table, own_time in recorded_at.items():
        query = f"SELECT *, {own_time} recorded_at FROM telemetry.{table} WHERE meter_id = $1"
        [row] = await owner.fetch(query, pair.meter)
        assert (row["recorded_at"], row["kwh_consumed_ac"], row["voltage"]) == (YESTERDAY, 1.25, 229.5)


@pytest.mark.parametrize("energy_kind", ["interval", "register"])
@pytest.mark.parametrize("kind", ["meter", "vehicle"])
async def test_history_has_the_second_of_arrival_and_current_status_the_exact_time(
    api: Api, owner: Owner, pair: Pair, kind: str, energy_kind: str
) -> None:
    device = pair.meter if kind == "meter" else pair.vehicle
    await owner.execute("SELECT api.set_device_profile($1, $2, p_energy_kind => $3)", kind, device, energy_kind)
    await (api.post_meter(device) if kind == "meter" else api.post_vehicle(device))
    [status] = await owner.fetch(f"SELECT * FROM telemetry.{kind}_current_status WHERE {kind}_id = $1", device)
    [reading] = await owner.fetch(f"SELECT * FROM telemetry.{kind}_telemetry_history WHERE {kind}_id = $1", device)
    assert status["received_at"] == status["first_received_at"] >= NOW
    assert reading["received_at"] == status["received_at"].replace(microsecond=0)


async def test_a_retried_reading_is_a_duplicate_and_counted_once(api: Api, owner: Owner, pair: Pair) -> None:
    for status, outcome in ((201, "stored"), (200, "duplicate"), (200, "duplicate")):
        response = await api.post_vehicle(pair.vehicle)
        assert (response.status_code, response.json()) == (status, {"outcome": outcome})
    assert await stored_rows(owner, pair) == 1


async def test_the_same_time_in_another_offset_is_a_duplicate(api: Api, pair: Pair) -> None:
    await api.post_meter(pair.meter, YESTERDAY)
    elsewhere = YESTERDAY.astimezone(timezone(timedelta(hours=5, minutes=30)))
    again = await api.post_meter(pair.meter, elsewhere.isoformat())
    assert again.json() == {"outcome": "duplicate"}


async def test_the_same_time_with_other_values_is_a_conflict_and_the_first_is_kept(
    api: Api, owner: Owner, pair: Pair
) -> None:
    await api.post_meter(pair.meter, kwhConsumedAc=1.0)
    conflict = await api.post_meter(pair.meter, kwhConsumedAc=2.0)
    assert_problem(conflict, 409, "conflict", pair.meter, "kwhConsumedAc 1", rfc3339(YESTERDAY)[:16])
    assert await owner.fetchval(
        "SELECT array_agg(kwh_consumed_ac) FROM telemetry.meter_telemetry_history WHERE meter_id = $1", pair.meter
    ) == [1.0]


@pytest.mark.parametrize("make", [meter_reading, vehicle_reading])
async def test_the_polymorphic_route_tells_the_kind_by_the_id(api: Api, owner: Owner, pair: Pair, make) -> None:
    device = pair.meter if make is meter_reading else pair.vehicle
    response = await api.post("/v1/ingest", make(device))
    assert (response.status_code, response.json()) == (201, {"outcome": "stored"})
    assert await stored_rows(owner, pair) == 1


@pytest.mark.parametrize(
    "body", [{}, {"voltage": 1}, {**meter_reading("M1"), "vehicleId": "V1"}, {"meterid": "M1"}], ids=str
)
async def test_the_polymorphic_route_rejects_what_is_neither_or_both(api: Api, body: dict) -> None:
    assert_problem(await api.post("/v1/ingest", body), 422, "kind_unknown", "meterId", "vehicleId")


REJECTED_METER = [
    ({"kwhConsumedAc": 1e9}, "value_out_of_range", ("kwhConsumedAc", "0 to 10000000 kWh")),
    ({"kwhConsumedAc": -1}, "value_out_of_range", ("kwhConsumedAc",)),
    ({"kwhConsumedAc": "1.5"}, "field_type_invalid", ("kwhConsumedAc", "a string")),
    ({"kwhConsumedAc": None}, "field_type_invalid", ("kwhConsumedAc", "null")),
    ({"kwhConsumedAc": True}, "field_type_invalid", ("kwhConsumedAc", "a boolean")),
    ({"kwhConsumedAc": [1]}, "field_type_invalid", ("kwhConsumedAc", "an array")),
    ({"kwhConsumedAc": {"value": 1}}, "field_type_invalid", ("kwhConsumedAc", "an object")),
    ({"meterId": 5}, "field_type_invalid", ("meterId", "a number")),
    ({"meterId": None}, "field_type_invalid", ("meterId", "null")),
    ({"meterId": ""}, "id_invalid", ("meterId", "1 to 64")),
    ({"meterId": " "}, "id_invalid", ("meterId",)),
    ({"meterId": "M 1"}, "id_invalid", ("meterId",)),
    ({"meterId": "-M1"}, "id_invalid", ("meterId",)),
    ({"meterId": "M" * 65}, "id_invalid", ("meterId",)),
    ({"meterId": "M" * 150}, "id_invalid", ("meterId",)),
    ({"meterId": "M\x001"}, "id_invalid", ("meterId",)),
    ({"meterId": "Zähler"}, "id_invalid", ("meterId",)),
    ({"meterId": "M1\n"}, "id_invalid", ("meterId",)),
    ({"meterId": "M1'; DROP TABLE x; --"}, "id_invalid", ("meterId",)),
    ({"timestamp": True}, "timestamp_invalid", ("timestamp", "true")),
    ({"timestamp": 5}, "timestamp_invalid", ("timestamp",)),
    ({"timestamp": "1"}, "timestamp_invalid", ("timestamp",)),
    ({"timestamp": 1770573600}, "timestamp_invalid", ("timestamp",)),
    ({"timestamp": None}, "timestamp_invalid", ("timestamp", "null")),
    ({"timestamp": "2026-02-31T00:00:00Z"}, "timestamp_invalid", ("2026-02-31",)),
    ({"timestamp": "2026-02-08T18:00:00"}, "timestamp_invalid", ("offset",)),
    ({"timestamp": "2026-02-08"}, "timestamp_invalid", ("timestamp",)),
    ({"timestamp": "yesterday"}, "timestamp_invalid", ("timestamp",)),
    ({"timestamp": "2099-01-01T00:00:00Z"}, "timestamp_in_future", ("2099-01-01", "5 minutes")),
    ({"timestamp": "9999-12-31T23:59:59-23:59"}, "timestamp_in_future", ("5 minutes",)),
    ({"timestamp": rfc3339(NOW + timedelta(days=1))}, "timestamp_in_future", ("5 minutes",)),
    ({"timestamp": "1999-01-01T00:00:00Z"}, "timestamp_too_old", ("1999-01-01", "2 years")),
    ({"timestamp": "0001-01-01T00:00:00+23:59"}, "timestamp_too_old", ("2 years",)),
    ({"voltage": "230"}, "field_type_invalid", ("voltage", "a number or null", "a string")),
    ({"voltage": True}, "field_type_invalid", ("voltage", "a boolean")),
    ({"voltage": {"value": 230}}, "field_type_invalid", ("voltage", "an object")),
    ({"voltage": math.nan}, "value_not_finite", ("voltage",)),
    ({"voltage": -math.inf}, "value_not_finite", ("voltage",)),
    ({"voltage": 20000, "kwhConsumedAc": -1}, "value_out_of_range", ("kwhConsumedAc -1",)),
    ({"kwhConsumedAc": ...}, "field_missing", ("kwhConsumedAc",)),
    ({"timestamp": ...}, "field_missing", ("timestamp",)),
    ({"extra": 1}, "field_unknown", ("extra",)),
    ({"kWhConsumedAc": 1}, "field_unknown", ("kWhConsumedAc",)),
]
REJECTED_VEHICLE = [
    ({"kwhDeliveredDc": 1e7 + 1}, "value_out_of_range", ("kwhDeliveredDc",)),
    ({"vehicleId": ""}, "id_invalid", ("vehicleId",)),
    ({"soc": "75"}, "field_type_invalid", ("soc", "a string")),
    ({"batteryTemp": False}, "field_type_invalid", ("batteryTemp", "a number or null", "a boolean")),
    ({"batteryTemp": math.nan}, "value_not_finite", ("batteryTemp",)),
    ({"soc": math.inf}, "value_not_finite", ("soc",)),
    ({"kwhDeliveredDc": ...}, "field_missing", ("kwhDeliveredDc",)),
    ({"kwhDeliveredDc": None}, "field_type_invalid", ("kwhDeliveredDc", "null")),
    ({"meterId": "M1"}, "field_unknown", ("meterId",)),
]


@pytest.mark.parametrize(("changed", "code", "words"), REJECTED_METER, ids=lambda value: str(value)[:60])
async def test_a_wrong_meter_reading_is_rejected_by_name_and_limit_and_kept_aside(
    api: Api, owner: Owner, pair: Pair, changed: dict, code: str, words: tuple[str, ...]
) -> None:
    before = await owner.fetchval("SELECT coalesce(max(rejected_id), 0) FROM telemetry.rejected_reading")
    for route in ("/v1/ingest/meter", "/v1/ingest"):
        body = json.dumps(meter_reading(pair.meter, **changed)).encode()
        assert_problem(await api.post(route, body), 422, code, *words)
    assert await stored_rows(owner, pair) == 0
    kept = await owner.fetch("SELECT * FROM telemetry.rejected_reading WHERE rejected_id > $1", before)
    assert [(row["kind"], row["code"], row["source"]) for row in kept] == [("meter", code, "127.0.0.1")] * 2
    assert all(json.loads(row["payload"]) for row in kept)


@pytest.mark.parametrize(("changed", "code", "words"), REJECTED_VEHICLE, ids=lambda value: str(value)[:60])
async def test_a_wrong_vehicle_reading_is_rejected_by_name_and_limit(
    api: Api, owner: Owner, pair: Pair, changed: dict, code: str, words: tuple[str, ...]
) -> None:
    body = json.dumps(vehicle_reading(pair.vehicle, **changed)).encode()
    assert_problem(await api.post("/v1/ingest/vehicle", body), 422, code, *words)
    assert await stored_rows(owner, pair) == 0


@pytest.mark.parametrize(
    ("soc", "energy", "temperature"), [(0, 0, -60), (100, 1e7, 120), (0.1 + 0.2, 1e-9, 21)], ids=str
)
async def test_the_limits_themselves_are_accepted(
    api: Api, pair: Pair, soc: float, energy: float, temperature: float
) -> None:
    stored = await api.post_vehicle(pair.vehicle, soc=soc, kwhDeliveredDc=energy, batteryTemp=temperature)
    assert stored.status_code == 201, stored.text
    status = (await api.http.get(f"/v1/status/vehicle/{pair.vehicle}")).json()
    assert (status["soc"], status["kwhDeliveredDc"], status["batteryTemp"]) == (soc, energy, temperature)


@pytest.mark.parametrize("device", ["a", "0", "M" * 64, "site-1:meter_2.3", "M..", "A:"])
async def test_every_valid_form_of_id_is_accepted(api: Api, device: str) -> None:
    assert (await api.post_meter(device, NOW)).json()["outcome"] in {"stored", "duplicate"}


@pytest.mark.parametrize("minutes", [0, 4])
async def test_a_clock_up_to_five_minutes_ahead_is_accepted(api: Api, pair: Pair, minutes: int) -> None:
    assert (await api.post_meter(pair.meter, now() + timedelta(minutes=minutes))).status_code == 201


NOT_JSON = {
    "empty": b"",
    "spaces": b"  \n",
    "cut off": b'{"meterId": "M1"',
    "two values": b"{}{}",
    "comma": b'{"meterId": "M1",}',
    "single quotes": b"{'meterId': 'M1'}",
    "invalid UTF-8": b'{"meterId":"\xff\xfe"}',
    "invalid UTF-8 in a field nobody knows": b'{"x":"\xff\xfe"}',
    "half a surrogate": b'{"meterId":"\\ud800"}',
    "byte order mark": b"\xef\xbb\xbf",
    "two byte order marks": b"\xef\xbb\xbf" * 2 + b"{}",
    "deep array": b"[" * 60_000,
    "deep object": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
@pytest.mark.parametrize("route", ["/v1/ingest/meter", "/v1/ingest/vehicle", "/v1/ingest"])
async def test_what_is_not_json_is_malformed(api: Api, route: str, body: bytes) -> None:
    assert_problem(await api.post(route, body), 400, "body_malformed")


@pytest.mark.parametrize("body", [b"null", b"5", b'"text"', b"true", b"[]", b"[{}]"])
@pytest.mark.parametrize("route", ["/v1/ingest/meter", "/v1/ingest/vehicle", "/v1/ingest"])
async def test_json_that_is_no_object_is_rejected(api: Api, route: str, body: bytes) -> None:
    assert_problem(await api.post(route, body), 422, "field_type_invalid", "JSON object")


@pytest.mark.parametrize("route", ["/v1/ingest/meter", "/v1/ingest"])
async def test_a_name_that_stands_twice_is_rejected_even_with_equal_values(
    api: Api, owner: Owner, pair: Pair, route: str
) -> None:
    body = json.dumps(meter_reading(pair.meter))
    for twice in (
        body[:-1] + ', "voltage": 231}',
        body[:-1] + ', "volt\\u0061ge": 230.0}',
        body[:-1] + body[1:].join(", "),
    ):
        assert_problem(await api.post(route, twice.encode()), 422, "field_duplicate", "more than once")
    assert await stored_rows(owner, pair) == 0


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"9" * 400, b"9" * 10_000], ids=len)
async def test_a_number_too_large_for_a_double_is_rejected(api: Api, number: bytes) -> None:
    body = b'{"meterId":"M1","kwhConsumedAc":%s,"voltage":1,"timestamp":"2026-02-08T18:00:00Z"}' % number
    assert_problem(await api.post("/v1/ingest/meter", body), 422, "value_out_of_range", "kwhConsumedAc")


@pytest.mark.parametrize(
    "headers", [{}, {"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}], ids=str
)
async def test_another_content_type_is_rejected(api: Api, owner: Owner, pair: Pair, headers: dict) -> None:
    body = json.dumps(meter_reading(pair.meter)).encode()
    response = await api.http.post("/v1/ingest/meter", content=body, headers=headers)
    assert_problem(response, 415, "media_type_unsupported", "application/json")
    assert await stored_rows(owner, pair) == 0


async def test_a_content_type_with_a_charset_is_fine(api: Api, pair: Pair) -> None:
    body = json.dumps(meter_reading(pair.meter)).encode()
    headers = {"content-type": "application/json; charset=utf-8"}
    assert (await api.http.post("/v1/ingest/meter", content=body, headers=headers)).status_code == 201


async def test_a_body_of_ten_megabytes_is_too_large_and_the_limit_is_named(api: Api) -> None:
    too_long = b'{"meterId":"' + b"M" * 10_000_000 + b'"}'
    assert_problem(await api.post("/v1/ingest/meter", too_long), 413, "body_too_large", "65536 bytes")
    assert_problem(await api.post("/v1/ingest/batch", too_long), 413, "body_too_large", "4194304 bytes")


async def test_a_long_body_without_announced_length_is_too_large_as_well(api: Api) -> None:
    async def chunks():
        for _ in range(200):
            yield b" " * 65_536

    headers = {"content-type": "application/json"}
    response = await api.http.post("/v1/ingest/meter", content=chunks(), headers=headers)
    assert_problem(response, 413, "body_too_large", "65536 bytes")
    response = await api.http.post("/v1/ingest/batch", content=chunks(), headers=headers)
    assert_problem(response, 413, "body_too_large", "4194304 bytes")


async def test_a_sender_cannot_name_itself(api: Api, owner: Owner) -> None:
    before = await owner.fetchval("SELECT coalesce(max(rejected_id), 0) FROM telemetry.rejected_reading")
    headers = {"content-type": "application/json", "x-forwarded-for": "spoofed"}
    assert (await api.http.post("/v1/ingest", content=b"5", headers=headers)).status_code == 422
    query = "SELECT array_agg(source) FROM telemetry.rejected_reading WHERE rejected_id > $1"
    assert await owner.fetchval(query, before) == ["127.0.0.1"]


@pytest.mark.parametrize("path", ["/v1/ingest/meter", "/v1/ingest"])
async def test_a_path_with_a_slash_at_its_end_takes_the_long_way_and_answers_the_same(
    api: Api, pair: Pair, path: str
) -> None:
    """The exact path of a single reading passes Litestar's routing by; every other spelling goes through it."""
    good = json.dumps(meter_reading(pair.meter, YESTERDAY)).encode()
    bodies = [
        (good, "application/json"),
        (good, "application/json; charset=utf-8"),
        (json.dumps(meter_reading(pair.meter, YESTERDAY, kwhConsumedAc=99)).encode(), "application/json"),
        (json.dumps(meter_reading(pair.meter, YESTERDAY, kwhConsumedAc=-1)).encode(), "application/json"),
        (good[:-1], "application/json"),
        (good + b" " * 1_100_000 * 4, "application/json"),
        (good, "text/csv"),
    ]
    await api.post("/v1/ingest", good)
    seen = []
    for body, media_type in bodies:
        short, long = [
            await api.http.post(spelled, content=body, headers={"content-type": media_type, "x-request-id": "same"})
            for spelled in (path, f"{path}/")
        ]
        assert (short.status_code, short.content) == (long.status_code, long.content)
        assert {**short.headers, "date": ""} == {**long.headers, "date": ""}
        seen.append(short.status_code)
    assert seen == [200, 200, 409, 422, 400, 413, 415]
