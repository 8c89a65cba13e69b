"""The embedded database: what a restart, a second user of its files, and a machine without Node.js meet."""

import os
import select
import socket
from pathlib import Path

import psycopg
import pytest

import service.embedded
import service.startup
from service.embedded import install, run_embedded
from service.errors import StartupError
from service.settings import Settings
from service.startup import prepared_database
from tests.support.templates import copy_new


def test_compressed_rows_are_still_seen_after_a_restart(tmp_path: Path) -> None:
    copy_new(tmp_path)
    with run_embedded(tmp_path) as database, psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION timescaledb")
        connection.execute("CREATE TABLE h (t timestamptz NOT NULL, v int) WITH (timescaledb.hypertable)")
        connection.execute(
            "INSERT INTO h SELECT '2026-01-01Z'::timestamptz + i * interval '1 min', i FROM generate_series(1, 500) i"
        )
        connection.execute("SELECT compress_chunk(c) FROM show_chunks('h') AS c")
    with run_embedded(tmp_path) as database, psycopg.connect(database.url, autocommit=True) as connection:
        assert connection.execute("SELECT count(*), sum(v) FROM h").fetchone() == (500, 125250)
        connection.execute("INSERT INTO h VALUES ('2026-05-01Z', 1)")
        assert connection.execute("SELECT count(*) FROM show_chunks('h')").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM ONLY h").fetchone() == (0,)


def test_a_half_made_database_of_a_killed_first_run_is_made_anew(tmp_path: Path) -> None:
    unfinished = tmp_path / "pgdata.new"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("17\n")
    with run_embedded(tmp_path) as database, psycopg.connect(database.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not unfinished.exists()


def test_two_at_once_on_the_same_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_new(tmp_path)
    monkeypatch.setattr(service.embedded, "LOCK_TIMEOUT_S", 0.3)
    with (
        run_embedded(tmp_path),
        pytest.raises(StartupError, match=r"in use by another process.*ENERGY_DATA_DIR"),
        run_embedded(tmp_path),
    ):
        pytest.fail("started twice")


def test_clients_that_break_off_during_an_answer_leave_room_for_others(tmp_path: Path) -> None:
    copy_new(tmp_path)
    with run_embedded(tmp_path) as database:
        for _ in range(5):
            connection = psycopg.connect(database.url, autocommit=True)
            connection.pgconn.send_query(b"SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
            connection.pgconn.flush()
            select.select([connection.pgconn.socket], [], [], 30)  # the answer begins
            with socket.socket(fileno=os.dup(connection.pgconn.socket)) as client:
                client.shutdown(socket.SHUT_RDWR)
            connection.close()
        with psycopg.connect(database.url, autocommit=True) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_database_that_does_not_start_points_at_its_log(tmp_path: Path) -> None:
    (tmp_path / "pgdata").mkdir()
    (tmp_path / "pgdata" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(StartupError, match=r"did not start: see .*database\.log"), run_embedded(tmp_path):
        pytest.fail("started")
    assert (tmp_path / "database.log").read_text()


def test_an_old_node_or_one_without_npm_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node, npm = tmp_path / "node", tmp_path / "npm"
    npm.write_text("#!/bin/sh\n")
    npm.chmod(0o755)
    node.write_text("#!/bin/sh\necho v18.20.0\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda name: None)
    assert install.find_node() is None
    node.write_text("#!/bin/sh\necho v22.1.0\n")
    assert install.find_node() == node
    npm.unlink()
    assert install.find_node() is None


def test_an_install_that_fails_says_why() -> None:
    script = "echo npm error code E1 >&2; echo npm error the reason >&2; echo npm error A complete log >&2; exit 1"
    with pytest.raises(StartupError, match=r"cannot install it: npm error the reason$"):
        install._run("it", ["sh", "-c", script])


def test_it_is_migrated_again_only_by_other_sql_than_that_it_has(
    data_folder: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=Path(data_folder["ENERGY_DATA_DIR"]))
    with monkeypatch.context() as patch:
        patch.setattr(service.startup, "migrate", lambda *_, **__: pytest.fail("migrated"))
        with prepared_database(settings) as prepared, psycopg.connect(prepared.url, autocommit=True) as connection:
            connection.execute("RESET ROLE; DROP FUNCTION api.get_meter_status")
    (settings.data_dir / "pgdata" / "energy_sql.sha256").write_text("of an older version")
    with prepared_database(settings) as prepared, psycopg.connect(prepared.url) as connection:
        assert connection.execute("SELECT to_regproc('api.get_meter_status') IS NOT NULL").fetchone() == (True,)
    with monkeypatch.context() as patch:
        patch.setattr(service.startup, "migrate", lambda *_, **__: pytest.fail("migrated"))
        with prepared_database(settings):
            pass
