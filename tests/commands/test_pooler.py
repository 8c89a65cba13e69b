"""PgBouncer before the database: session pooling works, and every other mode is refused by name."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from service.database_url import parse_database_url
from tests.support import TestDatabase
from tests.support.processes import assert_one_plain_line, free_port, run, running

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")

pytestmark = [
    pytest.mark.concurrent,
    pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed (Debian's package pgbouncer has it)"),
]


@contextlib.contextmanager
def pooled(database: TestDatabase, folder: Path, mode: str, **settings: str) -> Iterator[str]:
    """A PgBouncer before a database, and the URL that leads through it."""
    to = parse_database_url(database.url).for_libpq()
    port = free_port()
    server = " ".join(f"{name}={to[name]}" for name in ("host", "port", "user", "password") if name in to)
    options = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "auth_type": "any",
        "pool_mode": mode,
        "default_pool_size": 30,
        "ignore_startup_parameters": "extra_float_digits",
        **settings,
    }
    configuration = folder / "pgbouncer.ini"
    lines = [f"{name} = {value}" for name, value in options.items()]
    configuration.write_text("\n".join(["[databases]", f"* = {server}", "[pgbouncer]", *lines, "unix_socket_dir =\n"]))
    command = [str(PGBOUNCER), "-q"]
    if os.geteuid() == 0:  # which PgBouncer refuses to run as
        nobody = pwd.getpwnam("nobody")
        command += ["-u", nobody.pw_name]
        configuration.chmod(0o644)
        for parent in (folder, folder.parent, folder.parent.parent):
            parent.chmod(0o755)
    url = f"postgresql://{to['user']}@127.0.0.1:{port}/{to['dbname']}"
    process = subprocess.Popen([*command, str(configuration)], stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 20
        while True:
            assert process.poll() is None, process.communicate()
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url):
                break
            assert time.monotonic() < until
            time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.communicate()


def test_session_pooling_works(empty_database: TestDatabase, tmp_path: Path) -> None:
    with pooled(empty_database, tmp_path, "session") as url:
        with running({"DATABASE_URL": url, "DATABASE_READ_URL": url}, "--migrate") as service:
            assert service.post_meter("M1").status_code == 201
            assert service.post_meter("M1").json() == {"outcome": "duplicate"}
            assert service.get("/v1/status/meter/M1").status_code == 200
            assert service.get("/health/ready").status_code == 200
            assert service.stop(signal.SIGTERM) == (0, "")
        assert run("keys", "list", DATABASE_URL=url).stdout == "no keys\n"
        assert "(Community)" in run("doctor", DATABASE_URL=url).stdout


@pytest.mark.parametrize(
    ("mode", "settings", "commands"),
    [
        ("transaction", {}, ["serve", "migrate", "keys list"]),
        ("transaction", {"server_round_robin": "1"}, ["serve"]),
        ("transaction", {"default_pool_size": "1"}, ["serve"]),
        ("statement", {}, ["serve"]),
    ],
    ids=str,
)
def test_other_pooling_is_refused_by_name(
    empty_database: TestDatabase, tmp_path: Path, mode: str, settings: dict[str, str], commands: list[str]
) -> None:
    with pooled(empty_database, tmp_path, mode, **settings) as url:
        for command in commands:
            result = run(*command.split(), DATABASE_URL=url, PORT=str(free_port()))
            assert_one_plain_line(result, "DATABASE_URL", "pooler in transaction or statement mode", "session mode")


def test_the_replica_may_not_be_behind_such_a_pooler_either(migrated_database: TestDatabase, tmp_path: Path) -> None:
    with pooled(migrated_database, tmp_path, "transaction") as url:
        result = run("serve", DATABASE_URL=migrated_database.url, DATABASE_READ_URL=url, PORT=str(free_port()))
    assert_one_plain_line(result, "DATABASE_READ_URL", "pooler in transaction or statement mode", "session mode")


async def test_transaction_pooling_is_refused_while_others_use_it(empty_database: TestDatabase, tmp_path: Path) -> None:
    with pooled(empty_database, tmp_path, "transaction", default_pool_size="4") as url:
        stop = asyncio.Event()

        async def load() -> None:
            async with await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=None) as other:
                while not stop.is_set():
                    await other.execute("SELECT pg_sleep(0.002)")

        loads = [asyncio.create_task(load()) for _ in range(8)]
        for _ in range(3):
            result = await asyncio.to_thread(run, "serve", DATABASE_URL=url, PORT=str(free_port()))
            assert_one_plain_line(result, "pooler in transaction or statement mode")
        stop.set()
        await asyncio.gather(*loads)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of `localhost`, beside its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on PATH: it makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(folder / "server.key"), "-out", str(folder / "server.crt")]
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2", *subject, *files]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "server.key").chmod(0o644)
    folder.chmod(0o755)
    return folder / "server.crt"


def test_tls_is_as_sslmode_and_sslrootcert_have_it(
    empty_database: TestDatabase, tmp_path: Path, certificate: Path
) -> None:
    key = certificate.with_suffix(".key")
    tls = {"client_tls_sslmode": "require", "client_tls_key_file": str(key), "client_tls_cert_file": str(certificate)}
    assert run("migrate", DATABASE_URL=empty_database.url).returncode == 0
    with pooled(empty_database, tmp_path, "session", **tls) as url:
        named = url.replace("127.0.0.1", "localhost")
        for good in (f"{url}?sslmode=require", f"{named}?sslmode=verify-full&sslrootcert={certificate}"):
            # asyncpg first, then libpq
            assert run("keys", "list", DATABASE_URL=good).stdout == "no keys\n"
        for bad, words in {
            f"{url}?sslmode=disable": "SSL required",
            f"{url}?sslmode=verify-full&sslrootcert={certificate}": "certificate verify failed",  # of another name
            f"{named}?sslmode=verify-full&sslrootcert=/nowhere.crt": "sslrootcert=/nowhere.crt of DATABASE_URL",
            f"{named}?sslmode=always": "`sslmode` parameter must be one of",
        }.items():
            assert_one_plain_line(run("serve", DATABASE_URL=bad, PORT=str(free_port())), words)
