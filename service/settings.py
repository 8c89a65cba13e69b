"""Settings, read once from the environment, checked, and frozen. `.env.example` documents each of them."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import available_timezones

from service.database_url import WRITABLE_TARGETS, parse_database_url
from service.errors import StartupError

READING_FIELDS = frozenset(
    {"meterid", "vehicleid", "kwhconsumedac", "kwhdelivereddc", "voltage", "soc", "batterytemp", "timestamp"}
)
"""Fields of readings on the wire, in lower case: `drop_fields` names none of them."""


@dataclass(frozen=True)
class Settings:
    """Checked settings."""

    database_url: str | None = None
    """TimescaleDB to use; None for the embedded one."""
    database_read_url: str | None = None
    """A replica that answers the reads; None for `database_url`."""
    host: str = "127.0.0.1"
    port: int = 3000
    auth: str = "off"
    """off: no keys, and only loopback is served; required: API keys."""
    device_rate: int = 50
    """Requests per second of a key for one device, in each worker; 0 for no limit. The next two alike."""
    key_rate: int = 1000
    """Requests per second of any other key."""
    address_rate: int = 0
    """Requests per second of a network address. A gateway or proxy with a fleet behind it has one address."""
    address_connections: int = 5000
    """Connections of a network address in each worker, but for trusted proxies; 0 for any number."""
    data_dir: Path = Path(".energy")
    """Folder of the embedded database."""
    max_body_bytes: int = 4 * 1024 * 1024
    """Longest request body, bytes."""
    max_pending: int = 10_000
    """Most pending readings of a kind; beyond it, 503."""
    max_batch_items: int = 10_000
    """Most readings in the body of a batch."""
    keep_alive_s: int = 75
    """An idle connection stays open for this long, seconds: longer than the minute between two readings of a device."""
    cors_origins: tuple[str, ...] = ()
    """Origins of the web pages that may call this service from a browser, beside its own."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks (CIDR) of proxies whose `X-Forwarded-For` names the client's address; none by default."""
    drop_fields: tuple[str, ...] = ()
    """Fields that are dropped from a reading before it is judged."""
    workers: int = 1
    """Processes that serve; each has its own queue and its own connections."""
    timezone: str | None = None
    """Time zone of the daily aggregates, used at the first migrate; None for the database's own, at first UTC."""
    archive: str | None = None
    """Destination of archives: a folder, or s3://bucket/prefix."""
    archive_endpoint: str | None = None
    """URL of an S3-compatible server; None for Amazon's."""
    public_url: str | None = None
    """URL of the dashboard as people reach it; alerts link to it."""
    alertmanager_url: tuple[str, ...] = ()
    """Alertmanagers, each of which gets all alerts; user and password may be part of a URL."""
    webhook_private: str = "off"
    """on: webhooks may lead to private, loopback and link-local addresses."""
    log_level: str = "warning"
    log_format: str = "auto"
    """json, pretty, or auto: pretty on a terminal, json elsewhere."""


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from `environ`; an empty value counts as unset.

    Raises:
        StartupError: a value is invalid; the message names the variable and its valid values.
    """
    given = {name: value.strip() for name, value in environ.items() if value.strip()}
    for name in ("DATABASE_URL", "DATABASE_READ_URL", "ENERGY_ALERTMANAGER_URL"):
        if secret := read_secret(name, given):
            given[name] = secret.strip()
    default = Settings()
    settings = Settings(
        database_url=_url(given, "DATABASE_URL"),
        database_read_url=_url(given, "DATABASE_READ_URL"),
        host=given.get("HOST", default.host),
        port=_whole_number(given, "PORT", default.port, 1, 65_535),
        auth=_one_of(given, "ENERGY_AUTH", default.auth, ("off", "required")),
        device_rate=_whole_number(given, "ENERGY_DEVICE_RATE", default.device_rate, 0, 1_000_000),
        key_rate=_whole_number(given, "ENERGY_KEY_RATE", default.key_rate, 0, 1_000_000),
        address_rate=_whole_number(given, "ENERGY_ADDRESS_RATE", default.address_rate, 0, 1_000_000),
        address_connections=_whole_number(
            given, "ENERGY_ADDRESS_CONNECTIONS", default.address_connections, 0, 1_000_000
        ),
        data_dir=Path(given.get("ENERGY_DATA_DIR", default.data_dir)),
        max_body_bytes=_whole_number(given, "ENERGY_MAX_BODY_BYTES", default.max_body_bytes, 1_024, 1_073_741_824),
        max_pending=_whole_number(given, "ENERGY_MAX_PENDING", default.max_pending, 1_000, 10_000_000),
        max_batch_items=_whole_number(given, "ENERGY_MAX_BATCH_ITEMS", default.max_batch_items, 1, 1_000_000),
        keep_alive_s=_whole_number(given, "ENERGY_KEEP_ALIVE_S", default.keep_alive_s, 1, 3_600),
        cors_origins=_origins(given, "ENERGY_CORS_ORIGINS"),
        trusted_proxies=_networks(given, "ENERGY_TRUSTED_PROXIES"),
        drop_fields=_drop_fields(given, "ENERGY_DROP_FIELDS"),
        workers=_whole_number(given, "ENERGY_WORKERS", default.workers, 1, 64),
        timezone=_zone(given, "ENERGY_TIMEZONE"),
        archive=check_archive("ENERGY_ARCHIVE", given.get("ENERGY_ARCHIVE")),
        archive_endpoint=_endpoint(given, "ENERGY_ARCHIVE_ENDPOINT"),
        public_url=_public_url(given, "ENERGY_PUBLIC_URL"),
        alertmanager_url=_alertmanagers(given, "ENERGY_ALERTMANAGER_URL"),
        webhook_private=_one_of(given, "ENERGY_WEBHOOK_PRIVATE", default.webhook_private, ("off", "on")),
        log_level=_one_of(given, "ENERGY_LOG_LEVEL", default.log_level, ("debug", "info", "warning", "error")),
        log_format=_one_of(given, "ENERGY_LOG_FORMAT", default.log_format, ("auto", "json", "pretty")),
    )
    if settings.database_read_url and not settings.database_url:
        raise StartupError("DATABASE_READ_URL is set without DATABASE_URL: a replica needs its primary")
    if settings.workers > 1 and not settings.database_url:
        raise StartupError("ENERGY_WORKERS is more than 1: the embedded database has one connection, set DATABASE_URL")
    return settings


def variable_of(name: str) -> str:
    """Return the environment variable of a field of `Settings`."""
    return name.upper() if name in {"database_url", "database_read_url", "host", "port"} else f"ENERGY_{name.upper()}"


def read_secret(name: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the secret `name`: the variable itself, or the content of the file that `<name>_FILE` names.

    Line ends after the content are not part of it. An empty variable counts as unset.

    Raises:
        StartupError: both are set, or the file is empty, no UTF-8 text, or cannot be read; the message names it.
    """
    secret, path = environ.get(name), environ.get(f"{name}_FILE")
    if not path:
        return secret or None
    if secret:
        raise StartupError(f"{name} and {name}_FILE are both set: unset one of them")
    try:
        secret = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise StartupError(f"{name}_FILE is {path[:256]!r}, which cannot be read ({error.strerror})") from error
    except ValueError as error:  # no UTF-8, or a path with a zero byte
        raise StartupError(f"{name}_FILE is {path[:256]!r}, which is not a UTF-8 text") from error
    if not secret.strip():
        raise StartupError(f"{name}_FILE is {path[:256]!r}, which is empty")
    return secret


def check_archive(name: str, text: str | None) -> str | None:
    """Check a destination of archives, given under `name`.

    Raises:
        StartupError: it is neither a folder nor an address of S3.
    """
    if text is not None and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/]+)*/?|(?!.*://).+", text):
        raise StartupError(f"{name} must be a folder or s3://bucket/prefix, not {text[:64]!r}")
    return text


def _whole_number(given: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(high)) and low <= int(text) <= high):
        raise StartupError(f"{name} must be a whole number from {low} to {high}, not {text[:64]!r}")
    return int(text)


def _one_of(given: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    text = given.get(name, default).lower()
    if text not in choices:
        raise StartupError(f"{name} must be one of {', '.join(choices)}, not {text!r}")
    return text


def _origins(given: Mapping[str, str], name: str) -> tuple[str, ...]:
    origins = tuple(part.strip().lower() for part in given.get(name, "").split(",") if part.strip())
    for origin in origins:
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[a-z0-9._:\[\]-]+", origin):
            raise StartupError(f"{name} must look like https://a.example, http://localhost:8080, not {origin[:64]!r}")
    return origins


def _networks(given: Mapping[str, str], name: str) -> tuple[str, ...]:
    networks = []
    for text in (part.strip() for part in given.get(name, "").split(",") if part.strip()):
        try:
            network = ipaddress.ip_network(text)
        except ValueError:
            raise StartupError(f"{name} must look like 10.0.0.5, 192.168.0.0/16, fd00::/8, not {text[:64]!r}") from None
        if not network.prefixlen:
            raise StartupError(f"{name} has {text}, so everybody could name any address: name the proxies' own network")
        networks.append(str(network))
    return tuple(networks)


def _drop_fields(given: Mapping[str, str], name: str) -> tuple[str, ...]:
    fields = tuple(part.strip() for part in given.get(name, "").split(",") if part.strip())
    for field in fields:
        if not re.fullmatch(r"[\w.:@/ -]{1,64}", field):
            raise StartupError(f"{name} must look like rssi, firmware, not {field[:64]!r}")
        if field.lower() in READING_FIELDS:
            raise StartupError(f"{name} must not name {field!r}: a reading needs that field")
    return fields


def _zone(given: Mapping[str, str], name: str) -> str | None:
    text = given.get(name)
    if text is not None and text not in available_timezones():
        raise StartupError(f"{name} must be a zone of the IANA database, as Europe/Berlin, not {text[:64]!r}")
    return text


def _endpoint(given: Mapping[str, str], name: str) -> str | None:
    text = given.get(name)
    if text is not None and not re.fullmatch(r"https?://[A-Za-z0-9._:\[\]-]+/?", text):
        raise StartupError(f"{name} must look like https://host:9000, not {text[:64]!r}")
    return text


def _public_url(given: Mapping[str, str], name: str) -> str | None:
    text = given.get(name)
    if text is not None and not re.fullmatch(r"https?://[A-Za-z0-9._:\[\]-]+(/[^\s?#]*)?", text):
        raise StartupError(f"{name} must look like https://energy.example, not {text[:64]!r}")
    return text and text.rstrip("/")


def _alertmanagers(given: Mapping[str, str], name: str) -> tuple[str, ...]:
    urls = tuple(part.strip() for part in given.get(name, "").split(",") if part.strip())
    for url in urls:
        if not re.fullmatch(r"https?://([^\s/?#@:]*:[^\s/?#@]*@)?[A-Za-z0-9._:\[\]-]+(/[^\s?#]*)?", url):
            # the value is not repeated: it may hold a password
            raise StartupError(
                f"{name} must look like http://alertmanager:9093, https://user:password@host/path, separated by "
                "commas, with / ? # @ , in the password as %2F %3F %23 %40 %2C"
            )
    return urls


def _url(given: Mapping[str, str], name: str) -> str | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        url = parse_database_url(text)
    except ValueError as error:
        # the value is not repeated: it may hold a password
        raise StartupError(
            f"{name} must look like postgresql://user:password@host:5432/database ({error}), "
            "with / ? # in the password as %2F %3F %23"
        ) from None
    if name == "DATABASE_URL" and url.target not in WRITABLE_TARGETS:
        raise StartupError(f"{name} asks for a {url.target} server (target_session_attrs), but is written to")
    # libpq ends the password at its first @, and would name the rest of it as the host it cannot find
    login, at, _ = re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0].rpartition("@")
    return text.replace(login, login.replace("@", "%40"), 1) if at else text
