"""The exit codes of ``agentpod``: what a script may rely on."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    NOT_READY = 5
    NOT_ALLOWED = 6
    UNREACHABLE = 7
    INTERRUPTED = 130
    UNREAD = 141


MEANINGS = {
    Exit.DONE: "done",
    Exit.FAILED: "failed",
    Exit.USAGE: "the command line or what was sent makes no sense",
    Exit.NOT_FOUND: "not found",
    Exit.CONFLICT: "in conflict with what is there",
    Exit.NOT_READY: "not ready in time",
    Exit.NOT_ALLOWED: "not allowed",
    Exit.UNREACHABLE: "no server reached",
    Exit.INTERRUPTED: "interrupted (Ctrl-C)",
    Exit.UNREAD: "whoever read the output left before its end",
}

BY_STATUS = {
    400: Exit.USAGE,
    401: Exit.NOT_ALLOWED,
    403: Exit.NOT_ALLOWED,
    404: Exit.NOT_FOUND,
    405: Exit.USAGE,
    409: Exit.CONFLICT,
    412: Exit.CONFLICT,
    413: Exit.USAGE,
    415: Exit.USAGE,
    422: Exit.USAGE,
    428: Exit.USAGE,
    504: Exit.NOT_READY,
}


def exit_of_status(status: int) -> Exit:
    """Give the exit code for an HTTP status whose reason the catalogue does not know."""
    return BY_STATUS.get(status, Exit.FAILED)
