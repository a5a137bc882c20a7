"""What the store gives back of alerts: what is wrong, who is told, what became of that, and when nobody is told."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from agentpod_core.values.status import Severity
from agentpod_server.records import Failure


class AlertState(StrEnum):
    """Whether an alert still holds."""

    OPEN = "open"
    CLOSED = "closed"


class MessageKind(StrEnum):
    """What a message says of its alert."""

    RAISED = "raised"
    RECOVERED = "recovered"


class MessageState(StrEnum):
    """What became of a message; one that failed is not tried again unless its target comes back in time."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class DeliveryRecord(Struct, frozen=True, kw_only=True):
    """A message of an alert to a target; ``error`` is why the last try failed."""

    target: str
    kind: MessageKind
    state: MessageState
    attempts: int
    error: Failure | None = None
    done_at: datetime | None = None


class ToldRecord(Struct, frozen=True, kw_only=True):
    """A message to one target, with the alert that it is about; ``tenant`` and ``pod`` are slugs or empty."""

    id: str
    alert_id: str
    reason: str
    tenant: str
    pod: str
    kind: MessageKind
    state: MessageState
    attempts: int
    error: Failure | None
    created_at: datetime
    done_at: datetime | None


class AlertRecord(Struct, frozen=True, kw_only=True):
    """Something a person should know; open while ``cleared_at`` is None. ``tenant`` and ``pod`` are slugs or empty.

    ``subject`` keeps apart those of one reason. One that ``is_stopped`` ended with its pod, which is not well again.
    """

    id: str
    tenant: str
    pod: str
    reason: str
    subject: str
    severity: Severity
    params: dict[str, Any]
    raised_at: datetime
    cleared_at: datetime | None
    is_stopped: bool = False
    is_silenced: bool = False
    deliveries: tuple[DeliveryRecord, ...] = ()


class TargetRecord(Struct, frozen=True, kw_only=True):
    """Whom to tell, by the notifier ``kind``. ``settings`` hold references in place of secrets.

    Without a ``tenant_id`` it is told of everything. No ``reasons`` is all of them. What it is to be told while it
    ``is_paused`` waits. ``failure`` is what went wrong last, None once a message got through again;
    ``failures`` counts what was tried in vain since then, the same message alone once; ``failed_message`` is the last.
    """

    id: str
    tenant_id: str | None
    tenant: str
    name: str
    kind: str
    settings: dict[str, Any]
    min_severity: Severity
    reasons: tuple[str, ...]
    is_paused: bool
    generation: int
    failure: Failure | None
    failures: int
    failed_message: str | None
    delivered_at: datetime | None
    created_at: datetime
    created_by: str


class SilenceRecord(Struct, frozen=True, kw_only=True):
    """Nobody is told until ``ends_at``, of that tenant, pod and reason; empty is any.

    With a ``tenant_id`` it is that tenant's own, and keeps only its own targets from being told.
    """

    id: str
    tenant_id: str | None
    tenant: str
    pod: str
    reason: str
    comment: str
    ends_at: datetime
    created_at: datetime
    created_by: str


class MessageRecord(Struct, frozen=True, kw_only=True):
    """A message that is to be sent now; ``ends`` are the alerts that are over with it, if it says so."""

    id: str
    kind: MessageKind
    attempts: int
    created_at: datetime
    alert: AlertRecord
    pod_id: str | None
    target: TargetRecord
    ends: tuple[str, ...] = ()
