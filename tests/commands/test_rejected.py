"""`energy rejected list | replay` as a user runs them."""

import json
import signal
import time
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

import service.embedded
from service.commands.rejected import rejected
from service.embedded import InUseError, run_embedded
from tests.support import meter_reading, now, rfc3339
from tests.support.processes import run, running

pytestmark = pytest.mark.long


def test_what_was_rejected_is_listed_and_stored_once_its_cause_is_gone(environment: dict[str, str]) -> None:
    with running(environment, "--migrate") as service:
        ahead = now() + timedelta(minutes=5, seconds=4)
        url = f"http://127.0.0.1:{service.port}/v1/ingest/meter"
        assert httpx.post(url, json=meter_reading("M1", ahead)).json()["code"] == "timestamp_in_future"
        assert httpx.post(url, json=meter_reading("M2", kwhConsumedAc=-1)).status_code == 422
        assert httpx.post(url, json=meter_reading("M4", voltage=9999)).status_code == 201
        assert httpx.post(url, json=meter_reading("M3") | {"note": "[bold]x[/]"}).status_code == 422
        service.stop(signal.SIGTERM)

    printed = run("rejected", "list", **environment)
    assert (printed.returncode, printed.stderr) == (0, "")
    heading, *rows = printed.stdout.splitlines()
    assert heading.split() == ["number", "received", "kind", "code", "why", "reading", "sender"]
    assert [row.split()[4] for row in rows] == ["field_unknown", *["value_out_of_range"] * 2, "timestamp_in_future"]
    assert "voltage 9999 is outside 0 to 1500 V; the reading is stored" in rows[1]
    assert "kwhConsumedAc -1 is outside 0 to 10000000 kWh" in rows[2]
    assert "[bold]x[/]" in rows[0]

    newest = run("rejected", "list", "--limit", "1", "--json", "--since", "1h", **environment)
    [line] = map(json.loads, newest.stdout.splitlines())
    assert (line["code"], json.loads(line["payload"])["meterId"]) == ("field_unknown", "M3")
    assert run("rejected", "list", "--until", "1h", **environment).stdout == "nothing rejected\n"

    planned = run("rejected", "replay", "--dry-run", "--code", "timestamp_in_future", **environment)
    assert planned.stdout == "1 would be sent again: 1 rejected as timestamp_in_future\n"
    time.sleep(max(0, (ahead - now()).total_seconds() - 300 + 0.1))
    replayed = run("rejected", "replay", **environment)
    assert (replayed.returncode, replayed.stderr) == (0, "")
    total, outcomes = replayed.stdout.strip().split(": ")
    assert total == "3 sent again"
    assert set(outcomes.split(", ")) == {"1 stored", "1 value_out_of_range", "1 field_unknown"}
    assert run("rejected", "replay", "--code", "timestamp_in_future", **environment).stdout == "0 sent again\n"
    dropped = run("rejected", "replay", "--code", "field_unknown", **environment, ENERGY_DROP_FIELDS="note")
    assert dropped.stdout == "1 sent again: 1 stored\n"

    with running(environment) as service:
        assert service.get("/v1/status/meter/M1").status_code == 200
        assert service.get("/v1/status/meter/M2").status_code == 404
        assert service.get("/v1/status/meter/M3").status_code == 200


def test_the_embedded_database_of_a_running_service_is_in_use(
    data_folder: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.embedded, "LOCK_TIMEOUT_S", 0.3)
    with run_embedded(Path(data_folder["ENERGY_DATA_DIR"])):
        result = CliRunner(env=data_folder).invoke(rejected, ["list"])
    assert isinstance(result.exception, InUseError)  # of which the command makes its one line


def test_a_replaced_register_is_stored_by_a_replay_once_its_exchange_is_declared(environment: dict[str, str]) -> None:
    start = now() - timedelta(hours=1)
    registers = [(0, 4000.0), (2, 25000.25), (3, 25000.5)]
    with running(environment, "--migrate") as service:
        url = f"http://127.0.0.1:{service.port}/v1"
        httpx.put(f"{url}/devices/meter/M1", json={"energyKind": "register", "maxKw": 22}).raise_for_status()
        batch = [meter_reading("M1", start + timedelta(minutes=n), kwhConsumedAc=kwh) for n, kwh in registers]
        answer = httpx.post(f"{url}/ingest/meter/batch", json=batch).json()
        assert [error["code"] for error in answer["errors"]] == ["implausible_energy"] * 2
        exchange = {"at": rfc3339(start + timedelta(minutes=1)), "lastRegister": 4000.5, "firstRegister": 25000}
        assert httpx.post(f"{url}/devices/meter/M1/exchange", json=exchange).status_code == 201
        service.stop(signal.SIGTERM)
    assert run("rejected", "replay", **environment).stdout == "2 sent again: 2 stored\n"
    with running(environment) as service:
        items = service.get("/v1/history/meter/M1").json()["items"]
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
