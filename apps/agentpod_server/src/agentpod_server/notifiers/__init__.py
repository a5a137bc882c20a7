"""The notifiers that AgentPod brings along."""

from __future__ import annotations

from agentpod_server.notifiers.webhook import WebhookNotifier, WebhookTarget

__all__ = ["WebhookNotifier", "WebhookTarget"]
