"""This server's plugins: opened with its settings, remembered for the day one is gone, stood in for where one is.

A server whose runtime or router is missing comes up all the same and says so, as does one whose engine does not
answer yet; one that is there and says what it lacks (a setting that is wrong) ends the start with its own words.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from agentpod_core import (
    AgentAdapter,
    AgentPodError,
    Clock,
    Daemon,
    Endpoint,
    Entrypoints,
    File,
    NotFoundError,
    PluginError,
    Repair,
    Router,
    Runtime,
    SecretStore,
)
from agentpod_core.host import KINDS, Host, Owner, Redactor
from agentpod_core.observed import Lack
from agentpod_core.ports import Links, PodInput
from agentpod_core.reconcile.parts import Heal, Mend, Merge
from agentpod_server.records import Scope
from agentpod_server.settings import Settings
from agentpod_server.state import State
from agentpod_server.store import settings as stored_settings
from agentpod_server.store.database import Database

_OFFERS = "offers"
_BROKEN = frozenset({"PluginFailed", "PluginBlocked", "PluginAnsweredWrong", "PluginPaused"})

_log = logging.getLogger(__name__)


class Routing(Struct, frozen=True, kw_only=True):
    """The router with what it says of itself; without one, ``error`` says why."""

    router: Router | None = None
    entrypoints: Entrypoints = Entrypoints()
    daemon: Daemon | None = None
    error: AgentPodError | None = None


def loaded(settings: Settings, builtins: list[object], redactor: Redactor) -> Host:
    """Load every plugin; takes as long as the slowest of them may."""
    return Host(
        builtins=builtins,
        disabled=frozenset(settings.disabled_plugins),
        redactor=redactor,
        load_seconds=settings.plugin_load_timeout,
        stall_seconds=settings.plugin_stall_timeout,
    )


async def remember(host: Host, database: Database) -> None:
    """Tell the host who offered what when this platform ran before, and write down who does now."""
    async with database.transaction(Scope()):
        past = msgspec.convert(await stored_settings.read(_OFFERS) or {}, dict[str, Owner])
        host.remember(past)
        if (now := past | host.owners()) != past:
            await stored_settings.write(_OFFERS, now)


async def opened(host: Host, settings: Settings, state: State, clock: Clock) -> None:
    """Open what is in use, and log what cannot be and which settings nobody reads."""
    errors = await host.open(
        folder=_folder(state),
        instance=state.instance,
        settings=settings.plugin_settings,
        clock=clock,
        only={"runtime": [settings.runtime], "router": [settings.router]},
        domain=settings.domain,
    )
    for error in errors:
        _log.warning("plugin: %s", error)
    present = {info.name.partition("@")[0] for info in host.plugins()}
    for name in settings.disabled_plugins:
        if name.partition("@")[0] not in present:
            _log.warning("setting disabled_plugins names %s, which is no installed plugin", name)
    for problem in settings.unclaimed({kind.name: host.names(kind.name) for kind in KINDS}):
        _log.warning("setting %s %s", problem.path, problem.message)


def needed(settings: Settings) -> tuple[tuple[str, str], ...]:
    """List what the server itself needs of plugins, by kind and name."""
    return (("runtime", settings.runtime), ("router", settings.router), ("secret_store", settings.secret_store))


def runtime(host: Host, settings: Settings) -> Runtime:
    """Give the runtime, or what says why there is none.

    Raises:
        AgentPodError: it is there, and says what it lacks.
    """
    found: Runtime = _or_absent(host, "runtime", settings.runtime, host.runtime)
    return found


def routing(host: Host, settings: Settings) -> Routing:
    """Give the router and what it says of itself; errors as ``runtime``."""
    try:
        router = host.router(settings.router)
        return Routing(router=router, entrypoints=router.entrypoints(), daemon=router.daemon())
    except AgentPodError as error:
        if not _is_plugins_fault(error):
            raise
        _log.error("no router: %s", error)
        return Routing(error=error)


def secret_stores(host: Host, settings: Settings) -> dict[str, SecretStore]:
    """Give every secret store by name; one that cannot be had says why to whoever asks it."""
    names = {*host.names("secret_store"), settings.secret_store}
    return {name: _or_absent(host, "secret_store", name, host.secret_store) for name in sorted(names)}


def merger(host: Host) -> Merge:
    """Give the way to combine a file with what an agent made of it: by its adapter."""

    async def merge(name: str, file: File, current: bytes, wanted: bytes) -> bytes:
        try:
            adapter: AgentAdapter[Any] = host.agent(name)
        except (NotFoundError, PluginError):
            # A pod whose plugin is gone is still healed, with the files as they were rendered.
            return wanted
        merged: bytes = await host.ask(adapter, "merge", file, current, wanted)
        return merged

    return merge


def mender(host: Host) -> Mend:
    """Give the way to ask what to do about an exit code that no restart mends: by the pod's adapter."""

    async def mend(name: str, exit_code: int) -> Repair | None:
        try:
            repair: Repair | None = await host.ask(host.agent(name), "repair", exit_code)
        except AgentPodError as error:
            # The pod stays down all the same; only what its adapter would say of it is missing.
            _log.warning("no repair for exit code %d: %s", exit_code, error)
            return None
        return repair

    return mend


def healer(host: Host, links: Links) -> Heal:
    """Give the way to let an adapter bring back what its agent leaves off after an unclean end."""

    async def heal(pod: PodInput, endpoint: Endpoint, container: str) -> None:
        await host.ask(host.agent(pod.spec.adapter), "after_heal", links.link(pod, endpoint, container))

    return heal


def adapter_lacks(host: Host) -> Callable[[str], Lack | None]:
    """Give the way to ask why an adapter cannot be had."""

    def lack(name: str) -> Lack | None:
        error = host.why_missing("agent", name)
        return None if error is None else Lack(reason=error.reason, params=error.params)

    return lack


def _or_absent(host: Host, kind: str, name: str, get: Callable[[str], Any]) -> Any:
    try:
        return get(name)
    except AgentPodError as error:
        if kind != "secret_store" and not _is_plugins_fault(error):
            raise
        _log.error("no %s: %s", kind, error)
        return host.absent(kind, name, error)


def _is_plugins_fault(error: AgentPodError) -> bool:
    """Say whether a plugin is missing or broken, rather than in want of something that it names."""
    return isinstance(error, (NotFoundError, PluginError)) or error.reason in _BROKEN


def _folder(state: State) -> Path:
    folder = state.folder("plugins")
    # The router's process runs as another account and has to get to its own folder below.
    if os.geteuid() == 0:
        folder.chmod(0o711)
    return folder
