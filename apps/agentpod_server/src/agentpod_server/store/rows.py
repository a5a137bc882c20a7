"""Turns rows into records and values into what a row holds; the joins that records need are written here once."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from asyncpg import Record as Row

from agentpod_core.values.pods import Lease, PodSpec, Wanted
from agentpod_core.values.status import PodStatus
from agentpod_core.values.workload import SecretRef
from agentpod_server.records import Page, PodRecord, TenantRecord

T = TypeVar("T")

LARGEST_PAGE = 500

TENANT = """
    select t.id, t.slug, t.name, t.email, t.wanted, t.generation, t.created_at, t.updated_at,
           l.number, l.subnet, l.gateway,
           (select count(*) from pods p where p.tenant_id = t.id) as pods
    from tenants t join address_leases l on l.tenant_id = t.id and l.node = 'local'
"""

_POD_COLUMNS = """
    select p.id, p.tenant_id, p.tenant, t.name as tenant_name, t.wanted as tenant_wanted, p.name, p.subdomain,
           p.generation, p.address, p.created_at, p.updated_at, l.number, l.subnet, l.gateway,
           c.spec, s.status, s.updated_at as status_at, w.secrets, w.credential
"""

_POD_JOINS = """
    join tenants t on t.id = p.tenant_id
    join address_leases l on l.tenant_id = p.tenant_id and l.node = p.node
    join pod_configs c on c.pod_id = p.id and c.generation = p.generation
    join pod_workloads w on w.pod_id = p.id and w.generation = p.generation
    join pod_status s on s.pod_id = p.id
"""

POD = f"{_POD_COLUMNS} from pods p {_POD_JOINS}"
POD_WITH_ENGINE_PART = f"{_POD_COLUMNS}, w.workload, s.record from pods p {_POD_JOINS}"


def pods_among(selection: str) -> str:
    """Give the query for the pods that a query of ``pods`` selects, so that a page joins its own rows only."""
    return f"{_POD_COLUMNS} from ({selection}) p {_POD_JOINS}"


def text(value: Any) -> str:
    """Encode a value for a JSON column."""
    return msgspec.json.encode(value).decode()


def value(column: str, kind: type[T]) -> T:
    """Decode a JSON column."""
    return msgspec.json.decode(column, type=kind)


def lease(row: Row) -> Lease:
    """Read a tenant's piece of the address plan."""
    return Lease(number=row["number"], subnet=row["subnet"], gateway=row["gateway"])


def tenant(row: Row) -> TenantRecord:
    """Read a row of ``TENANT``."""
    return TenantRecord(
        id=str(row["id"]),
        slug=row["slug"],
        name=row["name"],
        email=row["email"],
        wanted=Wanted(row["wanted"]),
        generation=row["generation"],
        lease=lease(row),
        pods=row["pods"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def pod(row: Row) -> PodRecord:
    """Read a row of ``POD``."""
    return PodRecord(
        id=str(row["id"]),
        tenant_id=str(row["tenant_id"]),
        tenant=row["tenant"],
        tenant_name=row["tenant_name"],
        tenant_wanted=Wanted(row["tenant_wanted"]),
        name=row["name"],
        subdomain=row["subdomain"],
        generation=row["generation"],
        spec=value(row["spec"], PodSpec),
        status=value(row["status"], PodStatus),
        status_at=row["status_at"],
        address=row["address"],
        lease=lease(row),
        secrets=value(row["secrets"], dict[str, SecretRef]),
        credential=row["credential"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def page_size(limit: int) -> int:
    """Keep a page's size in its bounds."""
    return max(1, min(limit, LARGEST_PAGE))


def page(items: list[T], limit: int, key: Any) -> Page[T]:
    """Make a page of one row more than was asked for; ``key`` gives an item's place in the order."""
    size = page_size(limit)
    kept = tuple(items[:size])
    return Page(items=kept, next=key(kept[-1]) if len(items) > size else None)


def pattern(search: str) -> str:
    """Make a LIKE pattern that finds the text anywhere, whatever characters it holds."""
    escaped = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
