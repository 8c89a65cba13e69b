"""`energy import` as a process: what it says before it touches a database, and how it ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.importer.test_resume import write_rows
from tests.support import TestDatabase


def run(*arguments: str | Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service.cli", "import", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--column", "volts=V", "a.csv"], "FIELD=..., with one of"),
        (["--scale", "meterId=2", "a.csv"], "meterId is not a number"),
        (["--scale", "voltage=1/0", "a.csv"], "neither a number nor a fraction"),
        (["--timezone", "Europe/Nowhere", "a.csv"], "not a zone of the IANA database"),
        (["--delimiter", ";;", "a.csv"], "one character, or tab"),
        (["--rejected", "r", "a.csv", "b.csv"], "--rejected is for one FILE"),
    ],
)
def test_wrong_options_end_with_status_2(tmp_path: Path, arguments: list[str], words: str) -> None:
    result = run(*arguments, folder=tmp_path, **NOWHERE)
    assert (result.returncode, words in result.stderr) == (2, True), result.stderr


def test_one_file_that_cannot_be_understood_stops_all_before_a_database_is_looked_for(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", "M1", rows=1)
    (tmp_path / "b.csv").write_text("meterId\n")
    result = run("a.csv", "b.csv", folder=tmp_path, **NOWHERE)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("energy: b.csv: no column for kwhConsumedAc (found: meterId)")
    missing = run("c.csv", folder=tmp_path, **NOWHERE)
    assert (missing.returncode, missing.stderr) == (1, "energy: c.csv cannot be read: No such file or directory\n")


def test_several_files_end_with_a_total_and_a_status_that_tells_of_rejected_rows(
    test_database: TestDatabase, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if test_database.is_embedded:  # which has one user: the command gets its own
        environment = request.getfixturevalue("data_folder")
    else:
        environment = {"DATABASE_URL": test_database.url}
    write_rows(tmp_path / "a.csv", "import-a", rows=20)
    write_rows(tmp_path / "b.csv", "import-b", rows=20, bad_every=10)
    first, second, total = run("a.csv", "b.csv", folder=tmp_path, **environment).stdout.splitlines()
    assert first.startswith("a.csv: 20 rows: 20 stored, 0 duplicates, 0 conflicts, 0 rejected; ")
    assert second.startswith("b.csv: 20 rows: 18 stored, 0 duplicates, 0 conflicts, 2 rejected; ")
    assert second.endswith("; rejected rows: b.csv.rejected.ndjson")
    assert total.startswith("2 files: 40 rows: 38 stored, ")
    if not test_database.is_embedded:
        assert run("b.csv", folder=tmp_path, **environment).returncode == 3
        assert run("a.csv", folder=tmp_path, **environment).returncode == 0
