"""Statements of commands for DBAs: functions of `ops`, called with the rights of the configured login."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from service.database.libpq import connect_libpq
from service.database.replication import UnreplicatedCommitError, replicated_commands
from service.errors import StartupError, first_line
from service.settings import load_settings
from service.startup import prepared_database


def call_as_dba(query: str, arguments: Sequence[Any], purpose: str) -> list[tuple[Any, ...]]:
    """Run one statement on the configured database, with the rights of its login, and return its rows.

    Raises:
        StartupError: the database is not ready, or refuses, perhaps the login its `purpose`; the message says why.
    """
    if any("\x00" in value for value in arguments if isinstance(value, str)):
        raise StartupError("an argument has a NUL character")
    with prepared_database(load_settings()) as prepared:
        try:
            with connect_libpq(prepared.url) as connection, replicated_commands(connection):
                return connection.execute(query, arguments).fetchall()
        except psycopg.errors.InsufficientPrivilege as error:
            raise StartupError(
                f"this login may not {purpose} ({first_line(error)}): it has to be a member of energy_dba"
            ) from error
        except (psycopg.Error, UnreplicatedCommitError) as error:
            raise StartupError(first_line(error)) from error
