"""`make bench ARGS="--baseline FILE"`: two runs of made-up figures."""

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bench import __main__ as bench
from bench.baseline import changes, read_run
from bench.report import Figure, Row, Run, merge
from service.errors import StartupError


def run_of(rows: list[Row], database: str = "TimescaleDB 2.29.2") -> Run:
    return Run(database, 2, "Linux x86_64", "3.12.1", rows)


def slower(before: dict[str, Figure], now: dict[str, Figure]) -> list[str]:
    both = changes(run_of([Row("m", before)]), run_of([Row("m", now)]))
    return [change.figure for change in both if change.is_slower]


@pytest.mark.parametrize(
    ("figure", "before", "now", "is_slower"),
    [
        ("requests/s", [100, 101, 102], [80, 81, 82], True),
        ("requests/s", [80, 81, 82], [100, 101, 102], False),
        ("p50 ms", [3, 3.1, 3.2], [4, 4.1, 4.2], True),
        ("p50 ms", [4, 4.1, 4.2], [3, 3.1, 3.2], False),
        ("ratio", [0.8, 0.81, 0.82], [0.7, 0.71, 0.72], True),
        ("times the p50", [1.0, 1.1, 1.2], [2.0, 2.1, 2.2], True),
        # 20 less, with spreads of 10 and 10
        ("rows/s", [95, 100, 105], [75, 80, 85], False),
        ("rows/s", [95, 100, 105], [75, 79.9, 85], True),
        # equal in every round, as bytes are
        ("B in the columnstore", [12, 12, 12], [12.1, 12.1, 12.1], True),
        ("B in the columnstore", [12, 12, 12], [12, 12, 12], False),
    ],
)
def test_a_figure_got_slower_by_more_than_both_spreads_together(
    figure: str, before: list[float], now: list[float], is_slower: bool
) -> None:
    assert slower({figure: before}, {figure: now}) == ([figure] if is_slower else [])


def test_counts_and_invisible_figures_are_not_compared() -> None:
    before: dict[str, Figure] = {"errors": [1, 1, 1], "sessions": [1, 1, 1], "MiB": None, "s": [1, 1, 1]}
    now: dict[str, Figure] = {"errors": [9, 9, 9], "sessions": [9, 9, 9], "MiB": [9, 9, 9], "s": None}
    assert list(changes(run_of([Row("m", before)]), run_of([Row("m", now)]))) == []


def test_two_rounds_are_too_few_to_tell() -> None:
    assert slower({"s": [1, 1, 1]}, {"s": [9, 9]}) == slower({"s": 1}, {"s": [9, 9, 9]}) == []


def test_rounds_of_repeats_are_merged_and_a_missed_target_stays_missed() -> None:
    first = [Row("m", {"s": [1.0, 2.0], "MiB": None}, "under 2 s", False), Row("other", {"s": 1.0})]
    second = [Row("m", {"s": 3.0, "MiB": 4.0}, "under 2 s", True)]
    assert merge([first, second]) == [
        Row("m", {"s": [1.0, 2.0, 3.0], "MiB": [4.0]}, "under 2 s", False),
        Row("other", {"s": 1.0}),
    ]


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = run_of([Row("m", {"s": [1.0, 2.5], "MiB": None, "h": 3.0}, "under 2 s", True)])
    run.write(tmp_path / "bench.json")
    assert read_run(tmp_path / "bench.json") == run


@pytest.mark.parametrize("content", ["", "{}", '{"database": "x"', '{"rows": [{"name": 1}]}'])
def test_a_file_of_something_else_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(content)
    with pytest.raises(StartupError, match=r"wrong\.json is not a bench\.json"):
        read_run(path)


@pytest.fixture
def compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command with made-up measurements, and the file that it writes as its own baseline."""
    path = tmp_path / "bench.json"

    def compare(before: Run, now: list[list[Row]]) -> Result:
        before.write(path)
        repeats = iter(now)
        monkeypatch.setattr(bench, "measure", lambda *_: ("TimescaleDB 2.29.2", next(repeats)))
        arguments = ["--only", "single", "--repeat", str(len(now)), "--baseline", str(path), "--json", str(path)]
        return CliRunner().invoke(bench.main, arguments, env={"COLUMNS": "200"})

    return compare


def test_the_command_names_what_got_slower_and_fails(compare: Any) -> None:
    before = run_of([Row("POST", {"requests/s": [100.0, 101.0, 102.0], "p50 ms": [5.0, 5.1, 5.2]})])
    now = [[Row("POST", {"requests/s": float(rate), "p50 ms": 5.1}), Row("new", {"s": 1.0})] for rate in (70, 71, 72)]
    result = compare(before, now)
    assert result.exit_code == 1
    assert re.search(r"POST +requests/s +101 +71 +2 and 2", result.output)
    assert "1 of 2 figures got slower" in result.output
    assert "not in the earlier run: new" in result.output


def test_the_command_succeeds_if_nothing_got_slower(compare: Any) -> None:
    before = run_of([Row("POST", {"requests/s": [100.0, 101.0, 102.0]})])
    result = compare(before, [[Row("POST", {"requests/s": rate})] for rate in (99.0, 100.0, 101.0)])
    assert result.exit_code == 0
    assert "0 of 1 figures got slower" in result.output


def test_the_command_says_what_it_cannot_compare(compare: Any) -> None:
    before = run_of([Row("POST", {"requests/s": 100.0})], database="embedded TimescaleDB 2.23.0")
    result = compare(before, [[Row("POST", {"requests/s": 50.0})]])
    assert result.exit_code == 0
    assert "embedded TimescaleDB 2.23.0" in result.output
    assert "1 figures have fewer than 3 rounds: measure both runs with --repeat 3" in result.output
