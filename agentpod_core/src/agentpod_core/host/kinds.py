"""The kinds of things that plugins offer, and what is kept about who offered what."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from agentpod_core.errors import AgentPodError
from agentpod_core.plugpoints.agents import AgentAdapter
from agentpod_core.plugpoints.context import Impure
from agentpod_core.plugpoints.notifiers import Notifier
from agentpod_core.plugpoints.probes import HealthProbe
from agentpod_core.plugpoints.routers import Router
from agentpod_core.plugpoints.runtimes import Runtime
from agentpod_core.plugpoints.secrets import SecretStore

Thing = AgentAdapter[Any] | Impure


class Kind(Struct, frozen=True, kw_only=True):
    """One kind of offer: its hook, its class, and the reason when nobody offers a name."""

    name: str
    hook: str
    type: type[Any]
    unknown: str


AGENT: Final = Kind(name="agent", hook="agentpod_agents", type=AgentAdapter, unknown="UnknownAdapter")
ROUTER: Final = Kind(name="router", hook="agentpod_routers", type=Router, unknown="UnknownRouter")
RUNTIME: Final = Kind(name="runtime", hook="agentpod_runtimes", type=Runtime, unknown="UnknownRuntime")
PROBE: Final = Kind(name="probe", hook="agentpod_health_probes", type=HealthProbe, unknown="UnknownProbe")
SECRET_STORE: Final = Kind(
    name="secret_store", hook="agentpod_secret_stores", type=SecretStore, unknown="UnknownSecretStore"
)
NOTIFIER: Final = Kind(name="notifier", hook="agentpod_notifiers", type=Notifier, unknown="UnknownNotifier")

KINDS: Final = (AGENT, ROUTER, RUNTIME, PROBE, SECRET_STORE, NOTIFIER)


class PluginInfo(Struct, frozen=True, kw_only=True):
    """What is known of one plugin.

    ``offers`` are written ``kind:name`` and hold only what is in use. ``errors`` tell what went
    wrong, each with a reason of the catalogue. ``distribution`` and ``version`` are empty for what
    the server itself brings.
    """

    name: str
    distribution: str = ""
    version: str = ""
    offers: tuple[str, ...] = ()
    is_disabled: bool = False
    errors: tuple[AgentPodError, ...] = ()


class Offer:
    """One thing that one plugin offers, and how it stands with it."""

    def __init__(self, kind: Kind, name: str, plugin: str, thing: Thing) -> None:
        self.kind = kind
        self.name = name
        self.plugin = plugin
        self.thing = thing
        self.is_open = False
        self.error: AgentPodError | None = None

    @property
    def label(self) -> str:
        """Its kind and name, as lists show it."""
        return f"{self.kind.name}:{self.name}"
