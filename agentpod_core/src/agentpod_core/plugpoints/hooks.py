"""Every place where a plugin can join AgentPod. A plugin implements the ones it needs.

All hooks collect: each is called once, when the host starts, without arguments, and what every
plugin returns is put together. The annotation is what one plugin returns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pluggy

from agentpod_core.plugpoints.agents import AgentAdapter
from agentpod_core.plugpoints.notifiers import Notifier
from agentpod_core.plugpoints.probes import HealthProbe
from agentpod_core.plugpoints.routers import Router
from agentpod_core.plugpoints.runtimes import Runtime
from agentpod_core.plugpoints.secrets import SecretStore

PROJECT = "agentpod"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def agentpod_agents() -> Iterable[AgentAdapter[Any]]:
    """Offer the kinds of agent that this plugin can run.

    Each adapter's ``name`` must be unique among all installed plugins.

    Example:
        @hookimpl
        def agentpod_agents() -> list[AgentAdapter]:
            return [EchoAdapter()]
    """
    return ()


@hookspec
def agentpod_routers() -> Iterable[Router]:
    """Offer routers that give agents public addresses.

    Example:
        @hookimpl
        def agentpod_routers() -> list[Router]:
            return [TraefikRouter()]
    """
    return ()


@hookspec
def agentpod_secret_stores() -> Iterable[SecretStore]:
    """Offer places where secrets can be kept.

    Example:
        @hookimpl
        def agentpod_secret_stores() -> list[SecretStore]:
            return [VaultStore()]
    """
    return ()


@hookspec
def agentpod_health_probes() -> Iterable[HealthProbe]:
    """Offer ways to ask an agent whether it is well.

    Example:
        @hookimpl
        def agentpod_health_probes() -> list[HealthProbe]:
            return [HttpProbe()]
    """
    return ()


@hookspec
def agentpod_runtimes() -> Iterable[Runtime]:
    """Offer engines that can run containers.

    Example:
        @hookimpl
        def agentpod_runtimes() -> list[Runtime]:
            return [DockerRuntime()]
    """
    return ()


@hookspec
def agentpod_notifiers() -> Iterable[Notifier[Any]]:
    """Offer ways to tell people about alerts.

    Example:
        @hookimpl
        def agentpod_notifiers() -> list[Notifier[Any]]:
            return [WebhookNotifier()]
    """
    return ()
