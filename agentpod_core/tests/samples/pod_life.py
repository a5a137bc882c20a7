"""One pod's life under the plan, with the clock and the container in a test's hands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from agentpod_core.desired import desire
from agentpod_core.observed import Observed, Probed
from agentpod_core.plan import plan
from agentpod_core.ports import PodInput
from agentpod_core.values.pods import Lease, PodSpec
from agentpod_core.values.reports import ProbeResult
from agentpod_core.values.status import PodStatus, Record
from agentpod_core.values.workload import Port, Probe, Volume, Workload
from agentpod_core.values.world import Container, ContainerState

START = datetime(2026, 1, 1, tzinfo=UTC)
INSTANCE = "testabcd"
POD = PodInput(
    id="0198c0de-0000-7000-8000-000000000001",
    name="main",
    tenant_id="t",
    tenant="acme",
    generation=1,
    spec=PodSpec(adapter="echo"),
    workload=Workload(
        image="a:1",
        ports=(Port(name="http", number=80),),
        volumes=(Volume(name="data", path="/data"),),
        probe=Probe(probe="http", failures=3, start_deadline=60),
        permanent_exits=(78,),
    ),
    lease=Lease(number=1, subnet="10.0.0.0/26", gateway="10.0.0.1"),
    address="10.0.0.4",
    hosts=(),
)


class Life:
    """One pod's life: the container as the test has it, and what passes concluded and remembered."""

    def __init__(self, pod: PodInput = POD) -> None:
        self.pod = pod
        self.now = START
        self.record = Record()
        self.status = PodStatus()
        self.actions: tuple[Any, ...] = ()
        self.told: list[str] = []
        self.seen: dict[str, Any] = {}
        self.found: Any = None
        desired = desire(INSTANCE, pod)
        self.container: Container | None = Container(
            id="own",
            name=desired.container,
            state=ContainerState.RUNNING,
            labels=desired.labels,
            deep=True,
            address=pod.address,
            started_at=START,
            limits=desired.limits,
        )

    def look(self, seconds: float = 0.0, **container: Any) -> Life:
        """Let that much time pass and the container be so, and make one pass; its actions are not carried out."""
        self.now += timedelta(seconds=seconds)
        if container and self.container:
            self.container = replace(self.container, **container)
        observed = Observed(containers=(self.container,) if self.container else (), **self.seen)
        # Whatever is remembered has been through the database.
        record = msgspec.json.decode(msgspec.json.encode(self.record), type=Record)
        self.found = plan(desire(INSTANCE, self.pod), observed, record, self.now, before=self.status)
        self.actions, self.record, self.status = self.found.actions, self.found.record, self.found.status
        self.told += [one.reason for one in self.found.happenings]
        return self

    def start(self, seconds: float = 0.0) -> Life:
        """Be started by the engine or by hand."""
        self.now += timedelta(seconds=seconds)
        return self.look(state=ContainerState.RUNNING, exit_code=None, started_at=self.now)

    def exit(self, seconds: float = 0.0, code: int = 1, **more: Any) -> Life:
        """End with that code."""
        self.now += timedelta(seconds=seconds)
        return self.look(state=ContainerState.EXITED, exit_code=code, finished_at=self.now, **more)

    def answer(
        self, seconds: float = 0.0, *, ready: bool = True, alive: bool = True, misses: int = 0, **more: Any
    ) -> Life:
        """Answer the probe so; ``waited`` is since the start."""
        self.now += timedelta(seconds=seconds)
        started = self.container.started_at
        self.seen["probed"] = Probed(
            result=ProbeResult(alive=alive, ready=ready, reason="Answering" if ready else "Timeout"),
            failures=misses,
            silences=0 if alive else misses,
            waited=0.0 if ready else (self.now - started).total_seconds(),
            at=self.now,
            started_at=started,
            **more,
        )
        return self.look()

    def planned(self, kind: type) -> Any:
        """Give the planned action of that kind; None when there is none."""
        return next((one for one in self.actions if isinstance(one, kind)), None)

    @property
    def failures(self) -> int:
        return len(self.record.failures)
