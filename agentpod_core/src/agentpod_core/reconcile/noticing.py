"""Keeps what a leader heard and cannot see again: outages of the engine, kills for want of memory, doubles."""

from __future__ import annotations

from datetime import datetime

from agentpod_core.values.names import container_name
from agentpod_core.values.world import EngineEvent, World


class Notes:
    """What was heard of one instance's containers.

    ``away`` is since when and until when the engine was gone the last time; None while it was not. ``since`` is since
    when anybody listens.
    """

    def __init__(self, instance: str, since: datetime | None = None) -> None:
        self.since = since
        self.away: tuple[datetime, datetime] | None = None
        self._instance = instance
        self._kills: dict[str, datetime] = {}
        self._doubled: set[str] = set()

    def heard(self, event: EngineEvent, now: datetime) -> None:
        """Take note of an event that came just now."""
        if event.since is not None:
            self.away = event.since, event.at or now
        if event.kind == "oom" and event.pod_id:
            self._kills[event.pod_id] = now
        if event.kind == "start" and event.pod_id and event.name and not self._is_own(event.name, event.pod_id):
            self._doubled.add(event.pod_id)

    def looked(self, world: World) -> None:
        """Take note of what a look at everything showed."""
        self._doubled = {one.pod_id for one in world.containers if not self._is_own(one.name, one.pod_id)}

    def doubt(self, pod_id: str) -> None:
        """Take a pod for one that may have a second container, for want of having listened."""
        self._doubled.add(pod_id)

    def forget(self, pod_id: str) -> None:
        """Drop what was heard of a pod that is gone."""
        self._kills.pop(pod_id, None)
        self._doubled.discard(pod_id)

    def oom_at(self, pod_id: str) -> datetime | None:
        """Say when it was last heard that a process of that pod was killed for want of memory."""
        return self._kills.get(pod_id)

    def is_doubled(self, pod_id: str) -> bool:
        """Say whether a container of another name carries that pod's id."""
        return pod_id in self._doubled

    def _is_own(self, name: str, pod_id: str) -> bool:
        return name == container_name(self._instance, pod_id)
