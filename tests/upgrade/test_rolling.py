"""A newer version may migrate while the service of this one works, and this one works, and starts, on what it made."""

import hashlib
import shutil
import signal
import threading
from pathlib import Path

import psycopg
import pytest

from service.database.migrate import migrate
from service.database.migrations import SQL_DIR
from service.errors import StartupError
from tests.support import TestDatabase
from tests.support.processes import running

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


@pytest.mark.concurrent
def test_a_service_goes_on_while_a_newer_version_migrates_and_starts_again_on_its_schema(
    empty_database: TestDatabase, tmp_path: Path
) -> None:
    url = empty_database.url
    newer = newer_version(tmp_path / "sql")
    with running({"DATABASE_URL": url}, "--migrate") as service:
        done = threading.Event()
        answers: list[int] = []

        def send() -> None:
            while not done.is_set() or len(answers) < 20:
                answers.append(service.post_meter(f"M{len(answers)}").status_code)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            assert migrate(url, newer) == ["9001_current"]
        finally:
            done.set()
            sender.join()
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
