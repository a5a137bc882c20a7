"""``/tenants/{tenant}/pods/{pod}/…``: looking at one running agent."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from litestar import Controller, MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from agentpod_core import ConfigError, NotFoundError, Problem
from agentpod_core.catalogue import Language
from agentpod_server.api import streams, views
from agentpod_server.api.bodies import StrictBody
from agentpod_server.api.paging import After, Cursor, Limit
from agentpod_server.api.pods import POD
from agentpod_server.api.problems import reasons
from agentpod_server.api.shapes import (
    DoorView,
    EventView,
    Page,
    PlanView,
    ReconcileRequest,
    ReconcileView,
    StatsView,
    StatusView,
)
from agentpod_server.records import Scope
from agentpod_server.services import Services, usage
from agentpod_server.services.identity import Caller


class AgentsController(Controller):
    """What one pod's agent does."""

    path = "/tenants"
    tags = ("Agents",)

    @get(f"{POD}/status", operation_id="get_pod_status", summary="Get a pod's status")
    async def status(
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
    ) -> StatusView:
        """Say what is seen of a pod, and how available it was."""
        found = await services.pods.get(asking, tenant, pod)
        return views.pod_status_view(found, language, await services.availability.pod_summary(asking, found))

    @get(
        f"{POD}/stats",
        operation_id="get_pod_stats",
        opt=reasons("BadPeriod", "EngineUnreachable"),
        summary="Measure a pod",
    )
    async def stats(
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        since: Annotated[
            str | None,
            QueryParameter(pattern=usage.SPAN, description="With the history of so long: `45m`, `24h`, `30d`."),
        ] = None,
    ) -> StatsView:
        """Measure what a pod uses right now; with ``since`` also say what it used until now, for up to 35 days."""
        found = await services.pods.get(asking, tenant, pod)
        past = await services.usage.past(asking, found, None if since is None else usage.span(since))
        return views.stats_view(await services.agents.usage(found), past)

    @get(
        f"{POD}/logs",
        operation_id="get_pod_logs",
        opt=reasons("PodHasNoContainer", "EngineUnreachable"),
        summary="Read a pod's output",
        media_type=MediaType.TEXT,
        responses={200: ResponseSpec(str, description="Lines of text.", media_type=MediaType.TEXT)},
    )
    async def logs(  # noqa: PLR0913 - what reading takes
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        services: NamedDependency[Services],
        caller: NamedDependency[Caller],
        asking: NamedDependency[Scope],
        tail: Annotated[int | None, QueryParameter(ge=0, le=100_000, description="Only so many last lines.")] = None,
        follow: Annotated[bool, QueryParameter(description="Go on until the container ends.")] = False,  # noqa: FBT002
        since: Annotated[datetime | None, QueryParameter(description="Only lines from then on.")] = None,
    ) -> Stream:
        """Read the output of a pod's container; with ``follow`` the answer ends when the container does.

        It also ends within 15 seconds once its token is worthless.
        """
        found = await services.pods.get(asking, tenant, pod)
        lines = await services.agents.logs(found, tail=tail, follow=follow, since=since)
        return Stream(
            streams.while_welcome(services, caller, lambda is_over: streams.text_lines(lines, is_over)),
            media_type=MediaType.TEXT,
            headers=streams.UNBUFFERED,
        )

    @get(f"{POD}/events", operation_id="list_pod_events", summary="List a pod's events")
    async def events(  # noqa: PLR0913 - the filters of a listing
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
        after: After = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[EventView]:
        """List what happened to a pod, oldest first; without ``after`` the newest ``limit``."""
        found, following = await services.events.listing(
            asking, after=after, tenant=tenant, pod=pod, cursor=cursor, limit=limit
        )
        return Page(items=[views.event_view(one, language) for one in found], next=following)

    @get(f"{POD}/plan", operation_id="get_pod_plan", opt=reasons("EngineUnreachable"), summary="Get a pod's plan")
    async def plan(
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
    ) -> PlanView:
        """Say what a pass would do for a pod now, and do nothing."""
        found = await services.pods.get(asking, tenant, pod)
        plan = await services.agents.plan(found)
        if plan is None:
            raise NotFoundError("PodNotFound", tenant=tenant, pod=pod)
        return views.plan_view(found, plan, language)

    @post(
        f"{POD}/open",
        operation_id="open_pod",
        opt=reasons("PodNotRouted", "PodIsStopped", "PodNotRunning", "PluginFailed"),
        summary="Open a pod in a browser",
        status_code=200,
    )
    async def open(
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
    ) -> Response[DoorView]:
        """Give the address at which a browser gets in; where the agent has a door, a link that works once."""
        door = await services.agents.open(await services.pods.get(asking, tenant, pod))
        return Response(DoorView(url=door.url, expires_at=door.expires_at))


@post(
    "/reconcile",
    operation_id="reconcile",
    opt=reasons("TenantNotFound", "PodNotFound", "EngineUnreachable"),
    summary="Look at pods now",
    status_code=200,
    responses={202: ResponseSpec(ReconcileView, description="Passes were asked for; the operation tells when.")},
    tags=("Agents",),
    dto=StrictBody[ReconcileRequest],
    return_dto=None,
)
async def reconcile(
    data: JSONBody[ReconcileRequest],
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    language: NamedDependency[Language],
) -> Response[ReconcileView]:
    """Ask for a pass over the pods that are named, or say with ``dry_run`` what it would do.

    The passes are an operation: whichever process leads has them. It succeeds once they have ended, or no pass has
    ended for 30 seconds. Its result says how many of the ``passes`` have ``ended``, and names as ``unfinished`` what
    the engine is still at: pods, networks of tenants by the tenant, and ``routes``; at most 100 of them.
    """
    if data.pod is not None and data.tenant is None:
        problem = Problem(
            path="$.tenant", reason="MissingField", params={"field": "tenant"}, message="tenant is missing"
        )
        raise ConfigError([problem], reason="InvalidRequest")
    chosen = await services.agents.chosen(asking, tenant=data.tenant, pod=data.pod)
    if not data.dry_run:
        asked = await services.passes.ask(asking, tenant=data.tenant, pod=data.pod)
        services.runner.wake()
        operation = views.operation_view(asked, language)
        answer = ReconcileView(dry_run=False, passes=len(chosen), items=[], operation=operation)
        return Response(answer, status_code=202, headers={"Location": f"/api/v1/operations/{asked.id}"})
    plans = [(pod, await services.agents.plan(pod)) for pod in chosen]
    items = [views.plan_view(pod, plan, language) for pod, plan in plans if plan is not None]
    return Response(ReconcileView(dry_run=True, passes=len(items), items=items))
