"""What must be true of a world once it was left in peace, whatever happened to it before."""

from __future__ import annotations

from collections.abc import Iterator

from agentpod_core.desired import desire
from agentpod_core.ports import PodInput
from agentpod_core.testing.fake_engine import LIVING, FakeContainer
from agentpod_core.values.names import network_name
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Phase
from agentpod_core.values.world import ContainerState
from simulated.engine import MEMORY, TOKEN
from simulated.world import INSTANCE, World

WELL = frozenset({Phase.RUNNING, Phase.STOPPED})


def untruths(world: World) -> list[str]:
    """List what is not as it must be."""
    return [*world.engine.wrongs, *trespasses(world), *_of_pods(world), *_of_the_rest(world)]


def trespasses(world: World) -> list[str]:
    """List what was done to what is not ours, and what there is of ours without our label."""
    now = world.engine.foreign()
    names = sorted(now.keys() | world.foreign.keys())
    return [
        f"the foreign {name} was touched: {world.foreign.get(name, 'not there')} > {now.get(name, 'not there')}"
        for name in names
        if now.get(name) != world.foreign.get(name)
    ]


def _of_pods(world: World) -> Iterator[str]:
    stored = world.store._pods
    for pod in world.pods.values():
        label = f"{pod.tenant}/{pod.slot} ({pod.id[-2:]})"
        if pod.id in stored:
            if pod.is_deleted:
                yield f"{label} is to be gone, and is {stored[pod.id].status.phase}: {stored[pod.id].status.reason}"
            else:
                yield from (f"{label}: {what}" for what in _of_pod(world, stored[pod.id]))
            continue
        if not pod.is_deleted:
            yield f"{label} was forgotten, and nobody had deleted it"
        if world.engine.of(pod.id):
            yield f"{label} is gone, and its container is there"
        data = world.data(pod.id)
        if pod.keeps_data and data in world.engine.kept and data not in world.engine.volumes:
            yield f"{label} was deleted with its data, which was to be kept"
        if not pod.keeps_data and data in world.engine.volumes:
            yield f"{label} is gone, and its volume is there"


def _of_pod(world: World, pod: PodInput) -> Iterator[str]:  # noqa: C901, PLR0912 - one line for each truth
    desired = desire(INSTANCE, pod)
    own = world.engine.containers.get(desired.container)
    extras = [one.name for one in world.engine.of(pod.id) if one is not own]
    if extras:
        yield f"there are other containers of it: {extras}"
    if pod.status.observed_generation != pod.generation:
        yield "its last generation was not seen"
    if own and not world.engine.is_ours(own):
        yield "its name is taken"
        return
    data = world.data(pod.id)
    if data in world.engine.kept and data not in world.engine.volumes:
        yield "its volume is gone"
        return
    routed = [route for (_, key), route in world.board.routes.items() if key == pod.id]
    if desired.wanted is Wanted.STOPPED:
        if own and own.state in LIVING:
            yield f"it is to be stopped, and its container is {own.state}"
        if pod.status.phase is not Phase.STOPPED:
            yield f"it is to be stopped, and said to be {pod.status.phase}: {pod.status.reason}"
        if routed:
            yield "it is stopped and has a route"
        return
    if pod.status.phase is not Phase.RUNNING or not pod.status.ready:
        yield f"it is {pod.status.phase}: {pod.status.reason} {pod.status.params}"
    if own is None or own.state is not ContainerState.RUNNING:
        yield f"its container is {own.state if own else 'not there'}"
        return
    if own.labels.get("agentpod.spec-hash") != desired.spec_hash:
        yield "its container is not as it should be"
    if own.limits != desired.limits:
        yield f"its limits are {own.limits}"
    if own.id in world.engine.cut_off or own.address != pod.address:
        yield "it has no address, or another"
    if len(routed) != 1 or routed[0].target.host != pod.address:
        yield f"its routes are {routed}"
    if pod.record.heals is not None:
        yield "its agent was not told that it is healed"
    if pod.record.failures or pod.record.not_before or pod.record.blocked is not None:
        yield "its failures are not forgotten"
    if world.answer(pod.id, own.id) != "ready":
        yield "its agent does not answer"
    yield from _of_files(world, pod, own)


def _of_files(world: World, pod: PodInput, own: FakeContainer) -> Iterator[str]:
    memory = world.engine.look(own, MEMORY)
    if memory is None or memory.content != world.engine.kept[own.volumes["data"]]:
        yield "it has lost what it knew"
    for file in pod.workload.files:
        seen = world.engine.look(own, file.path)
        wanted = world.engine.tokens[pod.id] if file.path == TOKEN else str(file.parts[0]).encode()
        if seen is None or seen.content.partition(b"#")[0] != wanted:
            yield f"its {file.path} is {seen.content if seen else None!r} and not {wanted!r}"


def _of_the_rest(world: World) -> Iterator[str]:
    engine, store = world.engine, world.store
    for slug, tenant_id in world.tenants.items():
        tenant = store._tenants.get(tenant_id)
        if tenant is not None and tenant.wanted is Wanted.DELETED:
            yield f"the tenant {slug} is to be gone"
    wanted = {network_name(INSTANCE, one.lease.number): one.lease.subnet for one in store._tenants.values()}
    ours = {
        name: one.subnet for name, one in engine.networks.items() if one.labels.get("agentpod.instance") == INSTANCE
    }
    if ours != wanted:
        yield f"the networks are {ours} and not {wanted}"
    known = set(world.pods)
    for one in engine.containers.values():
        if one.labels.get("agentpod.instance") == INSTANCE and one.labels.get("agentpod.pod-id") not in known:
            yield f"{one.name} belongs to nobody"
    if any(one.name.endswith("-once") for one in engine.containers.values()):
        yield "a container for one command was left behind"
    if not engine.protection.active:
        yield "the host is not closed"
    ill = {(pod.tenant, pod.name) for pod in store._pods.values() if pod.status.phase not in WELL}
    for alert in store.alerts:
        if alert.is_open and (alert.tenant, alert.pod) not in ill:
            yield f"the alert {alert.reason} of {alert.tenant}/{alert.pod} is still open"
