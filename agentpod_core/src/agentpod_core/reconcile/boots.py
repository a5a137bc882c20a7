"""Rations starts: an agent that burns processor time while it boots gets a core to itself."""

from __future__ import annotations

from collections.abc import Callable


class Boots:
    """Counts the starts that are under way, at most ``slots`` at once, and tells those who wait when one is over.

    ``freed`` is called with the id of a pod whose turn it is.
    """

    def __init__(self, slots: int, freed: Callable[[str], None]) -> None:
        self._slots = slots
        self._freed = freed
        self._starting: set[str] = set()
        self._waiting: dict[str, None] = {}

    def has_slot(self, pod_id: str) -> bool:
        """Say whether that pod may start now."""
        return pod_id in self._starting or len(self._starting) < self._slots

    def take(self, pod_id: str) -> bool:
        """Take a slot for that pod; False when none is free."""
        if not self.has_slot(pod_id):
            return False
        self._waiting.pop(pod_id, None)
        self._starting.add(pod_id)
        return True

    def wait(self, pod_id: str) -> None:
        """Take note that the pod waits for a slot; who waits longest gets the next one."""
        self._waiting.setdefault(pod_id)

    def release(self, pod_id: str) -> None:
        """Take note that the pod has started, or given up."""
        self._waiting.pop(pod_id, None)
        self._starting.discard(pod_id)
        for waiting in list(self._waiting)[: self._slots - len(self._starting)]:
            # Whoever still wants to start takes the slot, and waits again where it was too late.
            del self._waiting[waiting]
            self._freed(waiting)
