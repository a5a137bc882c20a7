"""Rations starts: an agent that burns processor time while it boots gets a core to itself."""

from __future__ import annotations


class Boots:
    """Counts the starts that are under way; at most ``slots`` at once."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._starting: set[str] = set()

    def has_slot(self, pod_id: str) -> bool:
        """Say whether that pod may start now."""
        return pod_id in self._starting or len(self._starting) < self._slots

    def take(self, pod_id: str) -> bool:
        """Take a slot for that pod; False when none is free."""
        if not self.has_slot(pod_id):
            return False
        self._starting.add(pod_id)
        return True

    def release(self, pod_id: str) -> None:
        """Take note that the pod has started, or given up."""
        self._starting.discard(pod_id)
