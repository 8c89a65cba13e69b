"""ENERGY_DROP_FIELDS: extra fields that gateways add are dropped before a reading is judged."""

import gzip
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from service.database.pool import Database
from service.errors import StartupError
from service.readings.model import KINDS as ALL_KINDS
from service.settings import READING_FIELDS, Settings, load_settings
from tests.http.test_forms import BATCH, JSON, KINDS, NDJSON, SINGLE, device_of, joined, post, times_of, with_word
from tests.support import YESTERDAY, Api, Owner, Pair, assert_problem, served


@pytest.fixture(scope="module")
async def dropping(database: Database) -> AsyncIterator[Api]:
    """The service with two fields to be dropped."""
    async with served(database, Settings(drop_fields=("rssi", "firmware"))) as api:
        yield api


@pytest.mark.parametrize(("kind", "path"), SINGLE)
async def test_a_named_field_is_dropped_and_any_other_is_not(
    dropping: Api, owner: Owner, pair: Pair, kind: str, path: str
) -> None:
    before = await owner.fetchval("SELECT coalesce(max(rejected_id), 0) FROM telemetry.rejected_reading")
    device = device_of(kind, pair)
    reading = {"rssi": -71, **KINDS[kind](device), "firmware": {"version": [2, "1"]}}
    first = await dropping.post(path, reading)
    assert (first.status_code, first.json()) == (201, {"outcome": "stored"})
    again = await dropping.post(path, reading | {"rssi": -64})
    assert (again.status_code, again.json()) == (200, {"outcome": "duplicate"})
    assert await times_of(owner, kind, device) == [YESTERDAY]
    for other in ("Rssi", "Voltage", "humidity"):
        assert_problem(await dropping.post(path, reading | {other: 1}), 422, "field_unknown", other)
    kept = await owner.fetch("SELECT payload FROM telemetry.rejected_reading WHERE rejected_id > $1", before)
    assert [json.loads(row["payload"])["rssi"] for row in kept] == [-71] * 3  # as it was sent


@pytest.mark.parametrize("media_type", [JSON, NDJSON])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize(("kind", "path"), BATCH)
async def test_a_named_field_is_dropped_from_the_items_of_a_batch(
    dropping: Api, owner: Owner, pair: Pair, kind: str, path: str, coding: str, media_type: str
) -> None:
    device = device_of(kind, pair)
    times = [YESTERDAY + n * timedelta(minutes=1) for n in range(4)]
    extra = [{}, {"rssi": -71}, {"humidity": 40}, {"firmware": "2.1", "rssi": None}]
    items = [json.dumps(KINDS[kind](device, time) | more).encode() for time, more in zip(times, extra, strict=True)]
    body = joined(items, media_type)
    answer = (await post(dropping, path, gzip.compress(body) if coding == "gzip" else body, media_type, coding)).json()
    assert (answer["stored"], [error["index"] for error in answer["errors"]]) == (3, [2])
    assert "humidity" in answer["errors"][0]["detail"]
    assert await times_of(owner, kind, device) == [times[0], times[1], times[3]]


@pytest.mark.parametrize(
    "value",
    ["nan", "-Infinity", "1e999", '"text"', "null", '{"meterId": "M1", "vehicleId": 2}', '1, "rssi": 2'],
    ids=str,
)
@pytest.mark.parametrize("path", ["/v1/ingest/vehicle", "/v1/ingest"])
async def test_a_named_field_may_have_any_value(dropping: Api, pair: Pair, path: str, value: str) -> None:
    body = with_word(KINDS["vehicle"](pair.vehicle), "rssi", value)
    answer = await post(dropping, path, body)
    assert (answer.status_code, answer.json()) == (201, {"outcome": "stored"})
    twice = body.replace(b"{", b'{"vehicleId": "V1", ', 1)
    assert_problem(await post(dropping, path, twice), 422, "field_duplicate", "vehicleId")


def test_the_setting_is_a_list_of_names() -> None:
    assert load_settings({"ENERGY_DROP_FIELDS": " rssi,firmware version ,, Größe "}).drop_fields == (
        "rssi",
        "firmware version",
        "Größe",
    )
    assert load_settings({}).drop_fields == ()


@pytest.mark.parametrize("wrong", ['"rssi"', "[rssi]", "rssi; firmware", "r" * 65])
def test_a_name_in_another_form_is_no_setting(wrong: str) -> None:
    with pytest.raises(StartupError, match="ENERGY_DROP_FIELDS must look like rssi, firmware"):
        load_settings({"ENERGY_DROP_FIELDS": f"note, {wrong}"})


@pytest.mark.parametrize("field", [name for kind in ALL_KINDS.values() for name in kind.types] + ["Voltage"])
def test_a_field_of_a_reading_is_no_setting(field: str) -> None:
    with pytest.raises(StartupError, match=f"ENERGY_DROP_FIELDS must not name '{field}'"):
        load_settings({"ENERGY_DROP_FIELDS": f"rssi, {field}"})


def test_the_settings_know_every_field_of_a_reading() -> None:
    assert {name.lower() for kind in ALL_KINDS.values() for name in kind.types} == READING_FIELDS
