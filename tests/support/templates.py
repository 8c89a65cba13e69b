"""Data folders of the embedded database to copy: to make one takes many seconds, to copy one a tenth of a second."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from service.embedded import run_embedded
from service.settings import Settings
from service.startup import prepared_database

_FOLDER = "ENERGY_TESTS_TEMPLATES"
"""Environment variable: where the processes of one run of the tests share what the first that needs it makes."""


def make_folder() -> None:
    """Make the folder of this run, before its processes start."""
    os.environ[_FOLDER] = tempfile.mkdtemp()


def remove_folder() -> None:
    """Remove it, after them."""
    shutil.rmtree(os.environ.pop(_FOLDER))


def copy_new(data_dir: Path) -> None:
    """Make `data_dir` that of a database that nothing has touched yet."""
    shutil.copytree(_template("new"), data_dir, dirs_exist_ok=True)


def copy_migrated(data_dir: Path) -> None:
    """Make `data_dir` that of a database with this version's schema and no readings."""
    shutil.copytree(_template("migrated"), data_dir, dirs_exist_ok=True)


def _template(name: str) -> Path:
    """The folder of this name; each is made by the process that comes first."""
    folder = Path(os.environ[_FOLDER]) / name
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_suffix(".new")
            if name == "new":
                with run_embedded(unfinished):
                    pass
            else:
                copy_new(unfinished)
                with prepared_database(Settings(data_dir=unfinished)):
                    pass
            unfinished.rename(folder)
    return folder
