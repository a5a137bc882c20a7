"""Encrypted secrets as rows: versions by tenant and key; those of no tenant are the platform's. Knows no cipher.

Needs an open transaction.
"""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from agentpod_server.store.ids import known
from agentpod_server.store.transactions import demanded

KEPT_VERSIONS = 3


class Sealed(Struct, frozen=True, kw_only=True):
    """One version as it is stored: the value sealed by a data key, and that wrapped by the key ``key_id``."""

    id: str
    tenant_id: str
    key: str
    version: int
    key_id: str
    wrapped: bytes
    sealed: bytes


def prefix_of_pod(pod_id: str) -> str:
    """Give the beginning of the keys of all secrets that go when a pod goes."""
    return f"pod/{pod_id}/"


async def next_version(tenant_id: str, key: str) -> int:
    """Give the number of the next version, and keep others from taking it until the transaction ends."""
    transaction = demanded()
    await transaction.execute("select pg_advisory_xact_lock(hashtextextended($1, 7))", f"{tenant_id}/{key}")
    version: int = await transaction.value(
        "select coalesce(max(version), 0) + 1 from secrets where tenant_id is not distinct from $1 and key = $2",
        _owner(tenant_id),
        key,
    )
    return version


async def add(row: Sealed) -> None:
    """Write a version, and drop those that are too old to be asked for."""
    transaction = demanded()
    await transaction.execute(
        "insert into secrets (id, tenant_id, key, version, key_id, wrapped, sealed, created_at)"
        " values ($1, $2, $3, $4, $5, $6, $7, now())",
        row.id,
        _owner(row.tenant_id),
        row.key,
        row.version,
        row.key_id,
        row.wrapped,
        row.sealed,
    )
    await transaction.execute(
        "delete from secrets where tenant_id is not distinct from $1 and key = $2 and version <= $3",
        _owner(row.tenant_id),
        row.key,
        row.version - KEPT_VERSIONS,
    )


async def find(tenant_id: str, key: str, version: int) -> Sealed | None:
    """Give a version; None when there is none."""
    row = await demanded().row(
        "select * from secrets where tenant_id is not distinct from $1 and key = $2 and version = $3",
        _owner(tenant_id),
        key,
        version,
    )
    if row is None:
        return None
    return Sealed(
        id=str(row["id"]),
        tenant_id=tenant_id,
        key=row["key"],
        version=row["version"],
        key_id=row["key_id"],
        wrapped=row["wrapped"],
        sealed=row["sealed"],
    )


async def newest(tenant_id: str) -> list[tuple[str, int]]:
    """List the keys of a tenant with their newest version."""
    found = await demanded().fetch(
        "select key, max(version) as version from secrets where tenant_id is not distinct from $1"
        " group by key order by key",
        _owner(tenant_id),
    )
    return [(row["key"], row["version"]) for row in found]


async def delete(tenant_id: str, key: str) -> None:
    """Forget all versions of a key; none is fine."""
    await demanded().execute(
        "delete from secrets where tenant_id is not distinct from $1 and key = $2", _owner(tenant_id), key
    )


async def delete_of_pod(pod_id: str) -> None:
    """Forget every secret of a pod."""
    await demanded().execute("delete from secrets where starts_with(key, $1)", prefix_of_pod(pod_id))


async def key_ids() -> set[str]:
    """Name the keys that stored secrets are wrapped by."""
    return {row["key_id"] for row in await demanded().fetch("select distinct key_id from secrets")}


def _owner(tenant_id: str) -> UUID | None:
    """Give what stands for a tenant in a row; nothing stands for the platform, and no row has the id of a stranger."""
    return (known(tenant_id) or UUID(int=0)) if tenant_id else None
