"""`energy demo`: what stands in its database, that it goes on live, and that a second run adds only what has passed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.commands.demo.fleet import FAILING, HOT, DemoFleet
from service.commands.simulate.fleet import DAY_S
from tests.support.processes import free_port

pytestmark = pytest.mark.long

START = 1_767_225_600


def run(folder: Path, port: int) -> tuple[subprocess.Popen[str], int]:
    """A demonstration that serves, and how many readings it stored before."""
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "demo", "--days", "1", "--data-dir", str(folder)],
        env=os.environ | {"PORT": str(port), "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/real"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    stored = -1
    for line in process.stdout:
        if found := re.match(r"([\d,]+) readings stored", line):
            stored = int(found[1].replace(",", ""))
        if line.startswith("docs "):
            return process, stored
    raise AssertionError(f"it ended with {process.wait()}")


def stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


def test_the_demonstration_shows_its_faults_goes_on_live_and_starts_again_quickly(tmp_path: Path) -> None:
    port = free_port()
    process, stored = run(tmp_path, port)
    try:
        # from midnight a day ago until now: 288 to 576 intervals of 20 vehicles and 20 meters
        assert 288 * 39 <= stored <= 576 * 40
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            fleet: dict[str, Any] = client.get("/v1/fleet").json()
            assert {row["vehicleId"] for row in fleet["worst"][:2]} == {"V000004", "V000011"}
            assert [row["efficiencyStatus"] for row in fleet["worst"][:2]] == ["low", "low"]
            assert "M000005" in {device["deviceId"] for device in fleet["silentDevices"]}
            assert {row["code"] for row in fleet["rejected"]} >= {
                "value_out_of_range",
                "timestamp_too_old",
                "id_invalid",
            }
            assert [row["meterId"] for row in client.get("/v1/links/V000002").json()["items"]][-1] == "M-old-2"
            deadline = time.monotonic() + 30
            newest = fleet["energyUntil"]
            # each vehicle sends once a minute, one after the other
            vehicles = [f"/v1/status/vehicle/V{number:06d}" for number in range(1, 20)]
            while all(client.get(vehicle).json()["receivedAt"] < newest for vehicle in vehicles):
                assert time.monotonic() < deadline, "no live reading"
                time.sleep(0.5)
    finally:
        stop(process)
    process, stored = run(tmp_path, port)
    stop(process)
    assert stored <= 2 * 40


def test_the_failing_charger_gets_worse_and_the_hot_battery_is_hot() -> None:
    fleet = DemoFleet(START, 300)
    ac, dc, hottest = [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]
    for tick in range(14 * DAY_S // 300):
        for vehicle in range(fleet.vehicles):
            measured = fleet.measure(vehicle, tick)
            if vehicle == FAILING and not 3 < tick // 288 < 11:
                late = tick // 288 >= 11
                ac[late] += measured.kwh_ac
                dc[late] += measured.kwh_dc
            hottest[vehicle == HOT] = max(hottest[vehicle == HOT], measured.battery_temp)
    assert dc[0] / ac[0] > 0.85 > dc[1] / ac[1]
    assert hottest[1] > 45 > hottest[0]
