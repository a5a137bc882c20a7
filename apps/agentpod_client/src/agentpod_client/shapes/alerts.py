"""Alerts, silences and notifiers."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from agentpod_client.bodies import Severity


class Trouble(TypedDict):
    """Why something did not arrive."""

    reason: str
    message: str
    repair: str | None


class Delivery(TypedDict):
    """A message of an alert to a notifier, and what became of it."""

    notifier: str
    kind: Literal["raised", "recovered"]
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    error: Trouble | None
    done_at: str | None


class Alert(TypedDict):
    """Something a person should know; ``cleared_at`` is None while it is open."""

    id: str
    tenant: str | None
    pod: str | None
    reason: str
    severity: Severity
    title: str
    message: str
    params: dict[str, Any]
    raised_at: str
    cleared_at: str | None
    silenced: bool
    deliveries: list[Delivery]


class Silence(TypedDict):
    """Until when nobody is told of what; None is any. ``owner`` is the tenant whose notifiers alone it keeps quiet."""

    id: str
    owner: str | None
    tenant: str | None
    pod: str | None
    reason: str | None
    comment: str
    ends_at: str
    created_at: str
    created_by: str


class Notifier(TypedDict):
    """Whom alerts are told; secrets read ``{"$secret": true}``. ``trouble`` is what went wrong last.

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
    trouble: Trouble | None
    delivered_at: str | None
    created_at: str
    created_by: str


class NotifierDelivery(TypedDict):
    """A message to a notifier: which alert it is about, and what became of it."""

    alert: str
    tenant: str | None
    pod: str | None
    reason: str
    title: str
    kind: Literal["raised", "recovered"]
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    error: Trouble | None
    created_at: str
    done_at: str | None


class NotifierTest(TypedDict):
    """What came of a test message."""

    delivered: bool
    seconds: float
    trouble: Trouble | None


class NotifierKind(TypedDict):
    """A kind of notifier that can be configured, with the JSON Schema of its config."""

    name: str
    title: str
    plugin: str
    schema: dict[str, Any]
