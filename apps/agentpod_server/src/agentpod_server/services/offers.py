"""What the installed plugins offer, as far as the use cases need it; a plugin's code runs guarded."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from msgspec import Struct

from agentpod_core import AgentAdapter, AgentPodError, ImageRecipe, Problem, catalogue
from agentpod_core.host import Host, PluginInfo


class OfferedAdapter(Struct, frozen=True, kw_only=True):
    """An adapter, who offers it, and the image that it can be built as."""

    adapter: Any
    plugin: str
    version: str
    recipe: ImageRecipe | None


class Offers:
    """Finds kinds of agents and health probes by name."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def adapter(self, name: str) -> AgentAdapter[Any]:
        """Give an adapter.

        Raises:
            NotFoundError: ``UnknownAdapter``.
            PluginError: the plugin that should offer it failed.
        """
        return self._host.agent(name)

    def find_adapter(self, name: str) -> AgentAdapter[Any] | None:
        """Give an adapter; None where it cannot be had."""
        try:
            return self._host.agent(name)
        except AgentPodError:
            return None

    def adapter_problem(self, name: str) -> Problem:
        """Say why an adapter cannot be had, as a problem of a request."""
        reason, params = "UnknownAdapter", {"name": name[:80], "known": self.adapter_names()}
        try:
            self._host.agent(name)
        except AgentPodError as error:
            reason, params = error.reason, error.params
        return Problem(path="$.adapter", reason=reason, params=params, message=catalogue.text(reason, params))

    def adapter_names(self) -> list[str]:
        """Give the names of all adapters, sorted."""
        return self._host.names("agent")

    def has_probe(self, name: str) -> bool:
        """Say whether some plugin offers a health probe of that name."""
        return name in self._host.names("probe")

    def guarded(self, adapter: AgentAdapter[Any]) -> AbstractContextManager[None]:
        """Run an adapter's code: what it raises that is no AgentPodError becomes ``PluginFailed``."""
        return self._host.guarded(adapter)

    def recipe(self, adapter: AgentAdapter[Any]) -> ImageRecipe | None:
        """Ask an adapter how its image is built."""
        with self.guarded(adapter):
            return adapter.recipe()

    def plugins(self) -> list[PluginInfo]:
        """List all plugins, those that failed too."""
        return self._host.plugins()

    def offered(self, name: str) -> OfferedAdapter:
        """Describe an adapter; errors as ``adapter``."""
        adapter = self._host.agent(name)
        owner = next((one for one in self._host.plugins() if f"agent:{name}" in one.offers), PluginInfo(name=""))
        return OfferedAdapter(adapter=adapter, plugin=owner.name, version=owner.version, recipe=self.recipe(adapter))
