"""`energy migrate`: brings the database to this version's schema, and makes logins."""

from __future__ import annotations

import click

from service.commands.command import Command
from service.database.migrate import make_login, migrate
from service.errors import StartupError
from service.observability.logs import configure_logging
from service.settings import load_settings, read_secret
from service.startup import database_url


@click.command(
    "migrate",
    cls=Command,
    examples=("energy migrate", "ENERGY_BI_PASSWORD=... energy migrate --bi-login grafana"),
)
@click.option(
    "--service-login",
    metavar="NAME",
    help="Also make the login NAME for the service, with the password in ENERGY_SERVICE_PASSWORD.",
)
@click.option(
    "--bi-login",
    metavar="NAME",
    help="Also make the login NAME for BI people, with the password in ENERGY_BI_PASSWORD.",
)
@click.option(
    "--dba-login",
    metavar="NAME",
    help="Also make the login NAME for a DBA, with the password in ENERGY_DBA_PASSWORD.",
)
@click.option(
    "--archive-login",
    metavar="NAME",
    help="Also make the login NAME for `energy archive`, with the password in ENERGY_ARCHIVE_PASSWORD.",
)
def migrate_command(**names: str | None) -> None:
    """Bring the database to this version's schema; safe to repeat, and to run from several places at once."""
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    logins: list[tuple[str, str, str]] = []
    # the archive reads and drops chunks, which only their owner may
    roles = {"service": "energy_service", "bi": "energy_bi", "dba": "energy_dba", "archive": "energy_owner"}
    for reader, role in roles.items():
        variable = f"ENERGY_{reader.upper()}_PASSWORD"
        if name := names[f"{reader}_login"]:
            password = read_secret(variable)
            if not (settings.database_url and password):
                raise StartupError(f"--{reader}-login needs DATABASE_URL and {variable}")
            logins.append((name, password, role))
    with database_url(settings) as url:
        applied = migrate(url, time_zone=settings.timezone)
        for login in logins:
            make_login(url, *login)
    print(f"applied {', '.join(applied)}" if applied else "nothing to apply: the schema is up to date")
