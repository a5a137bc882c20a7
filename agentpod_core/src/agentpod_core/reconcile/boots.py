"""Rations starts: an agent that burns much processor time while it boots gets a core to itself."""

from __future__ import annotations

from collections.abc import Callable

WHOLE = 10.0
"""A start that burns so many seconds of processor time has a whole core; a lighter one has its part of it."""


class Boots:
    """Weighs the starts that are under way, ``slots`` cores' worth at once, and tells those who wait when one is over.

    ``freed`` is called with the id of a pod whose turn it is.
    """

    def __init__(self, slots: int, freed: Callable[[str], None]) -> None:
        self._slots = slots
        self._freed = freed
        self._starting: dict[str, float] = {}
        self._waiting: dict[str, float] = {}

    def has_slot(self, pod_id: str, cost: float) -> bool:
        """Say whether that pod, whose start burns so many seconds of processor time, may start now."""
        return pod_id in self._starting or self._has_room(_weight(cost), self._load())

    def take(self, pod_id: str, cost: float) -> bool:
        """Take a slot for that pod; False when there is no room for it."""
        if not self.has_slot(pod_id, cost):
            return False
        self._waiting.pop(pod_id, None)
        self._starting[pod_id] = _weight(cost)
        return True

    def wait(self, pod_id: str, cost: float) -> None:
        """Take note that the pod waits for a slot; who waits longest gets the next one."""
        self._waiting.setdefault(pod_id, _weight(cost))

    def release(self, pod_id: str) -> None:
        """Take note that the pod has started, or given up."""
        self._waiting.pop(pod_id, None)
        self._starting.pop(pod_id, None)
        load = self._load()
        for waiting, weight in list(self._waiting.items()):
            if not self._has_room(weight, load):
                return
            load += weight
            # Whoever still wants to start takes the slot, and waits again where it was too late.
            del self._waiting[waiting]
            self._freed(waiting)

    def _load(self) -> float:
        return sum(self._starting.values())

    def _has_room(self, weight: float, load: float) -> bool:
        # Sums of parts are a little off what they should be.
        return load + weight <= self._slots + 1e-6


def _weight(cost: float) -> float:
    return min(max(cost, 0.0) / WHOLE, 1.0)
