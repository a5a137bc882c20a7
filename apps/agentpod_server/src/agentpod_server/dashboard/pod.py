"""One pod: its verdict, conditions, address, events, and the form that changes it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from agentpod_core import AgentAdapter, AgentPodError, NotFoundError, catalogue
from agentpod_core.catalogue import Language
from agentpod_server import forms
from agentpod_server.api import views
from agentpod_server.api.shapes import PlanView
from agentpod_server.dashboard import pages, podforms, shown
from agentpod_server.dashboard.pages import Anything
from agentpod_server.dashboard.pods import pod_of
from agentpod_server.records import PodRecord, Scope
from agentpod_server.services import Services
from agentpod_server.services.render import resources_of

EVENTS = 30
PLAN_SECONDS = 3.0
_DONE = frozenset({"made", "there", "saved", "unchanged", "restart", "start", "stop", "delete"})


class PodPage(Controller):
    """A pod's own page and its live part."""

    path = "/pods/{ref:str}"

    @get()
    async def show(  # noqa: PLR0913 - what a page needs
        self,
        request: Anything,
        ref: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
        done: FromQuery[str] = "",
    ) -> Response[Any]:
        """Show the pod."""
        found = await pod_of(services, asking, ref)
        return await _page(request, services, asking, language, found, done=done if done in _DONE else "")

    @get("/live")
    async def live(
        self,
        request: Anything,
        ref: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
    ) -> Response[Any]:
        """Give the part that changes by itself; for a pod that is gone, say so."""
        try:
            found = await pod_of(services, asking, ref, "live")
        except NotFoundError:
            return pages.page(request, "_pod_gone.html")
        facts = await _live_facts(services, asking, language, found)
        return pages.page(request, "_pod_live.html", **facts)

    @get("/config")
    async def no_config_page(
        self, ref: FromPath[str], services: NamedDependency[Services], asking: NamedDependency[Scope]
    ) -> Response[Any]:
        """Lead to the page that has the form."""
        found = await pod_of(services, asking, ref, "config")
        return pages.go(f"/dashboard/pods/{found.id}#config")

    @post("/config")
    async def change(
        self,
        request: Anything,
        ref: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
    ) -> Response[Any]:
        """Change what is asked of the pod, or show what is wrong with it, each thing at its field."""
        posted = forms.posted_of((await request.form()).multi_items())
        found = await pod_of(services, asking, ref)
        kind = services.offers.adapter(found.spec.adapter)
        expected = forms.number(forms.last(posted, "generation") or "") or 0
        try:
            _, config = services.pods.config_of(found)
            asked = podforms.asked(kind, posted, config, found)
            after = await services.specs.update(asking, found.tenant, found.name, expected={expected}, asked=asked)
        except AgentPodError as error:
            return await _page(request, services, asking, language, found, posted=posted, error=error)
        done = "saved" if after.generation != found.generation else "unchanged"
        return pages.go(f"/dashboard/pods/{found.id}?done={done}")


async def _page(  # noqa: PLR0913 - what a page needs
    request: Anything,
    services: Services,
    asking: Scope,
    language: Language,
    pod: PodRecord,
    *,
    done: str = "",
    posted: forms.Posted | None = None,
    error: AgentPodError | None = None,
) -> Response[Any]:
    since = datetime.now(UTC)
    facts = await _live_facts(services, asking, language, pod)
    form, why_not, raw = _form(services, language, pod, posted, error)
    generation = (forms.last(posted, "generation") if posted else None) or pod.generation
    return pages.page(
        request,
        "pod.html",
        status=podforms.status_of(error) if error else 200,
        targets=facts["pod"].urls,
        form=form,
        why_not=why_not,
        raw=raw,
        generation=generation,
        is_stale=error is not None and error.reason == "GenerationMismatch",
        done=done,
        since=since,
        **facts,
    )


def _form(
    services: Services, language: Language, pod: PodRecord, posted: forms.Posted | None, error: AgentPodError | None
) -> tuple[podforms.PodForm | None, str, str]:
    """Draw the form; without its adapter there is none, but a reason and the config as it is."""
    try:
        kind: AgentAdapter[Any] = services.offers.adapter(pod.spec.adapter)
        _, config = services.pods.config_of(pod)
        return podforms.filled(kind, language, pod, config, posted=posted, error=error), "", ""
    except AgentPodError as missing:
        _, config = services.pods.config_of(pod) if services.offers.find_adapter(pod.spec.adapter) is None else (0, {})
        raw = msgspec.json.format(msgspec.json.encode(config), indent=2).decode()
        return None, catalogue.text(missing.reason, missing.params, language), raw


async def _plan(services: Services, pod: PodRecord, language: Language) -> PlanView | None:
    """Say what a pass would do now; None while the engine cannot be asked."""
    try:
        async with asyncio.timeout(PLAN_SECONDS):
            found = await services.agents.plan(pod)
    except (AgentPodError, TimeoutError):
        # Why it cannot be asked stands in the conditions.
        return None
    return None if found is None else views.plan_view(pod, found, language)


async def _live_facts(services: Services, asking: Scope, language: Language, pod: PodRecord) -> dict[str, Any]:
    events, _ = await services.events.listing(asking, tenant=pod.tenant, pod=pod.name, limit=EVENTS)
    kind = services.offers.find_adapter(pod.spec.adapter)
    size, limits = resources_of(kind, pod.spec) if kind else (pod.spec.size, None)
    plan = await _plan(services, pod, language)
    return {
        "pod": shown.shown_pod(services, pod, language),
        "availability": await services.availability.pod_summary(asking, pod),
        "plan": plan,
        "conditions": views.pod_status_view(pod, language).conditions,
        "events": [shown.shown_event(one, language) for one in reversed(events)],
        "after": events[-1].seq if events else 0,
        "kind_title": kind.title if kind else pod.spec.adapter,
        "size": size,
        "limits": limits,
    }
