"""The clients of docs/clients against the small fault set, side by side: nothing is lost, nothing is there twice."""

import asyncio
import contextlib
import itertools
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import time
import types
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest

from service.embedded.install import find_node
from tests.clients.proxy import FaultyProxy, faulty_proxy
from tests.support import ROOT, TestDatabase, fresh_database, now
from tests.support.processes import Service, free_port, running
from tests.support.templates import copy_migrated

pytestmark = pytest.mark.long

SOURCES = ROOT / "docs/clients"
HERE = Path(__file__).parent
CLIENTS = ["c", "python", "javascript", "micropython", "micropython on CPython"]
FIRST = ["unanswered", "cut", "503", "429"]
"""Faults of a client's first batches: the first is stored and not answered, the second answered in part."""
SKEW_S = 3600


def command(client: str, folder: Path) -> list[str] | None:
    """The command that runs a client with a clock that is wrong by SKEW_S; None where it cannot be run."""
    if client == "c":
        program, compiler = folder / "client", shutil.which("cc")
        options = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-include", str(HERE / "skew/skew.h")]
        if compiler:
            subprocess.run([compiler, *options, "-o", program, SOURCES / "client.c", "-lm"], check=True)
        return [str(program)] if compiler else None
    if client == "javascript":
        return [str(find_node()), "--require", str(HERE / "skew/skew.cjs"), str(SOURCES / "client.mjs")]
    if client == "micropython":
        interpreter = shutil.which("micropython")
        return [interpreter, str(SOURCES / "client_micropython.py")] if interpreter else None
    name = "client.py" if client == "python" else "client_micropython.py"
    return [sys.executable, "-u", str(HERE / "under_cpython.py"), str(SOURCES / name)]


class Device:
    """A program that measures, and hands its readings to a client.

    Attributes: fed: when each reading was. said: what the client said on its output and error.
    """

    def __init__(self, client: str, argv: list[str], proxy: FaultyProxy, folder: Path) -> None:
        self.client, self.argv, self.proxy = client, argv, proxy
        self.meter = f"clients-{client.replace(' ', '-')}"
        self.file = folder / "waiting.ndjson"
        self.log = folder / "log"
        self.fed: list[datetime] = []
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, skew_s: int) -> None:
        environment = {"PATH": os.environ["PATH"], "MICROPYPATH": f"{HERE / 'skew'}:.frozen"}
        environment |= {"SKEW_S": str(skew_s), "ENERGY_URL": self.proxy.url, "ENERGY_KEY": "id.secret"}
        with self.log.open("a") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.argv, self.file, env=environment, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log
            )

    async def write(self, line: str) -> None:
        self.process.stdin.write(f"{line}\n".encode())
        await self.process.stdin.drain()

    async def feed(self, count: int) -> None:
        for _ in range(count):
            reading = {"meterId": self.meter, "kwhConsumedAc": len(self.fed), "voltage": 230}
            self.fed.append(now())
            await self.write(json.dumps(reading))

    def waiting(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []

    async def until(self, condition: Callable[[], object], what: str) -> None:
        try:
            async with asyncio.timeout(40):
                while not condition():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(
                f"{self.client}: not {what} {self.proxy.sent[-4:]}\n{self.log.read_text()[-2000:]}"
            ) from None

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def end(self) -> int:
        self.process.stdin.close()
        return await asyncio.wait_for(self.process.wait(), 30)

    # what happens, part by part

    async def begin(self) -> None:
        """Readings while the clock is ahead, and answers that do not come, or say to wait."""
        self.proxy.faults.extend(FIRST)
        await self.start(SKEW_S)
        await self.feed(3)
        await self.until(lambda: self.proxy.sent, "sent")
        await self.feed(1)  # waits for its turn: a retry is the same body
        await self.until(lambda: len(self.proxy.sent) > len(FIRST), "sent again and again")
        await self.until(lambda: not self.waiting(), "acknowledged")

    async def gather(self) -> None:
        """Readings while the service is away, among them some that it will reject."""
        await self.feed(4)
        await self.write('{"meterId": "M1", "kwhConsumedAc": -1, "voltage": 230}')
        await self.write("no reading")
        await self.feed(4)
        await self.until(lambda: len(self.waiting()) == 9, "kept")
        await self.until(lambda: self.proxy.sent[-1].met == "away", "tried while the service was away")

    async def deliver(self) -> None:
        """They are delivered; then the client is killed with readings that are stored and not acknowledged."""
        await self.until(lambda: not self.waiting(), "delivered")
        self.proxy.always = "503"
        await self.feed(5)
        await self.until(lambda: len(self.waiting()) == 5, "kept")
        self.proxy.always = "held"
        await self.until(lambda: self.proxy.sent[-1].met == "held", "held")
        await self.kill()
        with self.file.open("a") as file:
            file.write('{"meterId": "M1", "kwhCon')  # as of one that was killed as it wrote
        self.proxy.always = None
        await self.start(-SKEW_S)
        await self.feed(3)

    async def refuse(self) -> int:
        """Without a valid key the readings stay, also of a full buffer; the oldest makes room. Returns its size."""
        await self.until(lambda: not self.waiting(), "delivered after a restart")
        status = await self.end()
        [most] = re.findall(r"\bMOST = ([\d_]+)", self.source)
        self.proxy.most = 10_000
        self.file.write_text("".join(f'{{"meterId": "M1", "number": {n}}}\n' for n in range(int(most))))
        self.proxy.always = "401"
        await self.start(0)
        await self.until(lambda: self.proxy.sent[-1].met == "401", "sent without a key")
        await self.write('{"meterId": "M1", "number": "last", "timestamp": "T"}')
        await self.until(lambda: "last" in self.waiting()[-1], "kept beside the others")
        await self.kill()
        return status

    @property
    def source(self) -> str:
        names = {"c": "client.c", "python": "client.py", "javascript": "client.mjs"}
        return (SOURCES / names.get(self.client, "client_micropython.py")).read_text()


@contextlib.asynccontextmanager
async def devices(service: str, folder: Path) -> AsyncIterator[dict[str, Device]]:
    found = {}
    async with contextlib.AsyncExitStack() as stack:
        for client in CLIENTS:
            own = folder / client.replace(" ", "-")
            own.mkdir()
            if argv := await asyncio.to_thread(command, client, own):
                proxy = await stack.enter_async_context(faulty_proxy(service))
                found[client] = Device(client, argv, proxy, own)
        try:
            yield found
        finally:
            for device in found.values():
                if device.process and device.process.returncode is None:
                    await device.kill()
                if device.process:
                    device.process.stdin.close()


class Told:
    """The end of a client: its device, its exit status, and its stored readings."""

    def __init__(self, device: Device, status: int, stored: list[dict]) -> None:
        self.device, self.status, self.stored = device, status, stored
        self.sent = device.proxy.sent
        self.log = device.log.read_text()


async def both(devices: dict[str, Device], part: Callable[[Device], object]) -> list:
    return await asyncio.gather(*(part(device) for device in devices.values()))


@pytest.fixture(scope="module")
async def told(test_database: TestDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Told]]:
    """All clients, side by side, on one service, which is killed and started again."""
    with contextlib.ExitStack() as stack:
        if test_database.is_embedded:
            copy_migrated(data := tmp_path_factory.mktemp("data"))
            environment = {"ENERGY_DATA_DIR": str(data)}
        else:
            environment = {"DATABASE_URL": stack.enter_context(fresh_database(test_database.url))}
        environment |= {"PORT": str(free_port()), "ENERGY_LOG_LEVEL": "error"}
        first = stack.enter_context(contextlib.ExitStack())
        service: Service = await asyncio.to_thread(first.enter_context, running(environment, "--migrate"))
        async with devices(service.url, tmp_path_factory.mktemp("clients")) as found:
            await both(found, Device.begin)
            service.process.kill()
            await both(found, Device.gather)
            for device in found.values():
                device.proxy.most = 3
            await asyncio.to_thread(first.close)
            await asyncio.to_thread(stack.enter_context, running(environment))
            await both(found, Device.deliver)
            statuses = await both(found, Device.refuse)
            window = {
                "start": (now() - timedelta(hours=2)).isoformat(),
                "end": (now() + timedelta(hours=2)).isoformat(),
            }
            async with httpx.AsyncClient(base_url=service.url, timeout=60) as http:
                answers = [
                    await http.get(f"/v1/history/meter/{device.meter}", params={**window, "limit": 1000})
                    for device in found.values()
                ]
            yield {
                client: Told(device, status, answer.json()["items"])
                for (client, device), status, answer in zip(found.items(), statuses, answers, strict=True)
            }


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, told: dict[str, Told]) -> Told:
    if request.param not in told:
        needs = {"c": "a C compiler", "micropython": "the interpreter micropython"}
        pytest.skip(f"{needs[request.param]} is not installed")
    return told[request.param]


def test_nothing_is_lost_and_nothing_is_there_twice(client: Told) -> None:
    assert sorted(item["kwhConsumedAc"] for item in client.stored) == list(range(20))
    assert client.status == 0


def test_the_time_is_right_although_the_clock_is_an_hour_off(client: Told) -> None:
    for item in client.stored:
        off = datetime.fromisoformat(item["timestamp"]) - client.device.fed[int(item["kwhConsumedAc"])]
        assert abs(off) < timedelta(seconds=15), item


def test_a_retry_is_the_same_body_and_waits_as_long_as_it_is_told(client: Told) -> None:
    first = client.sent[: len(FIRST) + 1]
    assert [sent.met for sent in first] == [*FIRST, "201"]
    assert len({sent.lines for sent in first}) == 1
    pauses = [after.at - before.at for before, after in itertools.pairwise(first)]
    assert all(0.95 <= pause < 10 for pause in pauses)
    # also after the client was killed
    held = next(number for number, sent in enumerate(client.sent) if sent.met == "held")
    lines = client.sent[held].lines
    assert client.sent[held + 1].lines[: len(lines)] == lines


def test_a_body_that_is_too_large_is_sent_in_parts_and_a_rejected_reading_costs_itself_only(client: Told) -> None:
    halved = [(sent.lines, after.lines) for sent, after in itertools.pairwise(client.sent) if sent.met == "413"]
    assert halved
    assert all(half == lines[: len(lines) // 2] for lines, half in halved)
    assert "207" in [sent.met for sent in client.sent]
    assert "value_out_of_range" in client.log
    assert "no JSON object" in client.log


def test_without_a_key_readings_stay_and_the_oldest_of_a_full_buffer_makes_room(client: Told) -> None:
    assert [sent.met for sent in client.sent].count("401") == 1  # and not again within the second
    numbers = [json.loads(line)["number"] for line in client.device.waiting()]
    size, under_way = len(numbers), len(client.sent[-1].lines)
    assert (size, under_way) in {(1_000, 50), (10_000, 500)}
    # what is under way keeps its place: a retry sends the same
    assert numbers == [*range(under_way), *range(under_way + 1, size), "last"]
    assert "the buffer is full, dropped" in client.log


@pytest.mark.parametrize(
    "date", ["2026-01-01T00:00:00", "2028-02-29T23:59:59", "2028-03-01T00:00:00", "2036-12-31T12:30:15"]
)
def test_micropython_reads_the_date_of_an_answer(date: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "requests", types.ModuleType("requests"))
    monkeypatch.setattr(time, "ticks_ms", lambda: 0, raising=False)
    client = runpy.run_path(str(SOURCES / "client_micropython.py"))["Client"]("", None, str(tmp_path / "waiting"))
    at = datetime.fromisoformat(date).replace(tzinfo=UTC)
    client.learn_time(format_datetime(at, usegmt=True))
    assert time.time() - client.ahead / 1000 == pytest.approx(at.timestamp() + 0.5, abs=1)
