"""Alerts, silences and notifiers over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from agentpod_core import Severity
from agentpod_server.alert_records import MessageKind, MessageState
from agentpod_server.api.shapes.names import Slug
from agentpod_server.api.shapes.pods import Texts

Comment = Annotated[str, Meta(extra_json_schema={"maxLength": 400})]
Reasons = Annotated[list[str], Meta(max_length=50)]


class TroubleView(Struct, frozen=True, kw_only=True):
    """Why something did not arrive."""

    reason: str
    message: str
    repair: str | None


class DeliveryView(Struct, frozen=True, kw_only=True):
    """A message of an alert to a notifier: that it began, or that it is over, and what became of it."""

    notifier: str
    kind: MessageKind
    state: MessageState
    attempts: int
    error: TroubleView | None
    done_at: datetime | None


class AlertView(Struct, frozen=True, kw_only=True):
    """Something a person should know; ``cleared_at`` is null while it is open. Of the platform, ``tenant`` is null.

    ``silenced`` says that nobody is told of it at the moment.
    """

    id: str
    tenant: str | None
    pod: str | None
    reason: str
    severity: Severity
    title: str
    message: str
    params: dict[str, Any]
    raised_at: datetime
    cleared_at: datetime | None
    silenced: bool
    deliveries: list[DeliveryView]


class SilenceCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks that nobody is told of a tenant, a pod of it, or a reason, until ``ends_at``."""

    ends_at: Annotated[datetime, Meta(tz=True)]
    tenant: str | None = None
    pod: str | None = None
    reason: str | None = None
    comment: Comment = ""


class SilenceView(Struct, frozen=True, kw_only=True):
    """A silence; what is null is any. ``owner`` is the tenant whose notifiers alone it keeps quiet; null is all."""

    id: str
    owner: str | None
    tenant: str | None
    pod: str | None
    reason: str | None
    comment: str
    ends_at: datetime
    created_at: datetime
    created_by: str


class NotifierCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a notifier of a kind; with ``tenant`` it is told of that tenant's alerts alone.

    ``config`` is strict JSON by the kind's schema; ``set`` maps dotted paths to raw texts, ``secrets`` dotted paths of
    secret fields to their values. It is told of alerts of ``min_severity`` or more, and of these
    ``reasons``; none is all.
    """

    name: Slug
    kind: str
    tenant: str | None = None
    config: dict[str, Any] = {}
    set: Texts = {}
    secrets: Texts = {}
    min_severity: Severity = Severity.WARNING
    reasons: Reasons = []


class NotifierPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON merge patch of a notifier: what is absent stays, null goes back to the default.

    ``config`` is itself a merge patch, ``set`` and ``secrets`` are laid over the outcome. What it is to be told while
    it is ``paused`` waits. Its name and kind are for life.
    """

    config: dict[str, Any] | UnsetType = UNSET
    set: Texts = {}
    secrets: Texts = {}
    min_severity: Severity | UnsetType | None = UNSET
    reasons: Reasons | UnsetType | None = UNSET
    paused: bool | UnsetType = UNSET


class NotifierView(Struct, frozen=True, kw_only=True):
    """A notifier; secrets read ``{"$secret": true}``. ``trouble`` is what went wrong last, null once it works again.

    What it is to be told while it is ``paused`` waits.
    """

    name: str
    tenant: str | None
    kind: str
    config: dict[str, Any]
    min_severity: Severity
    reasons: list[str]
    paused: bool
    generation: int
    trouble: TroubleView | None
    delivered_at: datetime | None
    created_at: datetime
    created_by: str


class NotifierDeliveryView(Struct, frozen=True, kw_only=True):
    """A message to a notifier: which alert it is about, whether that began or is over, and what became of it."""

    alert: str
    tenant: str | None
    pod: str | None
    reason: str
    title: str
    kind: MessageKind
    state: MessageState
    attempts: int
    error: TroubleView | None
    created_at: datetime
    done_at: datetime | None


class NotifierTestView(Struct, frozen=True, kw_only=True):
    """What came of a test message; without ``trouble`` it was taken."""

    delivered: bool
    seconds: float
    trouble: TroubleView | None


class NotifierKindView(Struct, frozen=True, kw_only=True):
    """A kind of notifier that can be configured, with the JSON Schema of its config."""

    name: str
    title: str
    plugin: str
    schema: dict[str, Any]
