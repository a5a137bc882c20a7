"""Pods: what was asked, generation by generation, and where. Needs an open transaction."""

from __future__ import annotations

import msgspec
from asyncpg import UniqueViolationError

from agentpod_core.errors import ConflictError, NotFoundError
from agentpod_core.values.pods import PodSpec, Wanted
from agentpod_core.values.status import PodStatus, Record
from agentpod_core.values.workload import SecretRef, Workload
from agentpod_server.records import Placement, PodRecord
from agentpod_server.store import addresses, generations, rows
from agentpod_server.store.generations import configs as configs
from agentpod_server.store.generations import engine_part as engine_part
from agentpod_server.store.ids import known, uuid7
from agentpod_server.store.pod_listings import count_by_phase as count_by_phase
from agentpod_server.store.pod_listings import listing as listing
from agentpod_server.store.transactions import demanded


async def place(tenant: str) -> Placement:
    """Give a pod to be its id and address. Keeps others from adding pods to the tenant until the transaction ends.

    Raises:
        NotFoundError: ``TenantNotFound``.
        ConflictError: ``TenantDeleting``; ``AddressesExhausted``.
    """
    transaction = demanded()
    await transaction.execute("select 1 from tenants where slug = $1 for no key update", tenant)
    row = await transaction.row(f"{rows.TENANT} where t.slug = $1", tenant)
    if row is None:
        raise NotFoundError("TenantNotFound", tenant=tenant)
    owner = rows.tenant(row)
    if owner.wanted is Wanted.DELETED:
        raise ConflictError("TenantDeleting", tenant=tenant)
    taken = await transaction.fetch("select address from pods where tenant_id = $1", owner.id)
    address = addresses.free_address(owner.lease.subnet, {one["address"] for one in taken})
    if address is None:
        raise ConflictError("AddressesExhausted", tenant=tenant, subnet=owner.lease.subnet)
    return Placement(
        id=str(uuid7()),
        tenant_id=owner.id,
        tenant=owner.slug,
        tenant_name=owner.name,
        address=address,
        lease=owner.lease,
    )


async def create(  # noqa: PLR0913 - a pod has that many parts
    placement: Placement,
    *,
    name: str,
    spec: PodSpec,
    workload: Workload,
    secrets: dict[str, SecretRef] | None = None,
    credential: str | None = None,
) -> PodRecord:
    """Create a pod where ``place`` put it in this transaction; ``spec.subdomain`` is to be filled in.

    Raises:
        ConflictError: ``PodExists``; ``PodDeleting``; ``SubdomainTaken`` with the holder, or
            ``SubdomainUnavailable`` when the holder is not for this scope to see.
    """
    transaction = demanded()
    there = await find(placement.tenant, name)
    if there is not None:
        deleting = there.spec.wanted is Wanted.DELETED
        raise ConflictError("PodDeleting" if deleting else "PodExists", tenant=placement.tenant, pod=name)
    made = await transaction.value(
        "insert into pods (id, tenant_id, tenant, name, subdomain, generation, wanted, adapter, node, address,"
        " created_at, updated_at) values ($1, $2, $3, $4, $5, 1, $6, $7, 'local', $8, now(), now())"
        " on conflict (subdomain) do nothing returning id",
        placement.id,
        placement.tenant_id,
        placement.tenant,
        name,
        spec.subdomain,
        spec.wanted.value,
        spec.adapter,
        placement.address,
    )
    if made is None:
        raise await _subdomain_conflict(spec.subdomain)
    await generations.add(
        placement.id, placement.tenant_id, 1, spec=spec, workload=workload, secrets=secrets or {}, credential=credential
    )
    await transaction.execute(
        "insert into pod_status (pod_id, tenant_id, node, phase, ready, observed_generation, status, record,"
        " updated_at) values ($1, $2, 'local', $3, false, 0, $4, $5, now())",
        placement.id,
        placement.tenant_id,
        PodStatus().phase.value,
        rows.text(PodStatus()),
        rows.text(Record()),
    )
    return await by_id(placement.id)


async def find(tenant: str, name: str) -> PodRecord | None:
    """Give a pod; None when there is none for this scope."""
    row = await demanded().row(f"{rows.POD} where p.tenant = $1 and p.name = $2", tenant, name)
    return None if row is None else rows.pod(row)


async def get(tenant: str, name: str) -> PodRecord:
    """Give a pod.

    Raises:
        NotFoundError: ``PodNotFound``.
    """
    record = await find(tenant, name)
    if record is None:
        raise NotFoundError("PodNotFound", tenant=tenant, pod=name)
    return record


async def by_id(pod_id: str) -> PodRecord:
    """Give a pod by its id.

    Raises:
        NotFoundError: ``PodIdNotFound``.
    """
    row = await demanded().row(f"{rows.POD} where p.id = $1", known(pod_id))
    if row is None:
        raise NotFoundError("PodIdNotFound", id=pod_id)
    return rows.pod(row)


async def change(  # noqa: PLR0913 - a generation has that many parts
    pod_id: str,
    *,
    expected: int | None,
    spec: PodSpec,
    workload: Workload | None = None,
    secrets: dict[str, SecretRef] | None = None,
    credential: str | None = None,
) -> PodRecord:
    """Make a new generation. What is None stays as it was; an equal spec without a workload makes none.

    ``expected`` None overwrites any generation.

    Raises:
        NotFoundError: ``PodIdNotFound``.
        ConflictError: ``GenerationMismatch``; ``PodDeleting``; ``SubdomainTaken``, ``SubdomainUnavailable``.
    """
    transaction = demanded()
    before = await _locked(pod_id)
    if expected is not None and expected != before.generation:
        raise ConflictError("GenerationMismatch", expected=expected, actual=before.generation)
    if workload is None and secrets is None and msgspec.to_builtins(spec) == msgspec.to_builtins(before.spec):
        return before
    if before.spec.wanted is Wanted.DELETED:
        raise ConflictError("PodDeleting", tenant=before.tenant, pod=before.name)
    generation = before.generation + 1
    await generations.add(
        pod_id,
        before.tenant_id,
        generation,
        spec=spec,
        workload=workload,
        secrets=before.secrets if secrets is None else secrets,
        credential=before.credential if credential is None else credential,
    )
    try:
        async with transaction.connection.transaction():  # a savepoint: the answer needs another query
            await transaction.execute(
                "update pods set generation = $2, wanted = $3, adapter = $4, subdomain = $5, updated_at = now()"
                " where id = $1",
                pod_id,
                generation,
                spec.wanted.value,
                spec.adapter,
                spec.subdomain,
            )
    except UniqueViolationError:
        raise await _subdomain_conflict(spec.subdomain) from None
    return await by_id(pod_id)


async def set_wanted(pod_id: str, wanted: Wanted, *, keep_data: bool = False) -> PodRecord:
    """Start, stop or delete a pod; what it already is wanted to be changes nothing.

    Raises:
        NotFoundError: ``PodIdNotFound``.
        ConflictError: ``PodDeleting``: there is no way back from there.
    """
    before = await _locked(pod_id)
    if before.spec.wanted is wanted:
        return before
    spec = msgspec.structs.replace(before.spec, wanted=wanted, keep_data=keep_data and wanted is Wanted.DELETED)
    return await change(pod_id, expected=before.generation, spec=spec)


async def _locked(pod_id: str) -> PodRecord:
    """Give a pod and keep others from changing it until the end of the transaction."""
    await demanded().execute("select 1 from pods where id = $1 for no key update", known(pod_id))
    return await by_id(pod_id)


async def _subdomain_conflict(subdomain: str) -> ConflictError:
    row = await demanded().row("select tenant, name from pods where subdomain = $1", subdomain)
    if row is None:
        return ConflictError("SubdomainUnavailable", subdomain=subdomain)
    return ConflictError("SubdomainTaken", subdomain=subdomain, holder=f"{row['tenant']}/{row['name']}")
