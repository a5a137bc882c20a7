"""What is typed: references to pods, assignments, spans of time, and secrets, which never are.

A value on the command line shows in the machine's process list, so a secret is named by where it
is read from and never given itself.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from agentpod_cli.errors import CliError, misused
from agentpod_cli.exits import Exit
from agentpod_cli.texts import texts_of

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)?")
_FACTORS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = 36500 * 86400


class Reference(Struct, frozen=True):
    """A pod as it is named on the command line."""

    tenant: str
    pod: str

    def __str__(self) -> str:
        return f"{self.tenant}/{self.pod}"


class ReferenceType(click.ParamType[Reference]):
    """Reads ``TENANT/POD``."""

    name = "tenant/pod"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Reference:
        """Split the text at its slash; the server checks the names themselves."""
        if isinstance(value, Reference):
            return value
        tenant, slash, pod = str(value).partition("/")
        if not (slash and tenant and pod) or "/" in pod:
            texts = texts_of(os.environ)
            hint = texts("usage.no_pod_hint", tenant=tenant) if tenant and not slash else ""
            self.fail(texts("usage.no_pod", value=repr(value)) + hint, param, ctx)
        return Reference(tenant, pod)


class SpanType(click.ParamType[float]):
    """Reads a span of time in seconds, minutes, hours or days."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Give the seconds in ``90``, ``90s``, ``3m``, ``1h`` or ``2d``."""
        if isinstance(value, int | float):
            return float(value)
        match = _SPAN.fullmatch(str(value).strip())
        if match is None:
            self.fail(texts_of(os.environ)("usage.no_span", value=repr(value)), param, ctx)
        seconds = float(match[1]) * _FACTORS[match[2]]
        if seconds > _LONGEST:
            self.fail(texts_of(os.environ)("usage.span_too_long", value=repr(value)), param, ctx)
        return seconds


REFERENCE = ReferenceType()
SPAN = SpanType()


def assignments(texts: Sequence[str], option: str) -> dict[str, str]:
    """Read ``path=value`` texts; a path that is given twice is a mistake, not an overwrite.

    Raises:
        click.UsageError: a text has no ``=``, an empty path, or a path was given before.
    """
    read: dict[str, str] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        if not equals or not path:
            # The text itself may be a secret that slipped into the wrong option: it is not repeated.
            raise misused("no_assignment", option=option)
        if path in read:
            raise misused("given_twice", option=option, path=path)
        read[path] = value
    return read


def secrets(
    texts: Sequence[str],
    environ: Mapping[str, str],
    *,
    stdin: Callable[[], str] | None = None,
) -> dict[str, str]:
    """Read the values of ``path=@FILE``, ``path=-`` and ``path=env:NAME`` from where they say.

    Raises:
        CliError: the value itself was given, or its source cannot be read.
        click.UsageError: an assignment has no path, or two want the standard input.
    """
    sources = assignments(texts, "--secret")
    if sum(source == "-" for source in sources.values()) > 1:
        raise misused("one_secret_from_input")
    return {
        path: secret_from(source, environ, what=path, option=f"--secret {path}=", stdin=stdin)
        for path, source in sources.items()
    }


def secret_from(
    source: str,
    environ: Mapping[str, str],
    *,
    what: str,
    option: str,
    stdin: Callable[[], str] | None = None,
) -> str:
    """Read one secret from ``@FILE``, ``-`` (standard input) or ``env:NAME``; one line end at its end is no part of it.

    Raises:
        CliError: the source is none of these, cannot be read, or holds nothing.
    """
    if source == "-":
        value = (stdin or sys.stdin.read)()
    elif source.startswith("@"):
        try:
            value = Path(source[1:]).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not UTF-8"
            raise CliError("SecretUnreadable", Exit.USAGE, what=what, source=source[1:], why=why) from None
    elif source.startswith("env:"):
        name = source.removeprefix("env:")
        if name not in environ:
            raise CliError("SecretUnset", Exit.USAGE, what=what, name=name)
        value = environ[name]
    else:
        raise CliError("SecretOnCommandLine", Exit.USAGE, what=what, option=option)
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise CliError("SecretEmpty", Exit.USAGE, what=what)
    return value
