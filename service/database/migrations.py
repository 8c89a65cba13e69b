"""Migrations of this version, compared with those of a database."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from service.errors import StartupError

_PACKAGE = Path(__file__).parent.parent
# a wheel carries it in the package, a checkout has it beside
SQL_DIR = next(path for path in (_PACKAGE / "sql", _PACKAGE.parent / "sql") if path.is_dir())
CODE_SCHEMAS = ("telemetry", "bi", "ops", "api")
NEWEST_MIGRATION = max(path.stem for path in (SQL_DIR / "migrations").glob("*.sql"))


def known_migrations(sql_dir: Path = SQL_DIR) -> dict[str, str]:
    """Return the migrations of this version in order, id -> SHA-256 of the file.

    Raises:
        StartupError: a file differs from its sum in `SHA256SUMS`, or has none.
    """
    folder = sql_dir / "migrations"
    found = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.sql"))}
    lines = (line.split() for line in (folder / "SHA256SUMS").read_text().splitlines())
    frozen = {name.removesuffix(".sql"): digest for digest, name in lines}
    for migration_id in sorted(found.keys() | frozen.keys()):
        if found.get(migration_id) != frozen.get(migration_id):
            raise StartupError(
                f"migration {migration_id} is not as it landed (sql/migrations/SHA256SUMS): "
                "restore the file and put the change into a new migration"
            )
    return found


def code_files(sql_dir: Path = SQL_DIR) -> list[Path]:
    """The code files, each after those whose objects it names.

    Raises:
        StartupError: two files name each other, directly or through others.
    """
    files = {
        f"{schema}.{path.stem}": path for schema in CODE_SCHEMAS for path in sorted((sql_dir / schema).glob("*.sql"))
    }
    needs = {name: sorted(_objects_in(path.read_text()) & files.keys() - {name}) for name, path in files.items()}
    try:
        return [files[name] for name in TopologicalSorter(needs).static_order()]
    except CycleError as error:
        raise StartupError(f"code files need each other: {', '.join(error.args[1])}") from error


def _objects_in(text: str) -> set[str]:
    """The objects that SQL names, but in comments and strings."""
    code = re.sub(r"--[^\n]*|'(?:[^']|'')*'", "", text)
    return set(re.findall(rf"\b(?:{'|'.join(CODE_SCHEMAS)})\.\w+", code))


def digest_of(sql_dir: Path = SQL_DIR) -> str:
    """Return the SHA-256 of all SQL that `energy migrate` runs. Equal sums mean equal databases."""
    digest = hashlib.sha256()
    for path in sorted(sql_dir.rglob("*.sql")):
        digest.update(path.relative_to(sql_dir).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def check_applied(known: Mapping[str, str], applied: Mapping[str, str]) -> list[str]:
    """Return the migrations that `applied` lacks.

    Raises:
        StartupError: the database has a migration that is unknown to this version, or differs from it.
    """
    for migration_id, digest in applied.items():
        if migration_id not in known:
            raise StartupError(
                f"the database has migration {migration_id}, which this version does not know: use the newer version"
            )
        if known[migration_id] != digest:
            raise StartupError(
                f"migration {migration_id} was edited after this database had applied it: "
                "restore the file and put the change into a new migration"
            )
    return [migration_id for migration_id in known if migration_id not in applied]
