"""A few programs that containers of the fake engine can run, so that contracts hold there too.

Deliberately no shell: only the words that the contract kit itself uses.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

FOREVER = float("inf")
NOT_FOUND = 127
_VARIABLE = re.compile(r"\$(\w+)")


@dataclass(frozen=True)
class Seen:
    """A file as a program sees it."""

    content: bytes
    mode: int
    uid: int
    gid: int


@dataclass
class Surroundings:
    """What a program finds around itself."""

    hostname: str
    env: Mapping[str, str]
    look: Callable[[str], Seen | None]
    write: Callable[[str, bytes], None]


@dataclass
class Outcome:
    """What a program wrote, how long it takes and how it ends."""

    code: int = 0
    seconds: float = 0.0
    stdout: list[bytes] = field(default_factory=list)
    stderr: list[bytes] = field(default_factory=list)


def run(argv: tuple[str, ...] | None, around: Surroundings) -> Outcome:
    """Run a command; None, an image's own command, runs for ever."""
    outcome = Outcome()
    if argv is None:
        outcome.seconds = FOREVER
    elif argv[:2] == ("sh", "-c"):
        _script(argv[2], around, outcome)
    else:
        _command(list(argv), around, outcome)
    return outcome


def _script(script: str, around: Surroundings, outcome: Outcome) -> None:
    for line in re.split(r"[;\n]", script):
        words = [_VARIABLE.sub(lambda match: around.env.get(match[1], ""), word) for word in shlex.split(line)]
        if words[:1] == ["exec"]:
            words = words[1:]
        if words[:1] == ["exit"]:
            outcome.code = int(words[1])
            return
        if words:
            _command(words, around, outcome)
        if outcome.seconds == FOREVER:
            return


def _command(words: list[str], around: Surroundings, outcome: Outcome) -> None:
    name, *arguments = words
    outcome.code = 0
    match name:
        case "echo":
            outcome.stdout.append(" ".join(arguments).encode() + b"\n")
        case "hostname":
            outcome.stdout.append(around.hostname.encode() + b"\n")
        case "sleep":
            seconds = float(arguments[0])
            outcome.seconds += seconds if seconds < 1 else FOREVER
        case "cat":
            _cat(arguments[0], around, outcome)
        case "stat":
            _stat(arguments[-1], around, outcome)
        case "touch":
            around.write(arguments[0], b"")
        case _:
            outcome.code = NOT_FOUND
            outcome.stderr.append(f"{name}: not found\n".encode())


def _cat(path: str, around: Surroundings, outcome: Outcome) -> None:
    found = around.look(path)
    if found is None:
        outcome.code = 1
        outcome.stderr.append(f"cat: can't open '{path}'\n".encode())
    else:
        outcome.stdout.append(found.content)


def _stat(path: str, around: Surroundings, outcome: Outcome) -> None:
    found = around.look(path)
    if found is None:
        outcome.code = 1
    else:
        outcome.stdout.append(f"{found.mode:o} {found.uid} {found.gid}\n".encode())
