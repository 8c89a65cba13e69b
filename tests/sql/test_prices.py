"""Prices and grid intensities: what may be set, and what energy costs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from tests.support import (
    NOW,
    Api,
    Owner,
    Pair,
    TestDatabase,
    own_service,
)
from tests.support.energy_world import latest_clock_change

HOUR = timedelta(hours=1)
DAY = (NOW - timedelta(days=3)).replace(hour=0, minute=0)
COSTS = "SELECT currency, kwh_consumed_ac, kwh_priced, cost, kwh_with_intensity, co2_kg FROM "
SET = "SELECT ops.set_price(p_price_per_kwh => $1, p_currency => $2, p_zone => $3{})"


@pytest.fixture(scope="module")
async def own(test_database: TestDatabase) -> AsyncIterator[tuple[Owner, Api]]:
    """A database of these tests alone: the daily costs are as stale as the aggregates, which other tests refresh."""
    async with own_service(test_database) as own:
        yield own


@pytest.fixture(scope="module")
def owner(own: tuple[Owner, Api]) -> Owner:
    return own[0]


@pytest.fixture(scope="module")
def api(own: tuple[Owner, Api]) -> Api:
    return own[1]


@pytest.fixture
async def zone(owner: Owner, pair: Pair) -> str:
    """A price zone of the pair's meter alone, on the clock of Berlin."""
    await owner.execute("SELECT ops.set_price_zone($1, 'Europe/Berlin')", pair.meter)
    await owner.execute("SELECT ops.set_meter_zone($1, $1)", pair.meter)
    return pair.meter


async def set_price(owner: Owner, zone: str, price: str, currency: str = "EUR", **more: Any) -> int:
    names = "".join(f", p_{name} => ${number}" for number, name in enumerate(more, 4))
    row = await owner.fetch(
        "SELECT (s.p).price_id FROM (SELECT " + SET.format(names).removeprefix("SELECT ") + " AS p) AS s",
        *(Decimal(price), currency, zone, *more.values()),
    )
    return int(row[0][0])


async def post(api: Api, pair: Pair, *energies: tuple[datetime, float]) -> None:
    await api.post_vehicle(pair.vehicle, DAY)
    for stamp, kwh in energies:
        await api.post_meter(pair.meter, stamp, kwhConsumedAc=kwh)


async def daily(owner: Owner, pair: Pair) -> list[tuple[Any, ...]]:
    """The pair's rows: currency, energy, priced energy, cost, energy with an intensity, CO2."""
    query = f"{COSTS} bi.vehicle_cost_daily WHERE vehicle_id = $1 ORDER BY bucket, currency"
    return [tuple(row) for row in await owner.fetch(query, pair.vehicle)]


async def test_energy_without_a_price_costs_null_and_a_price_of_zero_costs_zero(
    api: Api, owner: Owner, pair: Pair, zone: str
) -> None:
    await post(api, pair, (DAY + HOUR, 2.0))
    assert await daily(owner, pair) == [(None, 2, 0, None, 0, None)]
    await set_price(owner, zone, "0")
    await owner.execute("SELECT ops.set_grid_intensity(0, $1)", zone)
    assert await daily(owner, pair) == [("EUR", 2, 2, 0, 2, 0)]


async def test_a_price_that_changes_afterwards_shows_at_once(api: Api, owner: Owner, pair: Pair, zone: str) -> None:
    await post(api, pair, (DAY + HOUR, 2.0))
    number = await set_price(owner, zone, "0.31")
    await owner.execute("SELECT ops.set_grid_intensity(250, $1)", zone)
    assert await daily(owner, pair) == [("EUR", 2, 2, Decimal("0.62"), 2, 0.5)]
    assert await set_price(owner, zone, "0.4") == number
    assert await daily(owner, pair) == [("EUR", 2, 2, Decimal("0.8"), 2, 0.5)]
    await owner.execute("SELECT ops.remove_price($1)", number)
    assert await daily(owner, pair) == [(None, 2, 0, None, 2, 0.5)]


async def test_currencies_are_never_added_up(api: Api, owner: Owner, pair: Pair, zone: str) -> None:
    await post(api, pair, (DAY + HOUR, 1.0), (DAY + 3 * HOUR, 2.0), (DAY + 5 * HOUR, 4.0))
    await set_price(owner, zone, "0.5", valid_until=DAY + 2 * HOUR)
    await set_price(owner, zone, "5", "SEK", valid_from=DAY + 2 * HOUR, valid_until=DAY + 4 * HOUR)
    assert [row[:4] for row in await daily(owner, pair)] == [
        ("EUR", 1, 1, Decimal("0.5")),
        ("SEK", 2, 2, 10),
        (None, 4, 0, None),
    ]
    fleet = f"{COSTS} bi.fleet_cost_daily WHERE bucket = $1 AND currency = 'SEK'"
    assert (await owner.fetch(fleet, DAY))[0]["cost"] == 10


async def test_a_reading_has_the_price_of_the_quarter_hour_that_its_interval_ends_in(
    api: Api, owner: Owner, pair: Pair, zone: str
) -> None:
    change = DAY + 2 * HOUR
    await post(api, pair, (change, 1.0), (change + timedelta(seconds=1), 10.0))
    await set_price(owner, zone, "1", valid_until=change)
    await set_price(owner, zone, "2", valid_from=change)
    assert [row[3] for row in await daily(owner, pair)] == [21]


async def test_the_energy_of_a_slower_meter_counts_where_its_interval_ends(
    api: Api, owner: Owner, pair: Pair, zone: str
) -> None:
    await post(api, pair, (DAY + 2 * HOUR, 6.0), (DAY + 5 * HOUR, 6.0))
    await set_price(owner, zone, "1", valid_from=DAY + 4 * HOUR, valid_until=DAY + 5 * HOUR)
    assert [row[:4] for row in await daily(owner, pair)] == [("EUR", 6, 6, 6), (None, 6, 0, None)]


async def test_a_meters_own_price_goes_before_that_of_its_zone_while_it_holds(
    api: Api, owner: Owner, pair: Pair, zone: str
) -> None:
    await post(api, pair, (DAY + HOUR, 1.0), (DAY + 3 * HOUR, 10.0))
    await set_price(owner, zone, "1")
    await set_price(owner, zone, "2", meter_id=pair.meter, valid_until=DAY + 2 * HOUR)
    await owner.execute("SELECT ops.set_grid_intensity(100, $1)", zone)
    await owner.execute("SELECT ops.set_grid_intensity(500, $1, p_meter_id => $2)", zone, pair.meter)
    assert [(row[3], row[5]) for row in await daily(owner, pair)] == [(12, 5.5)]
    # in another zone it is the meter of another contract
    await owner.execute("SELECT ops.set_price_zone($1)", f"{zone}-2")
    await owner.execute("SELECT ops.set_meter_zone($1, $2)", pair.meter, f"{zone}-2")
    assert [(row[3], row[5]) for row in await daily(owner, pair)] == [(None, None)]


async def test_a_night_tariff_follows_the_clock_of_its_zone_through_a_change_of_the_clocks(
    api: Api, owner: Owner, pair: Pair, zone: str
) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    changed = (latest_clock_change("Europe/Berlin") + timedelta(days=1.5)).astimezone(berlin).date()
    await set_price(owner, zone, "1", local_from=datetime.min.time().replace(hour=6), local_until=_clock(22))
    await set_price(owner, zone, "100", local_from=_clock(22), local_until=_clock(6))
    # one kWh that ends at half past each hour that there is between 21:00 and 07:00
    first = datetime(changed.year, changed.month, changed.day, 21, 30, tzinfo=berlin) - timedelta(days=1)
    stamps = [first.astimezone(UTC) + n * HOUR for n in range(12)]
    wanted = [stamp for stamp in stamps if stamp.astimezone(berlin).hour in {21, 22, 23, *range(7)}]
    assert len(wanted) in {9, 11}  # not 10: an hour is missing, or comes twice
    await post(api, pair, *((stamp, 1.0) for stamp in wanted))
    assert sum(row[3] for row in await daily(owner, pair)) == 2 + 100 * (len(wanted) - 2)


def _clock(hour: int) -> Any:
    return datetime.min.replace(hour=hour).time()


async def test_a_quarter_hour_in_which_the_meter_changes_is_split_to_the_reading(
    api: Api, owner: Owner, pair: Pair, zone: str
) -> None:
    other = f"{pair.meter}-other"
    await owner.execute("SELECT ops.set_meter_zone($1, $2)", other, zone)
    change = DAY + HOUR + timedelta(minutes=7)
    await post(api, pair, (change, 1.0), (change + timedelta(minutes=1), 10.0))
    await api.post_meter(other, change, kwhConsumedAc=100.0)
    await api.post_meter(other, change + timedelta(minutes=1), kwhConsumedAc=1000.0)
    await owner.execute("SELECT api.link_vehicle($1, $2, $3)", pair.vehicle, other, change)
    await set_price(owner, zone, "2")
    assert [row[1:4] for row in await daily(owner, pair)] == [(1001, 1001, 2002)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p_price_per_kwh": "NULL"}, "price_per_kwh must be from -1000000 to 1000000, not NULL"),
        ({"p_price_per_kwh": "'NaN'"}, "price_per_kwh must be from -1000000 to 1000000, not NaN"),
        ({"p_price_per_kwh": "1000001"}, "price_per_kwh must be from -1000000 to 1000000, not 1000001"),
        ({"p_currency": "'eur'"}, "currency must be a code of ISO 4217 as EUR, not eur"),
        ({"p_zone": "'nowhere'"}, "zone nowhere is unknown"),
        ({"p_meter_id": "'M 1'"}, "meter must be 1 to 64 characters"),
        ({"p_zone": "'default'"}, "is in zone M.*, not in default"),
        ({"p_valid_from": "'2026-01-01 00:05Z'"}, "valid_from 2026-01-01T00:05.* is not a whole quarter hour"),
        ({"p_valid_from": "'2026-01-02Z'", "p_valid_until": "'2026-01-01Z'"}, "valid_from .* must lie before"),
        ({"p_valid_from": "'infinity'"}, "valid_from infinity must lie before"),
        ({"p_days": "'21'"}, r"days must be digits from 1 \(Monday\) to 7 \(Sunday\) in this order"),
        ({"p_days": "''"}, "days must be digits"),
        ({"p_local_from": "'06:10'"}, "local_from must be a whole quarter hour from 00:00 to 23:45, not 06:10"),
        ({"p_local_until": "'06:01'"}, "local_until must be a whole quarter hour from 00:00 to 24:00, not 06:01"),
    ],
)
async def test_a_price_that_cannot_be_is_refused_by_name_and_limit(
    owner: Owner, pair: Pair, zone: str, arguments: dict[str, str], message: str
) -> None:
    values = {"p_price_per_kwh": "0.3", "p_currency": "'EUR'", "p_zone": f"'{zone}'", "p_meter_id": f"'{pair.meter}'"}
    call = ", ".join(f"{name} => {value}" for name, value in (values | arguments).items())
    with pytest.raises(asyncpg.InvalidParameterValueError, match=message):
        await owner.execute(f"SELECT ops.set_price({call})")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{}", "line 7: price_per_kwh and co2_g_per_kwh are both empty"),
        ('{"price_per_kwh": 1}', "line 7: currency must be a code of ISO 4217 as EUR, not NULL"),
        ('{"currency": "EUR", "co2_g_per_kwh": 1}', "line 7: price_per_kwh must be from -1000000 to 1000000, not NULL"),
        ('{"co2_g_per_kwh": 10001}', "line 7: co2_g_per_kwh must be from 0 to 10000 g/kWh, not 10001"),
        ('{"co2_g_per_kwh": 1, "zone": "nowhere"}', "line 7: zone nowhere is unknown"),
    ],
)
async def test_an_import_names_the_line_and_stores_none(owner: Owner, zone: str, line: str, message: str) -> None:
    good = {"line": 2, "zone": zone, "co2_g_per_kwh": 1}
    lines = json.dumps([good, {"line": 7, **json.loads(line)}])
    with pytest.raises(asyncpg.InvalidParameterValueError, match=message):
        await owner.execute("SELECT ops.import_prices($1::jsonb)", lines)
    assert await owner.fetchval("SELECT count(*) FROM ops.grid_intensity WHERE zone = $1", zone) == 0


async def test_a_grid_intensity_has_limits(owner: Owner, zone: str) -> None:
    for value in ("-1", "10001", "NULL", "'NaN'"):
        with pytest.raises(asyncpg.InvalidParameterValueError, match="co2_g_per_kwh must be from 0 to 10000 g/kWh"):
            await owner.execute(f"SELECT ops.set_grid_intensity({value}, $1)", zone)


async def test_an_overlap_is_refused_with_the_row_in_its_way(owner: Owner, zone: str) -> None:
    number = await set_price(owner, zone, "1", valid_from=DAY)
    with pytest.raises(asyncpg.ExclusionViolationError, match=f"overlaps price {number} of") as refused:
        await set_price(owner, zone, "1", valid_from=DAY - HOUR)
    assert f"ops.remove_price({number})" in refused.value.hint
    # side by side in time, and in the week
    await set_price(owner, zone, "1", valid_until=DAY, days="12345", local_until=_clock(6))
    await set_price(owner, zone, "1", valid_until=DAY, days="67")
    await set_price(owner, zone, "1", valid_until=DAY, days="12345", local_from=_clock(6), local_until=_clock(22))
    with pytest.raises(asyncpg.ExclusionViolationError):
        await set_price(owner, zone, "1", valid_until=DAY, days="1", local_from=_clock(23), local_until=_clock(1))


async def test_of_two_sessions_that_set_overlapping_prices_the_constraint_refuses_one(owner: Owner, zone: str) -> None:
    insert = "INSERT INTO ops.price VALUES (DEFAULT, $1, NULL, tstzrange($2, NULL), '1', '00:00', '00:00', 1, 'EUR')"
    await owner.execute(insert, zone, DAY)
    with pytest.raises(asyncpg.ExclusionViolationError, match="one_price_at_a_time"):
        await owner.execute(insert, zone, DAY + HOUR)


async def test_a_price_ends_so_that_the_next_one_can_follow(api: Api, owner: Owner, pair: Pair, zone: str) -> None:
    await post(api, pair, (DAY + HOUR, 1.0), (DAY + 3 * HOUR, 10.0))
    number = await set_price(owner, zone, "1")
    await owner.execute("SELECT ops.remove_price($1, $2)", number, DAY + 2 * HOUR)
    await set_price(owner, zone, "2", valid_from=DAY + 2 * HOUR)
    assert [row[3] for row in await daily(owner, pair)] == [21]
    with pytest.raises(asyncpg.InvalidParameterValueError, match="must lie before"):
        await owner.execute("SELECT ops.remove_price($1, $2)", number + 1, DAY)
    with pytest.raises(asyncpg.InvalidParameterValueError, match="price -1 is unknown"):
        await owner.execute("SELECT ops.remove_price(-1)")
    with pytest.raises(asyncpg.InvalidParameterValueError, match="grid intensity -1 is unknown"):
        await owner.execute("SELECT ops.remove_grid_intensity(-1)")


async def test_zones_are_checked(owner: Owner, pair: Pair) -> None:
    for call, message in (
        ("ops.set_price_zone('a b')", "zone must have 1 to 64 characters"),
        ("ops.set_price_zone('x', 'Mars')", "Mars"),
        (f"ops.set_meter_zone('{pair.meter}', 'nowhere')", "zone nowhere is unknown"),
        ("ops.set_meter_zone('M 1')", "meter must be 1 to 64 characters"),
    ):
        with pytest.raises(asyncpg.InvalidParameterValueError, match=message):
            await owner.execute(f"SELECT {call}")


async def test_sessions_and_what_lies_between_them_cost_what_the_day_costs(
    api: Api, owner: Owner, pair: Pair, zone: str
) -> None:
    start = DAY + HOUR
    stamps = [start + n * timedelta(minutes=5) for n in range(1, 13)]
    for number, stamp in enumerate(stamps, 1):
        charges = 2 <= number <= 10  # from 01:05 to 01:50
        await api.post_vehicle(pair.vehicle, stamp, kwhDeliveredDc=0.9 * charges)
        await api.post_meter(pair.meter, stamp, kwhConsumedAc=1.0)
    first, second = start + timedelta(minutes=15), start + timedelta(minutes=45)
    await set_price(owner, zone, "1", valid_until=first)
    await set_price(owner, zone, "2", valid_from=first, valid_until=second)
    await set_price(owner, zone, "4", valid_from=second)

    query = "SELECT started_at, ended_at, kwh_consumed_ac, cost FROM bi.charging_session_cost WHERE vehicle_id = $1"
    [session] = [tuple(row) for row in await owner.fetch(query, pair.vehicle)]
    # two of its readings at 1, six at 2, one at 4
    assert session == (start + timedelta(minutes=5), start + timedelta(minutes=50), 9, 18)
    between = "SELECT sum(cost) FROM (VALUES ($2::timestamptz, $3::timestamptz), ($4, $5)) AS e (start, until) "
    between += "CROSS JOIN LATERAL telemetry.energy_cost($1, e.start, e.until)"
    standby = await owner.fetchval(between, pair.meter, DAY, session[0], session[1], DAY + 24 * HOUR)
    assert standby == 1 + 2 * 4
    assert [row[3] for row in await daily(owner, pair)] == [session[3] + standby]
    # the same in one row, in the API too, while it has one currency
    await owner.execute("SELECT ops.set_grid_intensity(250, $1)", zone)
    of_bi = "SELECT currency, cost, co2_kg FROM bi.charging_session WHERE vehicle_id = $1"
    of_api = "SELECT currency, cost, co2_kg FROM api.list_vehicle_sessions($1, $2, $3, NULL, NULL, 10, TRUE)"
    window = (DAY, DAY + 24 * HOUR)
    assert [tuple(row) for row in await owner.fetch(of_bi, pair.vehicle)] == [("EUR", 18, 2.25)]
    assert [tuple(row) for row in await owner.fetch(of_api, pair.vehicle, *window)] == [("EUR", 18, 2.25)]
    await owner.execute("DELETE FROM ops.price WHERE zone = $1", zone)
    assert [tuple(row) for row in await owner.fetch(of_bi, pair.vehicle)] == [(None, None, 2.25)]
    await set_price(owner, zone, "1", valid_until=start + timedelta(minutes=15))
    assert [tuple(row) for row in await owner.fetch(of_api, pair.vehicle, *window)] == [("EUR", 2, 2.25)]
    await set_price(owner, zone, "10", "SEK", valid_from=start + timedelta(minutes=15))
    assert [tuple(row) for row in await owner.fetch(of_bi, pair.vehicle)] == [(None, None, 2.25)]
