"""What every store of the engine must do. Subclass ``StoreContract`` in a test module and define its fixtures.

Stores are no plug point: an application that embeds the core brings its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address, ip_network

import msgspec
import pytest

from agentpod_core.errors import ConflictError, NotFoundError, PermanentError, TemporaryError
from agentpod_core.ports import RouteInput, Store
from agentpod_core.testing.parts import to_define
from agentpod_core.testing.store_alerts import ALERT, StoreAlerts
from agentpod_core.testing.store_changes import StoreChanges
from agentpod_core.testing.store_leases import StoreLeases
from agentpod_core.testing.store_samples import StoreSamples
from agentpod_core.testing.store_stage import HAPPENING, RECORD, STATUS, WORKLOAD, StoreStage, Told, led, secret_prefix
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Happening, PodStatus, Record
from agentpod_core.values.workload import SecretRef


class StoreContract(StoreLeases, StoreChanges, StoreAlerts, StoreSamples):
    """The facts that hold for every store.

    Fixtures: ``store`` (nothing in it) and ``stage``, a ``StoreStage``: what operators do to that very
    store, and what goes wrong around it. There are no optional parts. ``patience`` is the number of
    seconds in which a change has to be told. The whole of what an author writes::

        class TestMyStore(StoreContract):
            @pytest_asyncio.fixture
            async def store(self, database):
                return MyStore(database)

            @pytest.fixture
            def stage(self, database):
                return MyStage(database)
    """

    @to_define
    def store(self) -> Store:
        """A store with nothing in it."""
        raise NotImplementedError

    @to_define
    def stage(self) -> StoreStage:
        """What surrounds that very store."""
        raise NotImplementedError

    async def test_a_pod_comes_with_all_that_a_pass_needs(self, store: Store, stage: StoreStage) -> None:
        """A pod's input holds spec, workload, lease, address, hosts and secrets, and an untouched status."""
        tenant_id = await stage.add_tenant("acme")
        refs = {"token": SecretRef(key="k", version=3)}
        pod_id = await stage.add_pod(
            tenant_id, "main", config={"深": [1, None, {"a": 0.5}]}, secrets=refs, credential="token"
        )

        pod = await store.pod(pod_id)

        assert pod is not None
        assert (pod.id, pod.name, pod.tenant_id, pod.tenant) == (pod_id, "main", tenant_id, "acme")
        assert pod.generation == 1
        assert pod.spec.config == {"深": [1, None, {"a": 0.5}]}
        assert pod.spec.wanted is Wanted.RUNNING
        assert pod.workload == WORKLOAD
        assert ip_address(pod.address) in ip_network(pod.lease.subnet)
        assert pod.address != pod.lease.gateway
        assert len(pod.hosts) == 1
        assert pod.hosts[0].startswith("acme.")
        assert (pod.secrets, pod.credential) == (refs, "token")
        assert (pod.status, pod.record) == (PodStatus(), Record())
        assert pod.tenant_wanted is Wanted.RUNNING

    async def test_all_pods_of_all_tenants_are_listed(self, store: Store, stage: StoreStage) -> None:
        """The list holds every pod, each as it comes alone."""
        first, second = await stage.add_tenant("acme"), await stage.add_tenant("globex")
        ids = [await stage.add_pod(first, "a"), await stage.add_pod(first, "b"), await stage.add_pod(second, "a")]

        listed = await store.pods()

        assert sorted(ids) == sorted(pod.id for pod in listed)
        assert [await store.pod(pod.id) for pod in listed] == listed

    async def test_ways_in_are_those_of_the_pods(self, store: Store, stage: StoreStage) -> None:
        """What routes are made of is what the pods' own inputs say, also after changes."""
        first, second = await stage.add_tenant("acme"), await stage.add_tenant("globex")
        ids = [await stage.add_pod(first, "a"), await stage.add_pod(first, "b"), await stage.add_pod(second, "a")]
        await stage.want_pod(ids[1], Wanted.STOPPED)
        await stage.want_tenant(second, Wanted.STOPPED)
        hidden = msgspec.structs.replace(WORKLOAD, route=None, ports=())
        await stage.change_pod(ids[0], workload=hidden)

        found = {one.id: one for one in await store.ways_in()}

        pods = await store.pods()
        assert sorted(found) == sorted(ids)
        assert [found[pod.id] for pod in pods] == [
            RouteInput(
                id=pod.id,
                address=pod.address,
                hosts=pod.hosts,
                ports=pod.workload.ports,
                route=pod.workload.route,
                wanted=pod.spec.wanted,
                tenant_wanted=pod.tenant_wanted,
            )
            for pod in pods
        ]

    async def test_a_tenant_comes_with_its_pods(self, store: Store, stage: StoreStage) -> None:
        """A tenant's input names lease and pods, alone and in the list."""
        tenant_id, other = await stage.add_tenant("acme"), await stage.add_tenant("globex")
        pod_id = await stage.add_pod(tenant_id, "main")

        tenant = await store.tenant(tenant_id)

        assert tenant is not None
        assert (tenant.slug, tenant.wanted, tenant.pods) == ("acme", Wanted.RUNNING, (pod_id,))
        listed = {one.id: one for one in await store.tenants()}
        assert listed[tenant_id] == tenant
        assert listed[other].pods == ()
        assert listed[other].lease.subnet != tenant.lease.subnet

    @pytest.mark.parametrize("unknown", ["00000000-0000-7000-8000-00000000dead", "no id at all", ""])
    async def test_what_is_unknown_is_none(self, store: Store, unknown: str) -> None:
        """An id that nothing has gives None, whatever it looks like."""
        assert await store.pod(unknown) is None
        assert await store.tenant(unknown) is None

    async def test_no_two_pods_share_an_address(self, store: Store, stage: StoreStage) -> None:
        """Pods of one tenant have different addresses, and tenants different subnets."""
        tenants = [await stage.add_tenant(slug) for slug in ("a", "b", "c")]
        for tenant_id in tenants:
            for name in ("one", "two"):
                await stage.add_pod(tenant_id, name)

        assert len({pod.address for pod in await store.pods()}) == 6

    async def test_a_change_makes_a_generation_with_its_own_workload(self, store: Store, stage: StoreStage) -> None:
        """A changed config counts the generation up and brings the workload rendered for it."""
        pod_id = await stage.add_pod(await stage.add_tenant("acme"), "main")
        workload = msgspec.structs.replace(WORKLOAD, image="contract:2")

        generation = await stage.change_pod(pod_id, config={"a": 1}, workload=workload)

        pod = await store.pod(pod_id)
        assert pod is not None
        assert (pod.generation, generation) == (2, 2)
        assert pod.spec.config == {"a": 1}
        assert pod.workload == workload

    async def test_a_stop_is_a_generation_with_the_same_workload(self, store: Store, stage: StoreStage) -> None:
        """What is wanted is part of the spec; the workload stays the one that was rendered."""
        pod_id = await stage.add_pod(await stage.add_tenant("acme"), "main")

        await stage.want_pod(pod_id, Wanted.STOPPED)

        pod = await store.pod(pod_id)
        assert pod is not None
        assert (pod.generation, pod.spec.wanted, pod.workload) == (2, Wanted.STOPPED, WORKLOAD)

    async def test_what_was_saved_is_read_back(self, store: Store, stage: StoreStage) -> None:
        """Status and record come back as they were, and belong to that pod alone."""
        tenant_id = await stage.add_tenant("acme")
        pod_id, other = await stage.add_pod(tenant_id, "main"), await stage.add_pod(tenant_id, "other")
        epoch = await led(store)

        await store.save(epoch, pod_id, status=STATUS, record=RECORD)

        pod, untouched = await store.pod(pod_id), await store.pod(other)
        assert pod is not None
        assert untouched is not None
        assert (pod.status, pod.record) == (STATUS, RECORD)
        assert (untouched.status, untouched.record) == (PodStatus(), Record())

    async def test_happenings_become_events_of_the_pod(self, store: Store, stage: StoreStage) -> None:
        """What happened is told in order, with the slugs of tenant and pod."""
        pod_id = await stage.add_pod(await stage.add_tenant("acme"), "main")
        second = Happening(kind="pod", reason="Restarted")

        await store.save(await led(store), pod_id, status=STATUS, record=RECORD, happenings=(HAPPENING, second))

        assert (await stage.events())[-2:] == [
            Told(tenant="acme", pod="main", happening=HAPPENING),
            Told(tenant="acme", pod="main", happening=second),
        ]

    async def test_a_pod_that_is_gone_is_not_saved(self, store: Store, stage: StoreStage) -> None:
        """Saving a forgotten pod writes neither status nor events."""
        pod_id = await _forgotten(store, stage)
        before = await stage.events()

        await store.save(await led(store), pod_id, status=STATUS, record=RECORD, happenings=(HAPPENING,))

        assert await store.pod(pod_id) is None
        assert await stage.events() == before

    async def test_a_forgotten_pod_leaves_nothing(self, store: Store, stage: StoreStage) -> None:
        """Row, address and secrets are free again, its last events stay, and a second time is fine."""
        tenant_id = await stage.add_tenant("acme")
        pod_id = await stage.add_pod(tenant_id, "main")
        ref = await stage.put_secret(tenant_id, f"{secret_prefix(pod_id)}token", "value")
        kept = await stage.put_secret(tenant_id, "shared", "value")
        before = await store.pod(pod_id)
        await stage.want_pod(pod_id, Wanted.DELETED)
        epoch = await led(store)

        await store.forget_pod(epoch, pod_id, (HAPPENING,))
        await store.forget_pod(epoch, pod_id, (HAPPENING,))

        assert await store.pod(pod_id) is None
        assert [told for told in await stage.events() if told.happening == HAPPENING] == [
            Told(tenant="acme", pod="main", happening=HAPPENING)
        ]
        with pytest.raises(NotFoundError):
            await store.secret(tenant_id, ref)
        assert await store.secret(tenant_id, kept) == "value"
        again = await store.pod(await stage.add_pod(tenant_id, "main"))
        assert before is not None
        assert again is not None
        assert again.address == before.address

    async def test_only_what_is_wanted_deleted_is_forgotten(self, store: Store, stage: StoreStage) -> None:
        """To forget a living pod or tenant is a mistake of the caller, and refused."""
        tenant_id = await stage.add_tenant("acme")
        pod_id = await stage.add_pod(tenant_id, "main")
        epoch = await led(store)

        with pytest.raises(RuntimeError):
            await store.forget_pod(epoch, pod_id)
        with pytest.raises(RuntimeError):
            await store.forget_tenant(epoch, tenant_id)
        assert await store.pod(pod_id) is not None

    async def test_a_forgotten_tenant_leaves_nothing(self, store: Store, stage: StoreStage) -> None:
        """Its subnet is free again, its last events stay, and a second time is fine."""
        tenant_id = await stage.add_tenant("acme")
        before = await store.tenant(tenant_id)
        await stage.want_tenant(tenant_id, Wanted.DELETED)
        epoch = await led(store)

        await store.forget_tenant(epoch, tenant_id, (HAPPENING,))
        await store.forget_tenant(epoch, tenant_id, (HAPPENING,))

        assert await store.tenant(tenant_id) is None
        assert [told for told in await stage.events() if told.happening == HAPPENING] == [
            Told(tenant="acme", pod="", happening=HAPPENING)
        ]
        again = await store.tenant(await stage.add_tenant("acme"))
        assert before is not None
        assert again is not None
        assert again.lease == before.lease

    async def test_a_report_belongs_to_nobody(self, store: Store, stage: StoreStage) -> None:
        """Events of the platform itself name no tenant."""
        await store.report((HAPPENING,))

        assert (await stage.events())[-1] == Told(tenant="", pod="", happening=HAPPENING)

    async def test_a_stale_epoch_changes_nothing(self, store: Store, stage: StoreStage) -> None:
        """Every write of a leader who lost the lead is refused as a whole."""
        tenant_id = await stage.add_tenant("acme")
        pod_id = await stage.add_pod(tenant_id, "main")
        await stage.want_pod(pod_id, Wanted.DELETED)
        stale = await led(store)
        await store.step_down("one")
        await led(store, "two")
        before = await stage.events()

        writes: list[Callable[[], Awaitable[None]]] = [
            lambda: store.save(stale, pod_id, status=STATUS, record=RECORD, happenings=(HAPPENING,), alerts=(ALERT,)),
            lambda: store.forget_pod(stale, pod_id, (HAPPENING,)),
            lambda: store.forget_tenant(stale, tenant_id, (HAPPENING,)),
        ]
        for write in writes:
            with pytest.raises(ConflictError) as raised:
                await write()
            assert raised.value.reason == "NotLeader"

        pod = await store.pod(pod_id)
        assert pod is not None
        assert pod.status == PodStatus()
        assert await stage.events() == before
        assert await stage.kept_alerts() == []

    async def test_a_secret_is_read_by_its_reference(self, store: Store, stage: StoreStage) -> None:
        """A reference gives the version it names, in its tenant only."""
        tenant_id, other = await stage.add_tenant("acme"), await stage.add_tenant("globex")
        old = await stage.put_secret(tenant_id, "key", "old")
        new = await stage.put_secret(tenant_id, "key", "new")

        assert (await store.secret(tenant_id, old), await store.secret(tenant_id, new)) == ("old", "new")
        for tenant, ref in (
            (other, new),
            (tenant_id, SecretRef(key="key", version=9)),
            (tenant_id, SecretRef(key="x")),
        ):
            with pytest.raises(NotFoundError):
                await store.secret(tenant, ref)
        with pytest.raises(PermanentError):
            await store.secret(tenant_id, SecretRef(key="key", store="nowhere"))

    async def test_an_outage_is_temporary(self, store: Store, stage: StoreStage) -> None:
        """While the store cannot be reached every call says so, and afterwards all is well."""
        tenant_id = await stage.add_tenant("acme")
        pod_id = await stage.add_pod(tenant_id, "main")
        epoch = await led(store)
        calls: list[Callable[[], Awaitable[object]]] = [
            store.pods,
            store.tenants,
            lambda: store.pod(pod_id),
            lambda: store.tenant(tenant_id),
            lambda: store.save(epoch, pod_id, status=STATUS, record=RECORD),
            lambda: store.report((HAPPENING,)),
            lambda: store.report((HAPPENING,), epoch=epoch),
            store.platform_alerts,
            lambda: store.sampled([]),
            lambda: store.lead("one", 10),
            lambda: store.step_down("one"),
            lambda: store.secret(tenant_id, SecretRef(key="key")),
        ]
        async with stage.outage():
            for call in calls:
                with pytest.raises(TemporaryError) as raised:
                    await call()
                assert raised.value.reason == "StoreUnreachable"

        assert [pod.id for pod in await store.pods()] == [pod_id]


async def _forgotten(store: Store, stage: StoreStage) -> str:
    """Give the id of a pod that was there once."""
    pod_id = await stage.add_pod(await stage.add_tenant("acme"), "main")
    await stage.want_pod(pod_id, Wanted.DELETED)
    await store.forget_pod(await led(store), pod_id)
    return pod_id
