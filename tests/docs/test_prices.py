"""The statements in docs/prices.md run, in order, and what they set is what energy costs."""

from __future__ import annotations

import re

from tests.support import ROOT, Api, Owner, Pair, meter_reading, now, vehicle_reading

PAGE = (ROOT / "docs/prices.md").read_text()
BLOCKS = re.findall(r"(?ms)^```sql\n(.*?)^```", PAGE)


async def test_the_statements_of_the_page_run_as_a_dba(owner: Owner) -> None:
    assert len(BLOCKS) == 5
    async with owner.undone() as connection:
        await connection.execute("DELETE FROM ops.price; DELETE FROM ops.grid_intensity")
        await connection.execute("ALTER TABLE ops.price ALTER price_id RESTART")
        await connection.execute("SET LOCAL ROLE energy_dba")
        for block in BLOCKS[:4]:
            await connection.execute(block)
        await connection.execute("RESET ROLE")
        await connection.execute(BLOCKS[4].replace("SET ROLE", "SET LOCAL ROLE"))
        await connection.execute("RESET ROLE")
        prices = await connection.fetch("SELECT zone, price_per_kwh::text, days FROM ops.price ORDER BY price_id")
    assert [tuple(row) for row in prices] == [
        ("default", "0.31", "1234567"),
        ("default", "0.34", "1234567"),
        ("north", "0.34", "12345"),
        ("north", "0.22", "12345"),
        ("north", "0.22", "12345"),
        ("north", "0.22", "67"),
        ("north", "0.19", "1234567"),
    ]


async def test_a_day_of_the_page_costs_what_its_first_price_says(api: Api, owner: Owner, pair: Pair) -> None:
    # of the present quarter hour, which no other test can have refreshed
    assert (await api.post("/v1/ingest", meter_reading(pair.meter, now(), kwhConsumedAc=10.0))).status_code == 201
    assert (await api.post("/v1/ingest", vehicle_reading(pair.vehicle, now()))).status_code == 201
    async with owner.undone() as connection:
        await connection.execute("DELETE FROM ops.price; DELETE FROM ops.grid_intensity")
        await connection.execute(BLOCKS[0])
        row = await connection.fetchrow(
            "SELECT currency, cost::float8, co2_kg FROM bi.vehicle_cost_daily WHERE vehicle_id = $1", pair.vehicle
        )
    assert tuple(row) == ("EUR", 3.1, 3.5)
