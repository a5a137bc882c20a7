"""Makes answers of records: texts in the reader's language, secrets masked, nothing internal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from agentpod_core import AgentAdapter, Usage, catalogue
from agentpod_core.catalogue import Language
from agentpod_core.host import PluginInfo, report
from agentpod_core.plan import Plan
from agentpod_core.ports import pod_key
from agentpod_core.values.actions import PlannedAction
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import PodStatus
from agentpod_server.api.shapes import (
    ActionView,
    AvailabilitySummaryView,
    AvailabilityView,
    ConditionView,
    ConfigView,
    EventView,
    OperationErrorView,
    OperationView,
    PlanView,
    PluginView,
    PodSummary,
    PodView,
    ProgressView,
    SizeView,
    SpecView,
    StatsPointView,
    StatsView,
    StatusView,
    TenantStatusView,
    TenantView,
    TokenView,
)
from agentpod_server.availability import Availability
from agentpod_server.records import ApiTokenRecord, EventRecord, OperationRecord, PodRecord, TenantRecord
from agentpod_server.services import Services
from agentpod_server.services.availability import Summary
from agentpod_server.services.tenants import TenantStatus
from agentpod_server.services.usage import Past


def tenant_view(tenant: TenantRecord) -> TenantView:
    """Show a tenant."""
    return TenantView(
        id=tenant.id,
        slug=tenant.slug,
        name=tenant.name,
        email=tenant.email,
        wanted=tenant.wanted,
        generation=tenant.generation,
        pods=tenant.pods,
        created_at=tenant.created_at,
        updated_at=tenant.updated_at,
    )


def tenant_status_view(
    status: TenantStatus, summary: Summary, this_month: Mapping[str, Availability], language: Language
) -> TenantStatusView:
    """Show how a tenant's pods are, and were; ``this_month`` has their availability by their ids."""
    return TenantStatusView(
        slug=status.tenant.slug,
        wanted=status.tenant.wanted,
        total=len(status.pods),
        ready=status.ready,
        phases=status.phases,
        open_alerts=status.open_alerts,
        availability=summary_view(summary),
        pods=[
            PodSummary(
                name=pod.name,
                adapter=pod.spec.adapter,
                wanted=pod.spec.wanted,
                phase=pod.status.phase,
                ready=pod.status.ready,
                reason=pod.status.reason,
                message=catalogue.text(pod.status.reason, pod.status.params, language),
                availability=this_month[pod.id].percent if pod.id in this_month else None,
            )
            for pod in status.pods
        ],
    )


def pod_view(services: Services, pod: PodRecord, language: Language) -> PodView:
    """Show a pod."""
    version, config = services.pods.config_of(pod)
    return PodView(
        id=pod.id,
        tenant=pod.tenant,
        name=pod.name,
        spec=SpecView(
            generation=pod.generation,
            adapter=pod.spec.adapter,
            config=config,
            config_version=version,
            subdomain=pod.subdomain,
            image=pod.spec.image,
            size=pod.spec.size,
            memory=pod.spec.memory,
            cpus=pod.spec.cpus,
            wanted=pod.spec.wanted if pod.tenant_wanted is not Wanted.DELETED else Wanted.DELETED,
            restarts=pod.spec.restarts,
        ),
        status=pod_status_view(pod, language),
        urls=list(services.addresses.origins(pod.subdomain)),
        created_at=pod.created_at,
        updated_at=pod.updated_at,
    )


def config_view(services: Services, pod: PodRecord) -> ConfigView:
    """Show a pod's config."""
    version, config = services.pods.config_of(pod)
    return ConfigView(adapter=pod.spec.adapter, config_version=version, generation=pod.generation, config=config)


def pod_status_view(pod: PodRecord, language: Language, summary: Summary | None = None) -> StatusView:
    """Show what is seen of a pod."""
    return msgspec.structs.replace(
        status_view(pod.status, language, f"{pod.tenant}/{pod.name}"),
        updated_at=pod.status_at,
        availability=None if summary is None else summary_view(summary),
    )


def availability_view(one: Availability) -> AvailabilityView:
    """Show what came of a span of time."""
    return AvailabilityView(
        begin=one.span.begin,
        end=one.span.end,
        ready_seconds=one.ready,
        wanted_seconds=one.wanted,
        unknown_seconds=one.unknown,
        percent=one.percent,
    )


def summary_view(summary: Summary) -> AvailabilitySummaryView:
    """Show availability at a glance."""
    return AvailabilitySummaryView(
        today=availability_view(summary.today),
        this_month=availability_view(summary.this_month),
        last_month=availability_view(summary.last_month),
    )


def status_view(status: PodStatus, language: Language, ref: str) -> StatusView:
    """Show a status, stored or only planned, of the pod that goes by those two names."""
    repair = catalogue.repair(status.reason, status.params, language)
    return StatusView(
        observed_generation=status.observed_generation,
        phase=status.phase,
        ready=status.ready,
        reason=status.reason,
        message=catalogue.text(status.reason, status.params, language),
        repair=repair.replace("TENANT/POD", ref) if repair else None,
        conditions=[
            ConditionView(
                type=one.type,
                status=one.status,
                reason=one.reason,
                message=catalogue.text(one.reason, one.params, language),
                since=one.since,
                generation=one.generation,
            )
            for one in status.conditions
        ],
        updated_at=None,
    )


def plan_view(pod: PodRecord, plan: Plan, language: Language) -> PlanView:
    """Show what a pass would do."""
    return PlanView(
        key=pod_key(pod.id),
        tenant=pod.tenant,
        pod=pod.name,
        actions=[action_view(action, language) for action in plan.actions],
        status=status_view(plan.status, language, f"{pod.tenant}/{pod.name}"),
        waits_for=plan.waits_for or None,
        waiting=catalogue.text(plan.waits_for, {}, language) if plan.waits_for else None,
        wake_at=plan.wake_at,
        concluded_at=pod.status_at,
    )


def action_view(action: PlannedAction, language: Language) -> ActionView:
    """Show one change: what it is, what it is done to, and why."""
    facts = msgspec.structs.asdict(action)
    target = next((facts[key] for key in ("name", "container", "image", "ports") if key in facts), "")
    return ActionView(
        action=str(type(action).__struct_config__.tag),
        target=", ".join(map(str, target)) if isinstance(target, tuple) else str(target),
        reason=action.reason,
        message=catalogue.text(action.reason, {}, language),
    )


def stats_view(usage: Usage | None, past: Past) -> StatsView:
    """Show what a pod uses, and what it used."""
    history = [msgspec.convert(point, StatsPointView, from_attributes=True) for point in past.points]
    if usage is None:
        return StatsView(running=False, storage=past.storage, step=past.step, history=history)
    return StatsView(
        running=True,
        cpu=usage.cpu,
        memory=usage.memory,
        memory_limit=usage.limit,
        pids=usage.pids,
        rx=usage.rx,
        tx=usage.tx,
        storage=past.storage,
        step=past.step,
        history=history,
    )


def sizes_of(adapter: AgentAdapter[Any]) -> list[SizeView]:
    """Show an adapter's sizes, the default first."""
    return [
        SizeView(name=name, memory=limits.memory, cpus=limits.cpus, pids=limits.pids)
        for name, limits in adapter.sizes.items()
    ]


def event_view(event: EventRecord, language: Language) -> EventView:
    """Show an event."""
    return EventView(
        seq=event.seq,
        id=event.id,
        at=event.at,
        tenant=event.tenant,
        pod=event.pod,
        kind=event.kind,
        reason=event.reason,
        severity=event.severity,
        message=catalogue.text(event.reason, event.params, language),
        params=event.params,
        actor=event.actor,
        request_id=event.request_id,
        generation=event.generation,
    )


def operation_view(operation: OperationRecord, language: Language) -> OperationView:
    """Show a long work."""
    error = operation.error
    return OperationView(
        id=operation.id,
        kind=operation.kind,
        target=operation.target,
        tenant=operation.tenant or None,
        status=operation.status,
        progress=ProgressView(percent=operation.progress.percent, line=operation.progress.line),
        error=None
        if error is None
        else OperationErrorView(
            reason=error.reason,
            message=catalogue.text(error.reason, error.params, language),
            repair=catalogue.repair(error.reason, error.params, language),
            params=error.params,
        ),
        result=operation.result,
        created_by=operation.created_by,
        created_at=operation.created_at,
        updated_at=operation.updated_at,
    )


def token_view(token: ApiTokenRecord, tenant: str | None, value: str | None = None) -> TokenView:
    """Show an API token; its value only right after it was made."""
    return TokenView(
        id=token.id,
        name=token.name,
        prefix=token.hint,
        role=token.role,
        tenant=tenant,
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=token.used_at,
        token=msgspec.UNSET if value is None else value,
    )


def plugin_view(plugin: PluginInfo, language: Language) -> PluginView:
    """Show a plugin."""
    return msgspec.convert(report(plugin, language), PluginView)
