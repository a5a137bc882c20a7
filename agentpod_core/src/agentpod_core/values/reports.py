"""What probes and adapters report about a running agent, and what notifiers pass on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from agentpod_core.values.status import Severity


class ProbeResult(Struct, frozen=True, kw_only=True):
    """One answer to "are you well?".

    ``alive`` is whether the agent answered at all, ``ready`` whether it can do its work.
    ``reason`` is a slug of the catalogue; ``seconds`` how long the answer took.
    """

    alive: bool
    ready: bool
    reason: str
    params: dict[str, Any] = {}
    seconds: float = 0.0


class ChannelReport(Struct, frozen=True, kw_only=True):
    """One channel of an agent: None where the agent does not say."""

    name: str
    configured: bool
    connected: bool | None = None
    detail: str = ""


class AgentReport(Struct, frozen=True, kw_only=True):
    """What an agent says of itself; None and empty where it does not say."""

    version: str | None = None
    model: str | None = None
    model_ready: bool | None = None
    model_reason: str = ""
    channels: tuple[ChannelReport, ...] = ()
    sessions: int | None = None


class TokenUsage(Struct, frozen=True, kw_only=True):
    """Tokens and cost of one day; ``cost`` is in micro-USD."""

    day: str
    input_tokens: int
    output_tokens: int
    cost: int


class Repair(Struct, frozen=True, kw_only=True):
    """What to do about an exit code: a reason of the catalogue, and a command to try once."""

    reason: str
    command: tuple[str, ...] | None = None


class Door(Struct, frozen=True, kw_only=True):
    """A one-time way in for a browser: a path with fragment below the pod's origin."""

    path: str
    expires_at: datetime


class Alert(Struct, frozen=True, kw_only=True):
    """One message about something that a person should know, with its words in that person's language.

    ``id`` names the message and stays the same at every try to deliver it, so that a receiver can drop
    doubles; ``alert_id`` names what it is about and is the same when it is over (``recovered``).
    ``title`` is a line that names the pod and what is wrong, ``text`` says it in sentences, ``url`` is the
    page to look at. ``tenant`` and ``pod`` are empty where it is about the platform.

    One with ``alerts`` stands for these, several that are told at once: its ``text`` names them line by line, the
    worst first, its ``severity`` is the worst among them, and it is over only where all of them are.
    """

    id: str
    alert_id: str
    reason: str
    severity: Severity
    tenant: str
    pod: str
    at: datetime
    title: str
    text: str
    url: str | None = None
    params: dict[str, Any] = {}
    recovered: bool = False
    alerts: tuple[Alert, ...] = ()
