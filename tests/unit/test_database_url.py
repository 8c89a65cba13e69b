"""URLs of databases: every form that libpq takes, with the same meaning for asyncpg and for libpq."""

from typing import Any

import psycopg
import pytest
from asyncpg.connect_utils import _parse_connect_dsn_and_args

from service.database_url import describe_url, mask_password, parse_database_url
from service.errors import StartupError
from service.settings import load_settings

FORMS = [
    ("postgresql://u:p@h/db", [("h", 5432)]),
    ("postgres://u:p@h:5433/db", [("h", 5433)]),
    ("postgresql://u:p@h1:5432,h2:5433/db", [("h1", 5432), ("h2", 5433)]),
    ("postgresql://u:p@h1,h2:5433,h3/db", [("h1", 5432), ("h2", 5433), ("h3", 5432)]),
    ("postgresql://u:p@h1,h2/db?target_session_attrs=read-write", [("h1", 5432), ("h2", 5432)]),
    ("postgresql://u:p@/db?host=h1,h2", [("h1", 5432), ("h2", 5432)]),
    ("postgresql://u:p@/db?host=h1,h2&port=5433", [("h1", 5433), ("h2", 5433)]),
    ("postgresql://u:p@/db?host=h1,h2&port=5433,5434", [("h1", 5433), ("h2", 5434)]),
    ("postgresql:///db?host=h&user=u&password=p", [("h", 5432)]),
    ("postgresql://u:p@[::1]/db", [("::1", 5432)]),
    ("postgresql://u:p@[::1]:5433,[fe80::1%25eth0],h/db", [("::1", 5433), ("fe80::1%eth0", 5432), ("h", 5432)]),
    ("postgresql://u:p@/db?host=::1", [("::1", 5432)]),
    ("postgresql://u:p@%2Fvar%2Frun%2Fpostgresql/db", [("/var/run/postgresql", 5432)]),
    ("postgresql://u:p@/db?host=/var/run/postgresql&port=5433", [("/var/run/postgresql", 5433)]),
    ("postgresql://u:p@/db?host=/one,two", [("/one", 5432), ("two", 5432)]),
    ("postgresql://u:p@h/db?connect_timeout=3", [("h", 5432)]),
    ("postgresql://u:p@h/d%62?application_name=a%20b", [("h", 5432)]),
    ("postgresql://h?dbname=db&user=u&password=p", [("h", 5432)]),
]


@pytest.mark.parametrize(("text", "hosts"), FORMS)
def test_a_url_has_the_same_hosts_login_and_database_for_both_libraries(
    text: str, hosts: list[tuple[str, int]]
) -> None:
    url = parse_database_url(text)
    assert (list(url.hosts), url.user, url.password, url.database) == (hosts, "u", "p", "db")
    libpq = url.for_libpq()
    assert libpq["host"].split(",") == [host for host, _ in hosts]
    assert libpq["port"].split(",") == [str(port) for _, port in hosts]
    # what libpq itself makes of the text, where it says it
    for name, value in psycopg.conninfo.conninfo_to_dict(text).items():
        if name not in {"host", "port", "target_session_attrs"}:
            assert str(libpq[name]) == value, name
    psycopg.conninfo.make_conninfo(**libpq)
    assert asyncpg_parameters(text).user == "u"


def asyncpg_parameters(text: str) -> Any:
    """The arguments as asyncpg understands them; it has no public function for that."""
    names = ("host", "port", "passfile", "ssl", "service", "servicefile", "direct_tls", "server_settings")
    nothing = dict.fromkeys([*names, "target_session_attrs", "krbsrvname", "gsslib"])
    return _parse_connect_dsn_and_args(**nothing | {"host": "h", "port": 1} | parse_database_url(text).for_asyncpg())[1]


def test_parameters_reach_each_library_as_it_knows_them() -> None:
    text = "postgresql://h/db?user=u&connect_timeout=3&keepalives=1&tcp_user_timeout=9&application_name=a%20b%2Bc"
    found = asyncpg_parameters(text)
    # asyncpg sends what it does not know to the server as a setting, which would refuse the login
    assert found.server_settings == {"application_name": "a b+c"}
    libpq = parse_database_url(text).for_libpq()
    assert (libpq["keepalives"], libpq["application_name"], libpq["connect_timeout"]) == ("1", "a b+c", 3)
    assert libpq["target_session_attrs"] == "read-write"


@pytest.mark.parametrize(
    ("mode", "verifies", "checks_host"),
    [("require", False, False), ("verify-ca", True, False), ("verify-full", True, True)],
)
def test_tls_parameters_reach_asyncpg(mode: str, verifies: bool, checks_host: bool, certificate: str) -> None:
    root = f"&sslrootcert={certificate}" if verifies else ""
    found = asyncpg_parameters(f"postgresql://u@h/db?sslmode={mode}{root}")
    assert (found.ssl.verify_mode.value > 0, found.ssl.check_hostname) == (verifies, checks_host)
    assert not found.server_settings


def test_the_certificates_of_the_system_are_a_root_too() -> None:
    found = asyncpg_parameters("postgresql://u@h/db?sslmode=verify-full&sslrootcert=system")
    assert (found.ssl.verify_mode.value > 0, found.ssl.check_hostname) == (True, True)
    assert parse_database_url("postgresql://h/db?sslrootcert=system").for_libpq()["sslrootcert"] == "system"


@pytest.fixture
def certificate() -> str:
    """A file of root certificates that the HTTP client brings."""
    import certifi  # noqa: PLC0415

    return certifi.where()


def test_an_attempt_at_one_of_several_hosts_is_shorter_and_connect_timeout_goes_before() -> None:
    assert parse_database_url("postgresql://h/db").timeout == 5
    assert parse_database_url("postgresql://h1,h2/db").timeout == 1.5
    assert parse_database_url("postgresql://h1,h2/db?connect_timeout=7").timeout == 7
    assert parse_database_url("postgresql://h1,h2/db").for_libpq()["connect_timeout"] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("postgresql://u:secret@h:port/db", "host must look like"),
        ("postgresql://u:secret@h:70000/db", "1 to 65535"),
        ("postgresql://u:secret@h:0/db", "1 to 65535"),
        ("postgresql://u:secret@::1/db", "host must look like"),
        ("postgresql://u:secret@h1,h2,h3/db?port=1,2", "one for each"),
        ("postgresql://u:secret@h/db?connect_timeout=soon", "connect_timeout"),
        ("postgresql://u:secret@h/db?target_session_attrs=writer", "target_session_attrs must be one of"),
        ("postgresql://u:secret@h/db?target_session_attrs=standby", "asks for a standby server"),
        ("postgresql://u:secret@h/db?sslmode", "has no value"),
        ("postgresql://u:secret@h/db#x", "not a URL"),
        ("mysql://u:secret@h/db", "not a URL"),
    ],
)
def test_a_url_that_is_wrong_is_refused_by_name_without_its_password(text: str, words: str) -> None:
    with pytest.raises(StartupError, match="DATABASE_URL") as raised:
        load_settings({"DATABASE_URL": text})
    assert words in str(raised.value)
    assert "secret" not in str(raised.value)


def test_the_replica_may_be_asked_for_as_a_standby() -> None:
    given = {"DATABASE_URL": "postgresql://h/db", "DATABASE_READ_URL": "postgresql://h/db?target_session_attrs=standby"}
    assert load_settings(given).database_read_url == given["DATABASE_READ_URL"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:secret@h1:5433,h2/db", "h1:5433,h2:5432/db"),
        ("postgresql://u:secret@[::1]:5433,h/db", "[::1]:5433,h:5432/db"),
        ("postgresql://u:secret@/db?host=/run/pg", "/run/pg:5432/db"),
        ("postgresql:///db?password=secret", "localhost:5432/db"),
        ("postgresql://h", "h:5432"),
    ],
)
def test_a_url_is_shown_with_all_its_hosts_and_without_its_password(text: str, shown: str) -> None:
    assert describe_url(text) == shown
    assert "secret" not in repr(parse_database_url(text))
    assert "secret" not in mask_password(text)
    assert mask_password(text).startswith("postgresql://")
