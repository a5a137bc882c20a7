"""Turns the engine's JSON into AgentPod's values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from agentpod_core import Container, ContainerState, EngineEvent, Limits, SeenNetwork, SeenVolume

INSTANCE = "agentpod.instance"
POD = "agentpod.pod-id"
"""Tells containers of pods from those that others of the platform keep on the engine, such as a router."""
UNLIMITED_MEMORY = 2**62
"""Lifts a memory limit of a live container: the engine takes 0 for "no change"."""
_POLICIES = {"unless-stopped": True, "no": False, "": False}
"""Whether the engine starts again what ended; any other policy is somebody else's idea."""
_STATES = {state.value: state for state in ContainerState}
_NEVER = "0001-"


def listed_container(raw: Mapping[str, Any]) -> Container:
    """Read one entry of the container list, which knows no limits, times or exit code."""
    network, address = _place(raw)
    return Container(
        id=raw["Id"],
        name=raw["Names"][0].removeprefix("/") if raw.get("Names") else "",
        state=_STATES.get(raw["State"], ContainerState.DEAD),
        labels=raw.get("Labels") or {},
        network=network,
        address=address,
        image=raw["Image"],
    )


def inspected_container(raw: Mapping[str, Any], *, limits_swap: bool = False) -> Container:
    """Read a whole container; ``limits_swap`` is whether the engine limits memory and swap together, as it is asked."""
    state = raw["State"]
    network, address = _place(raw)
    status = _STATES.get(state["Status"], ContainerState.DEAD)
    has_ended = status in {ContainerState.EXITED, ContainerState.DEAD, ContainerState.RESTARTING}
    return Container(
        id=raw["Id"],
        name=raw["Name"].removeprefix("/"),
        state=status,
        labels=raw["Config"].get("Labels") or {},
        network=network,
        address=address,
        image=raw["Config"]["Image"],
        deep=True,
        exit_code=state["ExitCode"] if has_ended else None,
        oom_killed=state.get("OOMKilled", False),
        restarts=raw.get("RestartCount", 0),
        started_at=moment(state.get("StartedAt")),
        finished_at=moment(state.get("FinishedAt")),
        limits=_limits(raw["HostConfig"], limits_swap=limits_swap),
    )


def seen_volume(raw: Mapping[str, Any]) -> SeenVolume:
    """Read a volume."""
    return SeenVolume(name=raw["Name"], labels=raw.get("Labels") or {})


def seen_network(raw: Mapping[str, Any]) -> SeenNetwork:
    """Read a network; one without an address plan has an empty subnet."""
    plans = (raw.get("IPAM") or {}).get("Config") or [{}]
    return SeenNetwork(
        id=raw["Id"], name=raw["Name"], subnet=plans[0].get("Subnet", ""), labels=raw.get("Labels") or {}
    )


def event(raw: Mapping[str, Any]) -> EngineEvent:
    """Read an event of a container."""
    facts = raw["Actor"].get("Attributes") or {}
    return EngineEvent(
        kind=raw["Action"].split(":", 1)[0],
        pod_id=facts.get(POD, ""),
        tenant=facts.get("agentpod.tenant", ""),
        at=datetime.fromtimestamp(raw["timeNano"] / 1e9, tz=UTC),
        name=facts.get("name", ""),
    )


def moment(text: str | None) -> datetime | None:
    """Read a time with nanoseconds; None for the engine's "never"."""
    if not text or text.startswith(_NEVER):
        return None
    whole, _, rest = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{rest[:6]:0<6}").replace(tzinfo=UTC)


def _place(raw: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Find the network a container was made for, and its address there."""
    networks = (raw.get("NetworkSettings") or {}).get("Networks") or {}
    mode = (raw.get("HostConfig") or {}).get("NetworkMode", "")
    name = mode if mode in networks else next(iter(networks), None)
    return name, (networks[name].get("IPAddress") or None) if name else None


def _limits(raw: Mapping[str, Any], *, limits_swap: bool) -> Limits:
    memory, pids = raw.get("Memory") or 0, raw.get("PidsLimit") or 0
    if limits_swap and raw.get("MemorySwap") != memory:
        # What may be swapped out without end has no limit.
        memory = 0
    cpus = (raw.get("NanoCpus") or 0) // 1_000_000
    if not cpus and (raw.get("CpuQuota") or 0) > 0:
        cpus = raw["CpuQuota"] * 1000 // (raw.get("CpuPeriod") or 100_000)
    policy = (raw.get("RestartPolicy") or {}).get("Name", "")
    return Limits(
        memory=memory if 0 < memory < UNLIMITED_MEMORY else None,
        cpus=cpus or None,
        pids=pids if pids > 0 else None,
        restart=_POLICIES.get(policy),
    )
