"""The host: knows all plugins, opens what they offer, and finds an offer by its kind and name.

A plugin that fails to load, offers nonsense or cannot be opened is named when somebody asks for
it; it never takes the others down. What is asked of the offers is not the host's business.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import msgspec

from agentpod_core.errors import AgentPodError, ConfigError, NotFoundError, PluginError, TemporaryError
from agentpod_core.host import kinds
from agentpod_core.host.fencing import absent, fenced
from agentpod_core.host.guarding import Guard
from agentpod_core.host.kinds import Kind, Offer, Owner, PluginInfo, Thing
from agentpod_core.host.loading import Loader
from agentpod_core.host.redaction import Redactor
from agentpod_core.host.settings import SettingsSource, read_settings, secrets_in
from agentpod_core.plugpoints.agents import AgentAdapter
from agentpod_core.plugpoints.context import Clock, HostContext, Impure
from agentpod_core.plugpoints.notifiers import Notifier
from agentpod_core.plugpoints.probes import HealthProbe
from agentpod_core.plugpoints.routers import Router
from agentpod_core.plugpoints.runtimes import Runtime
from agentpod_core.plugpoints.secrets import SecretStore

LOAD_SECONDS: Final = 10.0
STALL_SECONDS: Final = 5.0
OPEN_SECONDS: Final = 60.0
CLOSE_SECONDS: Final = 10.0
ASK_SECONDS: Final = 60.0

_LOG: Final = logging.getLogger(__name__)


class Host:
    """All plugins of one process.

    ``builtins`` are what the embedding application offers: adapters, stores and the like, or
    objects with hooks. ``disabled`` names plugins that are not even imported. ``entry_points``
    replaces the installed ones. ``redactor`` takes secrets out of what plugins say; the host tells
    it those that it hands out. ``load_seconds`` is how long a plugin may take to load,
    ``stall_seconds`` how long its code may keep others waiting.
    """

    def __init__(  # noqa: PLR0913 - what a host is made of
        self,
        *,
        builtins: Sequence[object] = (),
        disabled: Collection[str] = frozenset(),
        entry_points: Iterable[metadata.EntryPoint] | None = None,
        redactor: Redactor | None = None,
        load_seconds: float = LOAD_SECONDS,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self.redactor = redactor or Redactor()
        self._guard = Guard(self.redactor, stall_seconds=stall_seconds)
        loader = Loader(frozenset(disabled), seconds=load_seconds, redactor=self.redactor)
        loader.load_builtins(builtins)
        loader.load_entry_points(entry_points)
        offers = loader.collect()
        self._plugins = loader.plugins
        self._offers: dict[tuple[str, str], Offer] = {}
        self._refused: dict[tuple[str, str], AgentPodError] = {}
        self._past: dict[str, Owner] = {}
        self._opened: list[Offer] = []
        self._admit(offers)

    def agent(self, name: str) -> AgentAdapter[Any]:
        """Give the agent adapter of that name; call it by ``ask`` only.

        Raises:
            NotFoundError: nobody offers it (``UnknownAdapter``), or not any more (``PluginGone``).
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

    def notifier(self, name: str) -> Notifier[Any]:
        """Give the open notifier of that name; errors as ``router``."""
        found: Notifier[Any] = self._get(kinds.NOTIFIER, name)
        return found

    def absent(self, kind: str, name: str, error: AgentPodError) -> Any:
        """Give a stand-in for what cannot be had: each of its methods says why."""
        return absent(_kind(kind), name, error)

    def names(self, kind: str) -> list[str]:
        """List the names that are offered of a kind, open or not."""
        return sorted(name for of, name in self._offers if of == kind)

    def owner(self, kind: str, name: str) -> Owner | None:
        """Say who offers that name of a kind; None for nobody."""
        offer = self._offers.get((kind, name))
        return offer.owner if offer else None

    def owners(self) -> dict[str, Owner]:
        """Say who offers what, by ``kind:name``."""
        return {offer.label: offer.owner for offer in self._offers.values()}

    def remember(self, past: Mapping[str, Owner]) -> None:
        """Take note of who offered what (``kind:name``) in former times, to name who is missed."""
        self._past = dict(past)

    def why_missing(self, kind: str, name: str) -> AgentPodError | None:
        """Say why nobody offers that name of a kind; None where somebody does."""
        return None if (kind, name) in self._offers else self._absent(_kind(kind), name)

    def plugins(self, used: Collection[tuple[str, str]] = ()) -> list[PluginInfo]:
        """List all plugins with what they offer and what went wrong, by name.

        ``used`` are kinds and names that are needed: what nobody offers of them is listed as missing, under the
        name of the plugin that once did.
        """
        found = [
            kinds.described(plugin.owner, self._of_plugin(name), plugin.errors, is_disabled=plugin.is_disabled)
            for name, plugin in self._plugins.items()
        ]
        return sorted([*found, *self._missing(used)], key=lambda one: one.name)

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
        """Close what is open, side by side; idempotent. What goes wrong is logged."""
        opened, self._opened = self._opened, []
        await asyncio.gather(*(self._close(offer) for offer in opened))

    async def ask(self, thing: Thing, call: str, *args: Any) -> Any:
        """Call a method of an adapter: what is synchronous runs beside the event loop, and nothing runs for ever.

        Raises:
            AgentPodError: what the adapter raised of ours, and TemporaryError for all else: ``PluginFailed``,
                ``PluginBlocked``, ``PluginPaused``, ``PluginAnsweredWrong``.
        """
        offer = self._offer_of(thing)

        def function() -> Any:
            return getattr(thing, call)(*args)

        if inspect.iscoroutinefunction(getattr(offer.kind.type, call)):
            return await self._guard.awaited(offer, call, function, ASK_SECONDS)
        return await self._guard.beside(offer, call, function)

    @contextmanager
    def guarded(self, thing: Thing, call: str) -> Iterator[None]:
        """Run a little of an adapter's code here and now; errors as ``ask``."""
        with self._guard.running(self._offer_of(thing), call):
            yield

    def _admit(self, offers: list[Offer]) -> None:
        by_name: dict[tuple[str, str], list[Offer]] = {}
        for offer in offers:
            by_name.setdefault((offer.kind.name, offer.name), []).append(offer)
        for key, same in by_name.items():
            if len(same) == 1:
                self._offers[key] = same[0]
                same[0].fenced = fenced(same[0], self._guard, self.redactor.learn)
                continue
            owners = {offer.owner.plugin: offer.owner for offer in same}
            told = [owner.label for _, owner in sorted(owners.items())]
            for name, owner in sorted(owners.items()):
                error = PluginError("NameOfferedTwice", **owner.facts(), kind=key[0], name=key[1], plugins=told)
                self._plugins[name].errors.append(error)
                self._refused[key] = error

    def _of(self, kind: Kind) -> list[Offer]:
        return sorted((one for one in self._offers.values() if one.kind is kind), key=lambda one: one.name)

    def _of_plugin(self, plugin: str) -> list[Offer]:
        return [offer for offer in self._offers.values() if offer.owner.plugin == plugin]

    def _offer_of(self, thing: Thing) -> Offer:
        return next(offer for offer in self._offers.values() if offer.thing is thing)

    def _get(self, kind: Kind, name: str) -> Any:
        offer = self._offers.get((kind.name, name))
        if offer is None:
            # Raised anew each time: what is kept would keep every frame that ever asked.
            raise self._absent(kind, name).with_traceback(None)
        if isinstance(offer.thing, Impure) and not offer.is_open:
            error = offer.error or TemporaryError("PluginNotOpen", **offer.owner.facts(), name=offer.label)
            raise error.with_traceback(None)
        return offer.fenced

    def _absent(self, kind: Kind, name: str) -> AgentPodError:
        refused = self._refused.get((kind.name, name))
        if refused is not None:
            return refused
        past = self._past.get(f"{kind.name}:{name}")
        # What a plugin that did not load would have offered is unknown but for what it once did; else its own
        # name is the best guess.
        plugin = self._plugins.get(past.plugin if past else name)
        if plugin is not None and plugin.is_disabled:
            return PluginError("PluginDisabled", **plugin.owner.facts())
        if plugin is not None and plugin.errors:
            return plugin.errors[0]
        if past is not None:
            return NotFoundError("PluginGone", **past.facts(), kind=kind.name, name=name)
        return NotFoundError(kind.unknown, name=name, known=self.names(kind.name))

    def _missing(self, used: Collection[tuple[str, str]]) -> list[PluginInfo]:
        found: dict[Owner, list[AgentPodError]] = {}
        for kind, name in sorted(set(used)):
            error = self.why_missing(kind, name)
            past = self._past.get(f"{kind}:{name}", Owner(plugin=name))
            # What is installed and failed is listed with its own words.
            if error is not None and past.plugin not in self._plugins:
                found.setdefault(past, []).append(error)
        return [kinds.missing(past, errors) for past, errors in found.items()]

    async def _open(self, offer: Offer, context: HostContext, source: SettingsSource) -> None:
        offer.error = None
        if not isinstance(offer.thing, Impure):
            return
        thing = offer.thing
        try:
            settings = read_settings(type(thing).settings_type, source(offer.kind.name, offer.name))
            for secret in secrets_in(settings):
                self.redactor.learn(secret)
            own = context.folder / offer.kind.name / offer.name
            own.mkdir(mode=0o700, parents=True, exist_ok=True)
            given = msgspec.structs.replace(context, folder=own, settings=settings)
            await self._guard.awaited(offer, "open", lambda: thing.open(given), OPEN_SECONDS)
        except ConfigError as error:
            facts = offer.owner.facts() | {"name": offer.label} | error.params
            offer.error = ConfigError(error.problems, "InvalidSettings", **facts)
        except AgentPodError as error:
            offer.error = error
        else:
            offer.is_open = True
            self._opened.append(offer)

    async def _close(self, offer: Offer) -> None:
        offer.is_open = False
        if not isinstance(offer.thing, Impure):
            return
        try:
            await self._guard.awaited(offer, "close", offer.thing.close, CLOSE_SECONDS)
        except AgentPodError as error:
            _LOG.warning("%s of %s failed to close: %s", offer.label, offer.owner.plugin, error)


def _kind(name: str) -> Kind:
    return next(one for one in kinds.KINDS if one.name == name)
