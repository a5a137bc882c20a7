"""Everything that a client raises. No message, attribute or repr ever holds the token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from agentpod_client.shapes import Operation, Pod, ProblemItem

_LONGEST_TEXT = 300
_AWAY = (502, 503, 504)


class ClientError(Exception):
    """Something went wrong between this program and what it asked for."""


class BadTokenError(ClientError, ValueError):
    """What was given as a token holds characters that none has; the message does not repeat it."""


class BadNameError(ClientError, ValueError):
    """What was given as a name is none, and in an address it would lead to something else; ``name`` is it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} is no name")
        self.name = name


class ApiError(ClientError):
    """The server refused, or could not do what was asked, and said why (RFC 9457).

    ``reason`` is a slug that stays the same in every language and release; ``problem`` is the whole
    answer, ``errors`` every single thing that is wrong with the request, ``retry_after`` the seconds
    after which the server itself proposes to try again.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], *, retry_after: float | None = None) -> None:
        self.status = status
        self.problem: dict[str, Any] = dict(problem)
        self.reason = str(problem.get("reason") or str(problem.get("type", "")).rpartition(":")[2] or f"HTTP{status}")
        self.errors: list[ProblemItem] = [
            cast("ProblemItem", one) for one in problem.get("problems") or [] if isinstance(one, dict)
        ]
        self.retry_after = retry_after
        super().__init__(self._said())

    def _said(self) -> str:
        places = "; ".join(f"{one.get('path', '$')}: {one.get('message', '')}" for one in self.errors)
        words = [str(self.problem.get(key) or "") for key in ("title", "detail")]
        return f"{self.status} {self.reason}: {' '.join(word for word in [*words, places] if word)}"


class UnreachableError(ClientError):
    """No answer came from an AgentPod server; ``server`` is its address, ``why`` what stood in the way.

    ``was_sent`` is False where the request certainly never left: sending it again does nothing twice.
    """

    def __init__(self, server: str, why: str, *, was_sent: bool = True) -> None:
        super().__init__(f"{server}: {why}")
        self.server = server
        self.why = why
        self.was_sent = was_sent


class SilentServerError(UnreachableError):
    """The server took too long to answer."""


class UntrustedServerError(UnreachableError):
    """Nobody who is trusted vouches for the server's certificate."""


class ForeignAnswerError(UnreachableError):
    """What answered is no AgentPod server: a proxy whose server is down, or somebody else's.

    ``status`` is the HTTP status, ``title`` its words, ``text`` the beginning of what came with it.
    """

    def __init__(self, server: str, status: int, title: str, text: str) -> None:
        super().__init__(server, f"HTTP {status} {title}".rstrip())
        self.status = status
        self.title = self.why
        self.text = text[:_LONGEST_TEXT]


class NotInTimeError(ClientError):
    """What was waited for did not come in time; it goes on by itself. ``last`` is its last word, if it said one."""

    def __init__(self, name: str, timeout: float, last: str = "") -> None:
        super().__init__(f"{name}: not there after {timeout:g} s{last and f' ({last})'}")
        self.name = name
        self.timeout = timeout
        self.last = last


class PodFailedError(ClientError):
    """A pod that was waited for will not become ready by itself: it is blocked, or was stopped meanwhile."""

    def __init__(self, pod: Pod) -> None:
        status = pod["status"]
        super().__init__(f"{pod['tenant']}/{pod['name']} is {status['phase']}: {status['message'] or status['reason']}")
        self.pod = pod


class OperationFailedError(ClientError):
    """A long work that was waited for failed; ``operation["error"]`` says why."""

    def __init__(self, operation: Operation) -> None:
        error = operation["error"]
        super().__init__(f"{operation['kind']} {operation['target']} failed: {error['message'] if error else '?'}")
        self.operation = operation


def is_away(error: ClientError) -> bool:
    """Say whether an error is that of a server which may be back in a moment."""
    if isinstance(error, ApiError):
        return error.status in _AWAY
    return isinstance(error, UnreachableError) and not isinstance(error, UntrustedServerError)
