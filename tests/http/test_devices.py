"""/v1/devices/{kind}/{id}: profiles, and what they make of what the devices send."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from service.database.pool import Database
from service.readings.model import METER
from tests.support import NOW, YESTERDAY, Api, Owner, Pair, assert_problem, meter_reading, new_pair, vehicle_reading

MINUTE = timedelta(minutes=1)


async def declare(api: Api, meter: str, **profile: Any) -> None:
    response = await api.http.put(f"/v1/devices/meter/{meter}", json=profile)
    assert response.status_code == 200, response.text


async def energies(api: Api, meter: str) -> list[float]:
    params = {"start": (YESTERDAY - MINUTE).isoformat(), "hours": 2}
    answer = await api.http.get(f"/v1/history/meter/{meter}", params=params)
    return [item["kwhConsumedAc"] for item in answer.json()["items"]]


async def send(api: Api, meter: str, registers: list[tuple[int, float]]) -> list[str]:
    """Registers by the minute of their time, in the order given."""
    answers = [await api.post_meter(meter, YESTERDAY + n * MINUTE, kwhConsumedAc=kwh) for n, kwh in registers]
    return [answer.json().get("outcome") or answer.json()["code"] for answer in answers]


async def test_nobody_has_said_anything_of_most_devices(api: Api, pair: Pair) -> None:
    assert_problem(await api.http.get(f"/v1/devices/meter/{pair.meter}"), 404, "meter_unknown", pair.meter)
    await api.post_meter(pair.meter)
    assert (await api.http.get(f"/v1/devices/meter/{pair.meter}")).json() == {
        "deviceId": pair.meter,
        "energyKind": "interval",
        "registerMax": None,
        "maxKw": None,
        "expectedIntervalS": None,
        "observedIntervalS": None,
        "retired": False,
        "setAt": None,
    }
    await api.post_meter(pair.meter, YESTERDAY + 15 * MINUTE)
    assert (await api.http.get(f"/v1/devices/meter/{pair.meter}")).json()["observedIntervalS"] == 900


@pytest.mark.parametrize("kind", ["meter", "vehicle"])
async def test_the_observed_interval_follows_what_a_device_sends_and_forgets_an_outage(
    api: Api, pair: Pair, kind: str
) -> None:
    device, post = (pair.meter, api.post_meter) if kind == "meter" else (pair.vehicle, api.post_vehicle)

    async def observed(*minutes: float) -> float | None:
        for minute in minutes:
            await post(device, YESTERDAY + minute * MINUTE)
        return (await api.http.get(f"/v1/devices/{kind}/{device}")).json()["observedIntervalS"]

    assert await observed(0) is None
    assert await observed(15, 30) == 900
    assert await observed(100) == 1125  # a gap: a quarter more
    assert await observed(115) == 900
    assert await observed(20) == 900  # late: the newest two tell
    assert await observed(116, 117) == 60
    assert await observed(117.1) == 60  # at least a minute
    reading = meter_reading if kind == "meter" else vehicle_reading
    batch = [reading(device, YESTERDAY + timedelta(hours=3, minutes=n)) for n in (0, 15, 30)]
    await api.post(f"/v1/ingest/{kind}/batch", batch[::-1])
    assert await observed() == 75  # what was a minute is a quarter more


@pytest.mark.parametrize("kind", ["meter", "vehicle"])
async def test_a_retired_device_is_so_until_it_reports_again(api: Api, pair: Pair, kind: str) -> None:
    device, post = (pair.meter, api.post_meter) if kind == "meter" else (pair.vehicle, api.post_vehicle)
    url = f"/v1/devices/{kind}/{device}"
    await post(device)
    assert (await api.http.put(url, json={"retired": True})).json()["retired"] is True
    assert (await api.http.get(url)).json()["retired"] is True
    await post(device, NOW)
    assert (await api.http.get(url)).json()["retired"] is False
    assert (await api.http.put(url, json={"retired": True})).json()["retired"] is True  # and again
    assert (await api.http.put(url, json={})).json()["retired"] is False


@pytest.mark.parametrize(
    ("profile", "registers", "expected"),
    [
        ({}, [100.0, 101.5, 101.5, 104.0], [0, 1.5, 0, 2.5]),
        ({}, [100.0, 5.0, 7.0], [0, 5, 2]),  # a reset
        ({"registerMax": 1000}, [990.0, 3.0, 4.0], [0, 13, 1]),  # a rollover
        ({}, [100.0, 95.0, 96.0, 101.0], [0, 0, 0, 1]),  # a dip, and one within it
        ({}, [100.0, 90.0, 91.0], [0, 0, 0]),  # nine tenths is a dip yet
        ({}, [100.0, 95.0, 80.0], [0, 0, 80]),  # a reset after a dip
        ({"registerMax": 999999.9}, [1000.0, 5.0, 5.5], [0, 5, 0.5]),  # far from its maximum no register rolls over
        ({"registerMax": 999999.9, "maxKw": 22}, [1000.0, 5.0, 5.5], [0, 5, 0.5]),
        ({}, [1000.0, 0.0, 1000.2], [0, 0, pytest.approx(0.2)]),  # a glitch: the zero of a start
        ({"maxKw": 22}, [1000.0, 0.0, 1000.2], [0, 0, pytest.approx(0.2)]),
        ({"registerMax": 1000}, [990.0, 0.0, 0.0, 990.5, 991.0], [0, 0, 0, 0.5, 0.5]),  # several, near the maximum
        ({}, [1000.0, 5.0, 5.5, 1000.5], [0, 5, 0.5, 995]),  # it had gone on from there: a reset
        ({"maxKw": 22}, [40000.0, 25000.0, 25000.1], [0, 0, pytest.approx(0.1)]),  # the register of another meter
        # whatever the interval of the device: a late reading is judged by the times of the readings alone
        ({"maxKw": 22, "expectedIntervalS": 3600}, [40.0, 25.0, 25.1], [0, 0, pytest.approx(0.1)]),
        ({"maxKw": 22}, [0.0, 0.0, 1000.0, 1000.2], [0, 0, 0, pytest.approx(0.2)]),  # the zero of a start came first
        ({"maxKw": 22}, [0.0, 0.5, 1.0], [0, 0.5, 0.5]),  # a new meter
        ({"registerMax": 999999.9, "maxKw": 22}, [950000.0, 5.0, 5.5], [0, 5, 0.5]),  # too much for a rollover
        ({"registerMax": 1000, "maxKw": 22}, [999.75, 0.25, 0.5], [0, 0.5, 0.25]),
    ],
    ids=str,
)
async def test_a_registers_energy_is_its_rise_in_whatever_order_it_comes(
    api: Api, pair: Pair, profile: dict, registers: list[float], expected: list[float]
) -> None:
    await declare(api, pair.meter, energyKind="register", **profile)
    sent = list(enumerate(registers))
    assert set(await send(api, pair.meter, sent)) == {"stored"}
    assert await energies(api, pair.meter) == expected
    assert set(await send(api, pair.meter, sent)) == {"duplicate"}
    shuffled = f"late-{pair.meter}"
    await declare(api, shuffled, energyKind="register", **profile)
    assert set(await send(api, shuffled, sent[::-1])) == {"stored"}
    assert await energies(api, shuffled) == expected
    status = (await api.http.get(f"/v1/status/meter/{shuffled}")).json()
    assert status["kwhConsumedAc"] == expected[-1]


async def test_more_energy_than_the_device_can_carry_is_refused_by_name(api: Api, owner: Owner, pair: Pair) -> None:
    await declare(api, pair.meter, maxKw=11)  # 11 kW give 0.1833 kWh a minute, and twice that passes
    assert await send(api, pair.meter, [(0, 0.36), (1, 0.37)]) == ["stored", "implausible_energy"]
    refused = await api.post_meter(pair.meter, YESTERDAY + 2 * MINUTE, kwhConsumedAc=12345.0)
    assert_problem(refused, 422, "implausible_energy", "kwhConsumedAc", "12345", "maxKw 11")
    query = "SELECT count(*) FROM telemetry.rejected_reading WHERE code = 'implausible_energy' AND payload LIKE $1"
    assert await owner.fetchval(query, f"%{pair.meter}%") == 2
    await declare(api, pair.meter, energyKind="register", maxKw=11)
    # after an hour a register may have risen by an hour's energy; a leap is refused, and nothing follows from it
    outcomes = await send(api, pair.meter, [(10, 500.0), (70, 521.0), (71, 900.0), (72, 521.3)])
    assert outcomes == ["stored", "stored", "implausible_energy", "stored"]
    assert await energies(api, pair.meter) == [0.36, 0, 21.0, pytest.approx(0.3)]


async def test_the_least_power_that_can_be_said_refuses_readings_and_breaks_nothing(api: Api, pair: Pair) -> None:
    await declare(api, pair.meter, maxKw=5e-324)
    others = new_pair().meter
    batch = [meter_reading(others), meter_reading(pair.meter, kwhConsumedAc=0), meter_reading(pair.meter, NOW)]
    answer = (await api.post("/v1/ingest/meter/batch", batch)).json()
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [(2, "implausible_energy")]
    assert answer["stored"] == 2


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"energyKind": "gas"}, "energyKind"),
        ({"energyKind": "inter\x00val"}, "energyKind"),
        ({"registerMax": 5}, "registerMax"),
        ({"energyKind": "register", "registerMax": -1}, "registerMax"),
        ({"maxKw": 0}, "maxKw"),
        ({"expectedIntervalS": 0}, "expectedIntervalS"),
        ({"expectedIntervalS": 86401}, "expectedIntervalS"),
        ({"retired": "yes"}, "retired"),
        ({"colour": "red"}, "colour"),
    ],
    ids=str,
)
async def test_a_profile_that_makes_no_sense_is_refused(api: Api, pair: Pair, body: dict, word: str) -> None:
    response = await api.http.put(f"/v1/devices/vehicle/{pair.vehicle}", json=body)
    assert_problem(response, 422, "parameter_invalid", word)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ("NULL, 'D1'", "kind"),
        ("'gas', 'D1'", "kind"),
        ("'meter', NULL", "meterId"),
        ("'meter', 'D1', NULL", "energyKind"),
        ("'meter', 'D1', 'interval', NULL, NULL, 0", "expectedIntervalS"),
    ],
)
async def test_what_sql_leaves_out_of_a_profile_is_refused_by_name(owner: Owner, arguments: str, word: str) -> None:
    with pytest.raises(asyncpg.PostgresError, match=f"{word} must be") as raised:
        await owner.execute(f"SELECT api.set_device_profile({arguments})")
    assert raised.value.sqlstate == "IE004"


@pytest.mark.concurrent
async def test_a_registers_readings_that_come_over_many_connections_at_once_add_up(
    api: Api, database: Database, pair: Pair
) -> None:
    await declare(api, pair.meter, energyKind="register")
    readings = [(pair.meter, YESTERDAY + n * MINUTE, 100.0 + n, 230.0, None) for n in range(60)]
    random.Random(7).shuffle(readings)
    groups = [readings[n : n + 3] for n in range(0, 60, 3)]
    await asyncio.gather(*(database.write_rows(METER.ingest.query, group) for group in groups))
    assert await energies(api, pair.meter) == [0.0] + [1.0] * 59
