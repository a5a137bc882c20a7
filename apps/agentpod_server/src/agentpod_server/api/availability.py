"""``…/availability``: how available a tenant or a pod was, by day or month; and the same for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from agentpod_server.api import views
from agentpod_server.api.pods import POD
from agentpod_server.api.problems import reasons
from agentpod_server.api.shapes import AvailabilityView, Page
from agentpod_server.availability import Availability
from agentpod_server.records import Scope
from agentpod_server.services import Services
from agentpod_server.services.availability import By

AskedBy = Annotated[By, QueryParameter(description="Cut into days or into months, of UTC.")]
Since = Annotated[
    datetime | None, QueryParameter(description="Where it begins; 30 days or twelve months ago otherwise.")
]
Until = Annotated[datetime | None, QueryParameter(description="Where it ends, at most 400 days later; now otherwise.")]

_HEADING = ("begin", "end", "tenant", "pod", "ready_seconds", "wanted_seconds", "unknown_seconds", "percent")
_TABLE = {200: ResponseSpec(str, description="A heading and a row for each day or month.", media_type="text/csv")}


class AvailabilityController(Controller):
    """Availability, in the order of time."""

    path = "/tenants"

    @get(
        "/{tenant:str}/availability",
        operation_id="get_tenant_availability",
        opt=reasons("BadPeriod"),
        summary="Get a tenant's availability",
        tags=("Tenants",),
    )
    async def of_tenant(  # noqa: PLR0913 - what reading takes
        self,
        tenant: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        by: AskedBy = "day",
        since: Since = None,
        until: Until = None,
    ) -> Page[AvailabilityView]:
        """Say how available all pods of a tenant were together, those that are deleted by now included."""
        _, measured = await services.availability.of_tenant(asking, tenant, by=by, begin=since, end=until)
        return _listed(measured)

    @get(
        "/{tenant:str}/availability.csv",
        operation_id="get_tenant_availability_csv",
        opt=reasons("BadPeriod"),
        summary="Get a tenant's availability for a spreadsheet",
        tags=("Tenants",),
        responses=_TABLE,
        media_type="text/csv",
    )
    async def of_tenant_as_table(  # noqa: PLR0913 - what reading takes
        self,
        tenant: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        by: AskedBy = "day",
        since: Since = None,
        until: Until = None,
    ) -> Response[str]:
        """Write the same as comma-separated values."""
        found, measured = await services.availability.of_tenant(asking, tenant, by=by, begin=since, end=until)
        return _table(measured, found.slug)

    @get(
        f"{POD}/availability",
        operation_id="get_pod_availability",
        opt=reasons("BadPeriod"),
        summary="Get a pod's availability",
        tags=("Pods",),
    )
    async def of_pod(  # noqa: PLR0913 - what reading takes
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        by: AskedBy = "day",
        since: Since = None,
        until: Until = None,
    ) -> Page[AvailabilityView]:
        """Say how available a pod was."""
        _, measured = await services.availability.of_pod(asking, tenant, pod, by=by, begin=since, end=until)
        return _listed(measured)

    @get(
        f"{POD}/availability.csv",
        operation_id="get_pod_availability_csv",
        opt=reasons("BadPeriod"),
        summary="Get a pod's availability for a spreadsheet",
        tags=("Pods",),
        responses=_TABLE,
        media_type="text/csv",
    )
    async def of_pod_as_table(  # noqa: PLR0913 - what reading takes
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        by: AskedBy = "day",
        since: Since = None,
        until: Until = None,
    ) -> Response[str]:
        """Write the same as comma-separated values."""
        found, measured = await services.availability.of_pod(asking, tenant, pod, by=by, begin=since, end=until)
        return _table(measured, found.tenant, found.name)


def _listed(measured: Sequence[Availability]) -> Page[AvailabilityView]:
    return Page(items=[views.availability_view(one) for one in measured], next=None)


def _table(measured: Sequence[Availability], tenant: str, pod: str = "") -> Response[str]:
    """Write a table; names are slugs and all else is numbers and times, so that no cell is a formula."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(_HEADING)
    for one in map(views.availability_view, measured):
        percent = "" if one.percent is None else one.percent
        begin, end = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (one.begin, one.end))
        rows.writerow((begin, end, tenant, pod, one.ready_seconds, one.wanted_seconds, one.unknown_seconds, percent))
    name = "-".join(part for part in ("availability", tenant, pod) if part)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(text.getvalue(), media_type="text/csv", headers=headers)
