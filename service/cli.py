"""The command line `energy`: a list of commands, each of which is imported only when it is called."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from typing import cast

import click
from dotenv import load_dotenv

from service import __version__
from service.commands.command import Group
from service.errors import StartupError


class Lazy(click.Command):
    """A command that is imported when it is called; until then, a name and the first sentence of its help."""

    def __init__(self, name: str, place: str, summary: str) -> None:
        super().__init__(name, short_help=summary)
        self._place = place

    def load(self) -> click.Command:
        """The command, imported from its place `module:attribute`."""
        module, _, attribute = self._place.partition(":")
        return cast("click.Command", getattr(import_module(module), attribute))


class LazyGroup(Group):
    """A group that imports the command that is called, and no other."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` name, and the arguments left for it."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, Lazy) else command, rest


COMMANDS = (
    Lazy(
        "alerts",
        "service.commands.alerts:alerts",
        "Alerts of devices: list and acknowledge them, set their webhooks, and test their delivery",
    ),
    Lazy(
        "archive",
        "service.commands.archive.command:archive",
        "Old readings as Parquet, in a folder or in S3, before retention drops them; and their restoration",
    ),
    Lazy(
        "demo",
        "service.commands.demo.command:demo",
        "Serve a simulated fleet of 20 vehicles with two weeks of history, and some faults, on an embedded database",
    ),
    Lazy(
        "doctor",
        "service.commands.doctor:doctor_command",
        "Print database, versions, edition, migration state and settings, and what is wrong; exit 1 if anything is",
    ),
    Lazy(
        "import",
        "service.commands.importer.command:import_command",
        "Import files of readings: CSV, NDJSON (both also compressed: .gz, .zst), Parquet",
    ),
    Lazy("keys", "service.commands.keys:keys", "API keys of the HTTP service"),
    Lazy(
        "migrate",
        "service.commands.migrate:migrate_command",
        "Bring the database to this version's schema; safe to repeat, and to run from several places at once",
    ),
    Lazy("prices", "service.commands.prices:prices", "Prices and grid intensities of AC energy: import and list them"),
    Lazy(
        "rejected",
        "service.commands.rejected:rejected",
        "Rejected readings, kept for 30 days: list them, and send them again once their cause is mended",
    ),
    Lazy(
        "serve",
        "service.commands.serve:serve_command",
        "Serve HTTP until SIGINT or SIGTERM (the embedded database unless DATABASE_URL is set)",
    ),
    Lazy(
        "simulate",
        "service.commands.simulate.command:simulate",
        "Send the telemetry of a fleet to a running service, and check the service's answers",
    ),
    Lazy(
        "time-zone",
        "service.commands.time_zone:time_zone_command",
        "Make the daily aggregates anew for the days of ZONE (an IANA name, as Europe/Berlin), and fill them",
    ),
)


@click.group(cls=LazyGroup, commands=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="energy")
def cli() -> None:
    """Energy Ingestion Engine. Settings come from the environment and from .env; .env.example explains them.

    `energy COMMAND --help` has examples and exit statuses. docs/cli.md tells how to complete commands with Tab.
    """


def main() -> None:
    """Run the command line; an error that the user can mend is one line, without a traceback."""
    # a lost connection is an error of the statement that waits for it, and needs no lines of asyncio beside
    asyncio_log = logging.getLogger("asyncio")
    asyncio_log.setLevel(logging.ERROR)
    asyncio_log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], ConnectionError)))
    try:
        try:
            load_dotenv(".env")
        except UnicodeDecodeError:
            raise StartupError(".env is not a UTF-8 text") from None
        cli(prog_name="energy", standalone_mode=False)
    except StartupError as error:
        from service.commands.output import print_error  # noqa: PLC0415 - brings rich, which takes a while to load

        print_error(error)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)


if __name__ == "__main__":
    main()
