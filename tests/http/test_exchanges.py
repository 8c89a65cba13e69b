"""/v1/devices/{kind}/{id}/exchange: replaced registers, and what they make of the readings around them."""

import asyncio
import itertools
import random
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from service.database.calls import EXCHANGE_REGISTER
from service.database.pool import Database
from service.readings.model import METER, VEHICLE
from tests.support import YESTERDAY, Api, Owner, Pair, assert_problem, rfc3339

MINUTE = timedelta(minutes=1)
FIELDS = {"meter": "kwhConsumedAc", "vehicle": "kwhDeliveredDc"}
EXCHANGE = {"at": rfc3339(YESTERDAY + 2 * MINUTE), "lastRegister": 4000.5, "firstRegister": 25000.0}
READINGS = [(0, 3999.0), (1, 4000.0), (3, 25000.25), (4, 25000.5)]
ENERGIES = [0, 1, 0.75, 0.25]  # of the third: 0.5 kWh of the old register, and 0.25 of the new one

pytestmark = [pytest.mark.long, pytest.mark.parametrize("kind", ["meter", "vehicle"])]


def of(pair: Pair, kind: str) -> str:
    return pair.meter if kind == "meter" else pair.vehicle


async def declare(api: Api, kind: str, device: str, **profile: Any) -> None:
    response = await api.http.put(f"/v1/devices/{kind}/{device}", json={"energyKind": "register", **profile})
    assert response.status_code == 200, response.text


async def exchange(api: Api, kind: str, device: str, **changed: Any) -> Any:
    body = {name: value for name, value in {**EXCHANGE, **changed}.items() if value is not ...}
    return await api.post(f"/v1/devices/{kind}/{device}/exchange", body)


async def send(api: Api, kind: str, device: str, *registers: tuple[float, float]) -> list[str]:
    """Registers by the minute of their time, in the order given."""
    post = api.post_meter if kind == "meter" else api.post_vehicle
    answers = [await post(device, YESTERDAY + n * MINUTE, **{FIELDS[kind]: kwh}) for n, kwh in registers]
    return [answer.json().get("outcome") or answer.json()["code"] for answer in answers]


async def history(api: Api, kind: str, device: str, *fields: str) -> list[Any]:
    params = {"start": (YESTERDAY - MINUTE).isoformat(), "hours": 2}
    items = (await api.http.get(f"/v1/history/{kind}/{device}", params=params)).json()["items"]
    return [item[fields[0]] if len(fields) == 1 else tuple(item[field] for field in fields) for item in items]


async def test_an_exchange_counts_the_rest_of_the_old_register_and_the_rise_of_the_new_one_in_whatever_order_it_comes(
    api: Api, pair: Pair, kind: str
) -> None:
    for number, order in enumerate(itertools.permutations([*READINGS[1:], None])):
        device = f"{of(pair, kind)}-{number}"
        await declare(api, kind, device)
        for event in order:
            if event is None:
                assert (await exchange(api, kind, device)).status_code == 201
            else:
                assert await send(api, kind, device, event) == ["stored"]
        assert await history(api, kind, device, FIELDS[kind]) == [0, *ENERGIES[2:]], order
        assert await history(api, kind, device, "exchangeKwh") == [None, 0.5, None], order
        assert (await api.http.get(f"/v1/status/{kind}/{device}")).json()[FIELDS[kind]] == ENERGIES[-1]


async def test_a_reading_of_the_moment_of_the_exchange_shows_the_old_register(api: Api, pair: Pair, kind: str) -> None:
    device = of(pair, kind)
    await declare(api, kind, device)
    await exchange(api, kind, device)
    await send(api, kind, device, *READINGS, (2, 4000.25))
    assert await history(api, kind, device, FIELDS[kind]) == [0, 1, 0.25, 0.5, 0.25]


async def test_without_a_reading_before_it_the_new_register_counts_from_its_first_value(
    api: Api, pair: Pair, kind: str
) -> None:
    device = of(pair, kind)
    await declare(api, kind, device)
    await exchange(api, kind, device)
    await send(api, kind, device, *READINGS[2:])
    assert await history(api, kind, device, FIELDS[kind]) == [0.25, 0.25]


async def test_the_zero_of_a_new_meters_start_is_a_glitch_that_keeps_the_energy_of_the_old_one(
    api: Api, pair: Pair, kind: str
) -> None:
    orders = itertools.permutations([(1, 4000.0), (3, 0.0), (4, 25000.25), None])
    for number, order in enumerate(itertools.islice(orders, 0, None, 4)):
        device = f"{of(pair, kind)}-{number}"
        await declare(api, kind, device)
        for event in order:
            await (exchange(api, kind, device) if event is None else send(api, kind, device, event))
        assert await history(api, kind, device, FIELDS[kind], "exchangeKwh") == [(0, None), (0.5, 0.5), (0.25, None)]


@pytest.mark.parametrize(
    ("readings", "first", "expected"),
    [
        ([(1, 4000.0), (3, 95.0), (4, 101.0)], 100, [0, 0.5, 1]),  # a dip below the first value, then a rise from it
        ([(1, 4000.0), (3, 0.0), (5, 0.0), (4, 25000.25)], 25000, [0, 0.5, 0.25, 0]),  # a late one shows the glitch
    ],
    ids=str,
)
async def test_what_follows_the_first_reading_is_compared_with_the_first_value_of_the_new_register(
    api: Api, pair: Pair, kind: str, readings: list[tuple[int, float]], first: float, expected: list[float]
) -> None:
    before, after = f"{of(pair, kind)}-before", f"{of(pair, kind)}-after"
    for device in (before, after):
        await declare(api, kind, device)
    assert (await exchange(api, kind, before, firstRegister=first)).status_code == 201
    for device in (before, after):
        assert set(await send(api, kind, device, *readings)) == {"stored"}
    assert (await exchange(api, kind, after, firstRegister=first)).status_code == 201
    for device in (before, after):
        assert await history(api, kind, device, FIELDS[kind]) == expected, device


async def test_aggregates_take_up_what_an_exchange_mends(api: Api, owner: Owner, pair: Pair, kind: str) -> None:
    device = of(pair, kind)
    await declare(api, kind, device)
    await send(api, kind, device, *READINGS)
    energy = {"meter": "kwh_consumed_ac", "vehicle": "kwh_delivered_dc"}[kind]
    query = f"SELECT sum({energy}) FROM bi.{kind}_15min WHERE {kind}_id = $1"
    refresh = f'CALL ops.refresh_aggregates(NULL, \'{{"kind": "{kind}"}}\')'
    await owner.execute(refresh)
    assert await owner.fetchval(query, device) == 1 + 21000.25 + 0.25
    assert (await exchange(api, kind, device)).status_code == 201
    await owner.execute(refresh)
    assert await owner.fetchval(query, device) == sum(ENERGIES)


async def test_an_exchange_says_who_declared_it_and_is_repeated_or_contradicted(
    api: Api, pair: Pair, kind: str
) -> None:
    device = of(pair, kind)
    await declare(api, kind, device, retired=False)
    url = f"/v1/devices/{kind}/{device}/exchange"
    assert (await api.http.get(url)).json() == {"deviceId": device, "items": []}
    first = await exchange(api, kind, device)
    assert first.status_code == 201
    item = first.json()
    assert {name: item[name] for name in EXCHANGE} == EXCHANGE
    assert item["declaredBy"] == "127.0.0.1"
    again = await exchange(api, kind, device)
    assert (again.status_code, again.json()) == (200, item)
    refused = await exchange(api, kind, device, firstRegister=0)
    assert_problem(refused, 409, "exchange_conflict", "lastRegister 4000.5", "firstRegister 25000", "4000.5 and 0")
    later = await exchange(api, kind, device, at=rfc3339(YESTERDAY + 9 * MINUTE), lastRegister=25001, firstRegister=0)
    assert (await api.http.get(url)).json() == {"deviceId": device, "items": [later.json(), item]}


async def test_what_maxkw_rejected_before_the_exchange_is_stored_after_it(api: Api, pair: Pair, kind: str) -> None:
    device = of(pair, kind)
    await declare(api, kind, device, maxKw=40)
    outcomes = await send(api, kind, device, *READINGS)
    assert outcomes == ["implausible_energy" if kwh > 25000 else "stored" for _, kwh in READINGS]
    assert (await exchange(api, kind, device)).status_code == 201
    assert await send(api, kind, device, *reversed(READINGS[2:])) == ["stored", "stored"]
    assert await history(api, kind, device, FIELDS[kind]) == ENERGIES
    # the limit still guards the new register
    assert await send(api, kind, device, (5, 25002.5)) == ["implausible_energy"]


async def test_maxkw_guards_both_parts_of_an_exchange(api: Api, pair: Pair, kind: str) -> None:
    device = of(pair, kind)
    await declare(api, kind, device, maxKw=22)
    assert await send(api, kind, device, (1, 4000.0)) == ["stored"]
    refused = await exchange(api, kind, device, lastRegister=4000.8)
    assert_problem(refused, 422, "parameter_invalid", "lastRegister", "maxKw 22", "4000 kWh")
    assert (await exchange(api, kind, device)).status_code == 201
    assert await send(api, kind, device, (3, 25000.8), (3, 25000.7)) == ["implausible_energy", "stored"]
    refused = await exchange(
        api, kind, device, at=rfc3339(YESTERDAY + 2.5 * MINUTE), lastRegister=25000, firstRegister=0
    )
    assert_problem(refused, 422, "parameter_invalid", "firstRegister", "maxKw 22", "25000.7 kWh")
    # also above a zero that was declared: it is none of a start
    at = rfc3339(YESTERDAY + 3.5 * MINUTE)
    assert (await exchange(api, kind, device, at=at, lastRegister=25000.75, firstRegister=0)).status_code == 201
    assert await send(api, kind, device, (4, 5.0), (4, 0.25)) == ["implausible_energy", "stored"]
    await declare(api, kind, new := f"{device}-new", maxKw=22)
    assert await send(api, kind, new, (1, 0.0)) == ["stored"]
    refused = await exchange(api, kind, new, lastRegister=5)
    assert_problem(refused, 422, "parameter_invalid", "lastRegister", "maxKw 22", "0 kWh")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"at": "2027-13-01T00:00:00Z"}, ["at must be"]),
        ({"at": "2026-11-01T00:00:00"}, ["at must be", "offset"]),
        ({"at": ...}, ["at"]),
        ({"at": "2099-01-01T00:00:00Z"}, ["at must be", "5 minutes ahead"]),
        ({"at": "2019-01-01T00:00:00Z"}, ["at must be", "retention"]),
        ({"lastRegister": -1}, ["lastRegister must be from 0 to registerMax 99999 kWh"]),
        ({"firstRegister": 99999.5}, ["firstRegister must be from 0 to registerMax 99999 kWh"]),
        ({"firstRegister": ...}, ["firstRegister"]),
        ({"lastRegister": "4000"}, ["lastRegister"]),
        ({"lastRegister": 3999.5}, ["lastRegister must be at least the register of", "4000 kWh"]),
        ({"firstRegister": 25001}, ["firstRegister must be at most the highest register", "25000.5 kWh"]),
        ({"colour": "red"}, ["colour"]),
    ],
    ids=str,
)
async def test_an_exchange_that_makes_no_sense_is_refused_by_name_and_limit(
    api: Api, pair: Pair, kind: str, changed: dict, words: list[str]
) -> None:
    device = of(pair, kind)
    await declare(api, kind, device, registerMax=99999)
    await send(api, kind, device, *READINGS)
    assert_problem(await exchange(api, kind, device, **changed), 422, "parameter_invalid", *words)
    assert (await api.http.get(f"/v1/devices/{kind}/{device}/exchange")).json()["items"] == []


async def test_a_register_that_rolled_over_before_its_exchange_may_end_low(api: Api, pair: Pair, kind: str) -> None:
    device = of(pair, kind)
    await declare(api, kind, device, registerMax=1000)
    await send(api, kind, device, (1, 999.0), (3, 12.5))
    assert (await exchange(api, kind, device, lastRegister=2, firstRegister=12)).status_code == 201
    assert await history(api, kind, device, FIELDS[kind]) == [0, 3.5]


async def test_only_a_known_device_that_sends_a_register_has_an_exchange(api: Api, pair: Pair, kind: str) -> None:
    device = of(pair, kind)
    assert_problem(await exchange(api, kind, device), 404, f"{kind}_unknown", device)
    assert_problem(await api.http.get(f"/v1/devices/{kind}/{device}/exchange"), 404, f"{kind}_unknown", device)
    await send(api, kind, device, (0, 0.1))
    assert_problem(await exchange(api, kind, device), 422, "parameter_invalid", f"energyKind of {kind}Id {device}")


async def test_raw_history_shows_the_exchange_in_every_format(api: Api, pair: Pair, kind: str) -> None:
    device = of(pair, kind)
    await declare(api, kind, device)
    await exchange(api, kind, device)
    await send(api, kind, device, *READINGS)
    for format_, mark in (("ndjson", '"exchangeKwh":0.5'), ("csv", ",0.5")):
        params = {"start": YESTERDAY.isoformat(), "hours": 2, "format": format_}
        lines = (await api.http.get(f"/v1/history/{kind}/{device}", params=params)).text.splitlines()
        assert [mark in line for line in lines if not line.startswith("timestamp")] == [False, True, False]


async def test_sql_refuses_what_is_left_out_by_name(owner: Owner, kind: str) -> None:
    with pytest.raises(asyncpg.PostgresError, match="at must be") as raised:
        await owner.execute(f"SELECT api.exchange_register('{kind}', 'D1', NULL, 1, 2)")
    assert raised.value.sqlstate == "IE004"


@pytest.mark.concurrent
async def test_an_exchange_that_comes_among_its_readings_over_many_connections_adds_up(
    api: Api, database: Database, pair: Pair, kind: str
) -> None:
    device = of(pair, kind)
    await declare(api, kind, device)
    registers = [(n, (100.0 if n < 30 else 25000.0 - 30) + n) for n in range(60)]
    random.Random(7).shuffle(registers)
    measures = (230.0,) if kind == "meter" else (20.0,)
    rows = [
        (device, YESTERDAY + n * MINUTE, *((kwh,) if kind == "meter" else (50.0, kwh)), *measures, None)
        for n, kwh in registers
    ]
    call = {"meter": METER, "vehicle": VEHICLE}[kind].ingest.query
    values = (kind, device, YESTERDAY + 29.5 * MINUTE, 129.25, 24999.75, None)
    calls = [database.write_rows(call, rows[n : n + 3]) for n in range(0, 60, 3)]
    calls.insert(10, database.write_rows(EXCHANGE_REGISTER, *values))
    await asyncio.gather(*calls)
    assert await history(api, kind, device, FIELDS[kind]) == [0.0] + [1.0] * 29 + [0.5] + [1.0] * 29
