"""Point-in-time recovery, with the settings and statements of docs/high-availability.md, in its order."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.deploy.test_kubernetes import CLUSTER
from tests.faults.server import programs
from tests.support import ROOT
from tests.support.processes import free_port, run

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

PAGE = (ROOT / "docs/high-availability.md").read_text()
SETTINGS = {"shared_preload_libraries": "timescaledb", "timescaledb.telemetry_level": "off", "archive_mode": "on"}
MADE = CLUSTER["spec"]["bootstrap"]["initdb"]
MINUTE = timedelta(minutes=1)


class Files:
    """A folder with clusters, owned by a user that PostgreSQL runs as."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._as: dict[str, Any] = {"cwd": folder}
        if os.geteuid() == 0:
            user = pwd.getpwnam(os.environ.get("FAULTS_USER", "nobody"))
            self._as |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(folder, user.pw_uid, user.pw_gid)

    def run(self, *command: str | Path) -> None:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **self._as)

    @contextlib.contextmanager
    def started(self, data: str) -> Iterator[str]:
        """The URL of the cluster in this folder, which is stopped at the end."""
        ctl = [programs() / "pg_ctl", "-D", self.folder / data, "-l", self.folder / f"{data}.log", "-w"]
        self.run(*ctl, "start")
        try:
            port = re.findall(r"^port = (\d+)$", (self.folder / data / "postgresql.auto.conf").read_text(), re.M)[-1]
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            self.run(*ctl, "-m", "fast", "stop")


def configure(files: Files, data: str, settings: dict[str, str]) -> None:
    lines = "".join(f"{name} = '{value}'\n" for name, value in settings.items() if name != "port")
    lines += f"port = {settings['port']}\nunix_socket_directories = '{files.folder}'\nlisten_addresses = '127.0.0.1'\n"
    with (files.folder / data / "postgresql.auto.conf").open("a") as file:
        file.write(lines)


def ask(url: str, query: str, *arguments: Any) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(query, arguments or None)
        return found.fetchone() if found.description else None


def wait_until(url: str, condition: str) -> None:
    deadline = time.monotonic() + 60
    while ask(url, condition) != (True,):
        assert time.monotonic() < deadline, condition
        time.sleep(0.1)


def migrated(server: str) -> str:
    """The URL of a new database, made as in deploy/kubernetes: the login of the migration is no superuser."""
    for statement in (f"CREATE ROLE {MADE['owner']} LOGIN", *MADE["postInitSQL"]):
        ask(server, statement)
    ask(server, f"CREATE DATABASE {MADE['database']} OWNER {MADE['owner']}")
    url = server.removesuffix("/postgres") + f"/{MADE['database']}"
    given = {"DATABASE_URL": url.replace("//postgres@", f"//{MADE['owner']}@"), "ENERGY_SERVICE_PASSWORD": "secret"}
    for _ in range(2):
        done = run("migrate", "--service-login", "energy_app", **given)
        assert done.returncode == 0, done.stderr
    assert run("keys", "create", "--scope", "admin", **given).returncode == 0
    return url


def load(url: str, folder: Path, first: int) -> None:
    """Import 100 readings of a meter with a register, of one without, and of a vehicle, from minute `first` on."""
    start = datetime(2026, 2, 8, tzinfo=UTC)
    rows = [(start + number * MINUTE).isoformat() for number in range(first, first + 100)]
    files = {
        "meter.csv": ["meterId,timestamp,kwhConsumedAc,voltage"],
        "vehicle.csv": ["vehicleId,timestamp,soc,kwhDeliveredDc,batteryTemp"],
    }
    for number, time_ in enumerate(rows, first):
        files["meter.csv"] += [f"M-R,{time_},{1000 + number},230", f"M-I,{time_},0.1,230"]
        files["vehicle.csv"].append(f"V1,{time_},50,0.09,30")
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n")
        imported = run("import", str(folder / name), DATABASE_URL=url)
        assert (imported.returncode, "0 rejected" in imported.stdout) == (0, True), imported.stdout + imported.stderr


HISTORIES = (
    "SELECT (SELECT jsonb_agg(to_jsonb(m) - 'received_at' ORDER BY meter_id, counted_at) "
    "FROM telemetry.meter_telemetry_history AS m), "
    "(SELECT jsonb_agg(to_jsonb(v) - 'received_at' ORDER BY vehicle_id, counted_at) "
    "FROM telemetry.vehicle_telemetry_history AS v)"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that another user reaches, unlike pytest's own."""
    programs()
    with tempfile.TemporaryDirectory(prefix="energy-faults-") as name:
        yield Path(name)


def test_the_database_comes_back_as_it_was_at_a_moment_and_takes_the_later_readings(folder: Path) -> None:
    files = Files(folder)
    for name in ("wal", "given"):
        files.run("mkdir", folder / name)
    [archive_command] = re.findall(r"archive_command = '(.+)'", PAGE)
    arguments = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
    files.run(programs() / "initdb", "-D", folder / "damaged", *arguments)
    archived = {"archive_command": archive_command.replace("/srv/wal", f"{folder}/wal")}
    configure(files, "damaged", {**SETTINGS, **archived, "port": str(free_port())})
    with files.started("damaged") as server:
        damaged = migrated(server)
        ask(damaged, "SELECT api.set_device_profile('meter', 'M-R', p_energy_kind => 'register')")
        port = damaged.rpartition(":")[2].partition("/")[0]
        where = ["-h", "127.0.0.1", "-p", port, "-U", "postgres", "-D", folder / "restored"]
        files.run(programs() / "pg_basebackup", *where, "--checkpoint=fast")
        load(damaged, folder / "given", 0)
        then = ask(damaged, HISTORIES)
        [moment] = ask(damaged, "SELECT now()::text")
        time.sleep(1)  # the time of arrival is in whole seconds
        load(damaged, folder / "given", 100)
        everything = ask(damaged, HISTORIES)
        ask(damaged, "DELETE FROM telemetry.vehicle_telemetry_history WHERE received_at <= %s", moment)
        # 1
        ask(damaged, "SELECT pg_switch_wal()")

        # 2 and 3
        [block] = re.findall(r"^    ```\n(    port = .+?)    ```$", PAGE, re.MULTILINE | re.DOTALL)
        settings = dict(re.findall(r"^    (\w+) = '?(.+?)'?$", block, re.MULTILINE))
        settings["restore_command"] = settings["restore_command"].replace("/srv/wal", f"{folder}/wal")
        settings |= {"recovery_target_time": moment, "port": str(free_port())}
        configure(files, "restored", settings)
        files.run("touch", folder / "restored/recovery.signal")
        with files.started("restored") as another:
            restored = another.removesuffix("/postgres") + f"/{MADE['database']}"
            wait_until(restored, "SELECT pg_get_wal_replay_pause_state() = 'paused'")
            # 4
            assert ask(restored, HISTORIES) == then
            # 5
            ask(restored, "SELECT pg_wal_replay_resume()")
            wait_until(restored, "SELECT NOT pg_is_in_recovery()")
            doctor = run("doctor", DATABASE_URL=restored.replace("//postgres@", f"//{MADE['owner']}@"))
            assert doctor.returncode == 0, doctor.stdout
            # 6
            commands = re.findall(r'psql -X "\$DAMAGED" -c "(\\copy.+?CSV HEADER)"$', PAGE, re.MULTILINE | re.DOTALL)
            assert len(commands) == 2
            for command in commands:
                text = " ".join(command.replace('\\"', '"').split())
                since = f"received_at > timestamptz '{moment}' - INTERVAL '1 min'"
                text = re.sub(r"received_at > '[^']+'", since, text)
                subprocess.run([programs() / "psql", "-X", damaged, "-c", text], cwd=folder, check=True)
            imported = run("import", str(folder / "meter.csv"), str(folder / "vehicle.csv"), DATABASE_URL=restored)
            assert imported.returncode == 0, imported.stdout + imported.stderr
            assert ask(restored, HISTORIES) == everything
