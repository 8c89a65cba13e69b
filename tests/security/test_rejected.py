"""A rejected reading that is kept is never one of a device that the key may not send for: a replay would store it."""

import json
from collections.abc import AsyncIterator

import pytest

from service.database.pool import Database
from service.readings.decode import KEPT_CHARACTERS
from service.readings.decode_errors import MOST_READING_BYTES
from service.settings import Settings
from tests.http.test_auth import bearer, token
from tests.support import Api, Owner, meter_reading, new_pair, served, vehicle_reading


@pytest.fixture(scope="module")
async def guarded(database: Database) -> AsyncIterator[Api]:
    async with served(database, Settings(auth="required")) as api:
        yield api


@pytest.mark.parametrize("space", [0, KEPT_CHARACTERS, MOST_READING_BYTES], ids=["short", "cut", "too long"])
@pytest.mark.parametrize("kind", ["meter", "vehicle"])
async def test_a_line_that_is_cut_to_a_reading_of_another_device_is_not_kept(
    guarded: Api, owner: Owner, kind: str, space: int
) -> None:
    """The line is no JSON, and what is kept of it would be."""
    own, other = new_pair(), new_pair()
    make, device = (meter_reading, other.meter) if kind == "meter" else (vehicle_reading, other.vehicle)
    key = await token(owner, "device", kind, [own.meter if kind == "meter" else own.vehicle])
    line = json.dumps(make(device)).encode() + b" " * space + b"x"
    headers = {**bearer(key), "content-type": "application/x-ndjson"}
    for path in ("/v1/ingest/batch", f"/v1/ingest/{kind}/batch"):
        answer = await guarded.http.post(path, content=line, headers=headers)
        assert answer.status_code in {403, 422}, answer.text
    kept = await owner.fetch(
        "SELECT payload FROM telemetry.rejected_reading WHERE payload LIKE '%' || $1 || '%'", device
    )
    for row in kept:
        with pytest.raises(json.JSONDecodeError):
            json.loads(row["payload"])
    assert not kept or not space


async def test_so_much_is_kept(owner: Owner) -> None:
    comment = "SELECT obj_description('telemetry.keep_rejected_readings'::regproc)"
    assert f"cut at {KEPT_CHARACTERS:,} characters" in await owner.fetchval(comment)
    source = await owner.fetchval("SELECT prosrc FROM pg_proc WHERE oid = 'telemetry.keep_rejected_readings'::regproc")
    assert f"left(r.payload, {KEPT_CHARACTERS})" in source
