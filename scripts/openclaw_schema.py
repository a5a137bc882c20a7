"""Shrinks OpenClaw's exported configuration schema to what a test needs, for a new version of OpenClaw.

Usage: docker run --rm IMAGE openclaw config schema | python scripts/openclaw_schema.py FILE.json.xz
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path
from typing import Any

WORDS = {"title", "description", "examples", "default", "deprecated"}
NAMES = {"properties", "patternProperties", "definitions", "$defs"}


def without_words(schema: Any) -> Any:
    """Leave out what decides nothing; a property with a default need not be written."""
    if isinstance(schema, list):
        return [without_words(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: {name: without_words(one) for name, one in value.items()} if key in NAMES else without_words(value)
        for key, value in schema.items()
        if key not in WORDS
    }
    if "required" in kept:
        properties = schema.get("properties", {})
        kept["required"] = [name for name in kept["required"] if "default" not in properties.get(name, {})]
    return kept


if __name__ == "__main__":
    text = json.dumps(without_words(json.load(sys.stdin)), separators=(",", ":"))
    Path(sys.argv[1]).write_bytes(lzma.compress(text.encode(), preset=9))
