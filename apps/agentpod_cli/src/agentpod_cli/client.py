"""The API, typed: one method per route of ``/api/v1``. It neither prints nor decides: commands do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote

from agentpod_cli import shapes
from agentpod_cli.wire import Wire, content, given

NEWEST = 100
CREATED = 201


class Client(Wire):
    """Talks to one server as one user. Every method raises CliError: ServerError when it was refused."""

    # ------------------------------------------------------------------------------------- tenants

    def tenants(self) -> list[shapes.Tenant]:
        """List the tenants."""
        return cast("list[shapes.Tenant]", self.all_items("/tenants"))

    def tenant(self, tenant: str) -> shapes.Tenant:
        """Give one tenant."""
        return cast("shapes.Tenant", self.json("GET", _tenant(tenant)))

    def tenant_status(self, tenant: str) -> shapes.TenantStatus:
        """Say how a tenant's pods are."""
        return cast("shapes.TenantStatus", self.json("GET", f"{_tenant(tenant)}/status"))

    def create_tenant(self, body: Mapping[str, Any]) -> tuple[shapes.Tenant, bool]:
        """Make a tenant, and say whether it is new; the same again gives the one that exists."""
        response = self.send("POST", "/tenants", body=body)
        return cast("shapes.Tenant", content(response)), response.status_code == CREATED

    def update_tenant(self, tenant: str, patch: Mapping[str, Any]) -> shapes.Tenant:
        """Change a tenant as it is now."""
        path = _tenant(tenant)
        return cast("shapes.Tenant", self.json("PATCH", path, body=patch, if_match=self.etag(path)))

    def act_on_tenant(self, tenant: str, verb: str) -> None:
        """Start or stop all pods of a tenant."""
        self.send("POST", f"{_tenant(tenant)}/{verb}")

    def delete_tenant(self, tenant: str, *, cascade: bool) -> None:
        """Have a tenant removed; with its pods when ``cascade``."""
        self.send("DELETE", _tenant(tenant), params={"cascade": "true"} if cascade else None)

    # ---------------------------------------------------------------------------------------- pods

    def pods(self, *, tenant: str | None = None, phase: str | None = None) -> list[shapes.Pod]:
        """List pods, of all tenants or of one."""
        return cast("list[shapes.Pod]", self.all_items("/pods", {"tenant": tenant, "phase": phase}))

    def pod(self, tenant: str, pod: str) -> shapes.Pod:
        """Give one pod."""
        return cast("shapes.Pod", self.json("GET", _pod(tenant, pod)))

    def create_pod(self, tenant: str, body: Mapping[str, Any]) -> shapes.Pod:
        """Make a pod; the same again gives the one that exists."""
        return cast("shapes.Pod", self.json("POST", f"{_tenant(tenant)}/pods", body=body))

    def act_on_pod(self, tenant: str, pod: str, verb: str) -> None:
        """Start, stop or restart a pod."""
        self.send("POST", f"{_pod(tenant, pod)}/{verb}")

    def delete_pod(self, tenant: str, pod: str, *, keep_data: bool) -> None:
        """Have a pod removed; its volumes stay when ``keep_data``."""
        self.send("DELETE", _pod(tenant, pod), params={"keep_data": "true"} if keep_data else None)

    def pod_health(self, tenant: str, pod: str) -> shapes.Health:
        """Give a pod's last probe."""
        return cast("shapes.Health", self.json("GET", f"{_pod(tenant, pod)}/health"))

    def pod_stats(self, tenant: str, pod: str, *, timeout: float | None = None) -> shapes.Stats:
        """Say what a pod uses right now."""
        return cast("shapes.Stats", self.json("GET", f"{_pod(tenant, pod)}/stats", timeout=timeout))

    def logs_path(self, tenant: str, pod: str) -> str:
        """Name the route of a pod's output, for those who follow it."""
        return f"{_pod(tenant, pod)}/logs"

    def log_lines(self, path: str, *, tail: int | None) -> Iterator[str]:
        """Give the lines that an agent has written so far."""
        with self.lines(path, params={"tail": tail}, headers={"Accept": "text/plain"}, silence=60.0) as lines:
            yield from lines

    def open_pod(self, tenant: str, pod: str) -> shapes.Door:
        """Make a way in for a browser."""
        return cast("shapes.Door", self.json("POST", f"{_pod(tenant, pod)}/open"))

    def pod_config(self, tenant: str, pod: str) -> shapes.Config:
        """Give a pod's config."""
        return cast("shapes.Config", self.json("GET", f"{_pod(tenant, pod)}/config"))

    def patch_config(self, tenant: str, pod: str, body: Mapping[str, Any]) -> shapes.Config:
        """Lay values over a pod's config as it is now."""
        path = f"{_pod(tenant, pod)}/config"
        return cast("shapes.Config", self.json("PATCH", path, body=body, if_match=self.etag(path)))

    def replace_config(self, tenant: str, pod: str, config: Mapping[str, Any], *, generation: int) -> shapes.Config:
        """Replace a pod's config, if it still is the one of that generation."""
        path = f"{_pod(tenant, pod)}/config"
        return cast("shapes.Config", self.json("PUT", path, body={"config": config}, if_match=f'"{generation}"'))

    # ------------------------------------------------------------------- adapters, plugins, images

    def adapters(self) -> list[shapes.Adapter]:
        """List the kinds of agents."""
        return cast("list[shapes.Adapter]", self.all_items("/adapters"))

    def adapter(self, adapter: str) -> shapes.Adapter:
        """Give one kind of agent."""
        return cast("shapes.Adapter", self.json("GET", f"/adapters/{_part(adapter)}"))

    def adapter_schema(self, adapter: str) -> dict[str, Any]:
        """Give the JSON Schema of an adapter's config."""
        return cast("dict[str, Any]", self.json("GET", f"/adapters/{_part(adapter)}/schema"))

    def plugins(self) -> list[shapes.Plugin]:
        """List the plugins that were found."""
        return cast("list[shapes.Plugin]", self.all_items("/plugins"))

    def images(self) -> list[shapes.Image]:
        """List the images that the engine has."""
        return cast("list[shapes.Image]", self.all_items("/images"))

    def build_image(self, adapter: str) -> shapes.Operation:
        """Begin to build an adapter's image; the answer is the operation to follow."""
        return cast("shapes.Operation", self.json("POST", "/images", body={"adapter": adapter}))

    def operation(self, operation: str) -> shapes.Operation:
        """Say how far a long work is."""
        return cast("shapes.Operation", self.json("GET", f"/operations/{_part(operation)}"))

    # -------------------------------------------------------------------------------------- engine

    def reconcile(self, tenant: str | None, pod: str | None, *, dry_run: bool) -> shapes.Reconciled:
        """Have pods looked at now, or only say what would be done."""
        body = {"tenant": tenant, "pod": pod, "dry_run": dry_run}
        return cast("shapes.Reconciled", self.json("POST", "/reconcile", body=given(body)))

    def events(
        self, *, tenant: str | None = None, pod: str | None = None, after: int | None = None
    ) -> list[shapes.Event]:
        """List the events after a number, or else the newest ones; oldest first."""
        params = {"tenant": tenant, "pod": pod, "after": after, "limit": NEWEST if after is None else None}
        return cast("list[shapes.Event]", self.all_items("/events", params))

    # -------------------------------------------------------------------------------------- server

    def ready(self) -> shapes.Ready:
        """Say whether the server can do its work; also when it answers 503."""
        return cast("shapes.Ready", self.json("GET", "/readyz", root=True, accept=(503,)))

    def version(self) -> shapes.Version:
        """Say which server this is."""
        return cast("shapes.Version", self.json("GET", "/version"))

    def login(self, user: str, password: str, token_name: str) -> shapes.Login:
        """Have an API token made for a user's name and password."""
        body = {"user": user, "password": password, "token_name": token_name}
        return cast("shapes.Login", self.json("POST", "/login", body=body))

    def whoami(self) -> shapes.Who:
        """Say who is asking."""
        return cast("shapes.Who", self.json("GET", "/whoami"))


def _part(text: str) -> str:
    return quote(text, safe="")


def _tenant(tenant: str) -> str:
    return f"/tenants/{_part(tenant)}"


def _pod(tenant: str, pod: str) -> str:
    return f"{_tenant(tenant)}/pods/{_part(pod)}"
