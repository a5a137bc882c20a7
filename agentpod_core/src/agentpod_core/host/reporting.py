"""Tells how it stands with a plugin, in the reader's language: the same for the API, the dashboard and a terminal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from agentpod_core import catalogue
from agentpod_core.catalogue import Language
from agentpod_core.errors import AgentPodError
from agentpod_core.host.kinds import Owner, PluginInfo, PluginState


def report(plugin: PluginInfo, language: Language) -> dict[str, Any]:
    """Describe a plugin as plain data; ``error`` is all that is wrong now and what to do about it, as one text."""
    offers: dict[str, list[str]] = {}
    for label in plugin.offers:
        kind, _, name = label.partition(":")
        offers.setdefault(kind, []).append(name)
    troubles = [_trouble(error, language) for error in _all_errors(plugin)]
    troubles += [
        _trouble(one.error, language, offer=one.offer, call=one.call, count=one.count, at=one.at, over=one.is_over)
        for one in plugin.incidents
    ]
    now = [one for one in troubles if not one["over"]]
    texts = [part for one in now for part in (one["message"], one["repair"]) if part]
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "state": plugin.state.value,
        "offers": offers,
        "loaded": plugin.state in {PluginState.OK, PluginState.PARTLY},
        "error": " ".join(dict.fromkeys(texts)) or None,
        "troubles": troubles,
    }


def _all_errors(plugin: PluginInfo) -> list[AgentPodError]:
    if not plugin.is_disabled:
        return list(plugin.errors)
    owner = Owner(plugin=plugin.name, distribution=plugin.distribution, version=plugin.version)
    return [AgentPodError("PluginDisabled", **owner.facts()), *plugin.errors]


def _trouble(  # noqa: PLR0913 - the fields of a row
    error: AgentPodError,
    language: Language,
    *,
    offer: str = "",
    call: str = "",
    count: int = 1,
    at: datetime | None = None,
    over: bool = False,
) -> dict[str, Any]:
    return {
        "reason": error.reason,
        "message": catalogue.text(error.reason, error.params, language),
        "repair": catalogue.repair(error.reason, error.params, language),
        "offer": offer,
        "call": call,
        "count": count,
        "at": at,
        "over": over,
    }
