"""Alerts: reading and silencing them, whom to tell, and telling them."""

from __future__ import annotations

from agentpod_server.services.alerts.delivery import Delivery
from agentpod_server.services.alerts.messages import Wording, sentence
from agentpod_server.services.alerts.reading import Alerts
from agentpod_server.services.alerts.target_changes import Change, TargetChanges
from agentpod_server.services.alerts.targets import Asked, Targets, Tested

__all__ = ["Alerts", "Asked", "Change", "Delivery", "TargetChanges", "Targets", "Tested", "Wording", "sentence"]
