"""Everything that plugins offer: found, checked, opened and looked up by kind and name."""

from __future__ import annotations

from agentpod_core.host.kinds import KINDS, Kind, PluginInfo
from agentpod_core.host.loading import GROUP
from agentpod_core.host.registry import Host
from agentpod_core.host.settings import SettingsSource

__all__ = ["GROUP", "KINDS", "Host", "Kind", "PluginInfo", "SettingsSource"]
