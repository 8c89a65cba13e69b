"""Every way to write where a server is leads there, for the service and for the commands that use libpq."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.faults.server import Server, run_server
from tests.support.processes import free_port, run

pytestmark = pytest.mark.faults

PASSWORD = "p@ss/w?rd#%"  # noqa: S105
ENCODED = "p%40ss%2Fw%3Frd%23%25"
FORMS = {
    "encoded password": "postgresql://probe:{password}@127.0.0.1:{port}/energy",
    "parameters": "postgresql:///energy?host=127.0.0.1&port={port}&user=probe&password={password}",
    "several hosts": "postgresql://probe:{password}@127.0.0.1:{closed},localhost:{port}/energy",
    "several hosts as parameters": "postgresql://probe:{password}@/energy?host=127.0.0.1,localhost&port={closed},{port}",
    "parameters of libpq": "postgresql://probe:{password}@127.0.0.1:{port}/energy?connect_timeout=4&keepalives=1",
    "target": "postgresql://probe:{password}@127.0.0.1:{port}/energy?target_session_attrs=read-write",
    "IPv6": "postgresql://probe:{password}@[::1]:{port}/energy",
    "socket folder": "postgresql://probe:{password}@/energy?host={socket}&port={port}",
    "encoded socket folder": "postgresql://probe:{password}@{encoded_socket}:{port}/energy",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A migrated server, with a login whose password has every special character."""
    with run_server(listen_addresses="127.0.0.1,::1") as server:
        rules = [f"{kind} all probe{' all' * (kind == 'host')} scram-sha-256" for kind in ("local", "host")]
        hba = server.data / "pg_hba.conf"
        hba.write_text("\n".join([*rules, hba.read_text()]))
        server.execute("SELECT pg_reload_conf()")
        server.execute("CREATE DATABASE energy")
        assert run("migrate", DATABASE_URL=server.url.removesuffix("postgres") + "energy").returncode == 0
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE probe LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        yield server


@pytest.mark.parametrize("form", FORMS)
def test_a_url_leads_to_the_server_whichever_library_connects(server: Server, form: str) -> None:
    url = FORMS[form].format(
        port=server.port,
        closed=free_port(),
        password=ENCODED,
        socket=server.data,
        encoded_socket=str(server.data).replace("/", "%2F"),
    )
    assert run("keys", "list", DATABASE_URL=url).stdout == "no keys\n"  # asyncpg first, then libpq
    assert "up to date" in run("migrate", DATABASE_URL=url).stdout
    doctor = run("doctor", DATABASE_URL=url, DATABASE_READ_URL=url)
    assert doctor.returncode == 0, doctor.stdout
    for secret in (PASSWORD, ENCODED):
        assert secret not in doctor.stdout
