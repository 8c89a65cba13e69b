"""Rolling upgrades: services of two versions work on one schema, which the newer one migrates while the other works."""

import contextlib
import hashlib
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from service.database.migrate import migrate
from service.database.migrations import SQL_DIR
from service.errors import StartupError
from tests.support import YESTERDAY, TestDatabase, meter_reading, rfc3339, vehicle_reading
from tests.support.processes import Service, running
from tests.support.releases import Release, releases

HOUR = timedelta(hours=1)
EXPAND = """
    SET LOCAL ROLE energy_owner;
    ALTER TABLE telemetry.meter_telemetry_history ADD COLUMN current_a double precision;
    ALTER TABLE telemetry.meter_current_status ADD COLUMN current_a double precision;
"""


def newer_version(folder: Path) -> Path:
    """This version's SQL and one migration more."""
    shutil.copytree(SQL_DIR, folder)
    (folder / "migrations" / "9001_current.sql").write_text(EXPAND)
    with (folder / "migrations" / "SHA256SUMS").open("a") as sums:
        sums.write(f"{hashlib.sha256(EXPAND.encode()).hexdigest()}  9001_current.sql\n")
    return folder


@contextlib.contextmanager
def sending(service: Service) -> Iterator[list[int]]:
    """Post readings until the block ends, and at least 20; the list has their statuses by then."""
    done = threading.Event()
    answers: list[int] = []

    def send() -> None:
        while not done.is_set() or len(answers) < 20:
            answers.append(service.post_meter(f"M{len(answers)}").status_code)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield answers
    finally:
        done.set()
        sender.join()


@pytest.mark.concurrent
def test_a_service_goes_on_while_a_newer_version_migrates_and_starts_again_on_its_schema(
    empty_database: TestDatabase, tmp_path: Path
) -> None:
    url = empty_database.url
    newer = newer_version(tmp_path / "sql")
    with running({"DATABASE_URL": url}, "--migrate") as service:
        with sending(service) as answers:
            assert migrate(url, newer) == ["9001_current"]
        assert set(answers) == {201}
        assert service.get("/health/ready").status_code == 200
        assert service.stop(signal.SIGTERM) == (0, "")
    with running({"DATABASE_URL": url}) as service:
        assert service.get("/health/ready").status_code == 200
        assert service.post_meter("M1").json() == {"outcome": "duplicate"}
    with pytest.raises(StartupError, match="9001_current, which this version does not know: use the newer version"):
        migrate(url)
    with psycopg.connect(url) as connection:
        stored = connection.execute("SELECT count(*) FROM telemetry.meter_telemetry_history").fetchone()
    assert stored == (len(answers),)


def is_within(old: Any, new: Any) -> bool:
    """True if an answer has every field of another, to any depth; of a list the first item is compared."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(key in new and is_within(old[key], new[key]) for key in old)
    if isinstance(old, list):
        return isinstance(new, list) and bool(old) is bool(new) and all(map(is_within, old[:1], new[:1]))
    return True


@pytest.mark.concurrent
@pytest.mark.timeout(300)
@pytest.mark.parametrize("release", releases()[-1:], ids=str)
def test_the_service_of_the_last_release_and_that_of_this_version_work_on_one_schema(
    empty_database: TestDatabase, tmp_path: Path, release: Release
) -> None:
    url = empty_database.url
    code = release.check_out(tmp_path / "release")
    code.run("migrate", DATABASE_URL=url)
    with running(code.environment(DATABASE_URL=url)) as earlier:
        with sending(earlier) as answers:
            migrate(url)
        assert set(answers) == {201}
        with running({"DATABASE_URL": url}) as later:
            assert_known_to_the_other(earlier, later, "old")
            assert_known_to_the_other(later, earlier, "new")
            paths = earlier.get("/docs/openapi.json").json()["paths"]
            compared = [path for path, methods in paths.items() if "get" in methods and path.startswith("/v1/")]
            assert len(compared) > 15
            for path in compared:
                if path != "/v1/events":  # which does not end
                    address = re.sub(r"\{\w+\}", "V-old" if "vehicle" in path.lower() else "M-old", path)
                    old, new = (service.get(address) for service in (earlier, later))
                    assert old.status_code == new.status_code, (path, old.text, new.text)
                    assert is_within(old.json(), new.json()), (path, old.text, new.text)
            for service in (earlier, later):
                assert service.get("/health/ready").status_code == 200
                assert "energy_build_info" in service.get("/metrics").text
                assert service.stop(signal.SIGTERM) == (0, "")


def send(service: Service, method: str, path: str, body: Any) -> Any:
    answer = httpx.request(method, f"{service.url}{path}", json=body, timeout=30)
    assert answer.status_code < 400, answer.text
    return answer.json()


def assert_known_to_the_other(one: Service, other: Service, name: str) -> None:
    """A service stores readings, a profile and a link; the other answers as if it had."""
    meter, vehicle = f"M-{name}", f"V-{name}"
    for path, reading in (
        ("/v1/ingest/meter", meter_reading(meter)),
        ("/v1/ingest/vehicle", vehicle_reading(vehicle)),
        ("/v1/ingest", meter_reading(meter, YESTERDAY + HOUR)),
    ):
        assert [send(each, "POST", path, reading)["outcome"] for each in (one, other)] == ["stored", "duplicate"]
    for kind, batch in (
        ("meter", [meter_reading(meter, YESTERDAY + n * HOUR) for n in range(3)]),
        ("vehicle", [vehicle_reading(vehicle, YESTERDAY + n * HOUR, soc=200) for n in range(3)]),
    ):
        sent = [send(each, "POST", f"/v1/ingest/{kind}/batch", batch) for each in (one, other)]
        assert [answer["stored"] for answer in sent] == [1 if kind == "meter" else 2, 0]
    profile = send(one, "PUT", f"/v1/devices/meter/R-{name}", {"energyKind": "register", "registerMax": 99999})
    assert is_within(profile, send(other, "GET", f"/v1/devices/meter/R-{name}", None))
    send(one, "PUT", f"/v1/links/{vehicle}", {"meterId": meter, "from": rfc3339(YESTERDAY - HOUR)})
    assert send(other, "GET", f"/v1/links/{vehicle}", None)["items"][0]["meterId"] == meter
    for path in (f"/v1/status/meter/{meter}", f"/v1/history/vehicle/{vehicle}"):
        assert is_within(send(one, "GET", path, None), send(other, "GET", path, None))
