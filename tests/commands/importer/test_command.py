"""`energy import` as a process: what it says before it touches a database, and how it ends."""

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.commands.importer.command import import_command
from service.commands.importer.mapping import Options
from service.commands.importer.source import check_source
from service.errors import StartupError
from tests.commands.importer.test_presets import DATA
from tests.commands.importer.test_resume import write_rows
from tests.support import TestDatabase, processes


def run(*arguments: str | Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return processes.run("import", *map(str, arguments), directory=folder, **environment)


NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--column", "volts=V", "a.csv"], "FIELD=..., with one of"),
        (["--scale", "meterId=2", "a.csv"], "meterId is not a number"),
        (["--scale", "voltage=1/0", "a.csv"], "neither a number nor a fraction"),
        (["--timezone", "Europe/Nowhere", "a.csv"], "not a zone of the IANA database"),
        (["--delimiter", ";;", "a.csv"], "one character, or tab"),
        (["--encoding", "klingon", "a.csv"], "'klingon' is not the name of an encoding of text"),
        (["--encoding", "base64", "a.csv"], "'base64' is not the name of an encoding of text"),
        (["--time-format", "%d/%m/%Y %Q", "a.csv"], "'%d/%m/%Y %Q' is no format for strptime"),
        (["--time-format", "dd/mm/yyyy", "a.csv"], "it has no day, month and year"),
        (["--time-format", "%H:%M", "a.csv"], "it has no day, month and year"),
        (["--header-line", "0", "a.csv"], "0 is not in the range"),
        (["--decimal", ";", "a.csv"], "is not one of '.', ','"),
        (["--preset", "linky", "a.csv"], "is not one of 'dsmr', 'enedis'"),
        (["--rejected", "r", "a.csv", "b.csv"], "--rejected is for one FILE"),
    ],
)
def test_wrong_options_end_with_status_2(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(import_command, arguments)
    assert (result.exit_code, words in result.stderr) == (2, True), result.stderr


def test_one_file_that_cannot_be_understood_stops_all_before_a_database_is_looked_for(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", "M1", rows=1)
    (tmp_path / "b.csv").write_text("meterId\n")
    result = run("a.csv", "b.csv", folder=tmp_path, **NOWHERE)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("energy: b.csv: no column for kwhConsumedAc (found: meterId)")
    missing = run("c.csv", folder=tmp_path, **NOWHERE)
    assert (missing.returncode, missing.stderr) == (1, "energy: c.csv cannot be read: No such file or directory\n")


def test_a_time_format_that_fits_no_row_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "meterId,when,kwhConsumedAc,voltage\nM1,08.02.2026 18:00,1,230\nM1,08.02.2026 18:01,1,230\n"
    )
    path, options = tmp_path / "a.csv", {"columns": {"timestamp": "when"}, "timezone": "UTC"}
    check_source(path, Options(**options, time_format="%d.%m.%Y %H:%M"))
    with pytest.raises(StartupError) as error:
        check_source(path, Options(**options, time_format="%d/%m/%Y %H:%M"))
    assert str(error.value) == (
        f"{path}: line 2, column when: timestamp must be written %d/%m/%Y %H:%M, not '08.02.2026 18:00'; nor is any "
        "other of the first 2 rows: --time-format %d/%m/%Y %H:%M is wrong"
    )
    # one row that fits is enough: the others may be damaged
    path.write_text(path.read_text().replace("08.02.2026 18:01", "08/02/2026 18:01"))
    check_source(path, Options(**options, time_format="%d/%m/%Y %H:%M"))


def explained(*arguments: str | Path) -> str:
    """The output of --explain, in which no database can be found."""
    result = CliRunner().invoke(
        import_command, ["--explain", *map(str, arguments)], env=NOWHERE, catch_exceptions=False
    )
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def test_explain_prints_how_a_file_is_understood_and_needs_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_bytes(
        "Zähler 7\nWann;kWh; Volt;\n08/02/2026 18:00;4,5;230;\n08/02/2026 18:15;x;230;\n08/02/2026 18:15;5,25;;\n"
        "08/02/2026 18:30;6;231;\n".encode("utf-16")
    )
    printed = explained(
        *("--column", "timestamp=Wann", "--column", "kwhConsumedAc=kWh", "--column", "voltage=Volt"),
        *("--set", "meterId=M7", "--decimal", ",", "--timezone", "Europe/Berlin", "--scale", "kwhConsumedAc=1/10"),
        *("--time-format", "%d/%m/%Y %H:%M", "a.csv"),
    )
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert [line for line in lines if line] == [
        "a.csv:",
        "format csv",
        "encoding utf-16",
        "delimiter ';'",
        "header line 2",
        "kind meter",
        "meterId 'M7' in every row",
        "kwhConsumedAc column 'kWh' x 1/10, kWh",
        "voltage column 'Volt', V",
        "timestamp column 'Wann'",
        "decimal point ,",
        "time written %d/%m/%Y %H:%M",
        "zone Europe/Berlin, for times without an offset",
        "interval 15 min",
        "line meterId timestamp kwhConsumedAc voltage",
        "3 M7 2026-02-08T17:00:00Z 0.45 230",
        "5 M7 2026-02-08T17:15:00Z 0.525 not measured",
        "6 M7 2026-02-08T17:30:00Z 0.6 231",
        "rejected: line 4: kwhConsumedAc must be a number, not 'x'",
        "3 readings and 1 rejected of the first 4 rows; nothing stored",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_explain_shows_five_readings_and_what_a_preset_leaves_out() -> None:
    printed = explained("--preset", "nem12", DATA / "nem12.csv")
    assert printed.count("6305888444  2026-01-04T") == 5
    assert "142 readings and 0 rejected of the first 142 rows; nothing stored" in printed
    assert "left out: intervals of quality S14, not actual: 2, registers B1" in printed
    with pytest.raises(StartupError, match="--set meterId=VALUE"):
        explained("--preset", "octopus", DATA / "octopus.csv")


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
