"""How a line of the log looks: text for people, or one JSON object, with what it was written in the course of.

The facts of a request or a pass travel by context variable, so that every line has them, whoever writes it. Secrets
are taken out by the streams (``output``), of JSON as of text.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, Literal

NOISY: Final = ("asyncio", "httpcore", "httpx", "piccolo", "urllib3", "uvicorn.error", "websockets")
"""Libraries that tell more than an operator wants to know, below a warning."""

_PLAIN: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_FACTS: ContextVar[Mapping[str, str]] = ContextVar("agentpod_log_facts", default=MappingProxyType({}))


@contextmanager
def telling(facts: Mapping[str, str]) -> Iterator[None]:
    """Put facts on every line that is logged in the course of the block, beside those that it has already."""
    token = _FACTS.set({**_FACTS.get(), **facts})
    try:
        yield
    finally:
        _FACTS.reset(token)


def begin(level: str, form: Literal["text", "json"]) -> None:
    """Send what this process logs from that level on to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine() if form == "json" else TextLine(_PLAIN))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.captureWarnings(capture=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


class TextLine(logging.Formatter):
    """The message, and behind it the facts as ``name=value``."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name for it
        """Give the line without a traceback."""
        facts = "".join(f" {name}={_quoted(value)}" for name, value in _FACTS.get().items())
        return super().formatMessage(record) + facts


class JsonLine(logging.Formatter):
    """One object a line: time, level, logger and message, the facts, and a traceback as ``error``."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_FACTS.get(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        # As the redactor expects it: it knows a secret as ``json`` writes it.
        return json.dumps(line, ensure_ascii=False)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if not value or any(one in value for one in ' "=') else value
