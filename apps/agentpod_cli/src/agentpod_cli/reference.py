"""Writes the reference of the command line from the command tree: ``python -m agentpod_cli.reference``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from agentpod_cli.cli import cli
from agentpod_cli.exits import BY_STATUS, MEANINGS, Exit, exit_of_status
from agentpod_cli.translation import parts
from agentpod_core import catalogue

_HEAD = """# Command line reference

<!-- Made by `python -m agentpod_cli.reference > docs/reference/cli.md`; a test fails when it is stale. -->
"""


_EXITS = """## Exit codes

A refusal of the server has an HTTP status and a reason, and the reason decides: where it is listed here, its
code is this one, else the code is that of the status. A status that is not listed ends in 1.

| Code | Meaning | HTTP statuses | Reasons apart from their status |
|---|---|---|---|
"""


def reference() -> str:
    """Give the whole page as Markdown."""
    sections = [_HEAD, _exits(), *_command(cli, click.Context(cli, info_name="agentpod"), depth=2)]
    return "\n".join(sections).rstrip() + "\n"


def _exits() -> str:
    """Tell the exit codes, and which reasons of the server have another one than their HTTP status."""
    rows = []
    for code, meaning in MEANINGS.items():
        statuses = ", ".join(str(status) for status, exit_code in BY_STATUS.items() if exit_code is code)
        reasons = ", ".join(f"`{reason}`" for reason in special_reasons(code))
        rows.append(f"| {code.value} | {meaning} | {statuses} | {reasons} |")
    return _EXITS + "\n".join(rows) + "\n"


def special_reasons(code: Exit) -> list[str]:
    """Give the catalogue's reasons that end in this exit code though their HTTP status alone would not."""
    entries = (catalogue.entry(reason) for reason in sorted(catalogue.reasons()))
    return [one.reason for one in entries if one.status and one.exit == code != exit_of_status(one.status)]


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
