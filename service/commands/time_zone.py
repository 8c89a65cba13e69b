"""`energy time-zone`: makes the daily aggregates anew for the days of another time zone."""

from __future__ import annotations

import click

from service.commands.command import Command
from service.commands.options import ZONE
from service.database.migrate import migrate, set_time_zone
from service.settings import load_settings
from service.startup import database_url


@click.command("time-zone", cls=Command, examples=("energy time-zone Europe/Berlin",))
@click.argument("zone", type=ZONE)
def time_zone_command(zone: str) -> None:
    """Make the daily aggregates anew for the days of ZONE (an IANA name, as Europe/Berlin), and fill them.

    Days older than the quarter hours they are made of are lost. Needs a login that may act as energy_owner, as `energy
    migrate` does.
    """
    settings = load_settings()
    with database_url(settings) as url:
        if not settings.database_url:
            migrate(url, time_zone=zone)
        set_time_zone(url, zone)
    print(f"the daily aggregates have the days of {zone}")
