"""The host: knows all plugins, opens what they offer, and finds an offer by its kind and name.

A plugin that fails to load, offers nonsense or cannot be opened is named when somebody asks for
it; it never takes the others down. What is asked of the offers is not the host's business.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import msgspec

from agentpod_core.errors import AgentPodError, ConfigError, NotFoundError, PluginError, TemporaryError
from agentpod_core.host import kinds
from agentpod_core.host.kinds import Kind, Offer, PluginInfo, Thing
from agentpod_core.host.loading import Loader
from agentpod_core.host.settings import SettingsSource, read_settings
from agentpod_core.plugpoints.agents import AgentAdapter
from agentpod_core.plugpoints.context import Clock, HostContext, Impure
from agentpod_core.plugpoints.notifiers import Notifier
from agentpod_core.plugpoints.probes import HealthProbe
from agentpod_core.plugpoints.routers import Router
from agentpod_core.plugpoints.runtimes import Runtime
from agentpod_core.plugpoints.secrets import SecretStore

OPEN_SECONDS: Final = 60.0
CLOSE_SECONDS: Final = 10.0
_FRAMES: Final = 8

_LOG: Final = logging.getLogger(__name__)


class Host:
    """All plugins of one process.

    ``builtins`` are what the embedding application offers: adapters, stores and the like, or
    objects with hooks. ``disabled`` names plugins that are not even imported. ``entry_points``
    replaces the installed ones.
    """

    def __init__(
        self,
        *,
        builtins: Sequence[object] = (),
        disabled: Collection[str] = frozenset(),
        entry_points: Iterable[metadata.EntryPoint] | None = None,
    ) -> None:
        loader = Loader(frozenset(disabled))
        loader.load_builtins(builtins)
        loader.load_entry_points(entry_points)
        offers = loader.collect()
        self._plugins = loader.plugins
        self._offers: dict[tuple[str, str], Offer] = {}
        self._refused: dict[tuple[str, str], AgentPodError] = {}
        self._opened: list[Offer] = []
        self._admit(offers)

    def agent(self, name: str) -> AgentAdapter[Any]:
        """Give the agent adapter of that name.

        Raises:
            NotFoundError: nobody offers it (``UnknownAdapter``).
            PluginError: who offers it failed.
        """
        found: AgentAdapter[Any] = self._get(kinds.AGENT, name)
        return found

    def agents(self) -> list[AgentAdapter[Any]]:
        """Give all agent adapters, by name."""
        return [offer.thing for offer in self._of(kinds.AGENT) if isinstance(offer.thing, AgentAdapter)]

    def router(self, name: str) -> Router:
        """Give the open router of that name; errors as ``agent``, and TemporaryError while it is not open."""
        found: Router = self._get(kinds.ROUTER, name)
        return found

    def runtime(self, name: str) -> Runtime:
        """Give the open runtime of that name; errors as ``router``."""
        found: Runtime = self._get(kinds.RUNTIME, name)
        return found

    def probe(self, name: str) -> HealthProbe:
        """Give the open health probe of that name; errors as ``router``."""
        found: HealthProbe = self._get(kinds.PROBE, name)
        return found

    def secret_store(self, name: str) -> SecretStore:
        """Give the open secret store of that name; errors as ``router``."""
        found: SecretStore = self._get(kinds.SECRET_STORE, name)
        return found

    def notifier(self, name: str) -> Notifier:
        """Give the open notifier of that name; errors as ``router``."""
        found: Notifier = self._get(kinds.NOTIFIER, name)
        return found

    def names(self, kind: str) -> list[str]:
        """List the names that are offered of a kind, open or not."""
        return sorted(name for of, name in self._offers if of == kind)

    def plugins(self) -> list[PluginInfo]:
        """List all plugins with what they offer and what went wrong, by name."""
        return [
            PluginInfo(
                name=plugin.name,
                distribution=plugin.distribution,
                version=plugin.version,
                is_disabled=plugin.is_disabled,
                offers=tuple(sorted(offer.label for offer in self._of_plugin(plugin.name))),
                errors=(*plugin.errors, *(one.error for one in self._of_plugin(plugin.name) if one.error)),
            )
            for plugin in sorted(self._plugins.values(), key=lambda one: one.name)
        ]

    async def open(  # noqa: PLR0913 - what offers are opened with
        self,
        *,
        folder: Path,
        instance: str,
        settings: SettingsSource,
        clock: Clock,
        only: Mapping[str, Collection[str]] | None = None,
        domain: str = "localhost",
    ) -> list[AgentPodError]:
        """Open what is offered, and give what went wrong.

        ``only`` limits kinds to the names that are in use, for example ``{"runtime": ["docker"]}``;
        a kind that it does not mention is opened whole. Called again, it tries again what is not
        open. Every offer has its own folder below ``folder``.
        """
        wanted = [
            offer
            for offer in self._offers.values()
            if not offer.is_open and (only is None or offer.name in only.get(offer.kind.name, (offer.name,)))
        ]
        context = HostContext(instance=instance, folder=folder, settings=None, clock=clock, domain=domain)
        await asyncio.gather(*(self._open(offer, context, settings) for offer in wanted))
        return [offer.error for offer in wanted if offer.error is not None]

    async def close(self) -> None:
        """Close what is open, last opened first; idempotent. What goes wrong is logged."""
        while self._opened:
            offer = self._opened.pop()
            offer.is_open = False
            if isinstance(offer.thing, Impure):
                try:
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await offer.thing.close()
                except Exception as error:  # noqa: BLE001 - the others have to be closed too
                    _LOG.warning("%s of %s failed to close: %s", offer.label, offer.plugin, _traced(error))

    @contextmanager
    def guarded(self, thing: Thing) -> Iterator[None]:
        """Run a plugin's code: what it raises that is no AgentPodError becomes TemporaryError(``PluginFailed``)."""
        try:
            yield
        except AgentPodError:
            raise
        except Exception as error:
            raise self._wrapped(thing, error) from error

    def _admit(self, offers: list[Offer]) -> None:
        by_name: dict[tuple[str, str], list[Offer]] = {}
        for offer in offers:
            by_name.setdefault((offer.kind.name, offer.name), []).append(offer)
        for key, same in by_name.items():
            if len(same) == 1:
                self._offers[key] = same[0]
                continue
            owners = sorted({offer.plugin for offer in same})
            for owner in owners:
                error = PluginError("NameOfferedTwice", plugin=owner, kind=key[0], name=key[1], plugins=owners)
                self._plugins[owner].errors.append(error)
                self._refused[key] = error

    def _of(self, kind: Kind) -> list[Offer]:
        return sorted((one for one in self._offers.values() if one.kind is kind), key=lambda one: one.name)

    def _of_plugin(self, plugin: str) -> list[Offer]:
        return [offer for offer in self._offers.values() if offer.plugin == plugin]

    def _get(self, kind: Kind, name: str) -> Any:
        offer = self._offers.get((kind.name, name))
        if offer is None:
            raise self._absent(kind, name)
        if isinstance(offer.thing, Impure) and not offer.is_open:
            raise offer.error or TemporaryError("PluginNotOpen", plugin=offer.plugin, name=offer.label)
        return offer.thing

    def _absent(self, kind: Kind, name: str) -> AgentPodError:
        refused = self._refused.get((kind.name, name))
        if refused is not None:
            return refused
        # What a plugin that did not load would have offered is unknown; its own name is the best guess.
        plugin = self._plugins.get(name)
        if plugin is not None and plugin.is_disabled:
            return PluginError("PluginDisabled", plugin=name)
        if plugin is not None and plugin.errors:
            return plugin.errors[0]
        return NotFoundError(kind.unknown, name=name, known=self.names(kind.name))

    async def _open(self, offer: Offer, context: HostContext, source: SettingsSource) -> None:
        offer.error = None
        if not isinstance(offer.thing, Impure):
            return
        try:
            settings = read_settings(type(offer.thing).settings_type, source(offer.kind.name, offer.name))
            own = context.folder / offer.kind.name / offer.name
            own.mkdir(mode=0o700, parents=True, exist_ok=True)
            async with asyncio.timeout(OPEN_SECONDS):
                await offer.thing.open(msgspec.structs.replace(context, folder=own, settings=settings))
        except ConfigError as error:
            offer.error = ConfigError(
                error.problems, "InvalidSettings", plugin=offer.plugin, name=offer.label, **error.params
            )
        except AgentPodError as error:
            offer.error = error
        except Exception as error:  # noqa: BLE001 - foreign code; any failure is its own
            offer.error = self._wrapped(offer.thing, error)
        else:
            offer.is_open = True
            self._opened.append(offer)

    def _wrapped(self, thing: Thing, error: Exception) -> TemporaryError:
        owner = next((offer.plugin for offer in self._offers.values() if offer.thing is thing), type(thing).__name__)
        _LOG.error("the plugin %s failed: %s", owner, _traced(error))
        return TemporaryError("PluginFailed", plugin=owner, error=type(error).__name__)


def _traced(error: BaseException) -> str:
    """Say where an exception came from; not its own words, for they may hold a secret that it was given."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return f"{type(error).__name__} at " + " < ".join(f"{one.filename}:{one.lineno}" for one in reversed(frames))
