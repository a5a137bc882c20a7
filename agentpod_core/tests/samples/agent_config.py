"""A config with something of everything that a schema can say, for tests of what becomes of its values."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from agentpod_core import schema
from agentpod_core.values.workload import SecretRef

STRICT = {"frozen": True, "kw_only": True, "forbid_unknown_fields": True}
HUNTER = "hunter2-very-secret"


class Telegram(Struct, tag="telegram", tag_field="kind", **STRICT):
    token: SecretRef
    chats: tuple[int, ...] = ()


class WebChat(Struct, tag="web", tag_field="kind", **STRICT):
    greeting: str = "Hello"
    port: Annotated[int, Meta(ge=1, le=65535)] = 80


class Config(Struct, **STRICT):
    model: str
    api_key: SecretRef | None = None
    workers: Annotated[int, Meta(ge=1, le=16)] = 2
    ratio: float | None = None
    is_loud: bool = False
    level: Literal["low", "high"] = "low"
    retries: Literal[1, 2, 3] = 1
    tags: tuple[str, ...] = ()
    channels: tuple[Telegram | WebChat, ...] = ()
    env: dict[str, str] = {}
    keys: dict[str, SecretRef] = {}
    raw: dict[str, Any] = {}
    either: int | str | None = None
    pair: tuple[int, str] = (0, "")
    nickname: str | None = None

    def __post_init__(self) -> None:
        if self.model == "forbidden":
            msg = "this model is not for sale"
            raise ValueError(msg)


PUBLISHED = schema.json_schema(Config)
REF = {"key": "k", "store": "postgres", "version": 3}

GOOD = {"model": "m", "channels": [{"kind": "telegram", "token": "t"}], "keys": {"A": "x"}}

STORED = {
    "model": "m",
    "api_key": {"key": "api", "store": "postgres", "version": 1},
    "channels": [
        {"kind": "telegram", "token": {"key": "one", "store": "postgres", "version": 1}, "chats": [1]},
        {"kind": "web"},
        {"kind": "telegram", "token": {"key": "two", "store": "postgres", "version": 1}, "chats": [2]},
    ],
}


def tokens(value):
    """Name the secrets of the channels."""
    return [channel["token"]["key"] for channel in value["channels"] if "token" in channel]
