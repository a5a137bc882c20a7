"""The address plan: a /26 of the range per tenant, and in it one address per pod.

The lowest free piece is taken. Callers hold a lock, so that two at once never get the same one.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Network

from agentpod_core.errors import ConflictError
from agentpod_core.values.pods import Lease
from agentpod_server.store.ids import uuid7
from agentpod_server.store.transactions import demanded

DEFAULT_RANGE = "10.213.0.0/16"
PREFIX = 26
FIRST_POD = 4
"""Hosts below it are the gateway's and spare."""

_LOCK = 4_702_111_234_474_983_747


def free_lease(address_range: str, numbers: Collection[int], avoid: Collection[str]) -> Lease | None:
    """Find the lowest subnet whose number is free and that overlaps none of ``avoid``."""
    taken = [IPv4Network(one) for one in avoid]
    for number, subnet in enumerate(IPv4Network(address_range).subnets(new_prefix=PREFIX)):
        if number not in numbers and not any(subnet.overlaps(one) for one in taken):
            return Lease(number=number, subnet=str(subnet), gateway=str(subnet[1]))
    return None


def free_address(subnet: str, taken: Collection[str]) -> str | None:
    """Find the lowest address for a pod in a tenant's subnet."""
    network = IPv4Network(subnet)
    for number in range(FIRST_POD, network.num_addresses - 1):
        if (address := str(network[number])) not in taken:
            return address
    return None


async def lease_for(tenant_id: str, address_range: str, avoid: Collection[str] = ()) -> Lease:
    """Give a tenant that has none its subnet.

    Raises:
        ConflictError: ``SubnetsExhausted``.
    """
    transaction = demanded()
    await transaction.execute("select pg_advisory_xact_lock($1)", _LOCK)
    rows = await transaction.fetch("select number, subnet from address_leases where node = 'local'")
    lease = free_lease(address_range, {row["number"] for row in rows}, [*avoid, *(row["subnet"] for row in rows)])
    if lease is None:
        raise ConflictError("SubnetsExhausted", range=address_range)
    await transaction.execute(
        "insert into address_leases (id, tenant_id, node, number, subnet, gateway, created_at)"
        " values ($1, $2, 'local', $3, $4, $5, now())",
        uuid7(),
        tenant_id,
        lease.number,
        lease.subnet,
        lease.gateway,
    )
    return lease
