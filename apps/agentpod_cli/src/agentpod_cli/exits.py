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


_BY_STATUS = {
    400: Exit.USAGE,
    401: Exit.NOT_ALLOWED,
    403: Exit.NOT_ALLOWED,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    412: Exit.CONFLICT,
    413: Exit.USAGE,
    415: Exit.USAGE,
    422: Exit.USAGE,
    428: Exit.CONFLICT,
    504: Exit.NOT_READY,
}


def exit_of_status(status: int) -> Exit:
    """Give the exit code for an HTTP status whose reason the catalogue does not know."""
    return _BY_STATUS.get(status, Exit.FAILED)
