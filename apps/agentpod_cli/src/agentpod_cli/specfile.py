"""Reads a pod's spec from YAML or JSON: what ``pod create -f`` takes, and what ``pod get -o yaml`` wrote.

Only the shape is read here; whether the values are right is the server's to say, with all
problems at once.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentpod_cli.errors import CliError
from agentpod_cli.exits import Exit

_READ_BACK = ("adapter", "config", "subdomain", "image", "size", "memory", "cpus", "wanted")
"""What of a pod that was read can be asked for again; counters and generations cannot."""


def read_spec(source: str) -> dict[str, Any]:
    """Read the file of that name (``-`` is standard input) and give the body of a request.

    Raises:
        CliError: it cannot be read, is neither YAML nor JSON, or is no object.
    """
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8"
        raise CliError("SpecUnreadable", Exit.USAGE, path=source, why=why) from None
    return body_of(read_object(text, source))


def read_object(text: str, source: str) -> dict[str, Any]:
    """Read YAML, of which JSON is a part; the error names the place and quotes nothing.

    Raises:
        CliError: it is neither, or no object.
    """
    import yaml  # noqa: PLC0415 - only files need it

    try:
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{mark.line + 1}:{mark.column + 1}" if mark else "?"
        raise CliError("SpecNotYaml", Exit.USAGE, path=source, place=place, why=error.problem) from None
    except yaml.YAMLError:
        raise CliError("SpecNotYaml", Exit.USAGE, path=source, place="?", why="unreadable character") from None
    if not isinstance(content, dict):
        raise CliError("SpecNotObject", Exit.USAGE, path=source)
    return content


def body_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """Give the request's body for a spec, or for a whole pod as it was read."""
    spec = content.get("spec")
    if not isinstance(spec, Mapping):
        return dict(content)
    body = {key: spec[key] for key in _READ_BACK if spec.get(key) is not None}
    # The marks stand for secrets of the pod that was read; a new pod has to be given its own.
    body["config"] = without_secrets(dict(body.get("config") or {}))
    tenant, name = content.get("tenant"), content.get("name")
    if body.get("subdomain") == (tenant if name == "main" else f"{name}-{tenant}"):
        # It follows from the names; a copy under another name has another one.
        del body["subdomain"]
    return {key: content[key] for key in ("tenant", "name") if key in content} | body


def without_secrets(value: Any) -> Any:
    """Leave out every ``{"$secret": true}`` and what is empty without it."""
    if isinstance(value, Mapping):
        kept = {key: without_secrets(part) for key, part in value.items() if not is_mark(part)}
        return {key: part for key, part in kept.items() if part != {} or value[key] == {}}
    if isinstance(value, list):
        return [without_secrets(part) for part in value if not is_mark(part)]
    return value


def is_mark(value: Any) -> bool:
    """Say whether a value stands for a secret that is set and not shown."""
    return isinstance(value, Mapping) and set(value) == {"$secret"}
