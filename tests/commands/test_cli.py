"""`energy serve | migrate | doctor` as processes: start, stop, kill, and what goes wrong at start."""

import asyncio
import contextlib
import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg
import httpx
import psycopg
import pytest

from service.cli import COMMANDS
from service.commands.doctor import examine
from service.database_url import mask_password
from service.errors import StartupError
from service.settings import load_settings
from tests.commands.test_help import names_of
from tests.support import ROOT, TestDatabase, meter_reading, run_another_database
from tests.support.processes import (
    ELSEWHERE,
    ENERGY,
    PLAIN,
    assert_one_plain_line,
    free_port,
    run,
    running,
    wait_until_gone,
)

pytestmark = pytest.mark.long


def test_it_starts_says_where_it_is_and_stops_cleanly_keeping_the_data(untouched: dict[str, str]) -> None:
    with running(untouched, "--migrate") as service:
        database, serving, docs = service.lines
        assert re.match(r"database  (embedded )?TimescaleDB 2\.\d+", database)
        assert serving == f"serving   http://127.0.0.1:{service.port}"
        assert docs == f"docs      http://127.0.0.1:{service.port}/docs"
        assert service.get("/health/ready").status_code == 200
        assert service.post_meter("M1").status_code == 201
        children = service.children()
        assert service.stop(signal.SIGTERM) == (0, "")
        for child in children:
            wait_until_gone(child)

    with running(untouched, "--migrate") as service:
        assert service.get("/v1/status/meter/M1").status_code == 200
        assert service.post_meter("M1").json() == {"outcome": "duplicate"}
        assert service.stop(signal.SIGINT) == (0, "")


HEAVY = {"aiohttp", "litestar", "pyarrow", "uvicorn"}


@pytest.mark.parametrize(
    ("arguments", "absent", "present"),
    [
        (["--help"], HEAVY | {"asyncpg", "psycopg", "rich"}, set()),
        (["keys", "list"], HEAVY, {"service.commands.keys", "asyncpg"}),
        (["archive", "--help"], HEAVY - {"pyarrow"}, {"pyarrow"}),
        (["simulate", "--help"], HEAVY - {"aiohttp"}, {"aiohttp"}),
    ],
    ids=("help", "keys", "archive", "simulate"),
)
def test_a_command_imports_only_its_own_libraries(arguments: list[str], absent: set[str], present: set[str]) -> None:
    script = f"""
import atexit, sys
from service.cli import main
atexit.register(lambda: print(*sys.modules, sep=chr(10), file=sys.stderr))
sys.argv = ["energy", *{arguments!r}]
main()
"""
    nowhere = {**PLAIN, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"}
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ELSEWHERE, env=nowhere, capture_output=True, text=True, check=False
    )
    imported = set(result.stderr.splitlines())
    assert (absent & imported, present - imported) == (set(), set())
    assert "service.cli" in imported


def test_help_summarizes_every_command_in_the_first_sentence_of_its_own_help() -> None:
    printed = " ".join(run("--help").stdout.split())
    for command in COMMANDS:
        assert command.load().get_short_help_str(limit=1000).rstrip(".") == command.short_help
        assert f"{command.name} {command.short_help}" in printed


def test_a_killed_run_leaves_nothing_that_blocks_the_next_and_loses_nothing(environment: dict[str, str]) -> None:
    with running(environment, "--migrate") as service:
        assert service.post_meter("M1").status_code == 201
        children = service.children()
        service.stop(signal.SIGKILL)
        for child in children:
            wait_until_gone(child)
    with running(environment, "--migrate") as service:
        assert service.post_meter("M1").json() == {"outcome": "duplicate"}


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_start_that_is_interrupted_ends_quietly_and_leaves_nothing(tmp_path: Path, signal_number: int) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {
        **PLAIN,
        "ENERGY_DATA_DIR": str(tmp_path / "data"),
        "PORT": str(free_port()),
        "TMPDIR": str(temporary),
    }
    process = subprocess.Popen([*ENERGY, "serve"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "data" / "pgdata.new").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal_number)
    _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr.strip()) == (130, "")
    assert list(temporary.iterdir()) == []


COMPANY = """
import asyncio, os, signal
from service.commands.serve import Company, serve
from service.settings import load_settings

async def beside(address):
    print("beside", address, flush=True)
    await asyncio.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)

serve(load_settings(), migrate_first=False, company=Company(lambda database: print("before", flush=True), beside))
"""


def test_company_is_kept_on_a_server_too_and_with_several_workers(migrated_database: TestDatabase) -> None:
    port = str(free_port())
    environment = {**PLAIN, "PYTHONPATH": str(ROOT), "DATABASE_URL": migrated_database.url, "ENERGY_WORKERS": "2"}
    result = subprocess.run(
        [sys.executable, "-c", COMPANY],
        env={**environment, "PORT": port},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "before"
    assert f"beside http://127.0.0.1:{port}" in lines


def test_a_second_run_meanwhile_is_told_that_the_port_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert_one_plain_line(run("serve", PORT=port), "127.0.0.1", port, "in use", "PORT")


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    assert_one_plain_line(run("serve", HOST="192.0.2.1", PORT="0"), "PORT")
    assert_one_plain_line(
        run("serve", HOST="192.0.2.1", PORT=str(free_port()), ENERGY_AUTH="required"), "cannot listen", "192.0.2.1"
    )


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("PORT", "abc", "1 to 65535"),
        ("PORT", "70000", "1 to 65535"),
        ("PORT", "-1", "1 to 65535"),
        ("ENERGY_LOG_LEVEL", "loud", "debug, info"),
        ("ENERGY_MAX_BODY_BYTES", "1MB", "whole number"),
        ("DATABASE_URL", "mysql://root@localhost/x", "postgresql://"),
        ("DATABASE_URL", "localhost:5432", "postgresql://"),
        ("DATABASE_URL", "postgresql://u:secret@host:port/db", "postgresql://"),
        ("DATABASE_READ_URL", "postgresql://localhost/x", "DATABASE_URL"),
    ],
)
@pytest.mark.parametrize("command", ["serve", "migrate", "doctor"])
def test_a_setting_that_does_not_parse_is_named(command: str, name: str, value: str, word: str) -> None:
    result = run(command, **{name: value})
    assert_one_plain_line(result, name, word)
    assert "secret" not in result.stderr


@pytest.mark.parametrize("mark", ["/", "?", "#"])
def test_a_url_whose_password_would_be_taken_for_something_else_is_not_repeated(mark: str) -> None:
    with pytest.raises(StartupError, match="as %2F %3F %23") as raised:
        load_settings({"DATABASE_URL": f"postgresql://u:1234{mark}secret@host/db"})
    assert "secret" not in str(raised.value)


def test_settings_come_from_dotenv_and_the_environment_goes_before(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=abc\nENERGY_LOG_LEVEL=loud\n")
    assert_one_plain_line(run("serve", directory=tmp_path, ENERGY_LOG_LEVEL="info"), "PORT", "'abc'")
    assert_one_plain_line(run("serve", directory=tmp_path, PORT="3000"), "ENERGY_LOG_LEVEL", "'loud'")
    (tmp_path / ".env").write_bytes(b"PORT=31\xe9\n")
    assert_one_plain_line(run("doctor", directory=tmp_path), ".env")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"HOST": "a..b"}, ("a..b", "HOST")),
        ({"HOST": "a" * 300}, ("HOST",)),
        ({"PORT": "9" * 5000}, ("PORT", "65535")),
        ({"ENERGY_DATA_DIR": "/dev/null"}, ("ENERGY_DATA_DIR", "/dev/null")),
    ],
    ids=lambda value: str(value)[:40],
)
def test_values_nobody_would_mean_are_no_traceback_either(wrong: dict[str, str], words: tuple[str, ...]) -> None:
    assert_one_plain_line(run("serve", **{"PORT": str(free_port()), **wrong}), *words)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104
def test_without_keys_an_address_others_can_reach_is_refused(host: str) -> None:
    assert_one_plain_line(run("serve", HOST=host, PORT=str(free_port())), host, "ENERGY_AUTH=required", "HOST")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2"])
def test_without_keys_any_address_of_this_machine_will_do(host: str) -> None:
    url = f"postgresql://127.0.0.1:{free_port()}/x"
    assert_one_plain_line(run("serve", HOST=host, PORT=str(free_port()), DATABASE_URL=url), "cannot be reached")


def test_it_serves_on_ipv6(data_folder: dict[str, str]) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    with running({"HOST": "::1", **data_folder}) as service:
        url = f"http://[::1]:{service.port}"
        assert [line.split() for line in service.lines[1:]] == [["serving", url], ["docs", f"{url}/docs"]]
        assert httpx.post(f"{url}/v1/ingest/meter", json=meter_reading("M1"), timeout=30).status_code == 201
        assert httpx.get(f"{url}/v1/status/meter/M1", timeout=30).json()["meterId"] == "M1"
        with pytest.raises(httpx.ConnectError):
            service.get("/health/live")


def test_with_keys_any_address_is_listened_on(data_folder: dict[str, str]) -> None:
    environment = {"HOST": "0.0.0.0", "ENERGY_AUTH": "required", **data_folder}  # noqa: S104
    with running(environment) as service:
        assert service.get("/health/ready").status_code == 200
        answer = service.post_meter("M1")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert service.stop(signal.SIGTERM) == (0, "")


@pytest.mark.parametrize("command", [["serve"], ["serve", "--migrate"], ["migrate"]], ids=" ".join)
def test_a_database_that_is_not_there_is_said_in_one_line(command: list[str]) -> None:
    url = f"postgresql://energy:secret@127.0.0.1:{free_port()}/energy"
    result = run(*command, DATABASE_URL=url, PORT=str(free_port()))
    assert_one_plain_line(result, "cannot be reached", "127.0.0.1", "DATABASE_URL")
    assert "secret" not in result.stderr


@contextlib.contextmanager
def server_that_answers(answer: bytes | None) -> Iterator[str]:
    """A PostgreSQL server that gives every login this answer, or none at all."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connections.append(connection)
                    while answer is not None:
                        request = connection.recv(4096)
                        if request[4:8] == b"\x04\xd2\x16\x2f":  # asks for TLS: no
                            connection.sendall(b"N")
                            continue
                        connection.sendall(answer)
                        break

        connections: list[socket.socket] = []
        threading.Thread(target=serve, daemon=True).start()
        yield f"postgresql://energy:secret@127.0.0.1:{listener.getsockname()[1]}/energy"
        for connection in connections:
            connection.close()


def error_response(sqlstate: str, message: str) -> bytes:
    fields = f"SFATAL\0VFATAL\0C{sqlstate}\0M{message}\0\0".encode()
    return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields


@pytest.mark.parametrize(
    ("sqlstate", "message", "words"),
    [
        (
            "28P01",
            'password authentication failed for user "energy"',
            ("refused the login", "check user and password"),
        ),
        ("28000", 'no pg_hba.conf entry for host "127.0.0.1"', ("refused the login", "pg_hba")),
        ("3D000", 'database "energy" does not exist', ("does not exist", "create the database")),
        ("53300", "sorry, too many clients already", ("too many clients",)),
        ("57P03", "the database system is starting up", ("starting up",)),
    ],
)
def test_what_the_server_says_at_login_is_passed_on_with_advice(
    sqlstate: str, message: str, words: tuple[str, ...]
) -> None:
    with server_that_answers(error_response(sqlstate, message)) as url:
        result = run("serve", DATABASE_URL=url, PORT=str(free_port()))
    assert_one_plain_line(result, *words)
    assert "secret" not in result.stderr


def test_a_server_that_never_answers_is_given_up_on() -> None:
    with server_that_answers(None) as url:
        assert_one_plain_line(run("serve", DATABASE_URL=url, PORT=str(free_port())), "did not answer within 5 s")


def test_doctor_shows_what_there_is_and_finds_nothing_wrong(untouched: dict[str, str]) -> None:
    assert run("migrate", **untouched).stdout.startswith("applied 0001")
    result = run("doctor", **untouched, ENERGY_LOG_LEVEL="info")
    assert (result.returncode, result.stderr) == (0, "")
    for fact in (r"database +(server|embedded)", r"PostgreSQL +1\d", r"TimescaleDB +2\.\d+.*\(Community\)"):
        assert re.search(fact, result.stdout), result.stdout
    assert re.search(r"schema +(\w+) \(this version: \1\)", result.stdout)
    assert re.search(r"migrations +(\d+) applied, \1 known", result.stdout)
    assert re.search(r"setting +ENERGY_LOG_LEVEL=info", result.stdout)
    assert result.stdout.endswith("nothing wrong found\n")


def test_doctor_before_the_first_run_makes_nothing(tmp_path: Path) -> None:
    result = run("doctor", ENERGY_DATA_DIR=str(tmp_path / "data"))
    assert (result.returncode, result.stderr) == (0, "")
    assert "not yet made" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_doctor_while_the_embedded_service_runs_finds_nothing_wrong(data_folder: dict[str, str]) -> None:
    with running(data_folder):
        result = run("doctor", **data_folder)
    assert (result.returncode, result.stderr) == (0, "")
    assert "a running service uses the embedded database" in result.stdout


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://127.0.0.1:{port}/energy?user=u&password=secret",
        "postgresql://127.0.0.1:{port}/energy?password=x@secret&user=u",
        "postgresql://127.0.0.1:{port}/energy?user=u&sslpassword=secret",
        "postgresql://u:secret@127.0.0.1:{port}/energy",
        "postgresql://u:x@secret@127.0.0.1:{port}/energy",
        "postgresql://u:@@secret@@127.0.0.1:{port}/energy",
    ],
)
def test_doctor_hides_a_password_wherever_it_stands(url: str) -> None:
    facts, faults = examine(load_settings({"DATABASE_URL": url.format(port=free_port())}))
    assert "cannot be reached" in faults[0][1]
    assert "secret" not in str(facts) + str(faults)


@pytest.mark.parametrize("command", ["doctor", "migrate", "serve", "keys list"])
def test_no_command_prints_a_password_with_an_at_sign(command: str) -> None:
    url = f"postgresql://u:x@secret@127.0.0.1:{free_port()}/energy"
    result = run(*command.split(), DATABASE_URL=url, PORT=str(free_port()))
    assert result.returncode == 1
    assert "cannot be reached" in result.stdout + result.stderr
    assert "secret" not in result.stdout + result.stderr


def test_a_url_is_masked_up_to_its_last_at_sign_and_in_its_query() -> None:
    assert mask_password("postgresql://u:a@b/c@host:5432/db") == "postgresql://u:***@host:5432/db"
    assert mask_password("postgresql://host/db?password=a@b&user=u&sslpassword=c") == (
        "postgresql://host/db?password=***&user=u&sslpassword=***"
    )
    assert mask_password("postgresql://u@host:5432/db") == "postgresql://u@host:5432/db"
    assert mask_password("127.0.0.1") == "127.0.0.1"


def test_a_password_may_hold_an_at_sign_whichever_library_connects() -> None:
    for given in ("postgresql://u:p@s@host:5432/db?x=1", "postgresql://u:p%40s@host:5432/db?x=1"):
        url = load_settings({"DATABASE_URL": given}).database_url
        assert url == "postgresql://u:p%40s@host:5432/db?x=1"
        parts = psycopg.conninfo.conninfo_to_dict(url.partition("?")[0])
        assert (parts["host"], parts["password"]) == ("host", "p@s")


def test_doctor_says_what_is_wrong_and_hides_the_password() -> None:
    url = f"postgresql://energy:secret@127.0.0.1:{free_port()}/energy"
    result = run("doctor", DATABASE_URL=url)
    assert result.returncode == 1
    assert re.search(r"WRONG +database: the database at .* cannot be reached", result.stdout)
    assert "DATABASE_URL=postgresql://energy:***@127.0.0.1" in result.stdout
    assert "secret" not in result.stdout + result.stderr


@pytest.mark.concurrent
def test_a_database_that_was_never_migrated_is_not_served(empty_database: TestDatabase) -> None:
    result = run("serve", DATABASE_URL=empty_database.url, PORT=str(free_port()))
    assert_one_plain_line(result, "energy migrate")
    doctor = run("doctor", DATABASE_URL=empty_database.url)
    assert doctor.returncode == 1
    assert "run `energy migrate`" in doctor.stdout


@pytest.mark.parametrize(
    ("login", "password"),
    [("energy_test_app", "secret1"), ('Energy "Test" O\'App-1@%2Fé', "p@:/?#%25&=+ \"'\\$1é")],
    ids=["plain", "quoted"],
)
@pytest.mark.concurrent
def test_the_service_login_has_the_rights_of_energy_service_and_serves(
    empty_database: TestDatabase, login: str, password: str
) -> None:
    result = run("migrate", "--service-login", login, DATABASE_URL=empty_database.url, ENERGY_SERVICE_PASSWORD=password)
    assert result.returncode == 0, result.stderr
    address = f"//{quote(login, safe='')}:{quote(password, safe='')}@"
    url = re.sub(r"//[^@/]*@", lambda _: address, empty_database.url)
    try:
        with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM telemetry.meter_current_status")
        assert run("doctor", DATABASE_URL=url).returncode == 0
        with running({"DATABASE_URL": url}) as service:
            assert service.post_meter("M1").status_code == 201
            assert service.stop(signal.SIGTERM) == (0, "")
    finally:
        with psycopg.connect(empty_database.url, autocommit=True) as connection:
            connection.execute(psycopg.sql.SQL("DROP ROLE {}").format(psycopg.sql.Identifier(login)))


@pytest.mark.concurrent
def test_a_bi_login_reads_bi_with_a_time_limit_and_writes_nothing(empty_database: TestDatabase) -> None:
    login = "energy_test_bi"
    missing = run("migrate", "--bi-login", login, DATABASE_URL=empty_database.url)
    assert_one_plain_line(missing, "--bi-login needs DATABASE_URL and ENERGY_BI_PASSWORD")
    result = run("migrate", "--bi-login", login, DATABASE_URL=empty_database.url, ENERGY_BI_PASSWORD="secret1")
    assert result.returncode == 0, result.stderr
    url = re.sub(r"//[^@/]*@", f"//{login}:secret1@", empty_database.url)
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            assert connection.execute("SHOW statement_timeout").fetchone() == ("1min",)
            assert connection.execute("SELECT count(*) FROM bi.fleet_efficiency_daily").fetchone() == (0,)
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute("CREATE TEMPORARY TABLE mine (id int)")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT * FROM telemetry.meter_telemetry_history")
    finally:
        with psycopg.connect(empty_database.url, autocommit=True) as connection:
            connection.execute(f"DROP ROLE {login}")


@pytest.mark.concurrent
def test_a_dba_login_changes_policies_and_reads_no_readings(empty_database: TestDatabase) -> None:
    login = "energy_test_dba"
    missing = run("migrate", "--dba-login", login, DATABASE_URL=empty_database.url)
    assert_one_plain_line(missing, "--dba-login needs DATABASE_URL and ENERGY_DBA_PASSWORD")
    result = run("migrate", "--dba-login", login, DATABASE_URL=empty_database.url, ENERGY_DBA_PASSWORD="secret1")
    assert result.returncode == 0, result.stderr
    url = re.sub(r"//[^@/]*@", f"//{login}:secret1@", empty_database.url)
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT ops.set_policy('telemetry.rejected_reading', 'drop_after', '60 days')")
            changed = connection.execute("SELECT setting, was, becomes FROM ops.apply_policies()").fetchall()
            assert changed == [("drop_after", "30 days", "60 days")]
            owned = "SELECT DISTINCT owner::text FROM timescaledb_information.jobs WHERE job_id >= 1000"
            assert connection.execute(owned).fetchall() == [("energy_owner",)]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT * FROM telemetry.meter_telemetry_history")
    finally:
        with psycopg.connect(empty_database.url, autocommit=True) as connection:
            connection.execute(f"DROP ROLE {login}")


@pytest.mark.concurrent
def test_an_archive_login_archives_and_is_no_superuser(empty_database: TestDatabase, tmp_path: Path) -> None:
    login = "energy_test_archive"
    missing = run("migrate", "--archive-login", login, DATABASE_URL=empty_database.url)
    assert_one_plain_line(missing, "--archive-login needs DATABASE_URL and ENERGY_ARCHIVE_PASSWORD")
    password = tmp_path / "password"
    password.write_text("secret1\n")
    result = run(
        "migrate",
        "--archive-login",
        login,
        DATABASE_URL=empty_database.url,
        ENERGY_ARCHIVE_PASSWORD_FILE=str(password),
    )
    assert result.returncode == 0, result.stderr
    url = re.sub(r"//[^@/]*@", f"//{login}:secret1@", empty_database.url)
    try:
        with psycopg.connect(empty_database.url, autocommit=True) as connection:
            connection.execute("SELECT ops.set_policy('telemetry.meter_telemetry_history', 'archive', 'true')")
            connection.execute("SELECT ops.apply_policies()")
            connection.execute(
                "INSERT INTO telemetry.meter_telemetry_history "
                "(meter_id, counted_at, received_at, kwh_consumed_ac, voltage) "
                "VALUES ('M1', now() - INTERVAL '3 years', now(), 1, 230)"
            )
            connection.execute('CALL ops.refresh_aggregates(NULL, \'{"kind": "meter"}\')')
        archived = run("archive", "run", DATABASE_URL=url, ENERGY_ARCHIVE=str(tmp_path / "archive"))
        assert (archived.returncode, "archived 1 of 1 chunks, 1 rows" in archived.stdout) == (0, True), archived.stderr
        with psycopg.connect(url, autocommit=True) as connection:
            [(superuser, makes_roles)] = connection.execute(
                "SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user"
            ).fetchall()
            assert (superuser, makes_roles) == (False, False)
    finally:
        with psycopg.connect(empty_database.url, autocommit=True) as connection:
            connection.execute(f"DROP ROLE {login}")


def test_the_days_of_another_time_zone_take_one_command(untouched: dict[str, str]) -> None:
    assert run("migrate", **untouched, ENERGY_TIMEZONE="Europe/Berlin").returncode == 0
    assert re.search(r"time zone +Europe/Berlin", run("doctor", **untouched).stdout)
    changed = run("time-zone", "Asia/Kolkata", **untouched)
    assert changed.stdout == "the daily aggregates have the days of Asia/Kolkata\n", changed.stderr
    wrong = run("doctor", **untouched, ENERGY_TIMEZONE="Europe/Berlin")
    assert (wrong.returncode, "`energy time-zone`" in wrong.stdout) == (1, True)
    unknown = run("time-zone", "Europe/Nowhere", **untouched)
    assert (unknown.returncode, "not a zone of the IANA database" in unknown.stderr) == (2, True)


@pytest.mark.concurrent
def test_reads_go_to_the_replica_and_writes_to_the_primary(
    test_database: TestDatabase, empty_database: TestDatabase
) -> None:
    with run_another_database(test_database) as replica:  # in truth another primary, so that the two can be told apart
        environment = {"DATABASE_URL": empty_database.url, "DATABASE_READ_URL": replica.url}
        with running(environment, "--migrate") as service:  # as while the replica has not replayed the migration yet
            assert service.post_meter("M0").status_code == 201
            assert service.get("/v1/status/meter/M0").status_code == 200
        assert run("migrate", DATABASE_URL=replica.url).returncode == 0
        with running(environment) as service:
            assert service.post_meter("M1").status_code == 201
            assert service.post_meter("M1").json() == {"outcome": "duplicate"}
            assert service.get("/v1/status/meter/M1").status_code == 404


@pytest.mark.concurrent
def test_a_schema_that_is_behind_is_neither_served_nor_ready(empty_database: TestDatabase) -> None:
    with running({"DATABASE_URL": empty_database.url}, "--migrate") as service:
        with psycopg.connect(empty_database.url, autocommit=True) as connection:
            connection.execute("DELETE FROM ops.migration WHERE migration_id > '0003_z'")
            answer = service.get("/health/ready")
            assert (answer.status_code, answer.json()["code"]) == (503, "schema_behind")
            assert_one_plain_line(
                run("serve", DATABASE_URL=empty_database.url, PORT=str(free_port())), "is at 0003_current_status"
            )
            connection.execute("DELETE FROM ops.migration")
        assert service.get("/health/ready").json()["code"] == "schema_behind"


@pytest.mark.concurrent
async def test_while_the_database_is_away_it_answers_503_and_recovers_by_itself(empty_database: TestDatabase) -> None:
    name = empty_database.url.rpartition("/")[2]
    keeper = await asyncpg.connect(empty_database.url.replace(name, "postgres"))
    with running({"DATABASE_URL": empty_database.url}, "--migrate") as service:
        assert (await asyncio.to_thread(service.post_meter, "M1")).status_code == 201
        await keeper.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS FALSE")
        await keeper.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        for _ in range(3):
            answer = await asyncio.to_thread(service.post_meter, "M2")
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
            assert int(answer.headers["retry-after"]) >= 1
        assert (await asyncio.to_thread(service.get, "/health/ready")).status_code == 503
        assert (await asyncio.to_thread(service.get, "/health/live")).status_code == 200
        await keeper.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS TRUE")
        assert (await asyncio.to_thread(service.get, "/health/ready")).status_code == 200
        assert (await asyncio.to_thread(service.post_meter, "M2")).status_code == 201
    keeper.terminate()


def test_when_its_embedded_database_dies_the_service_says_so_and_ends(data_folder: dict[str, str]) -> None:
    with running(data_folder) as service:
        assert service.post_meter("M1").status_code == 201
        [node] = service.children()
        os.kill(node, signal.SIGKILL)
        _, stderr = service.process.communicate(timeout=20)
        assert service.process.returncode == 1
        assert stderr.splitlines()[-1].startswith("energy: the embedded database ended (exit -9)")
    with running(data_folder) as service:
        assert service.post_meter("M1").json() == {"outcome": "duplicate"}


def token_of(result: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    """Key and token that a command printed."""
    assert result.returncode == 0, result.stderr
    key, _, token = (line.split(maxsplit=1)[1] for line in result.stdout.splitlines())
    return key, token


def test_keys_are_made_listed_rotated_and_revoked_and_a_secret_is_shown_once(migrated_database: TestDatabase) -> None:
    energy = functools.partial(run, on=migrated_database)
    admin, token = token_of(energy("keys", "create", "--scope", "admin", "--note", "first"))
    assert token.startswith(f"{admin}.")
    gateway, _ = token_of(
        energy("keys", "create", "--scope", "gateway", "--device", "M1", "--prefix", "V", "--expires", "7d")
    )
    renewed, other = token_of(energy("keys", "rotate", admin, "--keep", "0"))
    assert other != token
    assert energy("keys", "revoke", gateway).stdout.startswith(f"{gateway} is revoked since 20")
    live = energy("keys", "list").stdout
    assert [line.split()[:2] for line in live.splitlines()[1:]] == [[renewed, "admin"]]
    [key] = map(json.loads, energy("keys", "list", "--json").stdout.splitlines())
    assert list(key) == names_of("keys list")
    assert (key["key_id"], key["state"], key["created_at"][-1]) == (renewed, "live", "Z")
    everything = energy("keys", "list", "--all").stdout
    assert re.search(rf"{gateway} +gateway +M1, V\* +revoked", everything)
    assert re.search(rf"{admin} +admin +- +revoked.*first", everything)
    assert not [secret for secret in (token, other) if secret.partition(".")[2] in live + everything]
    assert_one_plain_line(energy("keys", "create", "--scope", "device"), "a kind and one device")
    assert_one_plain_line(energy("keys", "revoke", "ek_nobody"), "there is no key ek_nobody")


@pytest.mark.concurrent
def test_the_login_of_the_service_makes_no_keys(empty_database: TestDatabase) -> None:
    login = f"energy_app_{os.getpid()}"
    environment = {"DATABASE_URL": empty_database.url, "ENERGY_SERVICE_PASSWORD": "secret"}
    try:
        assert run("migrate", "--service-login", login, **environment).returncode == 0
        head, _, rest = empty_database.url.partition("://")
        url = f"{head}://{login}:secret@{rest.partition('@')[2]}"
        assert_one_plain_line(run("keys", "create", "--scope", "admin", DATABASE_URL=url), "a member of energy_dba")
    finally:
        with psycopg.connect(empty_database.url, autocommit=True) as connection:
            connection.execute(f"DROP ROLE {login}")
