"""Database access of the commands that need the rights of a DBA."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from service.database.calls import AWAIT_STANDBYS
from service.database.libpq import connect_libpq
from service.database.replication import UnreplicatedCommitError, replicated_commands
from service.errors import SQLSTATES, StartupError, first_line
from service.settings import load_settings
from service.startup import prepared_database


def ask_as_dba(purpose: str, query: str, *arguments: Any) -> list[Any]:
    """Run one statement on the configured database, with the rights of its login, and return its rows, by name.

    Raises:
        StartupError: the database is not ready, or refuses; the message says why, and names the purpose.
    """
    if any("\x00" in value for value in arguments if isinstance(value, str)):
        raise StartupError("an argument has a NUL character")
    with prepared_database(load_settings()) as prepared:
        try:
            with connect_libpq(prepared.url) as connection, replicated_commands(connection):
                try:
                    return connection.cursor(row_factory=namedtuple_row).execute(query, arguments).fetchall()
                except psycopg.Error as error:
                    # "there is no webhook night" tells that it is gone, and its transaction waits for nobody
                    if error.sqlstate in SQLSTATES:
                        with replicated_commands(connection):
                            connection.execute(AWAIT_STANDBYS)
                    raise
        except psycopg.errors.InsufficientPrivilege as error:
            raise StartupError(
                f"this login may not {purpose} ({first_line(error)}): it has to be a member of energy_dba"
            ) from error
        except (psycopg.Error, UnreplicatedCommitError) as error:
            raise StartupError(first_line(error)) from error
