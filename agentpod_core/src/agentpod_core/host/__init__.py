"""Everything that plugins offer: found, checked, opened, looked up by kind and name, and guarded when called."""

from __future__ import annotations

from agentpod_core.host.guarding import Call, current_call
from agentpod_core.host.kinds import KINDS, Incident, Kind, Owner, PluginInfo, PluginState
from agentpod_core.host.loading import GROUP
from agentpod_core.host.redaction import Redactor
from agentpod_core.host.registry import LOAD_SECONDS, STALL_SECONDS, Host
from agentpod_core.host.reporting import report
from agentpod_core.host.settings import SettingsSource, secrets_in

__all__ = [
    "GROUP",
    "KINDS",
    "LOAD_SECONDS",
    "STALL_SECONDS",
    "Call",
    "Host",
    "Incident",
    "Kind",
    "Owner",
    "PluginInfo",
    "PluginState",
    "Redactor",
    "SettingsSource",
    "current_call",
    "report",
    "secrets_in",
]
