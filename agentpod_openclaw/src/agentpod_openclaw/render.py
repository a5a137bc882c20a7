"""Writes ``openclaw.json``: the part of OpenClaw's configuration that AgentPod answers for.

Facts are from OpenClaw 2026.9.6 and its own documents (gateway/config-gateway.md,
gateway/secrets/secretref-contract.md, gateway/embedding.md). The schema is strict: an unknown key
keeps the gateway from starting, so nothing goes in here that was not tried.
"""

from __future__ import annotations

import json
from typing import Any

from agentpod_core import SECRETS_PATH, Pod, SecretRef
from agentpod_openclaw.config import DirectMessages, OpenClawConfig, Provider
from agentpod_openclaw.gateway import TOKEN

PORT = 18789
BROWSER_PORT = PORT + 2
FIRST_CDP_PORT, LAST_CDP_PORT = PORT + 11, PORT + 110
"""The port family as OpenClaw derives it from the gateway's port; only the gateway's is ever reached from outside."""

STATE = "/home/node/.openclaw"
CONFIG_FILE = f"{STATE}/openclaw.json"
WORKSPACE = f"{STATE}/workspace"
SECRETS_FILE = f"{SECRETS_PATH}/openclaw.json"
STORE = "agentpod"
MODEL_PROVIDER = "platform"

_ADDRESSES = {Provider.DEEPSEEK: "https://api.deepseek.com/v1"}
"""Providers that speak OpenAI's dialect and have no plugin in OpenClaw's package."""

SMALL_HEAP = "--max-old-space-size=448 --max-semi-space-size=4"
"""Node's options in a small pod: what is left of 1 GiB is code, threads and SQLite."""

_CONTEXT_WINDOW = 128_000
_MAX_TOKENS = 8_192


def secrets_of(config: OpenClawConfig, pod: Pod) -> dict[str, SecretRef]:
    """Name the secrets that this pod's gateway reads from its secrets file."""
    found: dict[str, SecretRef | None] = {
        "gateway_token": pod.secrets[TOKEN],
        "api_key": config.api_key,
        "telegram_bot_token": config.telegram.bot_token if config.telegram else None,
    }
    return {name: ref for name, ref in found.items() if ref is not None}


def secrets_parts(secrets: dict[str, SecretRef]) -> tuple[str | SecretRef, ...]:
    """Write the secrets file as JSON, with references where the values will be."""
    parts: list[str | SecretRef] = []
    for name, ref in secrets.items():
        parts += [f"{',' if parts else '{'}{json.dumps(name)}:", ref]
    return (*parts, "}\n")


def gateway_config(config: OpenClawConfig, pod: Pod, *, is_trimmed: bool) -> dict[str, Any]:
    """Render the whole configuration. ``is_trimmed`` leaves out what a small pod has no memory for."""
    rendered: dict[str, Any] = {
        "gateway": {
            "mode": "local",
            "bind": "lan",
            "port": PORT,
            "auth": {"mode": "token", "token": _ref("gateway_token")},
            "trustedProxies": [pod.gateway],
            "controlUi": {"allowedOrigins": list(pod.origins)},
            # On by default, and a shell of the container in every browser that is let in.
            "terminal": {"enabled": False},
            "http": {"endpoints": {"chatCompletions": {"enabled": config.openai_api}}},
        },
        "secrets": {"providers": {STORE: {"source": "file", "path": SECRETS_FILE, "mode": "json"}}},
        "plugins": {"entries": {"admin-http-rpc": {"enabled": True}}},
        "agents": {
            "defaults": {
                "workspace": WORKSPACE,
                "model": {"primary": f"{_provider_id(config)}/{config.model}"},
                "heartbeat": {"every": config.heartbeat},
            }
        },
        "models": {"mode": "merge", "providers": {_provider_id(config): _provider(config)}},
    }
    if config.telegram:
        rendered["channels"] = {"telegram": _telegram(config)}
    if is_trimmed:
        rendered["plugins"]["allow"] = _needed_plugins(config)
        rendered["plugins"]["slots"] = {"memory": "none"}
        rendered["browser"] = {"enabled": False}
        rendered["cron"] = {"enabled": False}
    return rendered


_MANAGED = (
    ("gateway",),
    ("secrets", "providers", STORE),
    ("plugins", "allow"),
    ("plugins", "slots"),
    ("plugins", "entries", "admin-http-rpc"),
    ("agents", "defaults", "workspace"),
    ("agents", "defaults", "model"),
    ("agents", "defaults", "heartbeat"),
    ("models", "mode"),
    ("models", "providers"),
    ("channels", "telegram"),
    ("browser", "enabled"),
    ("cron", "enabled"),
)
"""What AgentPod answers for, whole: what it no longer renders goes; everything beside it stays."""


def merged(current: bytes, wanted: bytes) -> bytes:
    """Put the managed part of a wanted configuration into the file as the agent has it now.

    A file that is no JSON (a hand edit with comments), or too deep to be anybody's configuration, is replaced:
    OpenClaw strips comments on its own writes too.
    """
    try:
        return _merged(current, wanted)
    except (ValueError, RecursionError):
        return wanted


def _merged(current: bytes, wanted: bytes) -> bytes:
    theirs, ours = json.loads(current), json.loads(wanted)
    if not isinstance(theirs, dict):
        return wanted
    for path in _MANAGED:
        place: Any = theirs
        for key in path[:-1]:
            place = place.get(key) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place.pop(path[-1], None)
    return (json.dumps(_over(theirs, ours), indent=2) + "\n").encode()


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay one object over another, in the order of the upper one, so that equal content is equal text."""
    upper = {
        key: _over(below[key], value) if isinstance(value, dict) and isinstance(below.get(key), dict) else value
        for key, value in above.items()
    }
    return upper | {key: value for key, value in below.items() if key not in above}


def _ref(name: str) -> dict[str, str]:
    return {"source": "file", "provider": STORE, "id": f"/{name}"}


def _provider_id(config: OpenClawConfig) -> str:
    return MODEL_PROVIDER if config.provider is Provider.COMPATIBLE else config.provider.value


def _provider(config: OpenClawConfig) -> dict[str, Any]:
    key: Any = _ref("api_key") if config.api_key else "none"
    address = config.base_url or _ADDRESSES.get(config.provider)
    if config.provider is not Provider.COMPATIBLE and config.provider not in _ADDRESSES:
        return {"apiKey": key, **({"baseUrl": address} if address else {})}
    model = {
        "id": config.model,
        "name": config.model,
        "reasoning": False,
        "input": ["text"],
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        "contextWindow": _CONTEXT_WINDOW,
        "maxTokens": _MAX_TOKENS,
    }
    return {"baseUrl": address, "apiKey": key, "api": "openai-completions", "models": [model]}


def _telegram(config: OpenClawConfig) -> dict[str, Any]:
    telegram = config.telegram
    if telegram is None:
        return {}
    rendered: dict[str, Any] = {
        "enabled": True,
        "botToken": _ref("telegram_bot_token"),
        "dmPolicy": telegram.dm_policy.value,
    }
    # OpenClaw takes "open" only where the list says so too.
    everybody = ("*",) if telegram.dm_policy is DirectMessages.OPEN and "*" not in telegram.allow_from else ()
    if allowed := [*telegram.allow_from, *everybody]:
        rendered["allowFrom"] = allowed
    if telegram.api_root:
        rendered["apiRoot"] = telegram.api_root
    return rendered


def _needed_plugins(config: OpenClawConfig) -> list[str]:
    provider = "openai" if config.provider in {Provider.COMPATIBLE, *_ADDRESSES} else config.provider.value
    return ["admin-http-rpc", provider, *(["telegram"] if config.telegram else [])]
