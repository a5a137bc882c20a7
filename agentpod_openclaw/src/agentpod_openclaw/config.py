"""What an operator says about an OpenClaw pod; forms, API and ``--set`` are made from this."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from agentpod_core import Problem, SecretRef

HttpUrl = Annotated[str, Meta(pattern=r"^https?://[^\s/]+[^\s]*$", max_length=500)]


class Provider(StrEnum):
    """Who answers as the language model."""

    ANTHROPIC = "anthropic"
    OPENAI = "openai"
    GOOGLE = "google"
    DEEPSEEK = "deepseek"
    OPENROUTER = "openrouter"
    COMPATIBLE = "openai-compatible"


class DirectMessages(StrEnum):
    """Who may write to the bot directly."""

    PAIRING = "pairing"
    ALLOWLIST = "allowlist"
    OPEN = "open"
    DISABLED = "disabled"


class Telegram(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Telegram bot. Make one with @BotFather, which also gives its token."""

    bot_token: Annotated[SecretRef, Meta(title="Bot token", description="As @BotFather gave it: 123456:ABC…")]
    dm_policy: Annotated[
        DirectMessages,
        Meta(title="Direct messages", description="Who may write to the bot: paired people, a list, everybody."),
    ] = DirectMessages.PAIRING
    allow_from: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^(\*|[0-9]{1,20})$")], ...],
        Meta(title="Allowed people", description="Numeric Telegram user ids.", max_length=500),
    ] = ()
    api_root: Annotated[
        HttpUrl | None,
        Meta(
            title="Bot API address",
            description="Only for a Bot API server of your own.",
            extra_json_schema={"x-agentpod-advanced": True},
        ),
    ] = None


class OpenClawConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An OpenClaw agent: who it is, which model it thinks with, and where it can be talked to."""

    provider: Annotated[Provider, Meta(title="Model provider")]
    model: Annotated[
        str,
        Meta(
            title="Model",
            description="The provider's own name for it.",
            examples=["claude-sonnet-4-5", "gpt-5-mini", "deepseek-chat"],
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$",
        ),
    ]
    api_key: Annotated[
        SecretRef | None,
        Meta(title="API key", description="Left empty only for a compatible server that asks for none."),
    ] = None
    base_url: Annotated[
        HttpUrl | None,
        Meta(
            title="Server address",
            description="Of an OpenAI-compatible server, with its version path.",
            examples=["https://llm.example.com/v1"],
        ),
    ] = None
    agent_name: Annotated[str, Meta(title="Name", description="What the agent calls itself.", max_length=80)] = ""
    soul: Annotated[
        str,
        Meta(
            title="Identity (SOUL.md)",
            description="Who the agent is and how it behaves. Seeds the agent; what it made of it later is kept.",
            max_length=100_000,
            extra_json_schema={"x-agentpod-multiline": True},
        ),
    ] = ""
    telegram: Annotated[
        Telegram | None, Meta(title="Telegram", extra_json_schema={"x-agentpod-channel": "telegram"})
    ] = None
    openai_api: Annotated[
        bool,
        Meta(
            title="OpenAI-compatible API",
            description="Serve /v1/chat/completions at the pod's address, for holders of its token.",
        ),
    ] = False
    heartbeat: Annotated[
        str,
        Meta(
            title="Heartbeat",
            description="How often the agent thinks by itself, which costs model calls: 30m, 2h. 0m is never.",
            pattern=r"^[0-9]{1,4}[smhd]$",
            extra_json_schema={"x-agentpod-advanced": True},
        ),
    ] = "0m"

    def problems(self) -> list[Problem]:
        """List what the schema cannot say."""
        found = []
        is_compatible = self.provider is Provider.COMPATIBLE
        if is_compatible and not self.base_url:
            found.append(_problem("$.base_url", "OpenClawBaseUrlMissing", "is needed for an OpenAI-compatible server"))
        if not is_compatible and self.api_key is None:
            found.append(_problem("$.api_key", "OpenClawApiKeyMissing", f"is needed for {self.provider.value}"))
        telegram = self.telegram
        if telegram and telegram.dm_policy is DirectMessages.ALLOWLIST and not telegram.allow_from:
            found.append(_problem("$.telegram.allow_from", "OpenClawAllowlistEmpty", "must name somebody"))
        return found


def _problem(path: str, reason: str, message: str) -> Problem:
    return Problem(path=path, reason=reason, message=message)
