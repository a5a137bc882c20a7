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
from agentpod_core.observed import Lack, Probed
from agentpod_core.plan import Plan, Timings
from agentpod_core.ports import RESYNC, Links, PodInput, RouteInput, Store, Telemetry, TenantInput, pod_key, tenant_key
from agentpod_core.reconcile.parts import Merge, Silence
from agentpod_core.values.names import container_name
from agentpod_core.values.pods import Lease, PodSpec, Wanted
from agentpod_core.values.status import Condition, ConditionType, Happening, Phase, PodStatus, Record

__all__ = [
    "RESYNC",
    "Condition",
    "ConditionType",
    "Controller",
    "Happening",
    "Host",
    "Incident",
    "Lack",
    "Lease",
    "Links",
    "MemoryStore",
    "Merge",
    "Owner",
    "Pace",
    "Parts",
    "Phase",
    "Plan",
    "PluginInfo",
    "PluginState",
    "PodInput",
    "PodSpec",
    "PodStatus",
    "Probed",
    "Record",
    "RouteInput",
    "SettingsSource",
    "Silence",
    "Store",
    "SystemClock",
    "Telemetry",
    "TenantInput",
    "Thing",
    "Timings",
    "Told",
    "Wanted",
    "container_name",
    "pod_key",
    "tenant_key",
]
