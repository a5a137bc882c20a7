"""Loads plugins one by one and collects what each offers; what fails is recorded, not raised.

A plugin's code runs in a thread of its own until its offers are known: one that never comes back is named and left
behind.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from itertools import islice
from typing import Any, Final

import msgspec
import pluggy
from msgspec import Struct

from agentpod_core.errors import AgentPodError, PluginError
from agentpod_core.host import fitting, threads
from agentpod_core.host.kinds import KINDS, Kind, Offer, Owner, Thing
from agentpod_core.host.offered import missing
from agentpod_core.host.redaction import Redactor
from agentpod_core.plugpoints import hooks
from agentpod_core.plugpoints.agents import AgentAdapter
from agentpod_core.plugpoints.context import Impure
from agentpod_core.values.names import SLUG

GROUP: Final = hooks.PROJECT
"""The entry-point group by which plugins join."""

BUILTINS: Final = "agentpod-server"
"""The plugin, and the distribution, under whose name the server's own offers are listed."""

_ERROR_LIMIT: Final = 200
_MOST_OFFERS: Final = 1000


class Loaded(Struct, kw_only=True):
    """One plugin while it is loaded; filled step by step."""

    owner: Owner
    is_disabled: bool = False
    is_blocked: bool = False
    errors: list[AgentPodError] = []


class Loader:
    """Registers plugins and calls their hooks once; each step of a plugin's code gets ``seconds``."""

    def __init__(self, disabled: frozenset[str], *, seconds: float, redactor: Redactor) -> None:
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(hooks)
        self._disabled = disabled
        self._seconds = seconds
        self._redactor = redactor
        self.plugins: dict[str, Loaded] = {}

    def load_builtins(self, builtins: Sequence[object]) -> None:
        """Register what the server brings: things it offers, or objects with hooks as a plugin has."""
        version = _version(BUILTINS)
        things = [one for one in builtins if isinstance(one, (AgentAdapter, Impure))]
        if things:
            owner = Owner(plugin=BUILTINS, distribution=BUILTINS, version=version)
            self._register(Loaded(owner=owner), lambda: _OwnOffers(things))
        for one in builtins:
            if not isinstance(one, (AgentAdapter, Impure)):
                name = getattr(one, "__name__", type(one).__name__)
                owner = Owner(plugin=name, distribution=BUILTINS, version=version)
                self._register(Loaded(owner=owner), lambda one=one: one)  # type: ignore[misc]

    def load_entry_points(self, entry_points: Iterable[metadata.EntryPoint] | None) -> None:
        """Load installed plugins, each by itself."""
        found = metadata.entry_points(group=GROUP) if entry_points is None else entry_points
        core = fitting.core_version()
        by_name: dict[str, list[Loaded]] = {}
        for point in sorted(found, key=lambda one: (one.name, one.value)):
            owner = Owner(
                plugin=point.name,
                distribution=point.dist.name if point.dist else "",
                version=point.dist.version if point.dist else "",
            )
            if point.name in self.plugins:
                owner = msgspec.structs.replace(owner, plugin=f"{point.name}@{owner.distribution or point.value}")
            plugin = Loaded(owner=owner, is_disabled=point.name in self._disabled)
            by_name.setdefault(point.name, []).append(plugin)
            wanted = fitting.core_wanted(point.dist, core) if point.dist else None
            if wanted is not None and not plugin.is_disabled:
                # Before any of its code runs: what it imports may be gone, or mean something else.
                self.plugins[owner.plugin] = plugin
                self._fail(plugin, "WrongCoreVersion", wanted=wanted, present=core)
                continue
            self._register(plugin, point.load)
        for name, found_so in by_name.items():
            same = [one for one in found_so if not one.is_disabled]
            if len(same) > 1:
                sources = [one.owner.source for one in same]
                for plugin in same:
                    self._fail(plugin, "PluginNameShared", name=name, distributions=sources)

    def collect(self) -> list[Offer]:
        """Call every plugin's hooks and give what they offer, checked one by one."""
        self._name_unknown_hooks()
        offers: list[Offer] = []
        for kind in KINDS:
            implementations = getattr(self._manager.hook, kind.hook).get_hookimpls()
            for implementation in sorted(implementations, key=lambda one: one.plugin_name):
                plugin = self.plugins[implementation.plugin_name]
                if implementation.wrapper or implementation.hookwrapper:
                    self._fail(plugin, "InvalidHook", hook=kind.hook)
                elif not plugin.is_blocked:
                    offers += self._call(plugin, kind, implementation.function)
        return offers

    def _register(self, plugin: Loaded, load: Callable[[], object]) -> None:
        name = plugin.owner.plugin
        if name in self.plugins:
            name = f"{name}@{len(self.plugins)}"
            plugin.owner = msgspec.structs.replace(plugin.owner, plugin=name)
        self.plugins[name] = plugin
        plugin.is_disabled = plugin.is_disabled or name in self._disabled
        if not plugin.is_disabled:
            # To register a module is to look at all that is in it, which is its code, too.
            self._attempt(plugin, "import", lambda: self._manager.register(load(), name=name))

    def _name_unknown_hooks(self) -> None:
        for name, caller in vars(self._manager.hook).items():
            if isinstance(caller, pluggy.HookCaller) and not caller.has_spec():
                for implementation in caller.get_hookimpls():
                    if not implementation.optionalhook:
                        self._fail(self.plugins[implementation.plugin_name], "UnknownHook", hook=name)

    def _call(self, plugin: Loaded, kind: Kind, function: Any) -> list[Offer]:
        offers: list[Offer] = []

        def collect() -> None:
            given = function()
            if inspect.iscoroutine(given):
                given.close()
                self._fail(plugin, "InvalidHook", hook=kind.hook)
            elif isinstance(given, Iterable) and not isinstance(given, (str, bytes)):
                things = list(islice(given, _MOST_OFFERS + 1))
                if len(things) > _MOST_OFFERS:
                    self._refuse(plugin, kind, given, f"at most {_MOST_OFFERS} of {kind.type.__name__}")
                    return
                offers.extend(offer for thing in things if (offer := self._checked(plugin, kind, thing)))
            elif given is not None:
                self._refuse(plugin, kind, given, f"a list of {kind.type.__name__}")

        self._attempt(plugin, kind.hook, collect)
        return [] if plugin.is_blocked else offers

    def _attempt(self, plugin: Loaded, what: str, function: Callable[[], object]) -> None:
        """Run some of a plugin's code, for as long as that may take."""
        outcome = threads.run(function, seconds=self._seconds, name=f"plugin {plugin.owner.plugin}: {what}")
        error = outcome.error
        if not outcome.is_over:
            plugin.is_blocked = True
            self._fail(plugin, "PluginBlocked", call=what, seconds=round(self._seconds, 1))
        elif isinstance(error, pluggy.PluginValidationError):
            self._fail(plugin, "InvalidHook", hook=_hook_in(str(error)))
        elif error is not None:
            self._fail(plugin, "PluginNotLoaded", error=self._redactor.clean(_told(error)))

    def _checked(self, plugin: Loaded, kind: Kind, thing: object) -> Offer | None:
        if not isinstance(thing, kind.type):
            self._refuse(plugin, kind, thing, kind.type.__name__)
            return None
        name = getattr(thing, "name", "")
        if not (isinstance(name, str) and SLUG.fullmatch(name)):
            given = type(thing).__name__
            self._fail(plugin, "InvalidOfferName", hook=kind.hook, given=given, name=str(name)[:80])
            return None
        lacks = missing(thing)
        if lacks:
            self._fail(plugin, "IncompleteOffer", kind=kind.name, name=name, missing=lacks)
            return None
        return Offer(kind, name, plugin.owner, thing)

    def _refuse(self, plugin: Loaded, kind: Kind, given: object, expected: str) -> None:
        what = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
        self._fail(plugin, "WrongOffer", hook=kind.hook, given=what, expected=expected)

    def _fail(self, plugin: Loaded, reason: str, **params: Any) -> None:
        plugin.errors.append(PluginError(reason, **plugin.owner.facts(), **params))


class _OwnOffers:
    """A plugin made of things that are there already."""

    def __init__(self, things: Sequence[Thing]) -> None:
        for kind in KINDS:
            offered = [thing for thing in things if isinstance(thing, kind.type)]
            setattr(self, kind.hook, hooks.hookimpl(_giver(offered)))


def _giver(things: list[Any]) -> Any:
    def give() -> list[Any]:
        return things

    return give


def _told(error: BaseException) -> str:
    """Say what failed, in a line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:_ERROR_LIMIT] if text else type(error).__name__


def _hook_in(message: str) -> str:
    return next((kind.hook for kind in KINDS if kind.hook in message), "")


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
