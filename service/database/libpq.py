"""Connections by libpq (psycopg), for the commands that work with it."""

from __future__ import annotations

from typing import Any

import psycopg

from service.database_url import parse_database_url


def connect_libpq(url: str) -> psycopg.Connection[Any]:
    """Connect to the server of a URL that accepts writes, in autocommit mode.

    No prepared statements: connections to the embedded database share one session, which would keep them.

    Raises:
        psycopg.OperationalError: no server can be used.
    """
    return psycopg.connect(**parse_database_url(url).for_libpq(), autocommit=True, prepare_threshold=None)
