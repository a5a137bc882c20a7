"""Tenants: customers, each with a piece of the address plan. Needs an open transaction."""

from __future__ import annotations

from collections.abc import Collection

from agentpod_core.errors import ConflictError, NotFoundError
from agentpod_core.values.pods import Wanted
from agentpod_server.records import Page, TenantRecord
from agentpod_server.store import addresses, pods, rows
from agentpod_server.store.conditions import Conditions
from agentpod_server.store.ids import known, uuid7
from agentpod_server.store.transactions import demanded


async def create(
    *,
    slug: str,
    name: str = "",
    email: str = "",
    address_range: str = addresses.DEFAULT_RANGE,
    avoid: Collection[str] = (),
) -> TenantRecord:
    """Create a tenant with the lowest free subnet of the range that overlaps none of ``avoid``.

    Raises:
        ConflictError: ``TenantExists``; ``TenantDeleting``; ``SubnetsExhausted``.
    """
    transaction = demanded()
    tenant_id = uuid7()
    made = await transaction.value(
        "insert into tenants (id, slug, name, email, wanted, generation, created_at, updated_at)"
        " values ($1, $2, $3, $4, 'running', 1, now(), now()) on conflict (slug) do nothing returning id",
        tenant_id,
        slug,
        name,
        email,
    )
    if made is None:
        there = await find(slug)
        deleting = there is not None and there.wanted is Wanted.DELETED
        raise ConflictError("TenantDeleting" if deleting else "TenantExists", tenant=slug)
    await addresses.lease_for(str(tenant_id), address_range, avoid)
    return await get(slug)


async def find(slug: str) -> TenantRecord | None:
    """Give a tenant; None when there is none for this scope."""
    row = await demanded().row(f"{rows.TENANT} where t.slug = $1", slug)
    return None if row is None else rows.tenant(row)


async def get(slug: str) -> TenantRecord:
    """Give a tenant.

    Raises:
        NotFoundError: ``TenantNotFound``.
    """
    record = await find(slug)
    if record is None:
        raise NotFoundError("TenantNotFound", tenant=slug)
    return record


async def by_id(tenant_id: str) -> TenantRecord:
    """Give a tenant by its id.

    Raises:
        NotFoundError: ``TenantNotFound``.
    """
    row = await demanded().row(f"{rows.TENANT} where t.id = $1", known(tenant_id))
    if row is None:
        raise NotFoundError("TenantNotFound", tenant=tenant_id)
    return rows.tenant(row)


async def listing(
    *, wanted: Wanted | None = None, search: str = "", after: tuple[str, ...] | None = None, limit: int = 50
) -> Page[TenantRecord]:
    """List tenants by slug; ``search`` looks into slug, name and e-mail address."""
    transaction = demanded()
    where = Conditions()
    if transaction.scope.tenant_id:
        where.add("t.id = ?", transaction.scope.tenant_id)
    if wanted is not None:
        where.add("t.wanted = ?", wanted.value)
    if search:
        where.add("(t.slug || ' ' || t.name || ' ' || t.email) ilike ?", rows.pattern(search))
    if after is not None:
        where.add("t.slug > ?", after[0])
    size = where.number(rows.page_size(limit) + 1)
    found = await transaction.fetch(f"{rows.TENANT} {where.sql} order by t.slug limit {size}", *where.args)
    return rows.page([rows.tenant(row) for row in found], limit, lambda one: (one.slug,))


async def change(
    slug: str,
    *,
    expected: int | None,
    name: str | None = None,
    email: str | None = None,
    wanted: Wanted | None = None,
) -> TenantRecord:
    """Change what is given; an equal tenant keeps its generation. ``expected`` None overwrites any generation.

    Raises:
        NotFoundError: ``TenantNotFound``.
        ConflictError: ``GenerationMismatch``; ``TenantDeleting``.
    """
    before = await _locked(slug)
    if expected is not None and expected != before.generation:
        raise ConflictError("GenerationMismatch", expected=expected, actual=before.generation)
    if before.wanted is Wanted.DELETED:
        raise ConflictError("TenantDeleting", tenant=slug)
    wished = (
        before.name if name is None else name,
        before.email if email is None else email,
        before.wanted if wanted is None else wanted,
    )
    if wished == (before.name, before.email, before.wanted):
        return before
    await demanded().execute(
        "update tenants set name = $2, email = $3, wanted = $4, generation = generation + 1, updated_at = now()"
        " where slug = $1",
        slug,
        wished[0],
        wished[1],
        wished[2].value,
    )
    return await get(slug)


async def mark_deleted(slug: str, *, cascade: bool = False, keep_data: bool = False) -> TenantRecord:
    """Want a tenant gone; with ``cascade`` its pods as well. A second time is fine.

    Raises:
        NotFoundError: ``TenantNotFound``.
        ConflictError: ``TenantHasPods``.
    """
    before = await _locked(slug)
    transaction = demanded()
    alive = await transaction.fetch(
        "select id from pods where tenant_id = $1 and wanted <> 'deleted' order by id", before.id
    )
    if alive and not cascade:
        raise ConflictError("TenantHasPods", tenant=slug, pods=len(alive))
    for row in alive:
        await pods.set_wanted(str(row["id"]), Wanted.DELETED, keep_data=keep_data)
    if before.wanted is not Wanted.DELETED:
        await transaction.execute(
            "update tenants set wanted = 'deleted', generation = generation + 1, updated_at = now() where id = $1",
            before.id,
        )
    return await get(slug)


async def _locked(slug: str) -> TenantRecord:
    """Give a tenant and keep others from changing it, or adding pods, until the end of the transaction."""
    await demanded().execute("select 1 from tenants where slug = $1 for no key update", slug)
    return await get(slug)
