"""Facts about tenants: names, subnets, generations, listings, and races for all of them."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from agentpod_core.errors import ConflictError
from agentpod_core.testing.store_stage import WORKLOAD
from agentpod_core.values.pods import Lease, PodSpec, Wanted
from agentpod_server.records import Scope
from agentpod_server.store import pods, tenants

ALL = Scope(actor="ann", request_id="r1")
RANGE = "10.214.0.0/16"


async def _tenant(database, slug="acme", **more):
    async with database.transaction(ALL):
        return await tenants.create(slug=slug, **{"address_range": RANGE, **more})


async def _pod(database, tenant="acme", name="main", subdomain=None, **more):
    async with database.transaction(ALL):
        placement = await pods.place(tenant)
        spec = PodSpec(adapter="echo", subdomain=subdomain or f"{name}-{tenant}", **more)
        return await pods.create(placement, name=name, spec=spec, workload=WORKLOAD)


async def test_a_tenant_is_given_back_as_it_was_made(database):
    """A new tenant runs in its first generation, has a subnet with a gateway, and no pods."""
    made = await _tenant(database, name="ACME 公司", email="it@acme.example")

    assert (made.slug, made.name, made.email) == ("acme", "ACME 公司", "it@acme.example")
    assert (made.wanted, made.generation, made.pods) == (Wanted.RUNNING, 1, 0)
    assert made.lease == Lease(number=0, subnet="10.214.0.0/26", gateway="10.214.0.1")
    assert made.created_at.utcoffset().total_seconds() == 0
    async with database.transaction(ALL):
        assert await tenants.get("acme") == await tenants.by_id(made.id) == made


async def test_two_tenants_of_one_name_never_are(database):
    """Of many creates at once one wins; the others are told that the tenant exists."""
    outcomes = await asyncio.gather(*(_tenant(database) for _ in range(6)), return_exceptions=True)

    failed = [outcome.reason for outcome in outcomes if isinstance(outcome, ConflictError)]
    assert failed == ["TenantExists"] * 5


async def test_tenants_made_at_once_get_different_subnets(database):
    """A race for the address plan gives nothing away twice."""
    made = await asyncio.gather(*(_tenant(database, f"t{number}") for number in range(8)))

    assert sorted(tenant.lease.number for tenant in made) == list(range(8))


async def test_subnets_to_avoid_are_skipped(database):
    """A subnet that overlaps a route of the host is given to nobody."""
    made = await _tenant(database, avoid=["10.214.0.0/25", "192.168.0.0/16"])

    assert made.lease.subnet == "10.214.0.128/26"


async def test_a_full_address_plan_is_told(database):
    """When no subnet is left the create fails and leaves no tenant."""
    await _tenant(database, "a", address_range="10.214.0.0/26")

    with pytest.raises(ConflictError) as raised:
        await _tenant(database, "b", address_range="10.214.0.0/26")

    assert raised.value.reason == "SubnetsExhausted"
    async with database.transaction(ALL):
        assert await tenants.find("b") is None


async def test_a_tenant_changes_by_generation(database):
    """A change counts up, the same again does not, and an old generation is refused."""
    await _tenant(database)
    async with database.transaction(ALL):
        changed = await tenants.change("acme", expected=1, name="New")
        same = await tenants.change("acme", expected=2, name="New")
    assert (changed.generation, changed.name, same) == (2, "New", changed)

    with pytest.raises(ConflictError) as raised:
        async with database.transaction(ALL):
            await tenants.change("acme", expected=1, name="Old")
    assert raised.value.params == {"expected": 1, "actual": 2}


async def test_a_tenant_with_pods_is_not_deleted_by_accident(database):
    """Without cascade it stays; with it the pods are wanted deleted as well, and a second time is fine."""
    await _tenant(database)
    await _pod(database)

    with pytest.raises(ConflictError) as raised:
        async with database.transaction(ALL):
            await tenants.mark_deleted("acme")
    assert raised.value.params == {"tenant": "acme", "pods": 1}

    async with database.transaction(ALL):
        first = await tenants.mark_deleted("acme", cascade=True, keep_data=True)
        again = await tenants.mark_deleted("acme")
        pod = await pods.get("acme", "main")
    assert (first.wanted, again) == (Wanted.DELETED, first)
    assert (pod.spec.wanted, pod.spec.keep_data) == (Wanted.DELETED, True)


async def test_what_is_being_deleted_takes_nothing_new(database):
    """A tenant on its way out gets no pods, no changes and no namesake."""
    await _tenant(database)
    async with database.transaction(ALL):
        await tenants.mark_deleted("acme")

    for act in (
        lambda: pods.place("acme"),
        lambda: tenants.change("acme", expected=None, name="x"),
        lambda: tenants.create(slug="acme", address_range=RANGE),
    ):
        with pytest.raises(ConflictError) as raised:
            async with database.transaction(ALL):
                await act()
        assert raised.value.reason == "TenantDeleting"


async def test_tenants_are_listed_page_by_page(database):
    """Pages follow the slugs, with a key for the next one until the last."""
    for slug in ("c", "a", "b"):
        await _tenant(database, slug, name=f"The {slug}_%")
    async with database.transaction(ALL):
        first = await tenants.listing(limit=2)
        second = await tenants.listing(limit=2, after=first.next)
        searched = await tenants.listing(search="THE B_%")
        none = await tenants.listing(search="b_x")

    assert [tenant.slug for tenant in first.items] == ["a", "b"]
    assert ([tenant.slug for tenant in second.items], second.next) == (["c"], None)
    assert [tenant.slug for tenant in searched.items] == ["b"]
    assert none.items == ()


async def test_names_never_change(database):
    """Not even SQL of ours renames a tenant or pod."""
    await _tenant(database)
    await _pod(database)

    for sql in ("update tenants set slug = 'x'", "update pods set name = 'x'", "update pods set tenant = 'x'"):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            async with database.transaction(ALL) as transaction:
                await transaction.execute(sql)
