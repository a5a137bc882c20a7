"""Reads rows of alerts, their targets and silences."""

from __future__ import annotations

from typing import Any

from asyncpg import Record as Row

from agentpod_core.values.status import Severity
from agentpod_server.alert_records import (
    AlertRecord,
    DeliveryRecord,
    MessageKind,
    MessageState,
    SilenceRecord,
    TargetRecord,
    ToldRecord,
)
from agentpod_server.records import Failure
from agentpod_server.store import rows


def alert(row: Row) -> AlertRecord:
    """Read a row of alerts; without the columns for it, as if nobody was told."""
    found: dict[str, Any] = dict(row)
    return AlertRecord(
        id=str(row["id"]),
        tenant=row["tenant"],
        pod=row["pod"],
        reason=row["reason"],
        subject=row["subject"],
        severity=Severity(row["severity"]),
        params=rows.value(row["params"], dict[str, Any]),
        raised_at=row["raised_at"],
        cleared_at=row["cleared_at"],
        is_stopped=row["is_stopped"],
        is_silenced=found.get("is_silenced", False),
        deliveries=rows.value(found.get("deliveries", "[]"), tuple[DeliveryRecord, ...]),
    )


def target(row: Row) -> TargetRecord:
    """Read a row of targets."""
    return TargetRecord(
        id=str(row["id"]),
        tenant_id=str(row["tenant_id"]) if row["tenant_id"] else None,
        tenant=row["tenant"],
        name=row["name"],
        kind=row["kind"],
        settings=rows.value(row["settings"], dict[str, Any]),
        min_severity=Severity(row["min_severity"]),
        reasons=rows.value(row["reasons"], tuple[str, ...]),
        is_paused=row["is_paused"],
        generation=row["generation"],
        failure=None if row["failure"] is None else rows.value(row["failure"], Failure),
        failures=row["failures"],
        failed_message=str(row["failed_message"]) if row["failed_message"] else None,
        delivered_at=row["delivered_at"],
        created_at=row["created_at"],
        created_by=row["created_by"],
    )


def told(row: Row) -> ToldRecord:
    """Read a row of the outbox, with its alert."""
    return ToldRecord(
        id=str(row["id"]),
        alert_id=str(row["alert_id"]),
        reason=row["reason"],
        tenant=row["tenant"],
        pod=row["pod"],
        kind=MessageKind(row["kind"]),
        state=MessageState(row["state"]),
        attempts=row["attempts"],
        error=None if row["error"] is None else rows.value(row["error"], Failure),
        created_at=row["created_at"],
        done_at=row["done_at"],
    )


def silence(row: Row) -> SilenceRecord:
    """Read a row of silences."""
    return SilenceRecord(
        id=str(row["id"]),
        tenant_id=str(row["tenant_id"]) if row["tenant_id"] else None,
        tenant=row["tenant"],
        pod=row["pod"],
        reason=row["reason"],
        comment=row["comment"],
        ends_at=row["ends_at"],
        created_at=row["created_at"],
        created_by=row["created_by"],
    )
