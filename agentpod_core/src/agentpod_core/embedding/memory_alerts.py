"""The alerts of the store in memory: at most one is open for each pod, or the platform, reason and subject."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from agentpod_core.values.alerts import AlertChange, Clear, Raise
from agentpod_core.values.status import Severity

OVER_KEPT = 1000
"""So many of those that are over can still be read."""

_replace = msgspec.structs.replace


class KeptAlert(Struct, frozen=True, kw_only=True):
    """An alert as a reader finds it, open or over."""

    tenant: str
    pod: str
    reason: str
    severity: Severity
    subject: str = ""
    params: dict[str, Any] = {}
    is_open: bool = True


class KeptAlerts:
    """Opens and closes alerts; the platform's are those of the pod id that is empty."""

    def __init__(self) -> None:
        self._open: dict[str, dict[tuple[str, str], tuple[int, KeptAlert]]] = {}
        self._over: deque[tuple[int, KeptAlert]] = deque(maxlen=OVER_KEPT)
        self._raised = 0

    def listing(self) -> list[KeptAlert]:
        """Give what is open and what was, in the order in which it was raised."""
        opened = (one for found in self._open.values() for one in found.values())
        return [alert for _, alert in sorted([*self._over, *opened], key=lambda one: one[0])]

    def open_of(self, pod_id: str) -> list[KeptAlert]:
        """Give what is open for a pod, or for the platform."""
        return [alert for _, alert in self._open.get(pod_id, {}).values()]

    def change(self, changes: Sequence[AlertChange], *, tenant: str = "", pod_id: str = "", pod: str = "") -> None:
        """Raise and clear alerts of a pod or, without one, of the platform."""
        for change in changes:
            if isinstance(change, Clear):
                self._end(pod_id, change.reason, change.subject)
            else:
                self._begin(change, tenant, pod_id, pod)

    def end(self, pod_id: str) -> None:
        """Close all alerts of a pod."""
        for one in self.open_of(pod_id):
            self._end(pod_id, one.reason, one.subject)

    def _begin(self, raised: Raise, tenant: str, pod_id: str, pod: str) -> None:
        opened = self._open.setdefault(pod_id, {})
        at = raised.reason, raised.subject
        if at in opened:
            number, known = opened[at]
            opened[at] = number, _replace(known, params=raised.params)
            return
        lesser = [opened.pop(one) for reason in raised.replaces if (one := (reason, raised.subject)) in opened]
        self._over.extend((number, _replace(one, is_open=False)) for number, one in lesser[1:])
        self._raised += 1
        opened[at] = (
            lesser[0][0] if lesser else self._raised,
            KeptAlert(
                tenant=tenant,
                pod=pod,
                reason=raised.reason,
                severity=raised.severity,
                subject=raised.subject,
                params=raised.params,
            ),
        )

    def _end(self, pod_id: str, reason: str, subject: str) -> None:
        opened = self._open.get(pod_id, {})
        if found := opened.pop((reason, subject), None):
            self._over.append((found[0], _replace(found[1], is_open=False)))
        if not opened:
            self._open.pop(pod_id, None)
