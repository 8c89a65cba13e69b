"""`energy simulate` against the service, and against servers that fail it."""

import asyncio
import contextlib
import json
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from service.commands.simulate import drive
from service.commands.simulate.check import compare, expect
from service.commands.simulate.drive import Driver, Pace
from service.commands.simulate.feed import Faults, Item, feed
from service.commands.simulate.fleet import Fleet
from service.commands.simulate.tally import Tally
from tests.support import NOW, Api, new_pair
from tests.support.processes import ELSEWHERE, ENERGY, PLAIN, run, running

pytestmark = pytest.mark.long

START = int(NOW.timestamp()) - 7200
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def fleet_items(vehicles: int, minutes: int, faults: Faults, prefix: str) -> Iterator[Item]:
    fleet = Fleet(vehicles, 1, faulty=0.2, start=START, interval=60)
    return feed(fleet, faults, prefix=prefix, end=START + 60 * minutes)


async def drive_all(url: str, items: Any, pace: Pace, batch: int = 1, vehicles: int = 5, concurrency: int = 4) -> Tally:
    tally = Tally(range(vehicles), 0)
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=concurrency)) as session:
        await Driver(session, tally, pace, batch=batch, concurrency=concurrency).run(items)
    return tally


def at_once() -> Pace:
    return Pace(time.time(), START, float("inf"))


@contextlib.asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[str]:
    """A service that answers every request so."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize("batch", [1, 100])
async def test_the_service_rejects_what_is_broken_stores_the_rest_and_adds_it_up_as_we_do(api: Api, batch: int) -> None:
    faults = Faults(late=0.05, duplicates=0.1, out_of_order=0.1, broken=0.2, sensors=0.2)
    prefix = new_pair().meter[1:]
    items = list(fleet_items(5, 40, faults, prefix))
    tally = await drive_all(str(api.http.base_url), items, at_once(), batch)
    counts = tally.counts
    assert (counts.rejected_wrongly, counts.accepted_wrongly, counts.lost, counts.conflicts) == (0, 0, 0, 0)
    assert (counts.sent, counts.rejected) == (len(items), sum(item.is_broken for item in items))
    assert counts.ignored == sum(item.is_ignored for item in items) > 10
    assert counts.ignored_wrongly == 0
    good = [item.body for item in items if not item.is_broken]
    assert (counts.stored, counts.duplicates) == (len(set(good)), len(good) - len(set(good)))
    window = (START, START + 3600)
    for vehicle in range(5):
        answered = await api.performance(f"V{prefix}{vehicle:06d}", start=_iso(window[0]), end=_iso(window[1]))
        assert compare(expect(tally.accepted[vehicle], window), answered) == []
        assert answered["meterReadings"] > 20


def _iso(time_: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_))


def test_a_mean_temperature_is_expected_of_what_was_measured_and_possible() -> None:
    body = b'{"vehicleId":"V1","kwhDeliveredDc":1.8%s,"timestamp":"2026-02-08T18:00:00Z"}'
    window = (1770573540, 1770573600)
    temperatures = [b"", b',"batteryTemp":null', b',"batteryTemp":-127', b',"batteryTemp":20', b',"batteryTemp":22']
    assert expect([body % one for one in temperatures], window)["avgBatteryTemp"] == 21
    assert expect([body % one for one in temperatures[:3]], window)["avgBatteryTemp"] is None


def test_what_differs_is_named() -> None:
    meter = b'{"meterId":"M1","kwhConsumedAc":2.0,"voltage":1,"timestamp":"2026-02-08T18:00:00Z"}'
    vehicle = b'{"vehicleId":"V1","soc":1,"kwhDeliveredDc":1.8,"batteryTemp":20,"timestamp":"2026-02-08T18:00:00Z"}'
    # a reading's energy is that of the time up to it: one at the start of a window is outside, one at its end is not
    outside = [meter.replace(b"18:00:00", time) for time in (b"17:59:00", b"18:00:01")]
    window = (1770573540, 1770573600)
    right = expect([meter, vehicle, *outside], window)
    assert right == {
        "totalEnergyConsumedAc": 2.0,
        "totalEnergyDeliveredDc": 1.8,
        "efficiencyRatio": 0.9,
        "efficiencyStatus": "normal",
        "avgBatteryTemp": 20,
        "meterReadings": 1,
        "vehicleReadings": 1,
    }
    assert compare(right, right) == []
    for name, value in {
        "totalEnergyConsumedAc": 2.00001,
        "totalEnergyDeliveredDc": None,
        "efficiencyRatio": 0.91,
        "efficiencyStatus": "low",
        "avgBatteryTemp": 20.1,
        "meterReadings": 2,
        "vehicleReadings": 0,
    }.items():
        [difference] = compare(right, {**right, name: value})
        assert difference.startswith(f"{name} is {value}, expected")
    empty = expect([], window)
    assert (empty["totalEnergyConsumedAc"], empty["efficiencyStatus"], empty["meterReadings"]) == (None, "unknown", 0)
    assert expect([meter, vehicle.replace(b"1.8", b"1.6")], window)["efficiencyStatus"] == "low"
    assert expect([meter, vehicle.replace(b"1.8", b"2.1")], window)["efficiencyStatus"] == "impossible"
    # a parked car is idle up to its standby, and of less than an interval no efficiency can be judged
    parked = vehicle.replace(b"1.8", b"0.0")
    for kwh, status, ratio in ((b"0.0008", "idle", None), (b"0.0009", "low", 0.0)):
        found = expect([meter.replace(b"2.0", kwh), parked], window)
        assert (found["efficiencyStatus"], found["efficiencyRatio"]) == (status, ratio)
    found = expect([meter, vehicle], window, 120)
    assert (found["totalEnergyConsumedAc"], found["efficiencyStatus"], found["efficiencyRatio"]) == (
        2.0,
        "unknown",
        None,
    )


async def test_a_request_that_is_turned_away_is_sent_again_until_it_is_taken() -> None:
    asked: list[float] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(time.monotonic())
        if len(asked) == 1:
            return web.json_response({"code": "overloaded"}, status=503, headers={"Retry-After": "1"})
        if len(asked) == 2:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"outcome": "stored"}, status=201)

    [item] = list(fleet_items(1, 1, Faults(0, 0, 0, 0), ""))[:1]
    async with server(answer) as url:
        tally = await drive_all(url, [item], at_once())
    assert (tally.counts.stored, tally.counts.lost, tally.counts.retries, tally.counts.sent) == (1, 0, 2, 1)
    assert asked[1] - asked[0] >= 0.95, "Retry-After was not kept to"
    assert tally.faults["HTTP 503"] == 1


@pytest.mark.parametrize("status", [500, 400])
async def test_what_is_never_taken_is_lost_and_said_so(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr(drive, "RETRY_FOR_S", 0.2)

    async def answer(_: web.Request) -> web.StreamResponse:
        if status == 500:
            return web.json_response({"code": "internal_error"}, status=500)
        return web.Response(text="<html>not the service</html>", status=status)

    async with server(answer) as url:
        tally = await drive_all(url, list(fleet_items(1, 1, Faults(0, 0, 0, 0), "")), at_once())
    assert (tally.counts.lost, tally.counts.stored, tally.counts.in_flight) == (2, 0, 0)
    assert tally.disputed == {0}


async def test_no_slow_answer_delays_the_schedule_and_latency_counts_from_it() -> None:
    arrived: list[float] = []

    async def answer(_: web.Request) -> web.StreamResponse:
        arrived.append(time.time())
        await asyncio.sleep(1)
        return web.json_response({"outcome": "stored"}, status=201)

    # 10 vehicles in half a second (60 s at 120-fold speed): 20 requests while none has been answered
    items = list(fleet_items(10, 1, Faults(0, 0, 0, 0), ""))
    began = time.time()
    async with server(answer) as url:
        tally = await drive_all(url, items, Pace(began, START, 120), concurrency=64)
        assert len(arrived) == 20
        assert max(arrived) - began < 0.95
        assert min(arrived[2:]) - began > 0.04
        assert tally.latencies.percentile(50) == pytest.approx(1000, rel=0.1)

        # with one connection each waits for the one before it, and that shows
        queued = await drive_all(url, items[:3], Pace(time.time(), START, 120), concurrency=1)
        latency = queued.latencies.percentile(99)
        assert latency is not None
        assert latency > 2400


async def test_what_became_due_while_history_was_sent_is_history_and_what_comes_later_is_on_time() -> None:
    arrived: list[float] = []

    async def answer(_: web.Request) -> web.StreamResponse:
        arrived.append(time.time())
        await asyncio.sleep(0.1)
        return web.json_response({"outcome": "stored"}, status=201)

    [item, *_] = fleet_items(1, 1, Faults(0, 0, 0, 0, 0), "")
    began = time.time()
    # ten of history take a second, within which two more become due; the last one is due later
    due = [START] * 10 + [began + 0.1, began + 0.2, began + 1.8]
    async with server(answer) as url:
        tally = await drive_all(
            url, [item._replace(due=time_) for time_ in due], Pace(began, START, float("inf")), concurrency=1
        )
    assert arrived[-1] - began == pytest.approx(1.8, abs=0.1)
    longest = tally.latencies.percentile(100)
    assert longest is not None
    assert longest < 500, "a latency counted from the start of the run"


def test_as_a_command_it_runs_checks_and_prints(environment: dict[str, str]) -> None:
    with running(environment, "--migrate") as service:
        url = f"http://127.0.0.1:{service.port}"
        options = ["--url", url, "--vehicles", "10", "--days", "0.1", "--batch", "200", "--interval", "120"]
        result = run("simulate", *options, "--broken", "0.05")
        assert result.returncode == 0, result
        assert result.stdout.count(" match") == 8
        assert "stored" in result.stdout

        repeated = run("simulate", *options, "--broken", "0.05", "--seed", "5")
        assert "not compared" in repeated.stdout
        assert "--prefix makes another fleet" in repeated.stdout or "conflicted" in repeated.stdout

        again = run("simulate", *options, "--prefix", "B", "--json")
        found = json.loads(again.stdout)
        assert {one["verdict"] for one in found["checked"]} == {"match"}
        counts = found["counts"]
        assert counts["sent"] == counts["stored"] + counts["duplicates"] + counts["rejected"] > 1000


async def test_a_service_that_adds_up_wrongly_is_found_out() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return web.json_response({"outcome": "stored"}, status=201)
        return web.json_response(expect([], (0, 1)) | {"meterReadings": 0})

    async with server(answer) as url:
        options = ["--url", url, "--vehicles", "2", "--duration", "1", "--interval", "1", "--broken", "0"]
        result = await asyncio.to_thread(run, "simulate", *options)
    assert result.returncode == 1
    assert "MISMATCH: V000000: totalEnergyConsumedAc is None, expected" in result.stdout


def test_ctrl_c_ends_it_in_order_with_its_verdict(environment: dict[str, str]) -> None:
    with running(environment, "--migrate") as service:
        command = [
            *ENERGY,
            "simulate",
            "--url",
            f"http://127.0.0.1:{service.port}",
            "--vehicles",
            "30",
            "--interval",
            "1",
        ]
        process = subprocess.Popen(
            command, cwd=ELSEWHERE, env=PLAIN, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while service.get("/v1/status/meter/M000029").status_code != 200:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr) == (0, "")
    assert stdout.count(" match") == 8


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--vehicles", "0"], "--vehicles"),
        (["--batch", "1001"], "--batch"),
        (["--late", "0.9", "--broken", "0.2"], "--broken and --sensors together are more than 1"),
        (["--start", "2026-02-08T18:00:00"], "offset"),
        (["--start", "2999-01-01T00:00:00Z"], "days ago"),
        (["--start", "2001-01-01T00:00:00Z"], "725"),
        (["--days", "2", "--speed", "7"], "--days sets the start"),
        (["--prefix", "a b"], "--prefix"),
        (["--url", "localhost:3000"], "--url"),
        (["--samples", "/nonexistent/file"], "--samples"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_named(arguments: list[str], word: str) -> None:
    result = run("simulate", *arguments)
    assert result.returncode == 2
    assert word in result.stderr


def test_a_service_that_is_not_there_is_said_in_one_line() -> None:
    result = run("simulate", "--url", "http://127.0.0.1:9", "--duration", "1")
    assert result.returncode == 1
    assert result.stderr.startswith("energy: no energy service answers at http://127.0.0.1:9")
    assert result.stderr.count("\n") == 1
