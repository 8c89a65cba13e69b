"""`energy rejected list | replay` as a user runs them."""

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

import service.embedded
from service.commands.rejected import rejected
from service.embedded import InUseError, run_embedded
from service.settings import Settings
from tests.support import Api, TestDatabase, meter_reading, now, pools_of, rfc3339, served
from tests.support.processes import run

pytestmark = pytest.mark.long


@contextlib.asynccontextmanager
async def serving_on(database: TestDatabase) -> AsyncIterator[Api]:
    """The service, on a database that commands use before and after.

    The embedded database has one session, which keeps the prepared statements of a command that has ended.
    """
    with psycopg.connect(database.url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("DEALLOCATE ALL")
    async with pools_of(database) as opened, served(opened, Settings()) as api:
        yield api


async def test_what_was_rejected_is_listed_and_stored_once_its_cause_is_gone(migrated_database: TestDatabase) -> None:
    energy = functools.partial(run, on=migrated_database)
    async with serving_on(migrated_database) as api:
        ahead = now() + timedelta(minutes=5, seconds=4)
        assert (await api.post_meter("M1", ahead)).json()["code"] == "timestamp_in_future"
        assert (await api.post_meter("M2", kwhConsumedAc=-1)).status_code == 422
        assert (await api.post_meter("M4", voltage=9999)).status_code == 201
        assert (await api.post_meter("M3", note="[bold]x[/]")).status_code == 422

    printed = energy("rejected", "list")
    assert (printed.returncode, printed.stderr) == (0, "")
    heading, *rows = printed.stdout.splitlines()
    assert heading.split() == ["number", "received", "kind", "code", "why", "reading", "sender"]
    assert [row.split()[4] for row in rows] == ["field_unknown", *["value_out_of_range"] * 2, "timestamp_in_future"]
    assert "voltage 9999 is outside 0 to 1500 V; the reading is stored" in rows[1]
    assert "kwhConsumedAc -1 is outside 0 to 10000000 kWh" in rows[2]
    assert "[bold]x[/]" in rows[0]

    newest = energy("rejected", "list", "--limit", "1", "--json", "--since", "1h")
    [line] = map(json.loads, newest.stdout.splitlines())
    assert (line["code"], json.loads(line["payload"])["meterId"]) == ("field_unknown", "M3")
    assert energy("rejected", "list", "--until", "1h").stdout == "nothing rejected\n"

    planned = energy("rejected", "replay", "--dry-run", "--code", "timestamp_in_future")
    assert planned.stdout == "1 would be sent again: 1 rejected as timestamp_in_future\n"
    await asyncio.sleep(max(0, (ahead - now()).total_seconds() - 300 + 0.1))
    replayed = energy("rejected", "replay")
    assert (replayed.returncode, replayed.stderr) == (0, "")
    total, outcomes = replayed.stdout.strip().split(": ")
    assert total == "3 sent again"
    assert set(outcomes.split(", ")) == {"1 stored", "1 value_out_of_range", "1 field_unknown"}
    assert energy("rejected", "replay", "--code", "timestamp_in_future").stdout == "0 sent again\n"
    dropped = energy("rejected", "replay", "--code", "field_unknown", ENERGY_DROP_FIELDS="note")
    assert dropped.stdout == "1 sent again: 1 stored\n"

    async with serving_on(migrated_database) as api:
        for meter, status in (("M1", 200), ("M2", 404), ("M3", 200)):
            assert (await api.http.get(f"/v1/status/meter/{meter}")).status_code == status


def test_the_embedded_database_of_a_running_service_is_in_use(
    data_folder: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.embedded, "LOCK_TIMEOUT_S", 0.3)
    with run_embedded(Path(data_folder["ENERGY_DATA_DIR"])):
        result = CliRunner(env=data_folder).invoke(rejected, ["list"])
    assert isinstance(result.exception, InUseError)  # of which the command makes its one line


async def test_a_replaced_register_is_stored_by_a_replay_once_its_exchange_is_declared(
    migrated_database: TestDatabase,
) -> None:
    start = now() - timedelta(hours=1)
    registers = [(0, 4000.0), (2, 25000.25), (3, 25000.5)]
    async with serving_on(migrated_database) as api:
        profile = {"energyKind": "register", "maxKw": 22}
        (await api.http.put("/v1/devices/meter/M1", json=profile)).raise_for_status()
        batch = [meter_reading("M1", start + timedelta(minutes=n), kwhConsumedAc=kwh) for n, kwh in registers]
        answer = (await api.post("/v1/ingest/meter/batch", batch)).json()
        assert [error["code"] for error in answer["errors"]] == ["implausible_energy"] * 2
        exchange = {"at": rfc3339(start + timedelta(minutes=1)), "lastRegister": 4000.5, "firstRegister": 25000}
        assert (await api.post("/v1/devices/meter/M1/exchange", exchange)).status_code == 201
    assert run("rejected", "replay", on=migrated_database).stdout == "2 sent again: 2 stored\n"
    async with serving_on(migrated_database) as api:
        items = (await api.http.get("/v1/history/meter/M1")).json()["items"]
    assert [item["kwhConsumedAc"] for item in items] == [0, 0.75, 0.25]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "2026-02-08T18:00:00"], ("--since", "offset")),
        (["--since", "yesterday"], ("--since", "24h")),
        (["--since", "99999999d"], ("--since",)),
        (["--code", "nonsense"], ("--code", "value_out_of_range")),
        (["--kind", "car"], ("--kind", "meter")),
        (["--limit", "0"], ("--limit",)),
    ],
    ids=" ".join,
)
def test_a_wrong_option_is_named(arguments: list[str], words: tuple[str, ...]) -> None:
    result = run("rejected", "list", *arguments)
    assert result.returncode == 2
    for word in words:
        assert word in result.stderr
