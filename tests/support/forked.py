"""`energy` in a process that is forked: each command is a process of its own, and only the first imports its libraries.

Importing them takes half a second of CPU time, and the tests run some two hundred commands.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from service.cli import COMMANDS, main

PRELOADED = [__name__, *(command._place.partition(":")[0] for command in COMMANDS)]
"""Modules that the process imports that is forked."""


def run_command(
    arguments: list[str], directory: str | Path, environment: Mapping[str, str], stdout: Path, stderr: Path
) -> None:
    """Run a command to its end as `energy` does, with its output in two files."""
    for file, path in ((1, stdout), (2, stderr)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, file)
        os.close(opened)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["energy", *arguments]
    main()
