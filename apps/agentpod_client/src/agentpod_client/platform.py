"""The operations on adapters, plugins, images, long work, events and the server itself."""

from __future__ import annotations

from typing import Any, Unpack, cast

from agentpod_client import bodies, shapes
from agentpod_client.listing import Listing
from agentpod_client.tenants import PAGE
from agentpod_client.wire import Wire, part

_NOT_READY = 503


class Platform(Wire):
    """What can be run, and what happens."""

    def list_adapters(self) -> Listing[shapes.Adapter]:
        """List the kinds of agents."""
        return self._listing("/adapters", {})

    def get_adapter(self, adapter: str) -> shapes.Adapter:
        """Describe one kind of agent."""
        return cast("shapes.Adapter", self._json("GET", f"/adapters/{part(adapter)}"))

    def get_adapter_schema(self, adapter: str) -> dict[str, Any]:
        """Give the JSON Schema of an adapter's config."""
        return cast("dict[str, Any]", self._json("GET", f"/adapters/{part(adapter)}/schema"))

    def list_plugins(self) -> Listing[shapes.Plugin]:
        """List the plugins that were found, those that were left out too."""
        return self._listing("/plugins", {})

    def list_images(self) -> Listing[shapes.Image]:
        """List the images that the engine has."""
        return self._listing("/images", {})

    def build_image(self, **body: Unpack[bodies.ImageBuild]) -> shapes.Operation:
        """Begin to build an adapter's image; ``wait_operation`` follows the answer."""
        return cast("shapes.Operation", self._json("POST", "/images", body=body))

    def list_operations(
        self, *, kind: str | None = None, status: str | None = None, cursor: str | None = None, limit: int = PAGE
    ) -> Listing[shapes.Operation]:
        """List long work, the newest first."""
        return self._listing("/operations", {"kind": kind, "status": status, "limit": limit}, cursor=cursor)

    def get_operation(self, operation: str) -> shapes.Operation:
        """Say how far a long work is."""
        return cast("shapes.Operation", self._json("GET", f"/operations/{part(operation)}"))

    def list_events(
        self,
        *,
        after: int | None = None,
        tenant: str | None = None,
        pod: str | None = None,
        cursor: str | None = None,
        limit: int = PAGE,
    ) -> Listing[shapes.Event]:
        """List the events after a number, or else the newest ``limit``; oldest first."""
        params = {"after": after, "tenant": tenant, "pod": pod, "limit": limit}
        return self._listing("/events", params, cursor=cursor)

    def get_version(self) -> shapes.Version:
        """Say which server this is."""
        return cast("shapes.Version", self._json("GET", "/version"))

    def get_readiness(self) -> shapes.Ready:
        """Say whether the server can do its work, part by part; a server that cannot is no error."""
        return cast("shapes.Ready", self._json("GET", "/readyz", is_root=True, accept=(_NOT_READY,)))
