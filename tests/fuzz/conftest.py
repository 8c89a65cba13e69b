"""What was sent here is sent for devices of any name: other tests, of the same run, are to find none of it."""

from collections.abc import AsyncIterator

import pytest

from tests.support import Owner


@pytest.fixture(scope="module", autouse=True)
async def _tidy(owner: Owner) -> AsyncIterator[None]:
    yield
    await owner.execute("TRUNCATE telemetry.device_profile, telemetry.vehicle_meter_link")
    tables = [f"{kind}_{table}" for kind in ("meter", "vehicle") for table in ("telemetry_history", "current_status")]
    for table in (*tables, "rejected_reading", "rejected_source"):
        await owner.execute(f"DELETE FROM telemetry.{table}")
