"""Generator of the commands' help in docs/cli.md: `make docs`. A test compares the two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from service.cli import Lazy, cli

TARGET = Path(__file__).parent / "cli.md"
GENERATED = re.compile(r"(<!-- written by `make docs` from the help of the commands -->\n).*?(<!-- end -->)", re.S)
WIDTH = 100


def commands(group: click.Group = cli, words: tuple[str, ...] = ("energy",)) -> Iterator[tuple[str, click.Command]]:
    """Iterate over the commands below `group`, in the order of their names: what is typed, and the command."""
    for name, found in sorted(group.commands.items()):
        command = found.load() if isinstance(found, Lazy) else found
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


def render() -> str:
    """Render a heading and the help of each command."""
    lines = [""]
    for words, command in commands():
        context = click.Context(command, info_name=words, terminal_width=WIDTH, **cli.context_settings)
        lines += [f"### {words}", "", "```text", command.get_help(context), "```", ""]
    return "\n".join(lines) + "\n"


def replace(document: str) -> str:
    """Return the document with its generated part replaced."""
    return GENERATED.sub(lambda match: match[1] + render() + match[2], document)


if __name__ == "__main__":
    TARGET.write_text(replace(TARGET.read_text()))
