"""Rations starts: an agent that burns much processor time while it boots gets a core to itself."""

from __future__ import annotations

from collections.abc import Callable

WHOLE = 10.0
"""A start that burns so many seconds of processor time has a whole core; a lighter one has its part of it."""


class Boots:
    """Weighs the starts that are under way, ``slots`` cores' worth at once, and tells those who wait when one is over.

    ``freed`` is called with the id of a pod whose turn it is. Its slot is kept for it until it takes it, waits again,
    or lets go of it.
    """

    def __init__(self, slots: int, freed: Callable[[str], None]) -> None:
        self._slots = slots
        self._freed = freed
        self._starting: dict[str, float] = {}
        self._promised: dict[str, float] = {}
        self._waiting: dict[str, float] = {}

    def has_slot(self, pod_id: str, cost: float) -> bool:
        """Say whether that pod, whose start burns so many seconds of processor time, may start now."""
        if pod_id in self._starting or pod_id in self._promised:
            return True
        is_first = next(iter(self._waiting), pod_id) == pod_id
        return is_first and self._has_room(_weight(cost))

    def take(self, pod_id: str, cost: float) -> bool:
        """Take a slot for that pod; False when there is none for it."""
        if not self.has_slot(pod_id, cost):
            return False
        self._waiting.pop(pod_id, None)
        self._promised.pop(pod_id, None)
        self._starting[pod_id] = _weight(cost)
        return True

    def wait(self, pod_id: str, cost: float) -> None:
        """Take note that the pod waits for a slot; who waits longest gets the next one."""
        self._promised.pop(pod_id, None)
        self._waiting.setdefault(pod_id, _weight(cost))
        # One may have come free since the look by which there was none.
        self._hand_on()

    def release(self, pod_id: str) -> None:
        """Take note that the pod has started, or given up."""
        held = [one.pop(pod_id, None) for one in (self._starting, self._promised, self._waiting)]
        if any(weight is not None for weight in held):
            self._hand_on()

    def forgo(self, pod_id: str) -> None:
        """Take note that the pod could not come for the slot that is kept for it; what it has taken it keeps."""
        if self._promised.pop(pod_id, None) is not None:
            self._hand_on()

    def _hand_on(self) -> None:
        while self._waiting:
            first, weight = next(iter(self._waiting.items()))
            if not self._has_room(weight):
                return
            del self._waiting[first]
            self._promised[first] = weight
            self._freed(first)

    def _has_room(self, weight: float) -> bool:
        load = sum(self._starting.values()) + sum(self._promised.values())
        # Sums of parts are a little off what they should be.
        return load + weight <= self._slots + 1e-6


def _weight(cost: float) -> float:
    return min(max(cost, 0.0) / WHOLE, 1.0)
