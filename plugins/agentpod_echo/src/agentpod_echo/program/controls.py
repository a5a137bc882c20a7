"""What tests turn: end, hang, burn and eat, on demand."""

from __future__ import annotations

import asyncio
import os
import time

from .server import Request, Response, answer

SLICE = 0.02
"""Seconds of work between two looks at the loop, so that a busy agent still answers and stops."""


async def burn(seconds: float) -> None:
    """Use that much processor time."""
    used = time.process_time
    end = used() + seconds
    while used() < end:
        pause = min(end, used() + SLICE)
        while used() < pause:
            pass
        await asyncio.sleep(0)


class Controls:
    """Answers ``POST /admin/*``; whoever calls has shown the token."""

    def __init__(self) -> None:
        self._eaten: list[bytearray] = []
        self._burning: set[asyncio.Task[None]] = set()

    def obey(self, what: str, request: Request) -> Response:
        """Do what the last part of the path says."""
        body = request.json()
        if what == "exit":
            code = int(body.get("code", 1))
            return Response(status=202, then=lambda: os._exit(code))
        if what == "hang":
            # Blocks the loop: alive, answering nothing, deaf to SIGTERM. That is how agents hang.
            seconds = float(body.get("seconds", 86400))
            return Response(status=202, then=lambda: time.sleep(seconds))
        if what == "burn":
            task = asyncio.get_running_loop().create_task(burn(float(body.get("seconds", 1))))
            self._burning.add(task)
            task.add_done_callback(self._burning.discard)
            return Response(status=202)
        if what == "memory":
            # Written, not only asked for: untouched pages cost nothing.
            self._eaten.append(bytearray(b"\1") * int(body.get("bytes", 0)))
            return answer({"eaten": sum(map(len, self._eaten))}, 202)
        return answer({"error": "no such control"}, 404)
