"""`energy alerts`, as a user runs it: the list, an acknowledgement, webhooks, a test of the delivery."""

import json
from asyncio import to_thread

import psycopg
import pytest
from click.testing import CliRunner, Result
from standardwebhooks import Webhook

from service.commands.alerts import alerts
from service.errors import StartupError
from tests.support import TestDatabase
from tests.support.delivery import receiving
from tests.support.processes import free_port

ALERTS = """
    INSERT INTO telemetry.alert (
        rule_name, rule_kind, kind, device_id, severity, opened_at, last_seen_at, value, threshold, reason, closed_at,
        close_reason
    )
    VALUES
    ('vans', 'efficiency_low', 'vehicle', 'V1', 'warning', '2026-02-08T17:00Z', '2026-02-08T18:00Z', 0.79, 0.85,
     'efficiency 79 % is below 85 %', NULL, NULL),
    ('hot', 'battery_hot', 'vehicle', 'V2', 'critical', '2026-02-08T17:00Z', '2026-02-08T18:00Z', 60, 50,
     'battery at 60 °C', '2026-02-08T18:30Z', 'over')
"""


class Energy:
    """`energy alerts` in this process, on a database of its own."""

    def __init__(self, database: TestDatabase) -> None:
        self.environment = {"DATABASE_URL": database.url}

    def run(self, *arguments: str, **environment: str) -> Result:
        return CliRunner().invoke(alerts, arguments, env=self.environment | environment)

    def text(self, *arguments: str) -> str:
        """The output of a command that succeeds."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result
        return result.stdout

    def refusal(self, *arguments: str) -> str:
        """The reason of a command that is refused."""
        error = self.run(*arguments).exception
        assert isinstance(error, StartupError)
        return str(error)


@pytest.fixture
def energy(migrated_database: TestDatabase) -> Energy:
    return Energy(migrated_database)


def test_alerts_are_listed_and_acknowledged(energy: Energy, migrated_database: TestDatabase) -> None:
    assert energy.text("list") == "no alerts\n"
    with psycopg.connect(migrated_database.url) as connection:
        connection.execute(ALERTS)

    heading, row = energy.text("list").splitlines()
    assert heading.split()[:4] == ["number", "severity", "rule", "device"]
    words = ["1", "warning", "vans", "vehicle", "V1", "2026-02-08", "17:00:00Z", "-", "-", "efficiency", "79"]
    assert row.split()[: len(words)] == words
    printed = energy.text("list", "--state", "all", "--json")
    assert [json.loads(line)["device_id"] for line in printed.splitlines()] == ["V2", "V1"]
    hot = energy.text("list", "--state", "all", "--rule-kind", "battery_hot", "--json")
    assert json.loads(hot)["closed_at"].startswith("2026-02-08T18:30:00")

    said = energy.text("acknowledge", "1", "--note", "cable ordered", "--by", "anna")
    assert said.startswith("alert 1 is acknowledged by anna since 20")
    assert "by anna" in energy.text("acknowledge", "1", "--by", "bert"), "the first one stays"
    assert "anna" in energy.text("list")
    assert energy.refusal("acknowledge", "99") == "there is no alert 99"


async def test_webhooks_are_set_tested_and_removed_and_a_secret_is_shown_where_it_is_asked_for(energy: Energy) -> None:
    assert "nobody gets alerts: set ENERGY_ALERTMANAGER_URL" in await to_thread(energy.refusal, "test")
    async with receiving() as hook, receiving() as manager:
        set_hook = ("webhooks", "set", "pager", f"{hook.url}/energy", "--severity", "critical")
        secret = (await to_thread(energy.text, *set_hook)).strip()
        assert (await to_thread(energy.text, *set_hook)).strip() == secret, "safe to repeat"
        assert (await to_thread(energy.text, "webhooks", "secret", "pager")).strip() == secret
        listed = await to_thread(energy.text, "webhooks", "list")
        assert listed.splitlines()[1].split() == ["pager", f"{hook.url}/energy", "critical", "yes", "0", "-", "0", "-"]
        as_json = json.loads(await to_thread(energy.text, "webhooks", "list", "--json"))
        assert (as_json["name"], as_json["severities"], as_json["pending"]) == ("pager", ["critical"], 0)
        assert secret not in listed

        energy.environment["ENERGY_ALERTMANAGER_URL"] = manager.url.replace("//", "//me:pass@")
        tested = await to_thread(energy.run, "test", ENERGY_WEBHOOK_PRIVATE="on")
        assert tested.exit_code == 0, tested
        assert [line.split()[:4] for line in tested.stdout.splitlines()[1:]] == [
            ["alertmanager", manager.url, "accepted", "204"],
            ["webhook", "pager", "accepted", "204"],
        ]
        [message] = hook.received
        assert Webhook(secret).verify(message.body, message.headers)["type"] == "alert.test"
        assert manager.received[0].json[0]["labels"]["alertname"] == "EnergyTest"

        energy.environment["ENERGY_ALERTMANAGER_URL"] = f"http://127.0.0.1:{free_port()}"
        refused = await to_thread(energy.run, "test")
        assert refused.exit_code == 1
        assert "cannot connect: Connection refused" in refused.stdout
        assert "is not a public address: ENERGY_WEBHOOK_PRIVATE=on" in refused.stdout
        assert len(hook.received) == 1
    assert await to_thread(energy.text, "webhooks", "remove", "pager") == "pager is removed\n"
    assert await to_thread(energy.text, "webhooks", "list") == "no webhooks\n"
    wrong = await to_thread(energy.refusal, "webhooks", "set", "pager", "ftp://host")
    assert wrong.startswith("url must be an address as https://host/path")
