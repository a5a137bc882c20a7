"""The operations on tenants."""

from __future__ import annotations

from typing import Literal, Unpack, cast

from agentpod_client import bodies, shapes
from agentpod_client.listing import Listing
from agentpod_client.wire import Wire, part

CREATED = 201
PAGE = 500

By = Literal["day", "month"]


class Tenants(Wire):
    """Customers."""

    def list_tenants(
        self, *, search: str | None = None, cursor: str | None = None, limit: int = PAGE
    ) -> Listing[shapes.Tenant]:
        """List tenants by slug; ``search`` looks into slug, name and e-mail address."""
        return self._listing("/tenants", {"search": search, "limit": limit}, cursor=cursor)

    def get_tenant(self, tenant: str) -> shapes.Tenant:
        """Give a tenant."""
        return cast("shapes.Tenant", self._json("GET", path_of(tenant)))

    def get_tenant_status(self, tenant: str) -> shapes.TenantStatus:
        """Say how a tenant's pods are."""
        return cast("shapes.TenantStatus", self._json("GET", f"{path_of(tenant)}/status"))

    def get_tenant_availability(
        self, tenant: str, *, by: By = "day", since: str | None = None, until: str | None = None
    ) -> Listing[shapes.Availability]:
        """Say how available a tenant's pods were together, by day or month, deleted ones included."""
        return self._listing(f"{path_of(tenant)}/availability", {"by": by, "since": since, "until": until})

    def get_tenant_availability_csv(
        self, tenant: str, *, by: By = "day", since: str | None = None, until: str | None = None
    ) -> str:
        """Give the same for a spreadsheet."""
        params = {"by": by, "since": since, "until": until}
        return self._send("GET", f"{path_of(tenant)}/availability.csv", params=params).text

    def create_tenant(self, **body: Unpack[bodies.TenantCreate]) -> tuple[shapes.Tenant, bool]:
        """Make a tenant, and say whether it is new; the same again gives the one that exists."""
        response = self._send("POST", "/tenants", body=body)
        return cast("shapes.Tenant", self._content(response)), response.status_code == CREATED

    def update_tenant(
        self, tenant: str, /, *, generation: int | None = None, **patch: Unpack[bodies.TenantPatch]
    ) -> shapes.Tenant:
        """Change a tenant, if it still is the one of that generation; without one, as it is now."""
        path = path_of(tenant)
        headers = {"If-Match": self._etag(path, generation)}
        return cast("shapes.Tenant", self._json("PATCH", path, body=patch, headers=headers))

    def start_tenant(self, tenant: str) -> shapes.Tenant:
        """Let those of a tenant's pods run that are wanted to."""
        return cast("shapes.Tenant", self._json("POST", f"{path_of(tenant)}/start"))

    def stop_tenant(self, tenant: str) -> shapes.Tenant:
        """Stop all pods of a tenant; their data stays."""
        return cast("shapes.Tenant", self._json("POST", f"{path_of(tenant)}/stop"))

    def delete_tenant(self, tenant: str, *, cascade: bool = False, keep_data: bool = False) -> shapes.Tenant:
        """Have a tenant removed, with its pods when ``cascade``; ``keep_data`` leaves their volumes."""
        params = {"cascade": cascade or None, "keep_data": keep_data or None}
        return cast("shapes.Tenant", self._json("DELETE", path_of(tenant), params=params))


def path_of(tenant: str) -> str:
    """Give the route of a tenant."""
    return f"/tenants/{part(tenant)}"
