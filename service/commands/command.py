"""Command and group: the classes of every command, with examples and exit statuses in its help."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

STATUSES = {0: "done", 1: "failed; a line on standard error says why", 2: "wrong arguments", 130: "interrupted"}
"""Exit statuses, but for those that a command has for itself."""

SAME_MEANING = (
    {"--kind", "--stream", "--type"},
    {"--device", "--vehicles", "--vehicle", "--meter", "--id"},
    {"--from", "--since", "--start", "--after"},
    {"--to", "--until", "--end", "--before"},
    {"--timezone", "--time-zone", "--zone", "--tz"},
    {"--concurrency", "--workers", "--connections"},
)
"""Options that people take for one another: of these a command has the one that it means."""


class Command(click.Command):
    """A command of `energy`.

    Args:
        examples: calls of it, each a line for a shell.
        statuses: its exit statuses, where they mean more than in `STATUSES`.
    """

    def __init__(
        self, *arguments: Any, examples: Sequence[str], statuses: Mapping[int, str] | None = None, **options: Any
    ) -> None:
        options.setdefault("context_settings", {}).setdefault("help_option_names", ["-h", "--help"])
        super().__init__(*arguments, **options)
        self.examples = examples
        self.statuses = STATUSES | dict(statuses or {})

    def get_short_help_str(self, limit: int = 0) -> str:
        """The first sentence of its help, whatever its length: `limit` is ignored."""
        return super().get_short_help_str(limit=10_000)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments.

        Raises:
            click.UsageError: they are wrong; an unknown option is answered with those that may be meant.
        """
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            present = {name for parameter in self.params for name in parameter.opts}
            meant = {name for names in SAME_MEANING if error.option_name in names for name in names & present}
            if not meant:
                raise
            raise click.NoSuchOption(error.option_name, _did_you_mean(error.option_name, meant), ctx=ctx) from None

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the exit statuses."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")
        with formatter.section("Exit status"):
            formatter.write_dl([(str(number), meaning) for number, meaning in sorted(self.statuses.items())])


class Group(click.Group):
    """A group of commands; a wrong name is answered with similar ones."""

    command_class = Command
    group_class = type  # this one

    def get_short_help_str(self, limit: int = 0) -> str:
        """The first sentence of its help, whatever its length: `limit` is ignored."""
        return super().get_short_help_str(limit=10_000)


def _did_you_mean(option: str, names: Iterable[str]) -> str:
    return f"No such option {option!r}. Did you mean {' or '.join(sorted(names))}?"
