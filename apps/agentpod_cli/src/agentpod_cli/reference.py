"""Writes the reference of the command line from the command tree: ``python -m agentpod_cli.reference``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from agentpod_cli.cli import cli
from agentpod_cli.translation import parts

_HEAD = """# Command line reference

<!-- Made by `python -m agentpod_cli.reference > docs/reference/cli.md`; a test fails when it is stale. -->
"""


def reference() -> str:
    """Give the whole page as Markdown."""
    sections = [_HEAD, *_command(cli, click.Context(cli, info_name="agentpod"), depth=2)]
    return "\n".join(sections).rstrip() + "\n"


def _command(command: click.Command, context: click.Context, *, depth: int) -> Iterator[str]:
    said, examples = parts(command.help or "")
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"{'#' * min(depth, 4)} `{context.command_path}`\n\n{said}\n\n```\n{usage}\n```\n"
    rows = [_row(one) for one in command.params if isinstance(one, click.Option)]
    if rows:
        yield "| Option | Meaning |\n|---|---|\n" + "\n".join(rows) + "\n"
    if examples:
        yield "```sh\n" + "\n".join(line.strip() for line in examples.splitlines()[2:]) + "\n```\n"
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from _command(one, click.Context(one, info_name=name, parent=context), depth=depth + 1)


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f" `{option.make_metavar(click.Context(cli))}`"
    default = f" Default: `{_default(option)}`." if option.show_default else ""
    return f"| {names}{value} | {option.help or ''}{default} |".replace("|m", "\\|m")


def _default(option: click.Option) -> str:
    if option.is_flag and option.secondary_opts:
        return (option.opts if option.default else option.secondary_opts)[0]
    return str(option.default)


if __name__ == "__main__":
    sys.stdout.write(reference())
