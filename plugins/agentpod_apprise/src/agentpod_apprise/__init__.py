"""Alerts by e-mail, Slack, Feishu, DingTalk, Telegram and a hundred more services, with Apprise."""

from __future__ import annotations

from agentpod_apprise.notifier import AppriseNotifier, AppriseSettings, AppriseTarget
from agentpod_core import hookimpl

__all__ = ["AppriseNotifier", "AppriseSettings", "AppriseTarget", "agentpod_notifiers"]


@hookimpl
def agentpod_notifiers() -> list[AppriseNotifier]:
    """Offer the notifier."""
    return [AppriseNotifier()]
