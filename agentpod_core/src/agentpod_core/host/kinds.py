"""The kinds of things that plugins offer, and what is kept about who offered what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
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


class Owner(Struct, frozen=True, kw_only=True):
    """Which plugin something comes from, and the distribution that brought it."""

    plugin: str
    distribution: str = ""
    version: str = ""

    @property
    def source(self) -> str:
        """The distribution and its version, as people write them."""
        return f"{self.distribution or '?'} {self.version}".strip()

    @property
    def label(self) -> str:
        """The plugin and where it comes from, for a list of several."""
        return f"{self.plugin} ({self.source})"

    def facts(self) -> dict[str, Any]:
        """Give what every error about a plugin tells."""
        return {
            "plugin": self.plugin,
            "distribution": self.distribution or "?",
            "version": self.version or "?",
        }


class Incident(Struct, frozen=True, kw_only=True):
    """What last went wrong in one call of one offer (``kind:name``) while it was in use.

    ``count`` is how often since the host was made; ``is_over`` says that the call has worked since.
    """

    offer: str
    call: str
    error: AgentPodError
    count: int
    at: datetime
    is_over: bool = False


class PluginState(StrEnum):
    """How it stands with a plugin.

    ``partly``: something of it is in use, and something is wrong. ``missing``: it is not installed
    any more, and something that it offered is still in use.
    """

    OK = "ok"
    PARTLY = "partly"
    FAILED = "failed"
    DISABLED = "disabled"
    MISSING = "missing"


class PluginInfo(Struct, frozen=True, kw_only=True):
    """What is known of one plugin.

    ``offers`` are written ``kind:name`` and hold only what is in use. ``errors`` tell what went
    wrong when it was loaded and opened, ``incidents`` what did since; each has a reason of the
    catalogue.
    """

    name: str
    distribution: str = ""
    version: str = ""
    offers: tuple[str, ...] = ()
    is_disabled: bool = False
    is_missing: bool = False
    errors: tuple[AgentPodError, ...] = ()
    incidents: tuple[Incident, ...] = ()

    @property
    def state(self) -> PluginState:
        """How it stands with it."""
        if self.is_disabled:
            return PluginState.DISABLED
        if self.is_missing:
            return PluginState.MISSING
        if self.errors and not self.offers:
            return PluginState.FAILED
        if self.errors or not all(one.is_over for one in self.incidents):
            return PluginState.PARTLY
        return PluginState.OK


class Offer:
    """One thing that one plugin offers, and how it stands with it. ``fenced`` is what others get to see of it."""

    def __init__(self, kind: Kind, name: str, owner: Owner, thing: Thing) -> None:
        self.kind = kind
        self.name = name
        self.owner = owner
        self.thing = thing
        self.fenced: Thing = thing
        self.is_open = False
        self.error: AgentPodError | None = None
        self.incidents: dict[str, Incident] = {}

    @property
    def label(self) -> str:
        """Its kind and name, as lists show it."""
        return f"{self.kind.name}:{self.name}"


def described(
    owner: Owner, offers: Sequence[Offer], errors: Sequence[AgentPodError], *, is_disabled: bool
) -> PluginInfo:
    """Describe an installed plugin by what it offers and what went wrong with it."""
    return PluginInfo(
        name=owner.plugin,
        distribution=owner.distribution,
        version=owner.version,
        is_disabled=is_disabled,
        offers=tuple(sorted(offer.label for offer in offers)),
        errors=(*errors, *(one.error for one in offers if one.error)),
        incidents=tuple(incident for one in offers for incident in one.incidents.values()),
    )


def missing(owner: Owner, errors: Sequence[AgentPodError]) -> PluginInfo:
    """Describe a plugin that is not installed and still needed."""
    return PluginInfo(
        name=owner.plugin,
        distribution=owner.distribution,
        version=owner.version,
        is_missing=True,
        errors=tuple(errors),
    )
