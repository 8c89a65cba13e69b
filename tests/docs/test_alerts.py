"""docs/alerts.md: its faults are those of the code, and its receiver verifies what the service sends."""

import asyncio
import re
import shutil
import subprocess
from typing import Any

import pytest
from flask import Flask

from service.alerting.alertmanager import NAMES, TEST
from service.alerting.post import open_session
from service.alerting.webhook import encode_message, send_message
from service.commands.alerts import make_test_alert
from tests.monitoring.files import FOLDER
from tests.support import ROOT, Owner, now
from tests.support.delivery import receiving

PAGE = (ROOT / "docs/alerts.md").read_text()
AMTOOL = shutil.which("amtool")
SECRET = "whsec_" + "A" * 32


def test_every_fault_has_its_row_with_its_name_in_alertmanager() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert rows == [(kind, name) for kind, (name, _) in NAMES.items() if kind != TEST]


async def test_the_figures_of_the_faults_are_those_of_the_first_rules(owner: Owner) -> None:
    figures = {
        "efficiency_low": "less than {:.0%}",
        "device_silent": "more than {:g} expected intervals",
        "battery_hot": "over {:g} °C",
        "voltage_outside": "outside {:g} to ",
        "data_incomplete": "under {:.0%}",
        "readings_rejected": "{:g} readings",
        "standby_high": "over {:g} kW",
    }
    for kind, threshold in await owner.fetch("SELECT kind, threshold FROM ops.default_alert_rules()"):
        if kind in figures:
            [row] = re.findall(rf"^\| `{kind}` .*", PAGE, re.MULTILINE)
            assert figures[kind].format(threshold).replace("%", " %") in row


@pytest.mark.skipif(AMTOOL is None, reason="no amtool on PATH (Debian: prometheus-alertmanager)")
def test_amtool_finds_nothing_wrong_with_the_example() -> None:
    command = [str(AMTOOL), "check-config", "alertmanager.yml"]
    result = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_example_speaks_of_alerts_that_there_are() -> None:
    example = (FOLDER / "alertmanager.yml").read_text()
    rules = (FOLDER / "alerts.yml").read_text()
    named = set(re.findall(r"Energy\w+", example))
    assert named
    assert named <= {name for name, _ in NAMES.values()} | set(re.findall(r"alert: (\w+)", rules))


async def test_the_receiver_of_the_page_takes_signed_messages_once_and_no_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    [receiver_code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    scope: dict[str, Any] = {"__name__": "receiver"}
    exec(receiver_code.replace("whsec_…", SECRET), scope)  # noqa: S102 - the page's own
    app: Flask = scope["app"]
    statuses = []

    def take(request: Any) -> int:
        with app.test_client() as client:
            got = receiver.received[-1]
            status = client.post("/energy", data=got.body, headers=got.headers).status_code
        statuses.append(status)
        return status

    body = encode_message(TEST, now(), make_test_alert(), None)
    async with receiving() as receiver, open_session(only_public=False) as session:
        receiver.answer = take
        for _ in range(2):
            await send_message(session, receiver.url, SECRET, "msg_1", body)
        for secret in ("whsec_" + "B" * 32,):
            with pytest.raises(Exception, match="answered 401"):
                await send_message(session, receiver.url, secret, "msg_2", body)
    assert statuses == [204, 204, 401]
    assert capsys.readouterr().out.count("alert.test") == 1
    await asyncio.sleep(0)
