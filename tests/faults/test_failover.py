"""A standby takes over from the primary, while devices send to several hosts or through a proxy."""

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults.conftest import Tell
from tests.faults.driver import Verdict, compare, fleet
from tests.faults.probe import probing
from tests.faults.proxy import proxying
from tests.faults.server import Server, run_server
from tests.support.processes import assert_one_plain_line, free_port, run, running

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

BACK_WITHIN_S = 5.0
READY_WITHIN_S = 2.0
SETTINGS = {"ENERGY_LOG_LEVEL": "error"}


class Pair:
    """A primary and its synchronous standby, with a database `energy`."""

    def __init__(self, primary: Server, standby: Server) -> None:
        self.primary = primary
        self.standby = standby

    def url(self, *ports: int) -> str:
        """A URL of these ports in order; of both servers, if none is given."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports or (self.primary.port, self.standby.port))
        return f"postgresql://postgres@{hosts}/energy"

    def compare_on_standby(self, *fleets) -> Verdict:
        return compare(self.url(self.standby.port), *fleets)


@pytest.fixture
def servers() -> Iterator[Pair]:
    """A migrated database on a primary and its synchronous standby."""
    with run_server() as primary, run_server(of=primary) as standby:
        primary.execute("CREATE DATABASE energy")
        pair = Pair(primary, standby)
        assert run("migrate", DATABASE_URL=pair.url()).returncode == 0
        primary.replicate_synchronously()
        yield pair


async def fail_over(
    servers: Pair, tell: Tell, what: str, fail: Callable[[], None], seconds: float, workers: str = "1"
) -> None:
    """Break the primary by `fail` under load, and promote the standby so many seconds after it is noticed."""
    environment = {**SETTINGS, "DATABASE_URL": servers.url(), "ENERGY_WORKERS": workers}
    with running(environment) as service:
        async with probing(service.url) as probe:
            sending = fleet(service.url)
            await sending.start()
            await sending.until(300)
            failed = time.monotonic()
            await asyncio.to_thread(fail)
            await probe.until(ready=False)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(servers.standby.promote)
            promoted = time.monotonic()
            await sending.until(300)
            await probe.until(ready=True)
            await sending.stop()
            await asyncio.to_thread(servers.primary.kill)
    back, ready = sending.recovery(promoted), probe.turned(promoted, ready=True)
    unready = probe.turned(failed, ready=False)
    tell(
        what,
        servers.compare_on_standby(sending),
        [sending],
        f"unready after {unready:.2f} s; promoted: served after {back:.2f} s, ready after {ready:.2f} s",
    )
    assert unready < READY_WITHIN_S
    assert back < BACK_WITHIN_S
    assert ready < READY_WITHIN_S


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_the_primary_is_killed_and_the_standby_promoted(servers: Pair, tell: Tell, workers: str) -> None:
    what = f"primary killed (-9), standby promoted after 3 s, {workers} worker(s)"
    await fail_over(servers, tell, what, servers.primary.kill, 3, workers)


@pytest.mark.parametrize("seconds", [3, 20])
async def test_the_primary_is_frozen_and_the_standby_promoted(servers: Pair, tell: Tell, seconds: int) -> None:
    what = f"primary frozen (SIGSTOP), first in the URL; standby promoted after {seconds} s"
    await fail_over(servers, tell, what, servers.primary.freeze, seconds)


async def test_the_roles_are_switched_behind_a_proxy(servers: Pair, tell: Tell) -> None:
    async with proxying(servers.primary.port) as proxy:
        context = running({**SETTINGS, "DATABASE_URL": servers.url(proxy.port)})
        service = await asyncio.to_thread(context.__enter__)  # the proxy runs in this loop
        try:
            async with probing(service.url) as probe:
                sending = fleet(service.url)
                await sending.start()
                await sending.until(300)
                await asyncio.to_thread(servers.primary.stop)
                await asyncio.to_thread(servers.standby.promote)
                await asyncio.to_thread(servers.primary.follow, servers.standby)
                # the proxy has not noticed yet, and leads to what is now a standby
                demoted = time.monotonic()
                await asyncio.sleep(3)
                assert not any(was for at, was in probe.seen if at > demoted + READY_WITHIN_S)
                proxy.to_port = servers.standby.port
                switched = time.monotonic()
                await sending.until(300)
                await probe.until(ready=True)
                await sending.stop()
        finally:
            await asyncio.to_thread(context.__exit__, None, None, None)
    back, ready = sending.recovery(switched), probe.turned(switched, ready=True)
    tell(
        "roles switched, behind a proxy that notices 3 s later and cuts no session",
        servers.compare_on_standby(sending),
        [sending],
        f"the proxy leads to the new primary: served after {back:.2f} s, ready after {ready:.2f} s",
    )
    assert back < BACK_WITHIN_S
    assert ready < READY_WITHIN_S


async def test_sessions_that_become_read_only_are_not_kept(servers: Pair, tell: Tell) -> None:
    with running({**SETTINGS, "DATABASE_URL": servers.url(servers.primary.port)}) as service:
        async with probing(service.url) as probe:
            sending = fleet(service.url)
            await sending.start()
            await sending.until(300)
            for value in ("on", "off"):
                servers.primary.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
                servers.primary.execute("SELECT pg_reload_conf()")
                turned = time.monotonic()
                await probe.until(ready=value == "off")
                await asyncio.sleep(2)
            await sending.until(300)
            await sending.stop()
    back, ready = sending.recovery(turned), probe.turned(turned, ready=True)
    tell(
        "default_transaction_read_only on, and off again",
        compare(servers.url(servers.primary.port), sending),
        [sending],
        f"off: served after {back:.2f} s, ready after {ready:.2f} s",
    )
    assert max(back, ready) < READY_WITHIN_S


@pytest.mark.parametrize("command", [["serve"], ["migrate"], ["keys", "list"], ["archive", "list"]], ids=" ".join)
def test_without_a_primary_a_command_says_so_in_one_line(servers: Pair, command: list[str]) -> None:
    standby = servers.standby.port
    result = run(*command, DATABASE_URL=servers.url(standby), PORT=str(free_port()))
    assert_one_plain_line(result, "is read-only", "DATABASE_URL must reach the primary")
    result = run(*command, DATABASE_URL=servers.url(free_port(), standby), PORT=str(free_port()))
    assert_one_plain_line(result, "no database of", f"127.0.0.1:{standby} is not read-write", "is DATABASE_URL right?")
