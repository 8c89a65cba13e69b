"""Alerts for Alertmanager: their labels and times, a repetition until they are closed, and a real Alertmanager."""

import asyncio
import base64
import shutil
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
import httpx
import pytest

from service.alerting.alertmanager import HOLDS, NAMES, TEST, describe_address, translate
from service.alerting.delivery import feed_alertmanager
from service.alerting.model import alert_of
from service.alerting.post import open_session
from service.database.pool import Database
from tests.monitoring.files import RULES
from tests.support import Owner, new_pair, rfc3339
from tests.support.delivery import CLOSE, Receiver, open_alert, receiving
from tests.support.processes import free_port

ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
DUE = "UPDATE ops.alertmanager SET due_at = now()"
NOW = datetime(2026, 2, 8, 18, tzinfo=UTC)
ROW = {
    **{"id": 7, "rule_name": "vans", "rule_kind": "efficiency_low", "kind": "vehicle", "device_id": "V 1/ä"},
    **{"severity": "warning", "opened_at": NOW - timedelta(hours=1), "last_seen_at": NOW, "closed_at": None},
    **{"close_reason": None, "value": 0.79, "threshold": 0.85, "reason": "79 % is below 85 %", "details": {}},
    **{"energy_lost_kwh": 2.5, "acknowledged_at": None, "acknowledged_by": None, "note": None},
}


def test_an_alert_is_named_and_described_by_its_fault() -> None:
    assert translate(alert_of(ROW), "https://energy.example", NOW) == {
        "labels": {
            **{"alertname": "EnergyEfficiencyLow", "severity": "warning", "kind": "vehicle"},
            **{"device_id": "V 1/ä", "rule": "vans"},
        },
        "annotations": {
            "summary": "Low efficiency: vehicle V 1/ä",
            "description": "79 % is below 85 %",
            "value": "0.79",
        },
        "startsAt": NOW - timedelta(hours=1),
        "endsAt": NOW + HOLDS,
        "generatorURL": "https://energy.example/#/vehicle/V%201%2F%C3%A4",
    }
    assert "generatorURL" not in translate(alert_of(ROW), None, NOW)


def test_a_fault_of_a_newer_version_is_told_under_a_common_name() -> None:
    alert = translate(alert_of(ROW | {"rule_kind": "cable_loose"}), None, NOW)
    assert (alert["labels"]["alertname"], alert["labels"]["rule"]) == ("EnergyDeviceFault", "vans")
    assert alert["annotations"]["summary"] == "Cable loose: vehicle V 1/ä"


@pytest.mark.parametrize(
    ("closed", "end"), [(-30, -30), (-90, -60), (5, 0)], ids=["closed", "before it was opened", "in the future"]
)
def test_a_closed_alert_has_an_end_that_alertmanager_takes(closed: int, end: int) -> None:
    row = ROW | {"closed_at": NOW + timedelta(minutes=closed), "close_reason": "over"}
    assert translate(alert_of(row), None, NOW)["endsAt"] == NOW + timedelta(minutes=end)


async def test_every_kind_of_rule_has_a_name_that_no_alert_of_the_service_itself_has(owner: Owner) -> None:
    assert [*await owner.fetchval("SELECT telemetry.alert_kinds()"), TEST] == [*NAMES]
    names = [name for name, _ in NAMES.values()]
    assert len({*names} | {rule["alert"] for rule in RULES}) == len(names) + len(RULES)


@pytest.fixture(autouse=True)
async def _forget(owner: Owner) -> AsyncIterator[None]:
    yield
    await owner.execute("DELETE FROM ops.alertmanager")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(only_public=False) as opened:
        yield opened


async def feed(owner: Owner, database: Database, session: aiohttp.ClientSession, *urls: str) -> None:
    await owner.execute(DUE)
    for url in urls:
        await feed_alertmanager(database, session, url, None)


def sent(receiver: Receiver, device: str) -> list[dict[str, Any]]:
    """The alerts about a device that a receiver was sent."""
    alerts = [alert for request in receiver.received for alert in request.json]
    return [alert for alert in alerts if alert["labels"]["device_id"] == device]


async def test_open_alerts_are_repeated_to_each_and_closed_ones_for_a_while(
    owner: Owner, database: Database, session: aiohttp.ClientSession
) -> None:
    device = new_pair().vehicle
    alert = await open_alert(owner, device)
    async with receiving() as one, receiving() as other:
        for _ in range(2):
            await feed(owner, database, session, one.url, f"{other.url}/prefix/")
        await owner.execute(CLOSE, alert)
        await feed(owner, database, session, one.url)
        await owner.execute(
            "UPDATE telemetry.alert SET close_noted_at = now() - INTERVAL '16 minutes' WHERE id = $1", alert
        )
        await feed(owner, database, session, one.url)
        assert {request.path for request in one.received} == {"/api/v2/alerts"}
        assert {request.path for request in other.received} == {"/prefix/api/v2/alerts"}
        assert len(sent(other, device)) == 2
        *first, last = [datetime.fromisoformat(item["endsAt"]) > datetime.now(UTC) for item in sent(one, device)]
    assert (first, last) == ([True, True], False)


async def test_nothing_that_was_closed_while_an_alertmanager_was_away_is_lost(
    owner: Owner, database: Database, session: aiohttp.ClientSession
) -> None:
    device = new_pair().vehicle
    alert = await open_alert(owner, device)
    async with receiving() as receiver:
        await feed(owner, database, session, receiver.url)
        receiver.answer = lambda _: 503
        await owner.execute(CLOSE, alert)
        await feed(owner, database, session, receiver.url)
        address = describe_address(receiver.url)
        error = await owner.fetchval("SELECT last_error FROM ops.alertmanager WHERE address = $1", address)
        assert error == "answered 503"
        # hours later
        await owner.execute(
            "UPDATE ops.alertmanager SET sent_at = sent_at - INTERVAL '9 hours' WHERE address = $1", address
        )
        await owner.execute(
            "UPDATE telemetry.alert SET close_noted_at = now() - INTERVAL '8 hours' WHERE id = $1", alert
        )
        findings = await owner.fetch("SELECT finding FROM ops.diagnose() WHERE topic = 'alerts' AND is_fault")
        assert [row for row in findings if address in row["finding"] and "answered 503" in row["finding"]]
        receiver.answer = lambda _: 200
        await feed(owner, database, session, receiver.url)
        assert len(sent(receiver, device)) == 3
        await feed(owner, database, session, receiver.url)
        assert len(sent(receiver, device)) == 3, "the next ones are those of the last minutes again"


async def test_many_alerts_go_in_several_requests(owner: Owner, session: aiohttp.ClientSession) -> None:
    device = new_pair().vehicle

    class Undone:
        """A database within a transaction, so that no other test sees the many alerts."""

        def __init__(self, connection: Any) -> None:
            self.write_rows = connection.fetch

    async with owner.undone() as connection, receiving() as receiver:
        await connection.execute(
            """
            INSERT INTO telemetry.alert (
                rule_name, rule_kind, kind, device_id, severity, opened_at, last_seen_at, threshold, reason
            )
            SELECT 'a', 'device_silent', 'meter', $1 || n, 'info', now(), now(), 5, 'silent'
            FROM generate_series(1, 1001) AS n
            """,
            device,
        )
        await feed_alertmanager(cast("Any", Undone(connection)), session, receiver.url, None)
    devices = [alert["labels"]["device_id"] for request in receiver.received for alert in request.json]
    assert len({name for name in devices if name.startswith(device)}) == 1001
    assert max(len(request.json) for request in receiver.received) == 500


async def test_user_and_password_are_sent_and_shown_nowhere(
    owner: Owner, database: Database, session: aiohttp.ClientSession
) -> None:
    await open_alert(owner, new_pair().vehicle)
    async with receiving() as receiver:
        url = receiver.url.replace("//", "//energy:p%40ss@")
        await feed(owner, database, session, url)
        assert receiver.received[0].headers["authorization"] == "Basic " + base64.b64encode(b"energy:p@ss").decode()
        rows = await owner.fetch("SELECT a::text AS row FROM ops.alertmanager AS a")
        assert [row for row in rows if receiver.url in row["row"]]
        assert not [row for row in rows if "p@ss" in row["row"] or "p%40ss" in row["row"]]


CONFIGURATION = """
route:
  receiver: test
  group_by: [alertname]
  group_wait: 100ms
  group_interval: 100ms
  repeat_interval: 1h
receivers:
  - name: test
    webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""


class Alertmanager:
    """A real Alertmanager, which notifies a receiver."""

    def __init__(self, folder: Path, notified: Receiver) -> None:
        (folder / "alertmanager.yml").write_text(CONFIGURATION.format(url=notified.url))
        self._folder, self._port = folder, free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        options = [f"--config.file={self._folder}/alertmanager.yml", f"--storage.path={self._folder}/data"]
        listen = [f"--web.listen-address=127.0.0.1:{self._port}", "--cluster.listen-address="]
        with (self._folder / "log").open("ab") as log:
            command = [str(ALERTMANAGER), *options, *listen]
            self._process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        async with asyncio.timeout(30), httpx.AsyncClient() as client:
            while True:
                try:
                    (await client.get(f"{self.url}/-/ready")).raise_for_status()
                    return
                except httpx.HTTPError:
                    await asyncio.sleep(0.1)

    async def stop(self) -> None:
        if self._process:
            self._process.terminate()
            await self._process.wait()
            self._process = None

    async def states(self, device: str) -> list[str]:
        """The states of a device's alerts: active or suppressed."""
        async with httpx.AsyncClient() as client:
            alerts = (await client.get(f"{self.url}/api/v2/alerts")).raise_for_status().json()
        return [alert["status"]["state"] for alert in alerts if alert["labels"]["device_id"] == device]

    async def silence(self, device: str) -> None:
        matcher = {"name": "device_id", "value": device, "isRegex": False}
        times = {"startsAt": rfc3339(datetime.now(UTC)), "endsAt": rfc3339(datetime.now(UTC) + timedelta(hours=1))}
        body = {"matchers": [matcher], **times, "createdBy": "test", "comment": "known"}
        async with httpx.AsyncClient() as client:
            (await client.post(f"{self.url}/api/v2/silences", json=body)).raise_for_status()


def notified_of(receiver: Receiver, device: str) -> list[str]:
    """The notifications about a device: firing, resolved."""
    alerts = [alert for request in receiver.received for alert in request.json["alerts"]]
    return [alert["status"] for alert in alerts if alert["labels"]["device_id"] == device]


@pytest.mark.skipif(ALERTMANAGER is None, reason="no Alertmanager on PATH (Debian: prometheus-alertmanager)")
async def test_a_real_alertmanager_groups_silences_resolves_and_restarts(
    owner: Owner, database: Database, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    one, other, silenced = (new_pair().vehicle for _ in range(3))
    async with receiving() as people:
        manager = Alertmanager(tmp_path, people)

        async def told(condition: Callable[[], bool]) -> None:
            await people.wait_for(lambda _: condition())

        # away at first: nothing is lost
        alerts = {device: await open_alert(owner, device) for device in (one, other, silenced)}
        await feed(owner, database, session, manager.url)
        try:
            await manager.start()
            await manager.silence(silenced)
            await feed(owner, database, session, manager.url)
            await told(lambda: bool(notified_of(people, other)))
            [group] = [request.json for request in people.received if one in request.body.decode()]
            assert {one, other} <= {alert["labels"]["device_id"] for alert in group["alerts"]}
            assert await manager.states(silenced) == ["suppressed"]

            await owner.execute(CLOSE, alerts[one])
            await feed(owner, database, session, manager.url)
            await told(lambda: "resolved" in notified_of(people, one))

            await manager.stop()
            await owner.execute(CLOSE, alerts[other])
            await feed(owner, database, session, manager.url)
            third = new_pair().vehicle
            await open_alert(owner, third)
            await manager.start()
            await feed(owner, database, session, manager.url)
            await told(lambda: "resolved" in notified_of(people, other) and bool(notified_of(people, third)))
            assert await manager.states(third) == ["active"]
            assert notified_of(people, silenced) == []
        finally:
            await manager.stop()
