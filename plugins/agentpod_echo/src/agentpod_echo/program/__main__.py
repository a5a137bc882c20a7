"""Starts the agent: reads its settings, serves, and ends at SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from .agent import run
from .memory import Memory
from .settings import REFUSED, Refused, read


async def main() -> None:
    """Run until a signal comes."""
    # Before anything slow: a stop must be heard from the first moment.
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    where = os.environ.get
    settings = read(where("ECHO_CONFIG", "/etc/echo"), where("ECHO_SECRETS", "/run/agentpod/secrets"))
    memory = Memory(where("ECHO_DATA", "/data"))
    await run(settings, memory, where("ECHO_HOST", "0.0.0.0"), int(where("ECHO_PORT", "8080")), stopping)  # noqa: S104


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except Refused as refusal:
        sys.stderr.write(f"config refused: {refusal}\n")
        sys.exit(REFUSED)
