"""Alert rules: they are valid, fire when they should, and each has its place in the runbook."""

import re
import shutil
import subprocess

import click
import pytest

from service.cli import cli
from tests.monitoring.files import FOLDER, RULES, RUNBOOK
from tests.support import ROOT, Owner

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not on PATH (Debian's package prometheus has it)"
)


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
        ["check", "config", "--syntax-only", "prometheus.yml"],
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(arguments: list[str]) -> None:
    result = subprocess.run([str(PROMTOOL), *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_alert_has_a_heading_in_the_runbook_and_every_heading_its_alert() -> None:
    headings = re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE)
    assert sorted(headings) == sorted(rule["alert"] for rule in RULES)
    for rule in RULES:
        assert rule["annotations"].keys() - {"dba_runbook"} == {"summary", "description", "runbook"}
        assert all(rule["annotations"].values())
        assert rule["annotations"]["runbook"] == f"docs/monitoring.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"page", "ticket"}


@pytest.mark.parametrize("alert", [rule["alert"] for rule in RULES])
def test_the_runbook_says_of_an_alert_what_it_means_where_to_look_and_what_to_do(alert: str) -> None:
    section = RUNBOOK.split(f"\n### {alert}\n")[1].split("\n### ")[0]
    paragraphs = [re.match(r"(?:(Look|Do): )?\S", paragraph) for paragraph in section.strip().split("\n\n")]
    assert [found[1] for found in paragraphs if found] in (
        [None, "Look", "Do"],
        [None, "Look", "Do", None],
    )


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([\w./]*)#([\w-]+)\)", RUNBOOK))), ids="#".join)
def test_a_link_of_the_runbook_leads_to_a_heading(link: tuple[str, str]) -> None:
    file, anchor = link
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / (file or "monitoring.md")).read_text(), re.MULTILINE)
    # as GitHub makes anchors
    assert anchor in {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_every_command_of_the_runbook_exists_with_its_options() -> None:
    commands = set(re.findall(r"`energy ([^`]+)`", RUNBOOK))
    assert len(commands) >= 5
    for text in sorted(commands):
        command: click.Command = cli
        words = text.split()
        while words and isinstance(command, click.Group):
            _, command, words = command.resolve_command(click.Context(command), words)
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options, (command.name, words)


def test_the_runbooks_of_a_dba_are_linked_from_alerts_and_exist() -> None:
    links = {rule["annotations"]["dba_runbook"] for rule in RULES if "dba_runbook" in rule["annotations"]}
    page = (ROOT / "docs/runbooks.md").read_text()
    anchors = {
        f"docs/runbooks.md#{heading.lower().replace(' ', '-')}" for heading in re.findall(r"(?m)^## (.+)$", page)
    }
    assert links
    assert links <= anchors


def test_every_alert_is_tested_by_promtool() -> None:
    tested = set(re.findall(r"alertname: (\w+)", (FOLDER / "alerts_test.yml").read_text()))
    assert tested == {rule["alert"] for rule in RULES}


async def test_every_statement_of_the_runbook_runs_as_a_dba(owner: Owner) -> None:
    statements = re.findall(r"`(SELECT [^`]+)`", " ".join(RUNBOOK.split()))
    assert len(statements) > 4
    async with owner.connection() as connection:
        for statement in statements:
            async with connection.transaction():
                await connection.execute("SET LOCAL ROLE energy_dba")
                await connection.fetch(statement)
