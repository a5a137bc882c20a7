"""An engine, a router, agents and a probe that are memory: a whole server, and nothing else, for thousands of pods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from agentpod_core import (
    Action,
    HealthProbe,
    Link,
    Package,
    Pod,
    Probe,
    ProbeResult,
    Route,
    SecretRef,
    Workload,
    hookimpl,
)
from agentpod_core.testing import FakeRouter, FakeRuntime
from agentpod_echo import EchoAdapter, EchoConfig

NAME = "simulated"


class SimulatedRuntime(FakeRuntime):
    """The contract's engine in memory; it does not remember what was done, as a real one does not."""

    name: ClassVar[str] = NAME

    async def apply(self, action: Action, material: Mapping[SecretRef, str]) -> None:
        """Make one change."""
        await super().apply(action, material)
        self.engine.applied.clear()


class SimulatedRouter(FakeRouter):
    """The contract's router in memory, without its history."""

    name: ClassVar[str] = NAME

    async def apply(self, routes: Sequence[Route]) -> bool:
        """Have exactly these routes."""
        is_changed = await super().apply(routes)
        self.history.clear()
        return is_changed


class SimulatedProbe(HealthProbe):
    """Finds every agent well."""

    name: ClassVar[str] = NAME
    title: ClassVar[str] = "Always well"

    async def check(self, link: Link, settings: dict[str, Any], *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
        """Answer at once."""
        del link, settings, timeout
        return ProbeResult(alive=True, ready=True, reason="Answering")


class SimulatedAdapter(EchoAdapter):
    """The echo agent as nobody runs it. It has no secret, so that its rows can be copied."""

    name: ClassVar[str] = NAME
    title: ClassVar[str] = "Echo, simulated"
    generated_secrets: ClassVar[tuple[str, ...]] = ()
    credential: ClassVar[str | None] = None

    def workload(self, config: EchoConfig, pod: Pod, package: Package | None) -> Workload:
        """Render the echo agent's container, without its token."""
        stand_in = {"token": SecretRef(key="token")}
        rendered = super().workload(config, msgspec.structs.replace(pod, secrets=stand_in), package)
        probe: Probe = msgspec.structs.replace(rendered.probe, probe=NAME)
        files = tuple(file for file in rendered.files if not any(isinstance(part, SecretRef) for part in file.parts))
        return msgspec.structs.replace(rendered, image="fake:1", probe=probe, files=files)


@hookimpl
def agentpod_agents() -> list[SimulatedAdapter]:
    """Offer the agent."""
    return [SimulatedAdapter()]


@hookimpl
def agentpod_health_probes() -> list[SimulatedProbe]:
    """Offer the probe."""
    return [SimulatedProbe()]


@hookimpl
def agentpod_runtimes() -> list[SimulatedRuntime]:
    """Offer the engine."""
    return [SimulatedRuntime()]


@hookimpl
def agentpod_routers() -> list[SimulatedRouter]:
    """Offer the router."""
    return [SimulatedRouter()]
