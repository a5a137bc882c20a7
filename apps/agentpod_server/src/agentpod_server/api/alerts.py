"""``/alerts``, ``/notifiers`` and ``/notifier-kinds``: what a person should know, and how they are told."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from litestar import Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter

from agentpod_core import Severity
from agentpod_core.catalogue import Language
from agentpod_server.alert_records import AlertState, TargetRecord
from agentpod_server.api import alert_views as views
from agentpod_server.api.auth import ADMIN
from agentpod_server.api.bodies import StrictBody
from agentpod_server.api.paging import Cursor, Limit, Pod, Tenant
from agentpod_server.api.preconditions import etag
from agentpod_server.api.problems import reasons
from agentpod_server.api.shapes import (
    AlertView,
    NotifierCreate,
    NotifierDeliveryView,
    NotifierKindView,
    NotifierPatch,
    NotifierTestView,
    NotifierView,
    Page,
    SilenceCreate,
    SilenceView,
)
from agentpod_server.records import Scope
from agentpod_server.services import Services
from agentpod_server.services.alerts import Asked, Change
from agentpod_server.services.config import Given

_ALERTS, _NOTIFIERS = ("Alerts",), ("Notifiers",)

InState = Annotated[AlertState | None, QueryParameter(description="Only alerts that are open, or closed.")]
AtLeast = Annotated[Severity | None, QueryParameter(description="Only alerts that are this severe or more.")]
OfTenant = Annotated[
    str | None, QueryParameter(max_length=80, description="The tenant that it belongs to; none is the platform.")
]


@get("/alerts", operation_id="list_alerts", summary="List alerts", tags=_ALERTS)
async def alerts(  # noqa: PLR0913 - the filters of a listing
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    language: NamedDependency[Language],
    status: InState = None,
    severity: AtLeast = None,
    tenant: Tenant = None,
    pod: Pod = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[AlertView]:
    """List alerts, the newest first."""
    found, following = await services.alerts.listing(
        asking,
        is_open=None if status is None else status is AlertState.OPEN,
        severity=severity,
        tenant=tenant,
        pod=pod,
        cursor=cursor,
        limit=limit,
    )
    return Page(items=[views.alert_view(one, language) for one in found], next=following)


@get("/alerts/{alert:str}", operation_id="get_alert", summary="Get an alert", tags=_ALERTS)
async def alert_(
    alert: FromPath[str],
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    language: NamedDependency[Language],
) -> AlertView:
    """Describe an alert, and who was told of it."""
    return views.alert_view(await services.alerts.get(asking, alert), language)


@get("/alerts/silences", operation_id="list_silences", summary="List silences", tags=_ALERTS)
async def silences(
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[SilenceView]:
    """List the silences that hold, the newest first."""
    found, following = await services.alerts.silences(asking, cursor=cursor, limit=limit)
    return Page(items=[views.silence_view(one) for one in found], next=following)


@post(
    "/alerts/silences",
    operation_id="create_silence",
    summary="Silence alerts",
    tags=_ALERTS,
    opt=reasons("TenantNotFound", "PodNotFound"),
    dto=StrictBody[SilenceCreate],
    return_dto=None,
)
async def create_silence(
    data: JSONBody[SilenceCreate], services: NamedDependency[Services], asking: NamedDependency[Scope]
) -> SilenceView:
    """Have nobody told for a while; what is still wrong then is told. A tenant's is for its own notifiers alone."""
    made = await services.alerts.silence(
        asking,
        ends_at=data.ends_at,
        tenant=data.tenant,
        pod=data.pod,
        reason=data.reason,
        comment=data.comment,
    )
    return views.silence_view(made)


@delete("/alerts/silences/{silence:str}", operation_id="end_silence", summary="End a silence", tags=_ALERTS)
async def end_silence(
    silence: FromPath[str], services: NamedDependency[Services], asking: NamedDependency[Scope]
) -> None:
    """End a silence now; what is still wrong is told at once."""
    await services.alerts.end_silence(asking, silence)


@get("/notifier-kinds", operation_id="list_notifier_kinds", summary="List kinds of notifiers", tags=_NOTIFIERS)
async def notifier_kinds(services: NamedDependency[Services]) -> Page[NotifierKindView]:
    """List the kinds of notifiers that are installed, with what each has to be told."""
    return Page(items=views.kind_views(services))


@get("/notifiers", operation_id="list_notifiers", summary="List notifiers", tags=_NOTIFIERS)
async def notifiers(  # noqa: PLR0913 - the filters of a listing
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    language: NamedDependency[Language],
    tenant: Tenant = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[NotifierView]:
    """List notifiers by tenant and name, the platform's first."""
    found, following = await services.targets.listing(asking, tenant=tenant, cursor=cursor, limit=limit)
    return Page(items=[views.notifier_view(services, one, language) for one in found], next=following)


@post(
    "/notifiers",
    operation_id="create_notifier",
    summary="Add a notifier",
    tags=_NOTIFIERS,
    responses={200: ResponseSpec(NotifierView, description="It exists already.")},
    opt=ADMIN | reasons("InvalidConfig", "TenantNotFound", "TargetExists", "TooManyTargets", "NotifierBusy"),
    dto=StrictBody[NotifierCreate],
    return_dto=None,
)
async def create_notifier(
    data: JSONBody[NotifierCreate],
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    language: NamedDependency[Language],
) -> Response[NotifierView]:
    """Add a notifier; the same again answers 200 with the one that exists. It hears of what is open at once."""
    asked = Asked(
        name=data.name,
        kind=data.kind,
        tenant=data.tenant,
        given=Given(config=data.config, set=data.set, secrets=data.secrets),
        min_severity=data.min_severity,
        reasons=tuple(data.reasons),
    )
    made, is_new = await services.targets.create(asking, asked)
    return _answer(services, made, language, 201 if is_new else 200)


@get("/notifiers/{notifier:str}", operation_id="get_notifier", summary="Get a notifier", tags=_NOTIFIERS)
async def notifier_(
    notifier: FromPath[str],
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    language: NamedDependency[Language],
    tenant: OfTenant = None,
) -> Response[NotifierView]:
    """Describe a notifier, and what went wrong with it last."""
    return _answer(services, await services.targets.get(asking, notifier, tenant=tenant), language)


@patch(
    "/notifiers/{notifier:str}",
    operation_id="update_notifier",
    summary="Change a notifier",
    tags=_NOTIFIERS,
    opt=ADMIN | reasons("InvalidConfig", "NotifierBusy"),
    dto=StrictBody[NotifierPatch],
    return_dto=None,
)
async def update_notifier(  # noqa: PLR0913 - what a change takes
    notifier: FromPath[str],
    data: JSONBody[NotifierPatch],
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    language: NamedDependency[Language],
    expected: NamedDependency[frozenset[int] | None],
    tenant: OfTenant = None,
) -> Response[NotifierView]:
    """Change a notifier by a JSON merge patch; If-Match is demanded. What waits for it stays, and is tried at once."""
    change = Change(
        given=Given.patch(data.config, data.set, data.secrets),
        min_severity=data.min_severity,
        reasons=tuple(data.reasons) if isinstance(data.reasons, list) else data.reasons,
        is_paused=data.paused,
    )
    changed = await services.target_changes.change(asking, notifier, tenant=tenant, expected=expected, change=change)
    return _answer(services, changed, language)


@get(
    "/notifiers/{notifier:str}/deliveries",
    operation_id="list_notifier_deliveries",
    summary="List a notifier's deliveries",
    tags=_NOTIFIERS,
)
async def deliveries(  # noqa: PLR0913 - the filters of a listing
    notifier: FromPath[str],
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    language: NamedDependency[Language],
    tenant: OfTenant = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[NotifierDeliveryView]:
    """List what a notifier was told and is still to be told, the newest first."""
    found, following = await services.target_changes.told(asking, notifier, tenant=tenant, cursor=cursor, limit=limit)
    return Page(items=[views.delivery_view(one, language) for one in found], next=following)


@delete(
    "/notifiers/{notifier:str}", operation_id="delete_notifier", summary="Remove a notifier", tags=_NOTIFIERS, opt=ADMIN
)
async def delete_notifier(
    notifier: FromPath[str],
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    tenant: OfTenant = None,
) -> None:
    """Remove a notifier, its secrets, and what it was still to be told."""
    await services.targets.remove(asking, notifier, tenant=tenant)


@post(
    "/notifiers/{notifier:str}/test",
    operation_id="test_notifier",
    summary="Test a notifier",
    tags=_NOTIFIERS,
    opt=reasons("NotifierBusy"),
    status_code=200,
)
async def try_notifier(
    notifier: FromPath[str],
    services: NamedDependency[Services],
    asking: NamedDependency[Scope],
    language: NamedDependency[Language],
    tenant: OfTenant = None,
) -> NotifierTestView:
    """Send a test message now, and say what came of it."""
    return views.tested_view(await services.targets.test(asking, notifier, tenant=tenant), language)


def _answer(services: Services, target: TargetRecord, language: Language, status: int = 200) -> Response[NotifierView]:
    headers = {"ETag": etag(target.generation)}
    if status == 201:  # noqa: PLR2004 - an HTTP status
        # Names are unique within a tenant: without it the address is that of the platform's own.
        whose = f"?tenant={quote(target.tenant)}" if target.tenant else ""
        headers["Location"] = f"/api/v1/notifiers/{target.name}{whose}"
    return Response(views.notifier_view(services, target, language), status_code=status, headers=headers)


HANDLERS = (
    alerts,
    alert_,
    silences,
    create_silence,
    end_silence,
    notifier_kinds,
    notifiers,
    create_notifier,
    notifier_,
    update_notifier,
    deliveries,
    delete_notifier,
    try_notifier,
)
