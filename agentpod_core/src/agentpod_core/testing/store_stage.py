"""What surrounds a store in a test: the part of the platform that makes tenants and pods, and trouble."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from agentpod_core.embedding.memory import Told as Told
from agentpod_core.embedding.memory import secret_prefix as secret_prefix
from agentpod_core.embedding.memory_alerts import KeptAlert as KeptAlert
from agentpod_core.ports import Sample, Store
from agentpod_core.values.pods import Wanted
from agentpod_core.values.resources import Resources
from agentpod_core.values.status import Condition, ConditionType, Happening, Phase, PodStatus, Record, Severity
from agentpod_core.values.workload import File, Port, RouteSpec, SecretRef, Volume, Workload

WORKLOAD = Workload(
    image="contract:1",
    command=("serve", "--quietly"),
    env={"MODE": "test", "TOKEN": SecretRef(key="token")},
    files=(File(path="/data/settings.json", parts=('{"key": ', SecretRef(key="key", version=2), "}")),),
    ports=(Port(name="web", number=8080),),
    volumes=(Volume(name="data", path="/data"),),
    route=RouteSpec(port="web"),
    resources=Resources(memory=256 * 1024 * 1024, cpus=500),
)
"""A workload with a bit of everything that has to survive being stored."""

_AT = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)

STATUS = PodStatus(
    phase=Phase.CRASH_LOOP,
    ready=False,
    observed_generation=1,
    reason="Exited",
    params={"code": 78, "词": "字"},
    conditions=(
        Condition(type=ConditionType.ALIVE, status=False, reason="Exited", since=_AT, generation=1),
        Condition(type=ConditionType.READY, status=None, reason="Unknown", params={"seconds": 1.5}, since=_AT),
    ),
)
RECORD = Record(
    container_id="c1",
    files={"/data/a": "hash"},
    failures=(_AT, _AT + timedelta(seconds=1)),
    not_before=_AT,
    restarts_done=2,
    engine_restarts=3,
    was_ready=True,
    blocked=78,
)
HAPPENING = Happening(kind="pod", reason="Exited", severity=Severity.ERROR, params={"code": 78})


class StoreStage(Protocol):
    """Does to a store what operators do, and what goes wrong."""

    async def add_tenant(self, slug: str) -> str:
        """Create a tenant and give its id."""
        ...

    async def add_pod(  # noqa: PLR0913 - a pod has that many parts
        self,
        tenant_id: str,
        name: str,
        *,
        workload: Workload = WORKLOAD,
        config: dict[str, Any] | None = None,
        wanted: Wanted = Wanted.RUNNING,
        secrets: dict[str, SecretRef] | None = None,
        credential: str | None = None,
    ) -> str:
        """Create a pod and give its id."""
        ...

    async def change_pod(
        self, pod_id: str, *, workload: Workload | None = None, config: dict[str, Any] | None = None
    ) -> int:
        """Change a pod's config, with the workload rendered for it, and give the new generation."""
        ...

    async def want_pod(self, pod_id: str, wanted: Wanted, *, keep_data: bool = False) -> None:
        """Start, stop or delete a pod."""
        ...

    async def want_tenant(self, tenant_id: str, wanted: Wanted) -> None:
        """Start, stop or delete a tenant without pods."""
        ...

    async def put_secret(self, tenant_id: str, key: str, value: str) -> SecretRef:
        """Store a secret."""
        ...

    async def events(self) -> list[Told]:
        """Read all events in their order."""
        ...

    async def history(self, pod_id: str) -> list[Sample]:
        """Read what is kept of a pod's samples, minute by minute, the oldest first."""
        ...

    async def kept_alerts(self) -> list[KeptAlert]:
        """Read all alerts in the order in which they were raised."""
        ...

    async def pass_time(self, seconds: float) -> None:
        """Let that much time go by for the store."""
        ...

    def outage(self) -> AbstractAsyncContextManager[None]:
        """Make the store unreachable while the block runs."""
        ...


async def led(store: Store, holder: str = "one") -> int:
    """Take the lead and give its epoch."""
    epoch = await store.lead(holder, 60)
    assert epoch is not None
    return epoch
