"""Makes answers of alerts, silences and notifiers: texts in the reader's language, secrets masked."""

from __future__ import annotations

from agentpod_core import catalogue
from agentpod_core.catalogue import Language
from agentpod_server.alert_records import AlertRecord, SilenceRecord, TargetRecord, ToldRecord
from agentpod_server.api.shapes import (
    AlertView,
    DeliveryView,
    NotifierDeliveryView,
    NotifierKindView,
    NotifierTestView,
    NotifierView,
    SilenceView,
    TroubleView,
)
from agentpod_server.records import Failure
from agentpod_server.services import Services
from agentpod_server.services.alerts import Tested, sentence
from agentpod_server.services.config import published


def alert_view(alert: AlertRecord, language: Language) -> AlertView:
    """Show an alert."""
    return AlertView(
        id=alert.id,
        tenant=alert.tenant or None,
        pod=alert.pod or None,
        reason=alert.reason,
        severity=alert.severity,
        title=catalogue.title(alert.reason, language),
        message=sentence(alert, language),
        params=alert.params,
        raised_at=alert.raised_at,
        cleared_at=alert.cleared_at,
        silenced=alert.is_silenced,
        deliveries=[
            DeliveryView(
                notifier=one.target,
                kind=one.kind,
                state=one.state,
                attempts=one.attempts,
                error=trouble_view(one.error, language),
                done_at=one.done_at,
            )
            for one in alert.deliveries
        ],
    )


def silence_view(silence: SilenceRecord) -> SilenceView:
    """Show a silence."""
    return SilenceView(
        id=silence.id,
        owner=silence.tenant if silence.tenant_id else None,
        tenant=silence.tenant or None,
        pod=silence.pod or None,
        reason=silence.reason or None,
        comment=silence.comment,
        ends_at=silence.ends_at,
        created_at=silence.created_at,
        created_by=silence.created_by,
    )


def notifier_view(services: Services, target: TargetRecord, language: Language) -> NotifierView:
    """Show a notifier."""
    return NotifierView(
        name=target.name,
        tenant=target.tenant or None,
        kind=target.kind,
        config=services.targets.shown(target),
        min_severity=target.min_severity,
        reasons=list(target.reasons),
        paused=target.is_paused,
        generation=target.generation,
        trouble=trouble_view(target.failure, language),
        delivered_at=target.delivered_at,
        created_at=target.created_at,
        created_by=target.created_by,
    )


def delivery_view(told: ToldRecord, language: Language) -> NotifierDeliveryView:
    """Show a message to a notifier."""
    return NotifierDeliveryView(
        alert=told.alert_id,
        tenant=told.tenant or None,
        pod=told.pod or None,
        reason=told.reason,
        title=catalogue.title(told.reason, language),
        kind=told.kind,
        state=told.state,
        attempts=told.attempts,
        error=trouble_view(told.error, language),
        created_at=told.created_at,
        done_at=told.done_at,
    )


def tested_view(tested: Tested, language: Language) -> NotifierTestView:
    """Show what came of a test."""
    return NotifierTestView(
        delivered=tested.failure is None,
        seconds=round(tested.seconds, 3),
        trouble=trouble_view(tested.failure, language),
    )


def kind_views(services: Services) -> list[NotifierKindView]:
    """Show every kind of notifier that can be had."""
    found = [(name, services.offers.find_notifier(name)) for name in services.offers.notifier_names()]
    return [
        NotifierKindView(
            name=name,
            title=notifier.title,
            plugin=services.offers.notifier_owner(name),
            schema=published(notifier.target_type),
        )
        for name, notifier in found
        if notifier is not None
    ]


def trouble_view(failure: Failure | None, language: Language) -> TroubleView | None:
    """Show why something did not arrive."""
    if failure is None:
        return None
    return TroubleView(
        reason=failure.reason,
        message=catalogue.text(failure.reason, failure.params, language),
        repair=catalogue.repair(failure.reason, failure.params, language),
    )
