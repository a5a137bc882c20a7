"""All that an application needs that embeds the engine: its parts, what they ask for, and a store without a database.

Plug points and values are at ``agentpod_core``'s top level. Decides nothing; provisional until core 1.0.
"""

from __future__ import annotations

from agentpod_core.controller import Controller, Pace, Parts
from agentpod_core.embedding.clock import SystemClock
from agentpod_core.embedding.memory import Told
from agentpod_core.embedding.memory_store import MemoryStore
from agentpod_core.host import Host, Incident, Owner, PluginInfo, PluginState, SettingsSource
from agentpod_core.host.kinds import Thing
from agentpod_core.observed import Lack, Probed, Trend
from agentpod_core.plan import Plan, Timings
from agentpod_core.ports import (
    RESYNC,
    Links,
    PodInput,
    RouteInput,
    Sample,
    Store,
    Telemetry,
    TenantInput,
    pod_key,
    tenant_key,
)
from agentpod_core.reconcile.parts import Heal, Mend, Merge, Silence
from agentpod_core.values.actions import PlannedAction, TellHealed
from agentpod_core.values.alerts import AlertChange, Clear, Raise
from agentpod_core.values.names import container_name
from agentpod_core.values.pods import Lease, PodSpec, Wanted
from agentpod_core.values.status import Condition, ConditionType, Happening, Phase, PodStatus, Record

__all__ = [
    "RESYNC",
    "AlertChange",
    "Clear",
    "Condition",
    "ConditionType",
    "Controller",
    "Happening",
    "Heal",
    "Host",
    "Incident",
    "Lack",
    "Lease",
    "Links",
    "MemoryStore",
    "Mend",
    "Merge",
    "Owner",
    "Pace",
    "Parts",
    "Phase",
    "Plan",
    "PlannedAction",
    "PluginInfo",
    "PluginState",
    "PodInput",
    "PodSpec",
    "PodStatus",
    "Probed",
    "Raise",
    "Record",
    "RouteInput",
    "Sample",
    "SettingsSource",
    "Silence",
    "Store",
    "SystemClock",
    "Telemetry",
    "TellHealed",
    "TenantInput",
    "Thing",
    "Timings",
    "Told",
    "Trend",
    "Wanted",
    "container_name",
    "pod_key",
    "tenant_key",
]
