"""``/health`` and ``/tenants/{tenant}/pods/{pod}/health``: how agents are, and how that is found out."""

from __future__ import annotations

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from agentpod_core import Probe, catalogue
from agentpod_core.catalogue import Language
from agentpod_core.observed import Trend
from agentpod_server.api.paging import Cursor, Limit, Tenant
from agentpod_server.api.pods import POD
from agentpod_server.api.problems import reasons
from agentpod_server.api.shapes import HealthView, MemoryView, Page, ProbeView
from agentpod_server.records import Scope
from agentpod_server.services import Services
from agentpod_server.services.health import Health


@get(
    "/health",
    operation_id="list_health",
    opt=reasons("TenantNotFound"),
    summary="List the health of agents",
    tags=("Agents",),
)
async def list_health(  # noqa: PLR0913 - the filters of a listing
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    language: NamedDependency[Language],
    tenant: Tenant = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[HealthView]:
    """Say how the agents of all pods are, by tenant and name."""
    found, following = await services.pods.listing(asking, tenant=tenant, cursor=cursor, limit=limit)
    return Page(items=[health_view(one, language) for one in await services.healths.of(asking, found)], next=following)


@get(f"/tenants{POD}/health", operation_id="get_pod_health", summary="Get an agent's health", tags=("Agents",))
async def pod_health(
    tenant: FromPath[str],
    pod: FromPath[str],
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    language: NamedDependency[Language],
) -> HealthView:
    """Say what the agent's probe last said, how often it is asked, and where its memory is heading."""
    (found,) = await services.healths.of(asking, [await services.pods.get(asking, tenant, pod)])
    return health_view(found, language)


def health_view(health: Health, language: Language) -> HealthView:
    """Show how an agent is."""
    word, probed, trend = health.word, health.probed, health.trend
    return HealthView(
        tenant=health.pod.tenant,
        pod=health.pod.name,
        phase=health.pod.status.phase,
        well=health.is_well,
        alive=word.alive,
        ready=word.ready,
        reason=word.reason,
        message=catalogue.text(word.reason, word.params, language),
        since=word.since,
        probe=None if health.probe is None else _probe_view(health.probe),
        asked_here=health.is_asked_here,
        seconds=probed.result.seconds if probed else None,
        checked_at=word.checked_at,
        next_at=probed.next_at if probed else None,
        failures=probed.failures if probed else None,
        silences=probed.silences if probed else None,
        waited=probed.waited if probed else None,
        memory=None if trend is None else _memory_view(trend),
    )


def _probe_view(probe: Probe) -> ProbeView:
    return ProbeView(
        name=probe.probe,
        interval=probe.interval,
        timeout=probe.timeout,
        failures=probe.failures,
        start_interval=probe.start_interval,
        start_deadline=probe.start_deadline,
    )


def _memory_view(trend: Trend) -> MemoryView:
    return MemoryView(used=trend.memory, limit=trend.limit, growth=round(trend.growth), full_in=trend.full_in)
