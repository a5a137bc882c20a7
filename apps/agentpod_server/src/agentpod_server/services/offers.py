"""What the installed plugins offer, as far as the use cases need it; a plugin's code runs guarded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any

from msgspec import Struct

from agentpod_core import (
    AgentAdapter,
    AgentPodError,
    Alert,
    ImageRecipe,
    Notifier,
    Problem,
    SecretRef,
    TemporaryError,
    catalogue,
    schema,
)
from agentpod_core.host import Host, Owner, PluginInfo
from agentpod_server.alert_records import TargetRecord


class OfferedAdapter(Struct, frozen=True, kw_only=True):
    """An adapter, who offers it, and the image that it can be built as."""

    adapter: Any
    owner: Owner
    recipe: ImageRecipe | None


class Offers:
    """Finds kinds of agents, health probes and notifiers by name."""

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

    def guarded(self, adapter: AgentAdapter[Any], call: str) -> AbstractContextManager[None]:
        """Run a little of an adapter's code here and now; errors as ``ask``."""
        return self._host.guarded(adapter, call)

    def owner(self, adapter: AgentAdapter[Any]) -> dict[str, Any]:
        """Say where an adapter comes from, as errors tell it."""
        return (self._host.owner("agent", adapter.name) or Owner(plugin="?")).facts()

    async def ask(self, adapter: AgentAdapter[Any], call: str, *args: Any) -> Any:
        """Call a method of an adapter, bounded in time.

        Raises:
            TemporaryError: what the adapter did wrong, by its plugin, distribution and version.
            AgentPodError: what it said.
        """
        return await self._host.ask(adapter, call, *args)

    async def recipe(self, adapter: AgentAdapter[Any]) -> ImageRecipe | None:
        """Ask an adapter how its image is built."""
        found: ImageRecipe | None = await self.ask(adapter, "recipe")
        return found

    def plugins(self, used: Collection[tuple[str, str]]) -> list[PluginInfo]:
        """List all plugins, those that failed too, and those that are missing of what is used."""
        return self._host.plugins(used)

    def find_notifier(self, name: str) -> Notifier[Any] | None:
        """Give a notifier; None where it cannot be had."""
        try:
            return self._host.notifier(name)
        except AgentPodError:
            return None

    def notifier_names(self) -> list[str]:
        """Give the names of all notifiers, sorted."""
        return self._host.names("notifier")

    def notifier_owner(self, name: str) -> str:
        """Give the name of the plugin that offers a notifier."""
        owner = self._host.owner("notifier", name)
        return owner.plugin if owner else ""

    def gathers(self, name: str) -> bool:
        """Say whether a notifier can tell several alerts in one message; False where it cannot be had."""
        notifier = self.find_notifier(name)
        return notifier is not None and notifier.gathers

    async def send(self, alert: Alert, target: TargetRecord, material: Mapping[SecretRef, str]) -> None:
        """Have a target's notifier deliver one message.

        Raises:
            TemporaryError: try again later, also where the notifier cannot be had at the moment.
            AgentPodError: what the notifier said.
        """
        try:
            notifier = self._host.notifier(target.kind)
        except AgentPodError as error:
            # Whoever took the plugin away may put it back, and a server that starts anew may open it.
            raise TemporaryError(error.reason, **error.params) from error
        await notifier.send(alert, schema.build(notifier.target_type, target.settings), material)

    async def offered(self, name: str) -> OfferedAdapter:
        """Describe an adapter; errors as ``adapter``. One that cannot tell how it is built is not built here."""
        adapter = self._host.agent(name)
        owner = self._host.owner("agent", name) or Owner(plugin="")
        try:
            recipe = await self.recipe(adapter)
        except AgentPodError:
            # It is in the list of plugins, with what happened; the other adapters are shown as ever.
            recipe = None
        return OfferedAdapter(adapter=adapter, owner=owner, recipe=recipe)
