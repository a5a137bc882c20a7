"""Configs as operators give them, one for each thing that is rendered differently."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import jsonschema
import pytest

from agentpod_core import SecretRef
from agentpod_openclaw import OpenClawConfig
from agentpod_openclaw.config import DirectMessages, Provider, Telegram

HERE = Path(__file__).parent
KEY = SecretRef(key="support/api_key")
BOT = SecretRef(key="support/telegram.bot_token")

CONFIGS = {
    "compatible": OpenClawConfig(
        provider=Provider.COMPATIBLE,
        model="scripted-1",
        base_url="http://model-acme:8080/v1",
        agent_name="Ada ✓",
        soul="You are Ada.\n",
        openai_api=True,
    ),
    "anthropic-telegram": OpenClawConfig(
        provider=Provider.ANTHROPIC,
        model="claude-sonnet-4-5",
        api_key=KEY,
        heartbeat="2h",
        telegram=Telegram(
            bot_token=BOT, dm_policy=DirectMessages.ALLOWLIST, allow_from=("12345",), api_root="http://10.0.0.1:8081"
        ),
    ),
    "google-telegram-open": OpenClawConfig(
        provider=Provider.GOOGLE,
        model="gemini-2.5-pro",
        api_key=KEY,
        telegram=Telegram(bot_token=BOT, dm_policy=DirectMessages.OPEN, allow_from=("12345",)),
    ),
    "deepseek": OpenClawConfig(provider=Provider.DEEPSEEK, model="deepseek-chat", api_key=KEY),
    "openrouter": OpenClawConfig(provider=Provider.OPENROUTER, model="anthropic/claude-sonnet-4.5", api_key=KEY),
    "openai-elsewhere": OpenClawConfig(
        provider=Provider.OPENAI, model="gpt-5-mini", api_key=KEY, base_url="https://llm.example.com/v1"
    ),
}


@pytest.fixture(scope="session")
def samples():
    """Give the configs by name."""
    return CONFIGS


@pytest.fixture(params=sorted(CONFIGS))
def case(request):
    """Give the name of each config in turn."""
    return request.param


@pytest.fixture(scope="session")
def accepts():
    """Give OpenClaw's own judgement of a configuration: what its exported schema finds wrong."""
    text = lzma.decompress((HERE / "openclaw-2026.9.6.schema.json.xz").read_bytes())
    validator = jsonschema.Draft7Validator(json.loads(text))
    return lambda config: [f"{error.json_path}: {error.message}" for error in validator.iter_errors(config)]
