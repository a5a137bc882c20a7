"""The operations on pods and their configs."""

from __future__ import annotations

from typing import Unpack, cast

from agentpod_client import bodies, shapes
from agentpod_client.listing import Listing
from agentpod_client.tenants import CREATED, PAGE, By
from agentpod_client.tenants import path_of as tenant_path
from agentpod_client.wire import Wire, part


class Pods(Wire):
    """What is asked of agents."""

    def get_pod_availability(
        self, tenant: str, pod: str, *, by: By = "day", since: str | None = None, until: str | None = None
    ) -> Listing[shapes.Availability]:
        """Say how available a pod was, by day or month."""
        return self._listing(f"{path_of(tenant, pod)}/availability", {"by": by, "since": since, "until": until})

    def get_pod_availability_csv(
        self, tenant: str, pod: str, *, by: By = "day", since: str | None = None, until: str | None = None
    ) -> str:
        """Give the same for a spreadsheet."""
        params = {"by": by, "since": since, "until": until}
        return self._send("GET", f"{path_of(tenant, pod)}/availability.csv", params=params).text

    def list_pods(  # noqa: PLR0913 - the filters of the route
        self,
        *,
        tenant: str | None = None,
        phase: str | None = None,
        adapter: str | None = None,
        search: str | None = None,
        cursor: str | None = None,
        limit: int = PAGE,
    ) -> Listing[shapes.Pod]:
        """List pods of all tenants, by tenant and name."""
        params = {"tenant": tenant, "phase": phase, "adapter": adapter, "search": search, "limit": limit}
        return self._listing("/pods", params, cursor=cursor)

    def list_tenant_pods(  # noqa: PLR0913 - the filters of the route
        self,
        tenant: str,
        *,
        phase: str | None = None,
        adapter: str | None = None,
        search: str | None = None,
        cursor: str | None = None,
        limit: int = PAGE,
    ) -> Listing[shapes.Pod]:
        """List the pods of a tenant, by name."""
        params = {"phase": phase, "adapter": adapter, "search": search, "limit": limit}
        return self._listing(f"{tenant_path(tenant)}/pods", params, cursor=cursor)

    def get_pod(self, tenant: str, pod: str) -> shapes.Pod:
        """Give a pod: what was asked, what is seen, where it is reached."""
        return cast("shapes.Pod", self._json("GET", path_of(tenant, pod)))

    def create_pod(self, tenant: str, /, **body: Unpack[bodies.PodCreate]) -> tuple[shapes.Pod, bool]:
        """Make a pod, and say whether it is new; the same again gives the one that exists."""
        response = self._send("POST", f"{tenant_path(tenant)}/pods", body=body)
        return cast("shapes.Pod", self._content(response)), response.status_code == CREATED

    def update_pod(
        self, tenant: str, pod: str, /, *, generation: int | None = None, **patch: Unpack[bodies.PodPatch]
    ) -> shapes.Pod:
        """Change what is asked of a pod, if it still is the one of that generation; without one, as it is now."""
        path = path_of(tenant, pod)
        headers = {"If-Match": self._etag(path, generation)}
        return cast("shapes.Pod", self._json("PATCH", path, body=patch, headers=headers))

    def start_pod(self, tenant: str, pod: str) -> shapes.Pod:
        """Want a pod to run."""
        return cast("shapes.Pod", self._json("POST", f"{path_of(tenant, pod)}/start"))

    def stop_pod(self, tenant: str, pod: str) -> shapes.Pod:
        """Want a pod to be stopped; its data stays."""
        return cast("shapes.Pod", self._json("POST", f"{path_of(tenant, pod)}/stop"))

    def restart_pod(self, tenant: str, pod: str) -> shapes.Pod:
        """Restart a pod's agent once."""
        return cast("shapes.Pod", self._json("POST", f"{path_of(tenant, pod)}/restart"))

    def rotate_pod_token(self, tenant: str, pod: str) -> shapes.Pod:
        """Make new values for the secrets that AgentPod made for a pod."""
        return cast("shapes.Pod", self._json("POST", f"{path_of(tenant, pod)}/rotate-token"))

    def delete_pod(self, tenant: str, pod: str, *, keep_data: bool = False) -> shapes.Pod:
        """Have a pod removed; ``keep_data`` leaves its volumes. It is gone once nothing of it is left."""
        params = {"keep_data": keep_data or None}
        return cast("shapes.Pod", self._json("DELETE", path_of(tenant, pod), params=params))

    def get_pod_config(self, tenant: str, pod: str) -> shapes.Config:
        """Give a pod's config; secrets that are set read ``{"$secret": true}``."""
        return cast("shapes.Config", self._json("GET", f"{path_of(tenant, pod)}/config"))

    def update_pod_config(
        self, tenant: str, pod: str, /, *, generation: int | None = None, **patch: Unpack[bodies.ConfigWrite]
    ) -> shapes.Config:
        """Lay values over a config, if it still is the one of that generation; without one, as it is now."""
        path = f"{path_of(tenant, pod)}/config"
        headers = {"If-Match": self._etag(path, generation)}
        return cast("shapes.Config", self._json("PATCH", path, body=patch, headers=headers))

    def replace_pod_config(
        self, tenant: str, pod: str, /, *, generation: int, **body: Unpack[bodies.ConfigWrite]
    ) -> shapes.Config:
        """Replace a whole config, if it still is the one of that generation, which is the one that was read."""
        headers = {"If-Match": f'"{generation}"'}
        path = f"{path_of(tenant, pod)}/config"
        return cast("shapes.Config", self._json("PUT", path, body=body, headers=headers))


def path_of(tenant: str, pod: str) -> str:
    """Give the route of a pod."""
    return f"{tenant_path(tenant)}/pods/{part(pod)}"
