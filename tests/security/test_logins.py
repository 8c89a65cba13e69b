"""Logins that `energy migrate --bi-login | --dba-login` makes: none that has other rights already gets a password."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from service.database.migrate import make_login
from service.errors import StartupError
from tests.support import TestDatabase, run_migrated_database


@pytest.fixture(scope="module")
def server(test_database: TestDatabase) -> Iterator[tuple[str, psycopg.Connection]]:
    with (
        run_migrated_database(test_database) as another,
        psycopg.connect(another.url, autocommit=True, prepare_threshold=None) as connection,
    ):
        yield another.url, connection


@pytest.fixture
def login(server: tuple[str, psycopg.Connection]) -> Iterator[str]:
    name = f"login_{uuid.uuid4().hex[:12]}"
    server[1].execute(f"CREATE ROLE {name}")
    yield name
    server[1].execute(f"DROP ROLE {name}")


@pytest.mark.parametrize("name", ["energy_owner", "energy_service", "energy_bi", "energy_dba", "pg_monitor"])
@pytest.mark.parametrize("role", ["energy_bi", "energy_dba"])
def test_a_role_of_the_engine_gets_no_password(server: tuple[str, psycopg.Connection], name: str, role: str) -> None:
    with pytest.raises(StartupError, match=f"{name} is a role of the engine"):
        make_login(server[0], name, "secret1", role)
    assert server[1].execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [name]).fetchone() == (None,)


@pytest.mark.parametrize(
    ("right", "word"),
    [
        ("ALTER ROLE {} SUPERUSER", "superuser"),
        ("ALTER ROLE {} CREATEROLE", "create roles"),
        ("ALTER ROLE {} REPLICATION", "replicate"),
        ("ALTER ROLE {} BYPASSRLS", "bypass row security"),
        ("GRANT energy_owner TO {}", "member of energy_owner"),
        ("GRANT energy_dba TO {}", "member of energy_dba"),
        ("GRANT pg_execute_server_program TO {}", "member of pg_execute_server_program"),
    ],
)
def test_nor_does_a_login_with_rights_beyond_those_of_its_role(
    server: tuple[str, psycopg.Connection], login: str, right: str, word: str
) -> None:
    url, connection = server
    connection.execute(right.format(login))
    with pytest.raises(StartupError, match=word):
        make_login(url, login, "secret1", "energy_bi")


def test_a_login_of_a_group_of_people_may_be_a_bi_login(server: tuple[str, psycopg.Connection], login: str) -> None:
    url, connection = server
    connection.execute(f"CREATE ROLE group_of_{login}; GRANT group_of_{login}, pg_read_all_stats TO {login}")
    make_login(url, login, "secret1", "energy_bi")
    make_login(url, login, "secret2", "energy_bi")
    connection.execute(f"DROP ROLE group_of_{login}")
