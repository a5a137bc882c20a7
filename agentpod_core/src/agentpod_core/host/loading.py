"""Loads plugins one by one and collects what each offers; what fails is recorded, not raised."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Any, Final

import pluggy
from msgspec import Struct

from agentpod_core.errors import AgentPodError, PluginError
from agentpod_core.host.kinds import KINDS, Kind, Offer, Thing
from agentpod_core.plugpoints import hooks
from agentpod_core.plugpoints.agents import AgentAdapter
from agentpod_core.plugpoints.context import Impure
from agentpod_core.values.names import SLUG

GROUP: Final = hooks.PROJECT
"""The entry-point group by which plugins join."""

BUILTINS: Final = "agentpod-server"
"""The plugin under whose name the server's own offers are listed."""

_ERROR_LIMIT: Final = 200


class Loaded(Struct, kw_only=True):
    """One plugin while it is loaded; filled step by step."""

    name: str
    distribution: str = ""
    version: str = ""
    is_disabled: bool = False
    errors: list[AgentPodError] = []


class Loader:
    """Registers plugins and calls their hooks once."""

    def __init__(self, disabled: frozenset[str]) -> None:
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(hooks)
        self._disabled = disabled
        self.plugins: dict[str, Loaded] = {}

    def load_builtins(self, builtins: Sequence[object]) -> None:
        """Register what the server brings: things it offers, or objects with hooks as a plugin has."""
        things = [one for one in builtins if isinstance(one, (AgentAdapter, Impure))]
        if things:
            self._register(Loaded(name=BUILTINS), _OwnOffers(things))
        for one in builtins:
            if not isinstance(one, (AgentAdapter, Impure)):
                self._register(Loaded(name=getattr(one, "__name__", type(one).__name__)), one)

    def load_entry_points(self, entry_points: Iterable[metadata.EntryPoint] | None) -> None:
        """Load installed plugins, each by itself."""
        found = metadata.entry_points(group=GROUP) if entry_points is None else entry_points
        for point in sorted(found, key=lambda one: (one.name, one.value)):
            plugin = Loaded(
                name=point.name,
                distribution=point.dist.name if point.dist else "",
                version=point.dist.version if point.dist else "",
                is_disabled=point.name in self._disabled,
            )
            if plugin.name in self.plugins:
                plugin.name = f"{point.name}@{plugin.distribution or point.value}"
            if plugin.is_disabled:
                self.plugins[plugin.name] = plugin
                continue
            try:
                module = point.load()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code; any failure is its own
                self._fail(plugin, "PluginNotLoaded", error=_told(error))
                self.plugins[plugin.name] = plugin
            else:
                self._register(plugin, module)

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
                    continue
                for thing in self._call(plugin, kind, implementation.function):
                    offer = self._checked(plugin, kind, thing)
                    if offer is not None:
                        offers.append(offer)
        return offers

    def _register(self, plugin: Loaded, module: object) -> None:
        if plugin.name in self.plugins:
            plugin.name = f"{plugin.name}@{len(self.plugins)}"
        self.plugins[plugin.name] = plugin
        plugin.is_disabled = plugin.name in self._disabled
        if plugin.is_disabled:
            return
        try:
            self._manager.register(module, name=plugin.name)
        except pluggy.PluginValidationError as error:
            self._fail(plugin, "InvalidHook", hook=_hook_in(str(error)))
        except Exception as error:  # noqa: BLE001 - foreign code is looked into
            self._fail(plugin, "PluginNotLoaded", error=_told(error))

    def _name_unknown_hooks(self) -> None:
        for name, caller in vars(self._manager.hook).items():
            if isinstance(caller, pluggy.HookCaller) and not caller.has_spec():
                for implementation in caller.get_hookimpls():
                    if not implementation.optionalhook:
                        self._fail(self.plugins[implementation.plugin_name], "UnknownHook", hook=name)

    def _call(self, plugin: Loaded, kind: Kind, function: Any) -> list[object]:
        try:
            given = function()
            if inspect.iscoroutine(given):
                given.close()
                self._fail(plugin, "InvalidHook", hook=kind.hook)
                return []
            if isinstance(given, Iterable) and not isinstance(given, (str, bytes)):
                return list(given)
        except Exception as error:  # noqa: BLE001 - foreign code; any failure is its own
            self._fail(plugin, "PluginNotLoaded", error=_told(error))
            return []
        if given is not None:
            self._refuse(plugin, kind, given, f"a list of {kind.type.__name__}")
        return []

    def _checked(self, plugin: Loaded, kind: Kind, thing: object) -> Offer | None:
        if not isinstance(thing, kind.type):
            self._refuse(plugin, kind, thing, kind.type.__name__)
            return None
        name = getattr(thing, "name", "")
        if not (isinstance(name, str) and SLUG.fullmatch(name)):
            given = type(thing).__name__
            self._fail(plugin, "InvalidOfferName", hook=kind.hook, given=given, name=str(name)[:80])
            return None
        missing = _missing(thing)
        if missing:
            self._fail(plugin, "IncompleteOffer", kind=kind.name, name=name, missing=missing)
            return None
        return Offer(kind, name, plugin.name, thing)

    def _refuse(self, plugin: Loaded, kind: Kind, given: object, expected: str) -> None:
        what = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
        self._fail(plugin, "WrongOffer", hook=kind.hook, given=what, expected=expected)

    def _fail(self, plugin: Loaded, reason: str, **params: Any) -> None:
        plugin.errors.append(PluginError(reason, plugin=plugin.name, **params))


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


def _missing(thing: object) -> list[str]:
    """Name the attributes that every offer of that kind needs and this one lacks."""
    wanted = "config_type" if isinstance(thing, AgentAdapter) else "settings_type"
    given = getattr(thing, wanted, None)
    title = getattr(thing, "title", None)
    has_type = isinstance(given, type) and issubclass(given, Struct)
    return [
        name for name, is_there in (("title", isinstance(title, str) and title), (wanted, has_type)) if not is_there
    ]


def _told(error: BaseException) -> str:
    """Say what failed, in a line; an import tells no secrets, for it is given none."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:_ERROR_LIMIT] if text else type(error).__name__


def _hook_in(message: str) -> str:
    return next((kind.hook for kind in KINDS if kind.hook in message), "")
