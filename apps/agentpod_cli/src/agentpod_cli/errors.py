"""Errors as the user meets them: what is wrong, where, and what to do next; never a traceback."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import IO, Any

import click

from agentpod_cli.exits import Exit, exit_of_status
from agentpod_cli.render.amounts import clean
from agentpod_cli.texts import Texts, texts_of
from agentpod_client.errors import (
    ApiError,
    BadNameError,
    ClientError,
    ForeignAnswerError,
    SilentServerError,
    UnreachableError,
    UntrustedServerError,
)

_UNEXPECTED = 500
_REDIRECTED = 300
FOREIGN = "ForeignAnswer"
"""The reason of an error that no server of ours gave: a proxy whose server is down, or somebody else's server."""


def misused(key: str, **params: object) -> click.UsageError:
    """Give the error for a command line that makes no sense; ``key`` is one of the catalogue's ``usage`` texts."""
    return click.UsageError(texts_of(os.environ)(f"usage.{key}", **params))


class CliError(click.ClickException):
    """An error of the CLI's own; ``reason`` is a section of the catalogue's ``errors``, params fill its text.

    ``repair`` stands in for the catalogue's where the server said what to do.
    """

    def __init__(self, reason: str, code: Exit, *, repair: str | None = None, **params: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = int(code)  # type: ignore[misc]  # click means it to be set
        self.repair = repair
        self.params = params

    def lines(self, texts: Texts) -> list[str]:
        """Give the lines to print: the title first, the repair last."""
        entry = texts.error(self.reason)
        return error_lines(
            texts,
            title=entry["title"].format(**self.params),
            detail=entry.get("text", "").format(**self.params),
            repair=self.repair or entry.get("repair", "").format(**self.params),
        )

    def format_message(self) -> str:
        """Give the whole message in the user's language."""
        return "\n".join(self.lines(texts_of(os.environ)))

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the error to stderr."""
        click.echo(self.format_message(), file=file, err=file is None)


class ServerError(CliError):
    """What the server refused or could not do, as it told us (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        reason = str(problem.get("reason") or str(problem.get("type", "")).rpartition(":")[2] or f"HTTP{status}")
        super().__init__(reason, exit_of_problem(reason, status))
        self.status = status
        self.problem = dict(problem)

    def lines(self, texts: Texts) -> list[str]:
        """Give the server's own words, every single problem with its path."""
        problem = self.problem
        problems = [one for one in problem.get("problems") or [] if isinstance(one, Mapping)]
        hints = (
            texts.find(f"hint.{reason}")
            for reason in dict.fromkeys([self.reason, *(one.get("reason") for one in problems)])
        )
        return error_lines(
            texts,
            title=str(problem.get("title") or self.reason),
            detail=str(problem.get("detail") or ""),
            problems=problems,
            repair="\n".join([*([problem["repair"]] if problem.get("repair") else []), *filter(None, hints)]),
            request=str(problem.get("request_id") or "") if self.status == _UNEXPECTED else "",
        )


def told(error: ClientError, *, source: str) -> CliError:
    """Put an error of the client into the user's words; ``source`` is the place that named the server."""
    match error:
        case BadNameError():
            return CliError("BadName", Exit.USAGE, name=repr(error.name))
        case ApiError():
            return ServerError(error.status, error.problem)
        case ForeignAnswerError() if error.status < _REDIRECTED:
            return CliError("NotAgentPod", Exit.UNREACHABLE, server=error.server)
        case ForeignAnswerError():
            return ServerError(error.status, {"reason": FOREIGN, "title": error.title, "detail": clean(error.text)})
        case SilentServerError():
            return CliError("ServerSilent", Exit.UNREACHABLE, server=error.server)
        case UntrustedServerError():
            return CliError("ServerUntrusted", Exit.UNREACHABLE, server=error.server, why=error.why)
        case UnreachableError():
            return CliError("ServerUnreachable", Exit.UNREACHABLE, server=error.server, source=source, why=error.why)
        case _:
            return CliError("Unexpected", Exit.FAILED, kind=type(error).__name__, why=str(error))


def exit_of_problem(reason: str, status: int) -> Exit:
    """Give the exit code that the catalogue has for a reason, else the one for the HTTP status."""
    from agentpod_core.catalogue import entry  # noqa: PLC0415 - only errors pay for the catalogue

    if reason == FOREIGN:
        return Exit.UNREACHABLE
    code = entry(reason).exit
    return exit_of_status(status) if code is None else Exit(code)


def error_lines(  # noqa: PLR0913 - the parts of an error
    texts: Texts,
    *,
    title: str,
    detail: str = "",
    problems: Sequence[Mapping[str, Any]] = (),
    repair: str = "",
    request: str = "",
) -> list[str]:
    """Lay an error out: one line that says what, then where, then what to do."""
    lines = [texts("error.title", title=title)]
    lines += [f"  {clean(line)}" for line in detail.splitlines() if line.strip() != title]
    lines += [f"  - {clean(one.get('path', '$'))}: {clean(one.get('message', ''))}" for one in problems]
    lines += [f"  {texts('error.repair')} {line}" for line in repair.splitlines()[:1]]
    lines += [f"    {line}" for line in repair.splitlines()[1:]]
    if request:
        lines.append(f"  {texts('error.request', id=request)}")
    return lines
