"""What the store gives back: rows as frozen data, with ids as text and times in UTC.

No record holds a secret value, a password hash or a token; nothing here knows the database.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from msgspec import Struct

from agentpod_core.values.pods import Lease, PodSpec, Wanted
from agentpod_core.values.status import Phase, PodStatus, Record, Severity
from agentpod_core.values.workload import SecretRef, Workload

T = TypeVar("T")


class Scope(Struct, frozen=True, kw_only=True):
    """Who asks, and how far they see: one tenant (its id), or with ``tenant_id`` None all of them.

    ``actor`` and ``request_id`` are written with every event and audit entry of the transaction.
    """

    tenant_id: str | None = None
    actor: str = "system"
    request_id: str = ""


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a listing. ``next`` is the key to give as ``after`` for the following one; None at the end."""

    items: tuple[T, ...]
    next: tuple[str, ...] | None = None


class TenantRecord(Struct, frozen=True, kw_only=True):
    """A customer. ``pods`` counts the ones that are not gone, those being deleted included."""

    id: str
    slug: str
    name: str
    email: str
    wanted: Wanted
    generation: int
    lease: Lease
    pods: int
    created_at: datetime
    updated_at: datetime


class Placement(Struct, frozen=True, kw_only=True):
    """What a pod to be gets from the platform: an id, an address in its tenant's lease, and the lease.

    It holds until the end of the transaction that asked for it.
    """

    id: str
    tenant_id: str
    tenant: str
    tenant_name: str
    address: str
    lease: Lease


class PodRecord(Struct, frozen=True, kw_only=True):
    """A pod with its newest spec and what was last concluded about it.

    ``tenant`` and ``name`` are slugs, ``secrets`` the generated ones by name, ``credential`` the
    name of the one that the link sends. ``status_at`` is when the status was written.
    """

    id: str
    tenant_id: str
    tenant: str
    tenant_name: str
    tenant_wanted: Wanted
    name: str
    subdomain: str
    generation: int
    spec: PodSpec
    status: PodStatus
    status_at: datetime
    address: str
    lease: Lease
    secrets: dict[str, SecretRef]
    credential: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def is_wanted(self) -> bool:
        """Whether it is to run, its tenant's wish included."""
        return self.spec.wanted is Wanted.RUNNING and self.tenant_wanted is Wanted.RUNNING


class ConfigRecord(Struct, frozen=True, kw_only=True):
    """One immutable generation of a pod's spec."""

    pod_id: str
    generation: int
    spec: PodSpec
    created_at: datetime
    created_by: str


class EnginePart(Struct, frozen=True, kw_only=True):
    """What only the engine and the plan view need of a pod: its rendered workload and its record."""

    workload: Workload
    record: Record


class EventRecord(Struct, frozen=True, kw_only=True):
    """Something that happened. ``tenant`` and ``pod`` are slugs, empty where it belongs to none.

    The slug of a tenant that is gone may be another customer's by now; ``tenant_id`` never is.
    """

    seq: int
    id: str
    at: datetime
    tenant_id: str | None
    tenant: str
    pod: str
    kind: str
    reason: str
    severity: Severity
    params: dict[str, Any]
    actor: str
    request_id: str
    generation: int


class OperationStatus(StrEnum):
    """Where an operation is in its life."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Progress(Struct, frozen=True, kw_only=True):
    """How far an operation came; ``percent`` None is "cannot be told"."""

    percent: float | None = None
    line: str = ""


class Failure(Struct, frozen=True, kw_only=True):
    """Why an operation failed: a reason of the catalogue and its params."""

    reason: str
    params: dict[str, Any] = {}


class OperationRecord(Struct, frozen=True, kw_only=True):
    """A long verb as data. ``tenant`` is a slug or empty; ``params`` is what the verb was asked.

    ``tenant_id`` is whose it is: of the tenant that asked or that it is about.
    """

    id: str
    kind: str
    target: str
    tenant_id: str | None
    tenant: str
    status: OperationStatus
    progress: Progress
    error: Failure | None
    params: dict[str, Any]
    result: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    created_by: str


class Role(StrEnum):
    """What a user or token may do: everything, drive pods, or only look."""

    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"


class UserRecord(Struct, frozen=True, kw_only=True):
    """Somebody who can log in; with a ``tenant_id`` they see that tenant only."""

    id: str
    login: str
    email: str
    role: Role
    tenant_id: str | None
    language: str
    created_at: datetime
    updated_at: datetime


class SessionRecord(Struct, frozen=True, kw_only=True):
    """A browser that is logged in; its id is kept as a hash only and is not here."""

    user: UserRecord
    data: dict[str, Any]
    created_at: datetime
    expires_at: datetime


class ApiTokenRecord(Struct, frozen=True, kw_only=True):
    """A bearer token without its value; ``hint`` are its first characters, to tell it from others."""

    id: str
    name: str
    hint: str
    role: Role
    tenant_id: str | None
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None


class AuditRecord(Struct, frozen=True, kw_only=True):
    """Who did what to which thing."""

    id: str
    at: datetime
    tenant_id: str | None
    actor: str
    action: str
    target: str
    request_id: str
    params: dict[str, Any]


__all__ = [
    "ApiTokenRecord",
    "AuditRecord",
    "ConfigRecord",
    "EnginePart",
    "EventRecord",
    "Failure",
    "OperationRecord",
    "OperationStatus",
    "Page",
    "Phase",
    "Placement",
    "PodRecord",
    "Progress",
    "Role",
    "Scope",
    "SessionRecord",
    "TenantRecord",
    "UserRecord",
]
