"""The service is killed, frozen, told to stop, flooded, or held up, while devices send."""

import asyncio
import contextlib
import resource
import signal
import time

import pytest

from tests.faults.conftest import Tell
from tests.faults.driver import Fleet, compare, fleet, percentile
from tests.faults.probe import probing
from tests.http.test_workers import workers
from tests.support.processes import free_port, running

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

SETTINGS = {"ENERGY_LOG_LEVEL": "error"}
HELD = 0.6
"""Of the throughput at 1x, at least; the load is made on the same machine, and takes its share."""


async def test_the_service_is_killed_and_restarted(url: str, tell: Tell) -> None:
    environment = {**SETTINGS, "DATABASE_URL": url, "PORT": str(free_port())}
    sending = fleet(f"http://127.0.0.1:{environment['PORT']}")
    recovered = []
    for round_ in range(4):
        with running(environment, "--migrate") as service:
            serving = time.monotonic()
            if not round_:
                await sending.start()
            await sending.until(300)
            recovered.append(sending.recovery(serving))
            if round_ == 3:
                await sending.stop()
            else:
                await asyncio.to_thread(service.stop, signal.SIGKILL)
    tell(
        "service killed (-9) and restarted, 3 times",
        compare(url, sending),
        [sending],
        f"served {max(recovered):.2f} s after it said so",
    )


async def test_a_worker_is_frozen(url: str, tell: Tell) -> None:
    environment = {**SETTINGS, "DATABASE_URL": url, "ENERGY_WORKERS": "2"}
    with running(environment, "--migrate") as service:
        sending = fleet(service.url, timeout=4)
        await sending.start()
        await sending.until(300)
        victim, other = workers(service)
        frozen = time.monotonic()
        victim.suspend()
        async with asyncio.timeout(60):
            while victim in (now := workers(service)) or len(now) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        replaced = time.monotonic() - frozen
        assert other in now
        await sending.until(300)
        await sending.stop()
    rate = sending.rate(frozen, frozen + replaced)
    tell(
        "one of 2 workers frozen (SIGSTOP)",
        compare(url, sending),
        [sending],
        f"replaced after {replaced:.1f} s; meanwhile {rate:.0f} readings/s by the other",
    )
    assert rate > 0


@pytest.mark.parametrize("count", ["1", "2"])
async def test_the_service_is_told_to_stop(url: str, tell: Tell, count: str) -> None:
    environment = {**SETTINGS, "DATABASE_URL": url, "PORT": str(free_port()), "ENERGY_WORKERS": count}
    sending = fleet(f"http://127.0.0.1:{environment['PORT']}")
    took = []
    for round_ in range(3):
        with running(environment, "--migrate") as service:
            if not round_:
                await sending.start()
            await sending.until(300)
            if round_ == 2:
                await sending.stop()
            began = time.monotonic()
            status, stderr = await asyncio.to_thread(service.stop, signal.SIGTERM)
            took.append(time.monotonic() - began)
            assert (status, stderr) == (0, "")
    verdict = compare(url, sending)
    tell(
        f"SIGTERM under load and restarted, twice, {count} worker(s)",
        verdict,
        [sending],
        f"ended in {max(took):.2f} s, exit status 0",
    )
    assert sending.duplicates == 0, "what was under way was not answered"
    assert max(took) < 10


async def test_it_is_overloaded(url: str, tell: Tell) -> None:
    environment = {**SETTINGS, "DATABASE_URL": url, "ENERGY_MAX_PENDING": "2000"}
    batch, seconds = 200, 10.0
    fleets: list[Fleet] = []
    said = []
    rates = {}
    with running(environment, "--migrate") as service:
        async with probing(service.url) as probe:
            await fleet_for(service.url, fleets, devices=16, batch=batch).run(5)  # warm
            for times in (1, 2, 10):
                devices = 16 * times
                # at 1x as fast as they are answered; beyond, that many times this rate
                every = devices * batch / (times * rates[1]) if times > 1 else 0.0
                sending = fleet_for(service.url, fleets, devices=devices, batch=batch, every=every, pause=0.05)
                began = time.monotonic()
                await sending.run(seconds)
                rates[times] = sending.rate(began + 1, began + seconds)
                asked = sum(sending.answers.values()) * batch / (time.monotonic() - began)
                said.append(
                    f"{times}x: {rates[times]:,.0f} stored/s of {asked:,.0f} sent/s, {sending.answers['503']:,} "
                    f"answers 503 (p99 {percentile(sending.refused_after, 99):.2f} s), "
                    f"stored p99 {percentile(sending.answered_after, 99):.2f} s"
                )
            over = time.monotonic()
            after = fleet_for(service.url, fleets, devices=8)
            await after.run(3)
            recovery = after.recovery(over)
            assert probe.turned(over, ready=True) < 2
    tell(
        "overload of 1x, 2x and 10x",
        compare(url, *fleets),
        fleets,
        f"{'; '.join(said)}; {recovery:.2f} s after, 1x again",
    )
    assert fleets[3].answers["503"] > 0
    assert percentile(fleets[3].refused_after, 99) < 2
    assert rates[2] > HELD * rates[1]
    assert rates[10] > HELD * rates[1]
    assert after.answers["503"] == 0


def fleet_for(url: str, fleets: list[Fleet], **options: float) -> Fleet:
    fleets.append(fleet(url, **options))
    return fleets[-1]


async def test_thousands_of_connections_are_idle_or_slow(url: str, tell: Tell) -> None:
    idle, slow = 3000, 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * (idle + slow):
        pytest.skip(f"needs {2 * (idle + slow)} open files, may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # what a service is started with on most machines
    try:
        context = running({**SETTINGS, "DATABASE_URL": url}, "--migrate")
        service = context.__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    writers: list[asyncio.StreamWriter] = []
    try:
        alone = fleet(service.url)
        began = time.monotonic()
        await alone.run(5)
        rate = alone.rate(began, began + 5)
        for _ in range(idle + slow):
            _, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writers.append(writer)
        dribbling = asyncio.create_task(dribble(writers[idle:]))
        crowded = fleet(service.url)
        began = time.monotonic()
        await crowded.run(10)
        crowded_rate = crowded.rate(began, began + 10)
        dribbling.cancel()
        for writer in writers:
            writer.transport.abort()
        began = time.monotonic()
        status, stderr = await asyncio.to_thread(service.stop, signal.SIGTERM)
        took = time.monotonic() - began
    finally:
        context.__exit__(None, None, None)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    tell(
        f"{idle:,} idle connections, and {slow:,} that send a byte a second",
        compare(url, alone, crowded),
        [alone, crowded],
        f"{rate:.0f} readings/s without them, {crowded_rate:.0f} with; SIGTERM then took {took:.2f} s",
    )
    assert crowded_rate > HELD * rate
    assert (status, stderr) == (0, "")


async def dribble(writers: list[asyncio.StreamWriter]) -> None:
    """Begin a request, and go on with it a byte a second."""
    for writer in writers:
        writer.write(b"POST /v1/ingest/meter HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        writer.write(b"Content-Length: 1000\r\n\r\n")
    while True:
        for writer in writers:
            with contextlib.suppress(OSError):
                writer.write(b" ")
        await asyncio.sleep(1)
