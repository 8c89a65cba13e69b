"""Command line: `energy serve | migrate | doctor | keys | import | rejected | archive | simulate | demo`."""

from __future__ import annotations

import os
import sys

import click
from dotenv import load_dotenv

from service import __version__
from service.commands.archive.command import archive
from service.commands.demo import demo
from service.commands.doctor import examine
from service.commands.importer.command import import_command
from service.commands.keys import keys
from service.commands.rejected import rejected
from service.commands.serve import serve
from service.commands.simulate.command import simulate
from service.database.migrate import make_login, migrate, set_time_zone
from service.embedded import run_embedded
from service.errors import StartupError
from service.observability.logs import configure_logging
from service.settings import load_settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="energy")
def cli() -> None:
    """Energy Ingestion Engine. Settings come from the environment and from .env; .env.example explains them."""


@cli.command("serve")
@click.option("--migrate", "migrate_first", is_flag=True, help="Bring the schema up to date first.")
def serve_command(migrate_first: bool) -> None:
    """Serve HTTP until SIGINT or SIGTERM (the embedded database unless DATABASE_URL is set)."""
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    serve(settings, migrate_first=migrate_first)


@cli.command("migrate")
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
def migrate_command(service_login: str | None, bi_login: str | None, dba_login: str | None) -> None:
    """Bring the database to this version's schema; safe to repeat, and to run from several places at once."""
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    logins: list[tuple[str, str, str]] = []
    for name, role, option, variable in (
        (service_login, "energy_service", "--service-login", "ENERGY_SERVICE_PASSWORD"),
        (bi_login, "energy_bi", "--bi-login", "ENERGY_BI_PASSWORD"),
        (dba_login, "energy_dba", "--dba-login", "ENERGY_DBA_PASSWORD"),
    ):
        if name and not (settings.database_url and os.environ.get(variable)):
            raise StartupError(f"{option} needs DATABASE_URL and {variable}")
        if name:
            logins.append((name, os.environ[variable], role))
    if settings.database_url:
        applied = migrate(settings.database_url, time_zone=settings.timezone)
        for login in logins:
            make_login(settings.database_url, *login)
    else:
        with run_embedded(settings.data_dir) as embedded:
            applied = migrate(embedded.url, time_zone=settings.timezone)
    print(f"applied {', '.join(applied)}" if applied else "nothing to apply: the schema is up to date")


@cli.command("time-zone")
@click.argument("zone")
def time_zone_command(zone: str) -> None:
    """Rebuild and fill the daily aggregates for the days of ZONE (an IANA name, as Europe/Berlin).

    Days older than the stored quarter hours are lost. It needs a login that may act as energy_owner, as `energy
    migrate` does.
    """
    settings = load_settings({**os.environ, "ENERGY_TIMEZONE": zone})
    if settings.database_url:
        set_time_zone(settings.database_url, zone)
    else:
        with run_embedded(settings.data_dir) as embedded:
            migrate(embedded.url, time_zone=zone)
            set_time_zone(embedded.url, zone)
    print(f"the daily aggregates have the days of {zone}")


cli.add_command(keys)
cli.add_command(rejected)
cli.add_command(import_command)
cli.add_command(archive)
cli.add_command(simulate)
cli.add_command(demo)


@cli.command("doctor")
def doctor_command() -> None:
    """Print database, versions, edition, migration state, settings and faults; exit 1 if there is a fault."""
    facts, faults = examine(load_settings())
    for name, value in facts:
        print(f"{name:<12}{value}")
    for fault in faults:
        print(f"{'WRONG':<12}{fault}")
    if not faults:
        print(f"{'ok':<12}nothing wrong found")
    sys.exit(1 if faults else 0)


def main() -> None:
    """Run the command line. Errors that the user can mend are printed as one line, without a traceback."""
    try:
        try:
            load_dotenv(".env")
        except UnicodeDecodeError:
            raise StartupError(".env is not a UTF-8 text") from None
        cli(prog_name="energy", standalone_mode=False)
    except StartupError as error:
        print(f"energy: {error}", file=sys.stderr)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)


if __name__ == "__main__":
    main()
