"""The first page: how many pods are how, what is wrong now, and what happened last."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency

from agentpod_core.catalogue import Language
from agentpod_core.host import PluginState
from agentpod_core.values.status import Phase
from agentpod_server.dashboard import pages, shown
from agentpod_server.dashboard.pages import Anything
from agentpod_server.records import Scope
from agentpod_server.services import Services

_MOST_TROUBLED = 50
_MOST_ALERTS = 50
_EVENTS = 15
_TROUBLED_PLUGINS = frozenset({PluginState.PARTLY, PluginState.FAILED, PluginState.MISSING})


@get("/")
async def overview(
    request: Anything,
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    language: NamedDependency[Language],
) -> Response[Any]:
    """Show the overview."""
    counts = await services.pods.phases(asking)
    troubled: list[shown.ShownPod] = []
    for phase in shown.TROUBLED:
        if counts.get(phase):
            found, _ = await services.pods.listing(asking, phase=phase, limit=_MOST_TROUBLED)
            troubled += [shown.shown_pod(services, one, language) for one in found]
    alerts, _ = await services.alerts.listing(asking, is_open=True, limit=_MOST_ALERTS)
    refs = {one.ref for one in troubled}
    events, _ = await services.events.listing(asking, limit=_EVENTS)
    some_tenants, _ = await services.tenants.listing(asking, limit=1)
    return pages.page(
        request,
        "overview.html",
        counts=[(phase, counts.get(phase, 0), shown.TONES[phase]) for phase in Phase if counts.get(phase)],
        total=sum(counts.values()),
        running=counts.get(Phase.RUNNING, 0),
        wrong=sum(counts.get(phase, 0) for phase in shown.TROUBLED),
        troubled=troubled,
        alerts=[one for one in (shown.shown_alert(alert, language) for alert in alerts) if one.ref not in refs],
        events=[shown.shown_event(one, language) for one in reversed(events)],
        has_tenants=bool(some_tenants),
        failed_plugins=[one for one in await services.plugins.listing() if one.state in _TROUBLED_PLUGINS],
        after=events[-1].seq if events else 0,
    )
