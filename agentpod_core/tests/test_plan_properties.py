"""What holds for every pod in every world: plans converge, repeat nothing, and touch only what is theirs."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pod_life import INSTANCE, POD

from agentpod_core.desired import Desired, desire
from agentpod_core.observed import Observed, Probed
from agentpod_core.plan import Plan, Timings, plan
from agentpod_core.plan.steps import LIVING
from agentpod_core.ports import PodInput
from agentpod_core.values import actions as do
from agentpod_core.values.names import container_name, volume_name
from agentpod_core.values.pods import Lease, PodSpec, Wanted
from agentpod_core.values.reports import ProbeResult, Repair
from agentpod_core.values.status import Phase, PodStatus, Record
from agentpod_core.values.workload import File, OnChange, Port, Probe, RouteSpec, SecretRef, Volume, Workload
from agentpod_core.values.world import Container, ContainerState, Limits

START = datetime(2026, 1, 1, tzinfo=UTC)
thorough = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

moments = st.integers(-86400, 86400).map(lambda seconds: START + timedelta(seconds=seconds))
slugs = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
files = st.lists(
    st.builds(
        File,
        path=st.sampled_from(["/data/a", "/data/b"]),
        parts=st.sampled_from([("x",), ("y",)]),
        on_change=st.sampled_from(OnChange),
    ),
    max_size=2,
    unique_by=lambda file: file.path,
).map(tuple)
workloads = st.builds(
    Workload,
    image=st.sampled_from(["a:1", "a:2"]),
    files=files,
    ports=st.just((Port(name="http", number=80),)),
    volumes=st.just((Volume(name="data", path="/data"),)),
    probe=st.one_of(st.none(), st.just(Probe(probe="http"))),
    route=st.just(RouteSpec(port="http")),
    permanent_exits=st.just((78,)),
)
pods = st.builds(
    PodInput,
    id=st.uuids().map(str),
    name=slugs,
    tenant_id=st.just("t"),
    tenant=slugs,
    generation=st.integers(1, 3),
    spec=st.builds(
        PodSpec,
        adapter=st.just("echo"),
        wanted=st.sampled_from(Wanted),
        restarts=st.integers(0, 2),
        keep_data=st.booleans(),
    ),
    workload=workloads,
    lease=st.just(Lease(number=1, subnet="10.0.0.0/26", gateway="10.0.0.1")),
    address=st.just("10.0.0.4"),
    hosts=st.just(("a.example",)),
)


class Sim:
    """A world that obeys: one pod's containers and volumes, and a clock."""

    def __init__(self, desired: Desired, containers: tuple[Container, ...] = (), *, exits: int | None = None) -> None:
        self.desired = desired
        self.containers = {one.id: one for one in containers}
        self.volumes: set[str] = set()
        self.now = START
        self.ids = itertools.count(1)
        self.exits = exits
        self.probed: Probed | None = None
        self.repair: Repair | None = None
        self.repairs: list[tuple[str, ...]] = []
        self.told = 0
        self.applied: list[do.PlannedAction] = []

    def observed(self) -> Observed:
        return Observed(
            containers=tuple(self.containers.values()),
            volumes=tuple(self.volumes),
            probed=self.probed,
            repair=self.repair,
        )

    def apply(self, action: do.PlannedAction) -> None:  # noqa: C901, PLR0912 - one line each
        self.applied.append(action)
        match action:
            case do.CreateVolume(name=name):
                self.volumes.add(name)
            case do.RemoveVolume(name=name):
                self.volumes.discard(name)
            case do.CreateContainer() if same := self._same(action):
                assert same.spec_hash == action.labels["agentpod.spec-hash"], "a name is a lock"
            case do.CreateContainer():
                made = Container(
                    id=f"new{next(self.ids)}",
                    name=action.name,
                    state=ContainerState.CREATED,
                    labels=action.labels,
                    deep=True,
                    limits=self.desired.limits,
                )
                self.containers[made.id] = made
            case do.RemoveContainer(container=container):
                self.containers.pop(self._find(container).id)
            case do.StartContainer(container=container):
                self._start(self._find(container))
            case do.StopContainer(container=container):
                self._set(self._find(container), state=ContainerState.EXITED, exit_code=0, finished_at=self.now)
            case do.UpdateLimits(container=container, limits=limits):
                self._set(self._find(container), limits=limits)
            case do.WriteFiles(container=container):
                self._find(container)
            case do.RunOnce(command=command):
                assert not any(one.state in LIVING for one in self.containers.values()), "one at a time"
                self.repairs.append(command)
            case do.TellHealed(container=container):
                assert self._find(container).state is ContainerState.RUNNING
                self.told += 1
            case do.ObtainImage():
                pass
            case _:
                raise AssertionError(action)

    def _same(self, action: do.CreateContainer) -> Container | None:
        return next((one for one in self.containers.values() if one.name == action.name), None)

    def _find(self, name: str) -> Container:
        return next(one for one in self.containers.values() if name in (one.id, one.name))

    def _set(self, container: Container, **changes: object) -> None:
        self.containers[container.id] = msgspec.structs.replace(container, **changes)

    def _start(self, container: Container) -> None:
        self.now += timedelta(milliseconds=10)
        if self.exits is None:
            self._set(
                container,
                state=ContainerState.RUNNING,
                started_at=self.now,
                exit_code=None,
                address=self.desired.address,
            )
        else:
            self._set(
                container,
                state=ContainerState.EXITED,
                started_at=self.now,
                finished_at=self.now,
                exit_code=self.exits,
            )

    def tick(self, found: Plan) -> None:
        """Let time pass to the plan's next wake-up, let removals end, and let the agent answer."""
        self.now = max(self.now + timedelta(seconds=1), found.wake_at or self.now)
        for one in list(self.containers.values()):
            if one.state is ContainerState.REMOVING:
                del self.containers[one.id]
            elif one.state is ContainerState.RESTARTING:
                self._start(one)
        own = next((one for one in self.containers.values() if one.name == self.desired.container), None)
        if own and own.state is ContainerState.RUNNING:
            result = ProbeResult(alive=True, ready=True, reason="Answering")
            self.probed = Probed(result=result, failures=0, at=self.now, started_at=own.started_at)


def settle(sim: Sim, record: Record, before: PodStatus = PodStatus()) -> tuple[Plan, Record]:  # noqa: B008
    """Plan and apply until nothing is left to do."""
    for _ in range(25):
        found = plan(sim.desired, sim.observed(), record, sim.now, before=before)
        for action in found.actions:
            sim.apply(action)
        record, before = found.record, found.status
        if not found.actions and found.status.phase in {Phase.RUNNING, Phase.STOPPED, Phase.BLOCKED}:
            return found, record
        if found.is_gone:
            return found, record
        sim.tick(found)
    raise AssertionError(f"did not settle: {found}")


def worlds(desired: Desired) -> st.SearchStrategy[tuple[Container, ...]]:
    """Give worlds in which the pod's container may be missing, wrong, ended, doubled."""
    labels = st.sampled_from([desired.labels, {**desired.labels, "agentpod.spec-hash": "other"}])
    shape = {
        "state": st.sampled_from(ContainerState),
        "labels": labels,
        "deep": st.just(True),
        "exit_code": st.sampled_from([0, 1, 137]),
        "started_at": st.just(START - timedelta(seconds=5)),
        "finished_at": st.just(START - timedelta(seconds=1)),
        "restarts": st.integers(0, 3),
        "limits": st.sampled_from([desired.limits, Limits(memory=1, restart=False)]),
    }
    own = st.builds(Container, id=st.just("own"), name=st.just(desired.container), **shape)
    double = st.builds(Container, id=st.just("double"), name=st.just("by-hand"), **shape)
    return st.tuples(st.lists(own, max_size=1), st.lists(double, max_size=1)).map(lambda both: (*both[0], *both[1]))


@st.composite
def situations(draw: st.DrawFn) -> tuple[Desired, tuple[Container, ...], Record]:
    """Give a pod, a world and whatever an earlier life may have written down."""
    desired = desire(INSTANCE, draw(pods))
    record = draw(
        st.builds(
            Record,
            generation=st.integers(0, 3),
            container_id=st.sampled_from(["", "own", "gone"]),
            files=st.sampled_from([{}, desired.files]),
            restarts_done=st.integers(0, 2),
            engine_restarts=st.integers(0, 3),
            expects_exit=st.booleans(),
            put_down=st.booleans(),
            failures=st.lists(moments, max_size=6).map(tuple),
            not_before=st.one_of(st.none(), moments),
            ready_since=st.one_of(st.none(), moments),
            was_ready=st.booleans(),
            heals=st.one_of(st.none(), st.integers(0, 6)),
            heal_at=st.one_of(st.none(), moments),
            volumes=st.sampled_from([(), tuple(desired.volumes.values())]),
        )
    )
    return desired, draw(worlds(desired)), record


@given(situations())
@thorough
def test_converges(situation) -> None:
    """From any world, a pod ends up as it was wanted: once, with the right spec, or gone."""
    desired, containers, record = situation
    sim = Sim(desired, containers)
    found, _ = settle(sim, record)
    left = list(sim.containers.values())
    if desired.wanted is Wanted.DELETED:
        assert found.is_gone
        assert left == []
        assert desired.keep_data or not sim.volumes
    elif desired.wanted is Wanted.STOPPED:
        assert all(one.state not in {ContainerState.RUNNING, ContainerState.PAUSED} for one in left)
    else:
        assert [one.name for one in left] == [desired.container]
        assert left[0].state is ContainerState.RUNNING
        assert left[0].spec_hash == desired.spec_hash
        assert left[0].limits.memory == desired.limits.memory


@given(situations())
@thorough
def test_is_idempotent(situation) -> None:
    """Once settled, a plan has nothing to do before it asked to look again, and says the same."""
    desired, containers, record = situation
    sim = Sim(desired, containers)
    found, record = settle(sim, record)
    soon = sim.now + timedelta(seconds=1)
    is_awake = found.wake_at is not None and found.wake_at <= soon
    again = plan(desired, sim.observed(), record, sim.now if is_awake else soon, before=found.status)
    assert again.actions == ()
    assert again.status == found.status
    assert again.happenings == ()


@given(situations(), st.integers(0, 8), st.booleans())
@thorough
def test_converges_after_being_cut_short(situation, steps: int, was_saved: bool) -> None:
    """A plan of which only the first steps were done, written down or not, is finished by the next ones."""
    desired, containers, record = situation
    sim = Sim(desired, containers)
    found = plan(desired, sim.observed(), record, sim.now)
    for action in found.actions[:steps]:
        sim.apply(action)
    settle(sim, found.assessed if was_saved else record)
    if desired.wanted is Wanted.RUNNING:
        assert [one.name for one in sim.containers.values()] == [desired.container]


@given(situations())
@thorough
def test_order_of_observation_is_irrelevant(situation) -> None:
    """The same world in another order gives the same plan."""
    desired, containers, record = situation
    forwards = plan(desired, Observed(containers=containers, volumes=("v1", "v2")), record, START)
    backwards = plan(desired, Observed(containers=containers[::-1], volumes=("v2", "v1")), record, START)
    assert forwards == backwards


@given(situations())
@thorough
def test_touches_only_what_is_its_own(situation) -> None:
    """Every action names this pod's container, one of its doubles, its volumes or its image."""
    desired, containers, record = situation
    found = plan(desired, Observed(containers=containers), record, START)
    allowed = {desired.container, *(one.id for one in containers)}
    for action in found.actions:
        match action:
            case do.CreateVolume(name=name) | do.RemoveVolume(name=name):
                assert name in desired.volumes.values()
            case do.ObtainImage(image=image):
                assert image == desired.workload.image
            case do.CreateContainer(name=name):
                assert name == desired.container
            case _:
                assert action.container in allowed


@given(pods, st.sampled_from([1, 78]))
@thorough
def test_a_start_that_always_fails_backs_off(pod: PodInput, code: int) -> None:
    """A container that exits at once is tried ever more rarely; a permanent code only once."""
    pod = msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, wanted=Wanted.RUNNING))
    desired = desire(INSTANCE, pod)
    sim = Sim(desired, exits=code)
    record, status, starts = Record(), PodStatus(), 0
    while sim.now < START + timedelta(hours=1):
        found = plan(desired, sim.observed(), record, sim.now, before=status)
        starts += sum(isinstance(action, do.StartContainer) for action in found.actions)
        for action in found.actions:
            sim.apply(action)
        record, status = found.record, found.status
        sim.tick(found)
    if code == 78:
        assert (starts, status.phase) == (1, Phase.BLOCKED)
    else:
        assert 10 <= starts <= 20
        assert status.phase is Phase.CRASH_LOOP
        own = next(iter(sim.containers.values()))
        assert own.limits.restart is False


@given(situations())
@thorough
def test_never_two_at_once(situation) -> None:
    """On the way to where it should be, at most one of a pod's containers is started, and no data goes with them."""
    desired, containers, record = situation
    sim = Sim(desired, containers)
    sim.volumes |= set(desired.volumes.values())
    found, _ = settle(sim, record)
    starts = [action for action in sim.applied if isinstance(action, do.StartContainer)]
    assert len({action.container for action in starts}) <= 1
    assert desired.wanted is Wanted.RUNNING or not starts
    if desired.wanted is not Wanted.DELETED or desired.keep_data:
        assert not [action for action in sim.applied if isinstance(action, do.RemoveVolume)]
        assert sim.volumes == set(desired.volumes.values())
    assert found.actions == ()


@given(situations(), st.sampled_from([78, 1]), st.booleans())
@thorough
def test_a_blocked_pod_is_never_started(situation, code: int, has_repair: bool) -> None:
    """In whatever world, a pod that no restart mends gets no start: at most one try of its repair, while it is down."""
    desired, containers, record = situation
    if desired.wanted is not Wanted.RUNNING:
        return
    record = msgspec.structs.replace(
        record, generation=desired.generation, blocked=code, restarts_done=desired.restarts, repaired=not has_repair
    )
    repair = Repair(reason="Refused", command=("fix",))
    # What is good for ten minutes is forgiven, and no block lasts that long.
    record = msgspec.structs.replace(record, ready_since=None, was_ready=False)
    found = plan(desired, Observed(containers=containers, repair=repair), record, START)
    assert not [action for action in found.actions if isinstance(action, do.StartContainer | do.CreateContainer)]
    assert sum(isinstance(action, do.RunOnce) for action in found.actions) <= has_repair
    assert has_repair or found.status.phase is Phase.BLOCKED


@given(situations(), moments)
@thorough
def test_what_is_waited_for_is_never_past(situation, now: datetime) -> None:
    """Whatever clock the record was written by, the next look is ahead, and no pause is longer than the longest."""
    desired, containers, record = situation
    timings = Timings()
    found = plan(desired, Observed(containers=containers), record, now, timings=timings)
    assert found.wake_at is None or found.wake_at > now
    latest = now + timedelta(seconds=timings.longest_backoff)
    assert found.record.not_before is None or found.record.not_before <= latest
    assert found.wake_at is None or found.wake_at <= now + timedelta(seconds=timings.good_spell)


@given(situations())
@thorough
def test_a_record_survives_its_database(situation) -> None:
    """Written down and read again, it leads to the same plan."""
    desired, containers, record = situation
    again = msgspec.json.decode(msgspec.json.encode(record), type=Record)
    observed = Observed(containers=containers)
    assert plan(desired, observed, record, START) == plan(desired, observed, again, START)


@given(st.lists(pods, min_size=2, max_size=2, unique_by=lambda pod: pod.id))
def test_two_pods_never_share_a_name(two: list[PodInput]) -> None:
    """Containers and volumes of different pods have different names, however tenants and pods are called."""
    one, other = (desire(INSTANCE, pod) for pod in two)
    assert one.container != other.container
    assert not set(one.volumes.values()) & set(other.volumes.values())


def test_joined_names_cannot_meet() -> None:
    """``a-b/c`` and ``a/b-c`` are named by their ids, not by their joined slugs."""
    assert container_name(INSTANCE, "1") != container_name(INSTANCE, "2")
    assert volume_name(INSTANCE, "1", "data") != volume_name(INSTANCE, "2", "data")


def test_a_secret_needs_its_own_volume() -> None:
    """A workload with a secret file gets the secrets volume, one without does not."""
    plain = Workload(image="a:1")
    secret = Workload(image="a:1", files=(File(path="/run/agentpod/secrets/t", parts=(SecretRef(key="token"),)),))
    assert desire(INSTANCE, msgspec.structs.replace(POD, workload=plain)).volumes == {}
    assert set(desire(INSTANCE, msgspec.structs.replace(POD, workload=secret)).volumes) == {"secrets"}
