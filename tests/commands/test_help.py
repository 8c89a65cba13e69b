"""Help, examples, suggestions and completion of every command; docs/cli.md says the same."""

import inspect
import json
import re
import shlex

import pytest
from click.testing import CliRunner

from docs import generate_cli
from service.cli import cli
from service.commands.archive.chunks import Record
from service.commands.command import SAME_MEANING, STATUSES, Command
from tests.docs.test_docs import table
from tests.support import ROOT
from tests.support.processes import run

PAGE = (ROOT / "docs/cli.md").read_text()
COMMANDS = dict(generate_cli.commands())
EXAMPLES = [(name, example) for name, command in COMMANDS.items() for example in getattr(command, "examples", ())]


def output_of(*arguments: str) -> str:
    """The output of the command line, run in this process, on both streams."""
    return CliRunner().invoke(cli, arguments, prog_name="energy", env={"COLUMNS": "80"}).output


def test_the_page_lists_every_command_and_its_help_is_that_of_the_commands() -> None:
    assert {re.sub(r"( [A-Z.]+)+$", "", row[0]) for row in table("command", PAGE)} == COMMANDS.keys()
    assert generate_cli.replace(PAGE) == PAGE, "run: make docs"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_has_the_whole_summary_examples_and_exit_statuses(name: str) -> None:
    command = COMMANDS[name]
    assert isinstance(command, Command)
    *group, last = name.split()[1:]
    summary = inspect.cleandoc(command.help or "").partition("\n\n")[0]
    if group:  # the list of the whole program is that of test_cli
        assert f"{last} {summary}" in " ".join(output_of(*group, "--help").split())
    printed = output_of(*group, last, "--help")
    assert summary in " ".join(printed.split())
    assert command.examples
    assert all(f"\n  {example}\n" in printed for example in command.examples)
    assert STATUSES.keys() <= command.statuses.keys()
    assert all(re.search(rf"\n  {status} +\w", printed) for status in command.statuses)


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[example for _, example in EXAMPLES])
def test_every_example_is_a_call_of_its_command(name: str, example: str) -> None:
    words = shlex.split(example.partition(" | ")[0])
    words = words[words.index("energy") :]
    beginning = name.split()
    assert words[: len(beginning)] == beginning
    COMMANDS[name].make_context(name, words[len(beginning) :])  # raises for wrong arguments


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        ("key list", "'keys'"),
        ("keys lst", "'list'"),
        ("keys list --al", "'--all'"),
        ("import --stream meter file.csv", "--kind"),
        ("keys create --stream meter", "--kind"),
        ("simulate --device M001", "--vehicles"),
        ("rejected list --from 24h", "--since"),
        ("archive list --since 7d", "--from"),
        ("import --tz Europe/Berlin file.csv", "--timezone"),
        ("import --kind meters file.csv", "'meter', 'vehicle'"),
        ("time-zone Mars", "like Europe/Berlin"),
        ("time-zone berlin", "did you mean Europe/Berlin?"),
        ("time-zone europe/berlin", "did you mean Europe/Berlin?"),
        ("time-zone 'New York'", "did you mean America/New_York?"),
        ("import --timezone Europe/Berln file.csv", "did you mean Europe/Berlin"),
    ],
)
def test_a_wrong_argument_is_answered_with_the_right_one(arguments: str, right: str) -> None:
    result = CliRunner().invoke(cli, shlex.split(arguments), prog_name="energy")
    assert result.exit_code == 2
    assert right in result.output.splitlines()[-1]


def test_every_option_that_may_be_meant_is_one_of_some_command() -> None:
    options = {name for command in COMMANDS.values() for parameter in command.params for name in parameter.opts}
    assert [names for names in SAME_MEANING if not names & options] == []


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["keys", ""], {"create", "list", "rotate", "revoke"}),
        (["do"], {"doctor"}),
        (["archive", "list", "--kind", ""], {"meter", "vehicle"}),
        (["time-zone", "Europe/Berl"], {"Europe/Berlin"}),
        (["doctor", "--j"], {"--json"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",  # a set has another order in each process
)
def test_the_shells_complete_commands_options_and_values(words: list[str], completed: set[str]) -> None:
    line = shlex.join(["energy", *filter(None, words)])
    for shell, word in (("bash", str(len(words))), ("zsh", str(len(words))), ("fish", words[-1])):
        result = run(_ENERGY_COMPLETE=f"{shell}_complete", COMP_WORDS=line, COMP_CWORD=word)
        # bash: plain,value; zsh: three lines each; fish: plain, value and help
        found = {word for word in re.split(r"[,\s]", result.stdout) if word in completed}
        assert (found, result.stderr) == (completed, ""), shell


def test_the_page_has_the_line_that_switches_completion_on() -> None:
    lines = re.findall(r"^.*_ENERGY_COMPLETE=(\w+)_source energy.* # (\w+):", PAGE, re.MULTILINE)
    assert lines == [(shell, shell) for shell in ("bash", "zsh", "fish")]
    for shell, _ in lines:
        assert "energy" in run(_ENERGY_COMPLETE=f"{shell}_source").stdout


def names_of(command: str) -> list[str]:
    """The names that the page promises for the JSON of a command."""
    [row] = [row for row in table("command", PAGE[PAGE.index("## JSON") :]) if row[0] == f"energy {command} --json"]
    return re.findall(r"\w+", row[2])


def test_doctor_prints_json_of_the_promised_shape(tmp_path: object) -> None:
    result = run("doctor", "--json", ENERGY_DATA_DIR=str(tmp_path))
    findings = [json.loads(line) for line in result.stdout.splitlines()]
    assert {tuple(finding) for finding in findings} == {tuple(names_of("doctor"))}
    assert {finding["is_fault"] for finding in findings} == {False}
    wrong = run("doctor", "--json", DATABASE_URL="postgresql://u:secret@127.0.0.1:1/energy")
    faults = [one for one in map(json.loads, wrong.stdout.splitlines()) if one["is_fault"]]
    assert (wrong.returncode, [one["topic"] for one in faults]) == (1, ["database"])
    assert "cannot be reached" in faults[0]["finding"]
    assert "secret" not in wrong.stdout


def test_the_page_promises_the_names_of_archived_chunks() -> None:
    assert names_of("archive list") == list(Record._fields)
