"""URLs of databases: parsed once, for asyncpg, for libpq, and for people. Several hosts are tried in turn."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlencode

SEVERAL_HOSTS_TIMEOUT_S = 1.5
"""Limit of a connection attempt at one of several hosts, so that a frozen one does not keep the others waiting."""
CONNECT_TIMEOUT_S = 5.0
"""Limit of a connection attempt at the only host."""

DEFAULT_PORT = 5432
TARGETS = ("any", "primary", "read-write", "read-only", "standby", "prefer-standby")
WRITABLE_TARGETS = ("any", "primary", "read-write")

_PARTS = re.compile(
    r"postgres(?:ql)?://(?:(?P<login>[^/?#]*)@)?(?P<hosts>[^/?#@]*)(?:/(?P<database>[^/?#@]*))?(?:\?(?P<query>[^#]*))?"
)
_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[0-9]*))?")
_LIBPQ_ONLY = {
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
    *("gssencmode", "sslcompression", "sslsni", "load_balance_hosts"),
}
"""Tuning parameters of libpq. asyncpg would send them to the server, which refuses a setting that it does not know."""


@dataclass(frozen=True)
class DatabaseUrl:
    """A parsed URL."""

    hosts: tuple[tuple[str, int], ...] = ()
    """Name, address or socket folder, and port, in order; empty for the default of the library that connects."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    target: str = "any"
    """`target_session_attrs`."""
    connect_timeout: int | None = None
    """Limit of a connection attempt at each host, seconds; None for the defaults above."""
    options: dict[str, str] = field(default_factory=dict, repr=False)
    """The other parameters: TLS files, `application_name`, settings of the session."""

    @property
    def timeout(self) -> float:
        """Limit of a connection attempt at each host, seconds."""
        return self.connect_timeout or (SEVERAL_HOSTS_TIMEOUT_S if len(self.hosts) > 1 else CONNECT_TIMEOUT_S)

    def for_asyncpg(self) -> dict[str, Any]:
        """Return the arguments of `asyncpg.connect`, without hosts, target and time-out."""
        options = {name: value for name, value in self.options.items() if name not in _LIBPQ_ONLY}
        # the certificates of the system, with which libpq allows verify-full only
        by_system = {"ssl": True} if options.get("sslrootcert") == "system" else {}
        if by_system:
            del options["sslrootcert"]
            options.pop("sslmode", None)
        query = urlencode(options, quote_via=quote)
        return by_system | {
            "dsn": f"postgresql://?{query}" if query else "postgresql://",
            "user": self.user,
            "password": self.password,
            "database": self.database,
        }

    def for_libpq(self, *, writable: bool = True) -> dict[str, Any]:
        """Return the parameters of libpq; `writable` asks for a primary that accepts writes."""
        parameters = {
            "host": ",".join(host for host, _ in self.hosts) or None,
            "port": ",".join(str(port) for _, port in self.hosts) or None,
            "user": self.user,
            "password": self.password,
            "dbname": self.database,
            # libpq takes whole seconds, and at least two
            "connect_timeout": self.connect_timeout or max(2, int(self.timeout)),
            "target_session_attrs": "read-write" if writable else self.target,
            **self.options,
        }
        return {name: value for name, value in parameters.items() if value is not None}

    def __str__(self) -> str:
        """Hosts, ports and database, without user and password."""
        hosts = ",".join(describe_host(host) for host in self.hosts or (("localhost", DEFAULT_PORT),))
        return hosts + ("" if self.database is None else f"/{self.database}")


def describe_host(host: tuple[str, int]) -> str:
    """Return a host and its port as text."""
    name, port = host
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def parse_database_url(text: str) -> DatabaseUrl:
    """Parse `postgresql://user:password@host:5432,other:5433/database?parameter=value`.

    The hosts may also be the parameters `host` and `port`, with commas. There a socket folder needs no
    percent-encoding.

    Raises:
        ValueError: the text is no such URL; the message says why, and never repeats the password.
    """
    found = _PARTS.fullmatch(text)
    if not found or not text.isprintable():
        raise ValueError("not a URL of PostgreSQL")
    # a parameter goes before the same thing in the address, as in libpq
    options = _parameters(found["query"])
    user, colon, password = (found["login"] or "").partition(":")
    hosts = _split_hosts(found["hosts"], encoded=True)
    if given := options.pop("host", ""):
        hosts = _split_hosts(given, encoded=False)
    target = options.pop("target_session_attrs", "any")
    if target not in TARGETS:
        raise ValueError(f"target_session_attrs must be one of {', '.join(TARGETS)}")
    timeout = options.pop("connect_timeout", "0")
    if not re.fullmatch(r"[0-9]{1,4}", timeout):
        raise ValueError("connect_timeout must be a whole number of seconds, at most 9999")
    database = options.pop("database", "")  # as asyncpg has it; libpq says dbname
    return DatabaseUrl(
        hosts=_with_ports(hosts, options.pop("port", "")),
        user=options.pop("user", unquote(user) or None),
        password=options.pop("password", unquote(password) if colon else None),
        database=options.pop("dbname", "") or database or unquote(found["database"] or "") or None,
        target=target,
        connect_timeout=int(timeout) or None,
        options=options,
    )


def mask_password(text: str) -> str:
    """A URL without its password: before the last `@` of the address, and in the query."""
    address, mark, query = text.partition("?")
    address = re.sub(r"(//[^:/@]*:).*@", r"\1***@", address)
    return address + mark + re.sub(r"(?i)(password=)[^&]*", r"\1***", query)


def describe_url(url: str) -> str:
    """Return hosts, ports and database of a URL, without user and password."""
    return str(parse_database_url(url))


def _parameters(query: str | None) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in query.split("&") if query else []:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise ValueError("a parameter of the URL has no value")
        options[unquote(name)] = unquote(value)
    return options


def _split_hosts(text: str, *, encoded: bool) -> list[tuple[str, str]]:
    """Return hosts and their ports, empty where none is given."""
    hosts = []
    for part in text.split(",") if text else []:
        if not encoded and (part.startswith("/") or (part.count(":") > 1 and not part.startswith("["))):
            hosts.append((part, ""))  # a socket folder, or an IPv6 address as libpq has it
            continue
        found = _HOST.fullmatch(part)
        if not found:
            raise ValueError("a host must look like name, name:5432 or [::1]:5432")
        name = found["v6"] or found["name"]
        hosts.append((unquote(name) if encoded else name, found["port"] or ""))
    return hosts


def _with_ports(hosts: list[tuple[str, str]], ports: str) -> tuple[tuple[str, int], ...]:
    """Give each host its port: its own, or that of parameter `port`, one for all or one for each."""
    given = ports.split(",") if ports else []
    if given and not hosts:
        hosts = [("localhost", "")]
    if len(given) == 1:
        given *= len(hosts)
    if given and len(given) != len(hosts):
        raise ValueError("port must be one for all hosts, or one for each")
    found = []
    for index, (host, own) in enumerate(hosts):
        port = own or (given[index] if given else "") or str(DEFAULT_PORT)
        if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
            raise ValueError("a port must be a whole number from 1 to 65535")
        found.append((host or "localhost", int(port)))
    return tuple(found)
