"""Output of the commands, off a terminal."""

import pytest

from service.commands.output import print_table, rate


def test_a_table_has_a_line_for_each_row_with_its_text_whole_and_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("meter", "why"), [("M1", "x" * 300), ("M2", "[bold]y[/] 7")], "nothing")
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [[cell.rstrip() for cell in line] for line in lines] == [
        ["meter", "why"],
        ["M1", "x" * 300],
        ["M2", "[bold]y[/] 7"],
    ]


def test_a_cell_cannot_command_the_terminal_of_the_reader(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("meter",), [("M\x1b[2J\r\n\x07",)], "nothing")
    assert capsys.readouterr().out.split() == ["meter", "M\ufffd[2J\ufffd\ufffd\ufffd"]


def test_a_table_without_rows_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("meter",), [], "nothing rejected")
    assert capsys.readouterr().out == "nothing rejected\n"


@pytest.mark.parametrize(
    ("rows", "seconds", "text"), [(3000, 2, "1,500 rows/s"), (1, 3, "0 rows/s"), (5, 0, "0 rows/s")]
)
def test_a_rate_is_whole_rows_a_second(rows: int, seconds: float, text: str) -> None:
    assert rate(rows, seconds) == text
