"""Every route of the REST API in one place."""

from __future__ import annotations

from litestar import Router
from litestar.types import ControllerRouterHandler

from agentpod_server.api import adapters, alerts, events, health, identity, operations, queries, root
from agentpod_server.api.agents import AgentsController, reconcile
from agentpod_server.api.availability import AvailabilityController
from agentpod_server.api.pods import AllPodsController, PodsController
from agentpod_server.api.tenants import TenantsController

PREFIX = "/api/v1"


def routes() -> list[ControllerRouterHandler]:
    """Give the API's router and what stands at the root."""
    api = Router(
        PREFIX,
        guards=[queries.guard],
        route_handlers=[
            TenantsController,
            AllPodsController,
            PodsController,
            AgentsController,
            AvailabilityController,
            health.list_health,
            health.pod_health,
            reconcile,
            adapters.adapters,
            adapters.adapter_,
            adapters.adapter_schema,
            adapters.plugins,
            adapters.images,
            adapters.build_image,
            *alerts.HANDLERS,
            events.events,
            events.events_socket,
            operations.operations,
            operations.operation_,
            identity.login,
            identity.logout,
            identity.whoami,
            identity.tokens,
            identity.create_token,
            identity.revoke_token,
            root.version,
        ],
    )
    return [api, root.healthz, root.readyz, root.metrics]
