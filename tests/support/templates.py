"""Data folders of the embedded database to copy: making one takes seconds, copying one a tenth of a second."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from service.embedded import run_embedded
from service.embedded.install import LAUNCHER
from service.settings import Settings
from service.startup import prepared_database

_KEPT, _OF_THIS_RUN = "ENERGY_TESTS_KEPT", "ENERGY_TESTS_TEMPLATES"
"""Environment variables: the folders that the processes of a run share, one of them with later runs."""
_BEGAN = "ENERGY_TESTS_BEGAN"
"""Environment variable: when this run began, Unix time."""
FRESH_S = 600.0
"""A database is copied for so long: its jobs are late 15 minutes after it was made."""


def make_folders(cache: Path) -> None:
    """Make the folders before the processes of this run start; what `cache` holds is kept for the next run."""
    packages = hashlib.sha256(LAUNCHER.read_bytes() + (LAUNCHER.parent / "package-lock.json").read_bytes())
    os.environ[_KEPT] = str(cache / packages.hexdigest()[:16])
    Path(os.environ[_KEPT]).mkdir(exist_ok=True)
    os.environ[_OF_THIS_RUN], os.environ[_BEGAN] = tempfile.mkdtemp(), str(time.time())


def remove_folder() -> None:
    """Remove the folder of this run, after its processes."""
    shutil.rmtree(os.environ.pop(_OF_THIS_RUN))


def copy_new(data_dir: Path) -> None:
    """Make `data_dir` that of a database that nothing has touched yet."""
    _copy(Path(os.environ[_KEPT]) / "new", _make_new, data_dir)


def copy_migrated(data_dir: Path, time_zone: str = "UTC") -> None:
    """Make `data_dir` that of a database with this version's schema, days of this time zone, and no readings.

    Made in every run, and anew in a long one: the jobs of an old one would be overdue.
    """
    turn = int((time.time() - float(os.environ[_BEGAN])) // FRESH_S)
    name = f"migrated-{time_zone.replace('/', '-')}-{turn}"
    _copy(Path(os.environ[_OF_THIS_RUN]) / name, functools.partial(_make_migrated, time_zone), data_dir)


def _make_new(folder: Path) -> None:
    with run_embedded(folder):
        pass


def _make_migrated(time_zone: str, folder: Path) -> None:
    copy_new(folder)
    with prepared_database(Settings(data_dir=folder, timezone=time_zone)):
        pass


def _copy(template: Path, make: Callable[[Path], None], data_dir: Path) -> None:
    """Copy a template, which the process that comes first makes."""
    with Path(f"{template}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            unfinished = template.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(template)
    shutil.copytree(template, data_dir, dirs_exist_ok=True)
