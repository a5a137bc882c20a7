"""What an application gets that embeds the engine: a store that renders pods, waits, and an engine without a router."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any, ClassVar

import pytest
from msgspec import Struct
from msgspec.structs import replace

from agentpod_core import (
    SECRETS_PATH,
    AgentAdapter,
    ConfigError,
    ConflictError,
    File,
    Resources,
    RouteSpec,
    Volume,
    Workload,
)
from agentpod_core.controller import Controller, Pace, Parts
from agentpod_core.embedding import Clear, Happening, MemoryStore, Raise, SystemClock, Wanted
from agentpod_core.embedding.memory import EVENTS_KEPT
from agentpod_core.embedding.memory_alerts import OVER_KEPT
from agentpod_core.plan import Timings
from agentpod_core.testing import FakeLink, FakeRuntime
from agentpod_core.values.status import ConditionType, Phase, PodStatus, Record, Severity


class Words(Struct, frozen=True):
    greeting: str = "Hello"


class Plain(AgentAdapter[Words]):
    """An adapter that uses all that the store gives it."""

    name: ClassVar[str] = "plain"
    title: ClassVar[str] = "Plain"
    config_type: ClassVar[type[Struct]] = Words
    generated_secrets: ClassVar[tuple[str, ...]] = ("token",)
    credential: ClassVar[str | None] = "token"
    sizes: ClassVar[dict[str, Resources]] = {"default": Resources(memory=64_000_000), "large": Resources()}

    def workload(self, config: Words, pod: Any, package: Any) -> Workload:
        return Workload(
            image="fake:1",
            files=(
                File(path="/srv/hello", parts=(f"{config.greeting} from {pod.name} at {pod.address}",)),
                File(path=f"{SECRETS_PATH}/token", parts=(pod.secrets["token"],)),
            ),
            volumes=(Volume(name="srv", path="/srv"),),
            resources=pod.resources,
        )


class Links:
    def link(self, pod, endpoint, container):
        return FakeLink()


@pytest.fixture
def store():
    """Give an empty store."""
    return MemoryStore(address_range="10.252.0.0/24")


@pytest.fixture
async def pod(store):
    """Give the id of a pod whose adapter rendered it."""
    return await store.create_pod(await store.add_tenant("acme"), "support", Plain(), Words("Servus"))


async def test_a_pod_is_rendered_by_its_adapter(store, pod):
    """The workload has the config, the pod's place and its first size in it."""
    kept = await store.pod(pod)
    assert kept.workload.files[0].parts == ("Servus from support at 10.252.0.4",)
    assert kept.workload.resources.memory == 64_000_000
    assert (kept.spec.adapter, kept.credential) == ("plain", "token")


async def test_generated_secrets_are_the_pods_own(store, pod):
    """Each pod has values of its own, and they go with it."""
    first = await store.pod(pod)
    other = await store.pod(await store.create_pod(first.tenant_id, "other", Plain(), Words()))
    values = [await store.secret(one.tenant_id, one.secrets["token"]) for one in (first, other)]
    assert values[0] != values[1]
    assert min(map(len, values)) >= 32


async def test_a_workload_that_does_not_fit_together_is_refused(store):
    """What no engine could run is no pod."""

    class Broken(Plain):
        def workload(self, config, pod, package):
            return Workload(image="fake:1", route=RouteSpec(port="missing"))

    tenant = await store.add_tenant("acme")
    with pytest.raises(ConfigError):
        await store.create_pod(tenant, "support", Broken(), Words())
    assert await store.pods() == []


async def test_a_name_that_no_host_can_have_is_refused(store):
    """Names become host names, so they are labels."""
    with pytest.raises(ConfigError) as refused:
        await store.add_tenant("Acme Ltd")
    assert [problem.reason for problem in refused.value.problems] == ["InvalidName"]


async def test_two_pods_share_no_address_for_the_public(store, pod):
    """A second pod of the same name would take the first one's requests."""
    with pytest.raises(ConflictError) as refused:
        await store.create_pod((await store.pod(pod)).tenant_id, "support", Plain(), Words())
    assert (refused.value.reason, refused.value.params["holder"]) == ("SubdomainTaken", "acme/support")


async def test_what_is_used_up_is_named(store):
    """Neither subnets nor addresses are endless."""
    tenants = [await store.add_tenant(f"tenant-{number}") for number in range(4)]
    with pytest.raises(ConflictError, match="SubnetsExhausted"):
        await store.add_tenant("one-more")
    for number in range(59):
        await store.create_pod(tenants[0], f"pod-{number}", Plain(), Words())
    with pytest.raises(ConflictError, match="AddressesExhausted"):
        await store.create_pod(tenants[0], "one-more", Plain(), Words())


async def test_until_sees_every_write(store, pod):
    """A status that lasted no longer than one write is seen all the same."""
    epoch = await store.lead("me", 60)
    waiting = asyncio.create_task(store.until(lambda: store.status(pod).phase is Phase.DEGRADED))
    await asyncio.sleep(0)
    await store.save(epoch, pod, status=PodStatus(phase=Phase.DEGRADED), record=Record())
    await store.save(epoch, pod, status=PodStatus(phase=Phase.RUNNING), record=Record())
    await asyncio.wait_for(waiting, 1)


async def test_what_a_condition_raises_is_its_askers(store, pod):
    """A mistake in a condition reaches whoever waits for it, and the engine's write is made."""
    epoch = await store.lead("me", 60)
    waiting = asyncio.create_task(store.until(lambda: store.status(pod).phase is Phase.DEGRADED and 1 / 0))
    await asyncio.sleep(0)
    await store.save(epoch, pod, status=PodStatus(phase=Phase.DEGRADED), record=Record())
    assert store.status(pod).phase is Phase.DEGRADED
    with pytest.raises(ZeroDivisionError):
        await waiting


async def test_without_a_router_pods_live_unrouted(store, pod):
    """A pod runs, nothing says that it is routed, and it goes when it is not wanted any more."""
    runtime = FakeRuntime("embedtxx")
    parts = Parts(
        instance="embedtxx", store=store, runtime=runtime, clock=SystemClock(), timings=Timings().scaled(0.01)
    )
    pace = Pace(resync=0.2, renew=0.05, lease=1.0, margin=0.1, scale=0.01)
    controller = Controller(parts, holder="me", probe=lambda _: None, links=Links(), pace=pace)
    async with asyncio.timeout(10), controller.running():
        await store.until(lambda: store.status(pod).ready)
        assert store.status(pod).condition(ConditionType.ROUTED).status is None
        tenant = (await store.pod(pod)).tenant_id
        await store.want_pod(pod, Wanted.DELETED)
        await store.want_tenant(tenant, Wanted.DELETED)
        await store.until(lambda: store.is_empty)
    assert (runtime.engine.containers, runtime.engine.networks) == ({}, {})


async def test_a_store_in_memory_is_bounded() -> None:
    """Of events and of alerts that are over the newest are kept; what is open is, however old it is."""
    store = MemoryStore()
    full = Raise(reason="DiskNearlyFull", severity=Severity.WARNING, subject="/old")
    await store.report((), alerts=(full,))

    for number in range(EVENTS_KEPT + 1):
        subject = str(number)
        await store.report(
            (Happening(kind="system", reason="Number", params={"number": number}),),
            alerts=(replace(full, subject=subject), Clear(reason=full.reason, subject=subject)),
        )

    assert [one.happening.params["number"] for one in store.told] == list(range(1, EVENTS_KEPT + 1))
    assert [one.subject for one in store.alerts] == [
        "/old",
        *(str(number) for number in range(EVENTS_KEPT + 1 - OVER_KEPT, EVENTS_KEPT + 1)),
    ]


async def test_who_waits_for_the_end_of_an_alert_hears_of_it() -> None:
    """A condition about alerts is looked at after the write that made it true."""
    store = MemoryStore()
    full = Raise(reason="DiskNearlyFull", severity=Severity.WARNING)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(store.until(lambda: [one.is_open for one in store.alerts] == [False]))
        await asyncio.sleep(0)
        await store.report((), alerts=(full,))
        await store.report((), alerts=(Clear(reason=full.reason),))


def test_the_systems_clock_goes_on_while_the_machine_sleeps() -> None:
    """A leader that slept must find its lease over: what counts is the time since boot, sleep and all."""
    code = (
        "import time; from agentpod_core.embedding import SystemClock as C; print(C().monotonic() - time.monotonic())"
    )
    asleep = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--time", "--boottime", "86400", "--fork", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    if asleep.returncode:
        pytest.skip(f"no time namespace here: {asleep.stderr.strip()}")
    assert float(asleep.stdout) == pytest.approx(86400, abs=5)
