"""`energy` in a process that is forked: each command is a process of its own, and only the first imports its libraries.

Importing them takes half a second of CPU time, and the tests run some two hundred commands.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

import psycopg

from service.cli import COMMANDS, main
from service.startup import Prepared

PRELOADED = [__name__, *(command._place.partition(":")[0] for command in COMMANDS)]
"""Modules that the process imports that is forked."""


def run_command(
    arguments: list[str],
    directory: str | Path,
    environment: Mapping[str, str],
    outputs: tuple[Path, Path],
    embedded: str | None,
) -> None:
    """Run a command to its end as `energy` does, with standard output and error in two files.

    `embedded` is the URL of an embedded database that runs already; without it, the command starts its own.
    """
    for file, path in enumerate(outputs, 1):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, file)
        os.close(opened)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["energy", *arguments]
    if embedded:
        for command in ("keys", "rejected"):
            mock.patch(f"service.commands.{command}.prepared_database", lambda _: _running(embedded)).start()
    main()


@contextlib.contextmanager
def _running(url: str) -> Iterator[Prepared]:
    """An embedded database that runs already, with a session as new: all its connections share one."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DISCARD ALL")
    yield Prepared(url, "embedded TimescaleDB", None)
