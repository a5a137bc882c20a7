"""Measures containers. The engine takes a second for each look, so processor time is compared between looks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from msgspec import Struct

from agentpod_core import Usage
from agentpod_docker.engine import Engine, Refused
from agentpod_docker.reading import moment

_STALE = 60.0


class Sample(Struct, frozen=True, kw_only=True):
    """Processor time, in nanoseconds, that a container had used at a moment."""

    at: datetime
    used: int


class Meter:
    """Remembers the last sample of each container, so that the next look needs only one."""

    def __init__(self) -> None:
        self._last: dict[str, Sample] = {}

    async def measure(self, engine: Engine, container: str, limit: int | None) -> Usage | None:
        """Measure one container that runs; None when it has just ended."""
        before = self._last.get(container)
        params: dict[str, Any] = {"stream": False} | ({"one-shot": True} if before else {})
        try:
            raw = await engine.json("GET", f"containers/{container}/stats", params=params)
        except Refused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                return None
            raise refused.as_error() from None
        memory, now = raw["memory_stats"], sample(raw, "")
        if "usage" not in memory or now is None:
            self._last.pop(container, None)
            return None
        if before is None or now.used < before.used or (now.at - before.at).total_seconds() > _STALE:
            before = sample(raw, "pre") or before
        self._last[container] = now
        self._forget(now.at)
        networks = (raw.get("networks") or {}).values()
        return Usage(
            cpu=millicores(before, now),
            memory=_memory(memory),
            limit=limit,
            pids=(raw.get("pids_stats") or {}).get("current"),
            rx=sum(one["rx_bytes"] for one in networks),
            tx=sum(one["tx_bytes"] for one in networks),
        )

    def _forget(self, now: datetime) -> None:
        """Drop containers that nobody has asked about for long."""
        for container, last in list(self._last.items()):
            if (now - last.at).total_seconds() > _STALE * 10:
                del self._last[container]


def sample(raw: Mapping[str, Any], which: str) -> Sample | None:
    """Read one of the two samples in an answer: "" is the present one, "pre" the one before."""
    at = moment(raw.get(f"{which}read"))
    used = raw[f"{which}cpu_stats"]["cpu_usage"].get("total_usage")
    return None if at is None or used is None else Sample(at=at, used=used)


def millicores(before: Sample | None, now: Sample) -> int:
    """Give the use between two samples."""
    if before is None or now.at <= before.at:
        return 0
    return max(0, round((now.used - before.used) / (now.at - before.at).total_seconds() / 1_000_000))


def _memory(stats: Mapping[str, Any]) -> int:
    details = stats.get("stats") or {}
    # The page cache that can be dropped is nobody's need: the first name is of cgroup v1, the second of v2.
    spare = details.get("total_inactive_file", details.get("inactive_file", 0))
    used: int = stats["usage"]
    return used - spare if spare < used else used
