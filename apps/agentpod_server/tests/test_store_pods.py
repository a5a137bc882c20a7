"""Facts about pods: names, addresses, subdomains, generations, listings, and races for all of them."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from agentpod_core.errors import ConflictError, NotFoundError
from agentpod_core.testing.store_stage import STATUS, WORKLOAD
from agentpod_core.values.pods import PodSpec, Wanted
from agentpod_core.values.status import Phase, Record
from agentpod_core.values.workload import SecretRef
from agentpod_server.records import Scope
from agentpod_server.store import addresses, leadership, pods, tenants
from agentpod_server.store.engine import PostgresStore
from agentpod_server.store.listen import Listener

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


async def test_a_pod_is_given_back_as_it_was_made(database):
    """A new pod is pending in its first generation at the lowest address from .4."""
    await _tenant(database)
    refs = {"token": SecretRef(key="k")}
    async with database.transaction(ALL):
        placement = await pods.place("acme")
        spec = PodSpec(adapter="echo", config={"词": [1.5, None]}, subdomain="acme", memory=2**33)
        made = await pods.create(placement, name="main", spec=spec, workload=WORKLOAD, secrets=refs, credential="token")
        again = [await pods.get("acme", "main"), await pods.by_id(made.id), (await pods.listing()).items[0]]
        part = await pods.engine_part(made.id)

    assert again == [made] * 3
    assert (made.spec, made.secrets, made.credential) == (spec, refs, "token")
    assert (made.generation, made.status.phase, made.address) == (1, Phase.PENDING, "10.214.0.4")
    assert (part.workload, part.record) == (WORKLOAD, Record())


async def test_two_pods_of_one_name_never_are(database):
    """Of many creates at once one wins; the others are told that the pod exists."""
    await _tenant(database)

    outcomes = await asyncio.gather(
        *(_pod(database, subdomain=f"s{number}") for number in range(6)), return_exceptions=True
    )

    assert [one.reason for one in outcomes if isinstance(one, ConflictError)] == ["PodExists"] * 5


async def test_pods_made_at_once_get_different_addresses(database):
    """A race inside one tenant gives no address away twice."""
    await _tenant(database)

    made = await asyncio.gather(*(_pod(database, name=f"p{number}") for number in range(8)))

    assert len({pod.address for pod in made}) == 8


async def test_a_subdomain_belongs_to_one_pod_of_all_tenants(database):
    """Of creates in two tenants at once one gets it; the other is told who holds it."""
    await _tenant(database, "a")
    await _tenant(database, "b")

    outcomes = await asyncio.gather(
        *(_pod(database, tenant, subdomain="www2") for tenant in ("a", "b")), return_exceptions=True
    )

    (made,) = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    (failed,) = [outcome for outcome in outcomes if isinstance(outcome, ConflictError)]
    assert failed.reason == "SubdomainTaken"
    assert failed.params == {"subdomain": "www2", "holder": f"{made.tenant}/main"}


async def test_a_tenant_is_not_told_about_others(database):
    """In a tenant's own scope a taken subdomain is unavailable, without the holder."""
    await _tenant(database, "a")
    tenant = await _tenant(database, "b")
    await _pod(database, "a", subdomain="www2")

    with pytest.raises(ConflictError) as raised:  # noqa: PT012
        async with database.transaction(Scope(tenant_id=tenant.id)):
            placement = await pods.place("b")
            await pods.create(placement, name="main", spec=PodSpec(adapter="echo", subdomain="www2"), workload=WORKLOAD)

    assert raised.value.reason == "SubdomainUnavailable"
    assert "a/main" not in str(raised.value)


async def test_a_change_of_subdomain_meets_the_holder(database):
    """A pod that wants another's subdomain keeps its own generation and is told who holds it."""
    await _tenant(database)
    await _pod(database, name="one", subdomain="taken")
    pod = await _pod(database, name="two")

    with pytest.raises(ConflictError) as raised:  # noqa: PT012
        async with database.transaction(ALL):
            spec = msgspec.structs.replace(pod.spec, subdomain="taken")
            await pods.change(pod.id, expected=1, spec=spec)

    assert raised.value.params["holder"] == "acme/one"
    async with database.transaction(ALL):
        assert await pods.get("acme", "two") == pod


async def test_every_generation_is_kept(database):
    """A change adds a row that says who made it; the earlier ones stay as they were."""
    await _tenant(database)
    pod = await _pod(database)
    async with database.transaction(Scope(actor="bob")):
        changed = await pods.change(pod.id, expected=1, spec=msgspec.structs.replace(pod.spec, config={"a": 1}))
        same = await pods.change(pod.id, expected=2, spec=changed.spec)
        history = await pods.configs(pod.id)
        older = await pods.configs(pod.id, before=2)

    assert (changed.generation, same) == (2, changed)
    assert [(one.generation, one.spec, one.created_by) for one in history] == [
        (2, changed.spec, "bob"),
        (1, pod.spec, "ann"),
    ]
    assert older == history[1:]


async def test_of_two_changes_of_one_generation_one_wins(database):
    """A race between two writers with the same expectation refuses one of them."""
    await _tenant(database)
    pod = await _pod(database)

    async def change(value):
        async with database.transaction(ALL):
            spec = msgspec.structs.replace(pod.spec, config={"v": value})
            return await pods.change(pod.id, expected=1, spec=spec)

    outcomes = await asyncio.gather(*(change(value) for value in range(5)), return_exceptions=True)

    assert [one.reason for one in outcomes if isinstance(one, ConflictError)] == ["GenerationMismatch"] * 4


async def test_there_is_no_way_back_from_deletion(database):
    """A pod wanted deleted cannot be started, changed or made anew before it is gone."""
    await _tenant(database)
    pod = await _pod(database)
    async with database.transaction(ALL):
        gone = await pods.set_wanted(pod.id, Wanted.DELETED)
        assert await pods.set_wanted(pod.id, Wanted.DELETED) == gone

    with pytest.raises(ConflictError) as raised:
        async with database.transaction(ALL):
            await pods.set_wanted(pod.id, Wanted.RUNNING)
    assert raised.value.reason == "PodDeleting"
    with pytest.raises(ConflictError) as raised:
        await _pod(database)
    assert raised.value.reason == "PodDeleting"


async def test_a_full_subnet_is_told(database, monkeypatch):
    """When a tenant has no address left the next pod is refused by name."""
    monkeypatch.setattr(addresses, "FIRST_POD", 61)
    await _tenant(database)
    for name in ("a", "b"):
        await _pod(database, name=name)

    with pytest.raises(ConflictError) as raised:
        await _pod(database, name="c")

    assert raised.value.reason == "AddressesExhausted"


async def test_pods_are_listed_page_by_page_and_filtered(database):
    """Pages follow tenant and name; each filter narrows them, and so does the scope."""
    for slug in ("b", "a"):
        await _tenant(database, slug)
        for name in ("y", "x"):
            await _pod(database, slug, name)
    async with database.transaction(ALL):
        first = await pods.listing(limit=3)
        rest = await pods.listing(limit=3, after=first.next)
        of_b = await pods.listing(tenant="b")
        searched = await pods.listing(search="a/Y")
        none = [await pods.listing(adapter="other"), await pods.listing(phase=Phase.RUNNING)]
    async with database.transaction(Scope(tenant_id=of_b.items[0].tenant_id)):
        scoped = await pods.listing()

    assert [(pod.tenant, pod.name) for pod in (*first.items, *rest.items)] == [
        ("a", "x"),
        ("a", "y"),
        ("b", "x"),
        ("b", "y"),
    ]
    assert rest.next is None
    assert [pod.tenant for pod in of_b.items] == ["b", "b"]
    assert scoped == of_b
    assert [(pod.tenant, pod.name) for pod in searched.items] == [("a", "y")]
    assert [page.items for page in none] == [(), ()]


async def test_phases_are_counted_and_filtered(database):
    """What the engine saved decides a pod's phase in listings and counts."""
    await _tenant(database)
    pod = await _pod(database)
    await _pod(database, name="other")
    engine = PostgresStore(database, listener=Listener(database), hosts=lambda _: (), secret_stores={})
    await engine.save(await engine.lead("one", 60), pod.id, status=STATUS, record=Record())

    async with database.transaction(ALL):
        assert await pods.count_by_phase() == {Phase.CRASH_LOOP: 1, Phase.PENDING: 1}
        assert [found.id for found in (await pods.listing(phase=Phase.CRASH_LOOP)).items] == [pod.id]
        assert (await pods.by_id(pod.id)).status == STATUS


async def test_what_is_not_there_is_not_found(database):
    """Each getter says what was looked for."""
    async with database.transaction(ALL):
        for ask, reason in (
            (lambda: tenants.get("x"), "TenantNotFound"),
            (lambda: tenants.by_id("no id"), "TenantNotFound"),
            (lambda: tenants.change("x", expected=1), "TenantNotFound"),
            (lambda: pods.place("x"), "TenantNotFound"),
            (lambda: pods.get("x", "y"), "PodNotFound"),
            (lambda: pods.by_id("no id"), "PodIdNotFound"),
        ):
            with pytest.raises(NotFoundError) as raised:
                await ask()
            assert raised.value.reason == reason


async def test_a_lease_is_fenced_inside_a_transaction(database):
    """The epoch that was taken is demanded by whoever writes as the leader."""
    async with database.transaction(ALL):
        epoch = await leadership.take("one", 10)
        await leadership.demand(epoch)
        with pytest.raises(ConflictError):
            await leadership.demand(epoch + 1)
