"""Every error AgentPod raises on purpose: a stable reason and the facts that belong to it.

Text is made at read time from the catalogue (``agentpod_core.catalogue``), so that one error reads in
the reader's language. Nothing here knows HTTP or exit codes; the catalogue maps reasons to them.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Problem(Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a value somebody gave.

    ``path`` is a JSONPath from the document's root (``$.channels[0].token``; ``$`` is the whole).
    ``reason`` and ``params`` are looked up in the catalogue; ``message`` is the English fallback
    and never holds a secret value.
    """

    path: str
    message: str
    reason: str = "InvalidField"
    params: dict[str, Any] = {}


class AgentPodError(Exception):
    """Base of all errors: ``reason`` is a CamelCase slug of the catalogue, ``params`` fill its text.

    ``params`` are shown to users: no secret value, ever. ``detail`` is for the log only.
    """

    def __init__(self, reason: str, *, detail: str | None = None, **params: Any) -> None:
        self.reason = reason
        self.params = params
        self.detail = detail
        super().__init__(reason)

    def __str__(self) -> str:
        facts = ", ".join(f"{key}={value!r}" for key, value in sorted(self.params.items()))
        text = f"{self.reason}({facts})"
        return f"{text}: {self.detail}" if self.detail else text


class PluginError(AgentPodError):
    """A plugin could not be loaded or broke its contract."""


class ConfigError(AgentPodError):
    """A value is wrong; ``problems`` lists everything wrong with it, never just the first."""

    def __init__(self, problems: list[Problem], reason: str = "InvalidConfig", **params: Any) -> None:
        super().__init__(reason, **params)
        self.problems = problems

    def __str__(self) -> str:
        return f"{super().__str__()}: " + "; ".join(f"{p.path}: {p.message}" for p in self.problems)


class TemporaryError(AgentPodError):
    """Trying again may help; ``retry_after`` is in seconds, None leaves the pace to the caller."""

    def __init__(
        self, reason: str, *, retry_after: float | None = None, detail: str | None = None, **params: Any
    ) -> None:
        super().__init__(reason, detail=detail, **params)
        self.retry_after = retry_after


class PermanentError(AgentPodError):
    """Trying again is useless until the spec changes."""


class ConflictError(AgentPodError):
    """Somebody else was first: a generation moved on, a name or an address is taken."""


class NotFoundError(AgentPodError):
    """The thing that was named does not exist (or not for this caller)."""
