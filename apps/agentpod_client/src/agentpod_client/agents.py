"""The operations that look at one running agent, and the look at all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Unpack, cast

from agentpod_client import bodies, shapes
from agentpod_client.listing import Listing
from agentpod_client.pods import path_of
from agentpod_client.tenants import PAGE
from agentpod_client.wire import Wire

_LOGS_SILENCE = 60.0


class Agents(Wire):
    """What agents do."""

    def get_pod_status(self, tenant: str, pod: str) -> shapes.PodStatus:
        """Say what is seen of a pod."""
        return cast("shapes.PodStatus", self._json("GET", f"{path_of(tenant, pod)}/status"))

    def get_pod_health(self, tenant: str, pod: str) -> shapes.Health:
        """Say how a pod's agent is."""
        return cast("shapes.Health", self._json("GET", f"{path_of(tenant, pod)}/health"))

    def list_health(
        self, *, tenant: str | None = None, cursor: str | None = None, limit: int = PAGE
    ) -> Listing[shapes.Health]:
        """Say how the agents of all pods are, by tenant and name."""
        return self._listing("/health", {"tenant": tenant, "limit": limit}, cursor=cursor)

    def get_pod_stats(self, tenant: str, pod: str, *, since: str | None = None) -> shapes.Stats:
        """Measure what a pod uses right now; ``since`` (``45m``, ``24h``, ``30d``) adds what it used until now."""
        return cast("shapes.Stats", self._json("GET", f"{path_of(tenant, pod)}/stats", params={"since": since}))

    def get_pod_logs(
        self, tenant: str, pod: str, *, tail: int | None = None, follow: bool = False, since: str | None = None
    ) -> Iterator[str]:
        """Give the lines of a pod's container; with ``follow`` they end when the container does."""
        params = {"tail": tail, "follow": follow or None, "since": since}
        silence = None if follow else _LOGS_SILENCE
        headers = {"Accept": "text/plain"}
        with self._stream(f"{path_of(tenant, pod)}/logs", params=params, headers=headers, silence=silence) as stream:
            yield from stream.lines

    def list_pod_events(
        self, tenant: str, pod: str, *, after: int | None = None, cursor: str | None = None, limit: int = PAGE
    ) -> Listing[shapes.Event]:
        """List a pod's events after a number, or else the newest ``limit``; oldest first."""
        params = {"after": after, "limit": limit}
        return self._listing(f"{path_of(tenant, pod)}/events", params, cursor=cursor)

    def get_pod_plan(self, tenant: str, pod: str) -> shapes.Plan:
        """Say what a pass would do for a pod now."""
        return cast("shapes.Plan", self._json("GET", f"{path_of(tenant, pod)}/plan"))

    def open_pod(self, tenant: str, pod: str) -> shapes.Door:
        """Make a way in for a browser; where the agent has a door, a link that works once."""
        return cast("shapes.Door", self._json("POST", f"{path_of(tenant, pod)}/open"))

    def reconcile(self, **body: Unpack[bodies.ReconcileRequest]) -> shapes.Reconciled:
        """Have pods looked at now, or only say what would be done."""
        return cast("shapes.Reconciled", self._json("POST", "/reconcile", body=body))
