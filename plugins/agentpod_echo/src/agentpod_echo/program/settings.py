"""Reads what AgentPod wrote for the agent: two config files and the secret files."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import Any

REFUSED = 78
"""The exit code for a config that no restart mends (EX_CONFIG)."""


class Refused(Exception):  # noqa: N818 - what happened, not what kind of thing it is
    """The config cannot be used; the text says why."""


class Live:
    """The file that is read anew each time: a change of it needs no restart."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._greeting = str(_object(path).get("greeting", ""))

    def greeting(self) -> str:
        """Read the greeting; while the file is being replaced, the last one holds."""
        try:
            self._greeting = str(_object(self._path).get("greeting", ""))
        except Refused as refusal:
            sys.stderr.write(f"the last greeting holds: {refusal}\n")
        return self._greeting


@dataclass(frozen=True)
class Settings:
    """What was read at the start, and the part that may change while the agent runs."""

    live: Live
    token: str
    api_key: str | None
    channel: str
    model: str
    reply: str
    script: tuple[tuple[str, str], ...]
    boot_seconds: float
    boot_burn: float

    def greeting(self) -> str:
        """Give the greeting as it stands now."""
        return self.live.greeting()


def read(folder: str, secrets: str) -> Settings:
    """Read everything.

    Raises:
        Refused: a file is missing, is no JSON, or lacks a field.
    """
    raw = _object(f"{folder}/config.json")
    try:
        return Settings(
            live=Live(f"{folder}/live.json"),
            token=_secret(f"{secrets}/token"),
            api_key=_secret(f"{secrets}/api_key") if raw.get("api_key") else None,
            channel=str(raw["channel"]),
            model=str(raw["model"]),
            reply=str(raw["reply"]),
            script=tuple((str(line["when"]), str(line["reply"])) for line in raw["script"]),
            boot_seconds=float(raw["boot"]["seconds"]),
            boot_burn=float(raw["boot"]["burn"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"{folder}/config.json: {type(error).__name__}: {error}") from error


def _object(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - no pathlib, it costs start time
            value = json.load(file)
    except (OSError, ValueError) as error:
        raise Refused(f"{path}: {error}") from error
    if not isinstance(value, dict):
        raise Refused(f"{path}: no JSON object")
    return value


def _secret(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            value = file.read().strip()
    except OSError as error:
        raise Refused(f"{path}: {os.strerror(error.errno or 0)}") from error
    if not value:
        raise Refused(f"{path}: empty")
    return value
