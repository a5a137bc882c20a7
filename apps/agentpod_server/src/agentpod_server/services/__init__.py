"""The use cases of AgentPod: what the API, the dashboard and tests ask for, without HTTP and without SQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from agentpod_core import Clock, SecretStore
from agentpod_server.services.addresses import Addresses
from agentpod_server.services.agents import Agents
from agentpod_server.services.alerts import Alerts, Delivery, TargetChanges, Targets, Wording
from agentpod_server.services.alerts.delivery import Follow
from agentpod_server.services.alerts.turns import Turns
from agentpod_server.services.availability import Availabilities
from agentpod_server.services.cursors import Cursors
from agentpod_server.services.engine import Engine
from agentpod_server.services.events import Events
from agentpod_server.services.health import Healths
from agentpod_server.services.hub import EventHub
from agentpod_server.services.identity import Identity
from agentpod_server.services.images import BUILD, Images
from agentpod_server.services.offers import Offers
from agentpod_server.services.operations import OperationRunner, Operations
from agentpod_server.services.passes import RECONCILE, Passes
from agentpod_server.services.passwords import Passwords
from agentpod_server.services.plugins import Plugins
from agentpod_server.services.pods import Pods
from agentpod_server.services.retention import Kept, Retention
from agentpod_server.services.specs import Specs
from agentpod_server.services.tenants import Tenants
from agentpod_server.services.usage import UsageHistory
from agentpod_server.services.vault import Vault
from agentpod_server.store.database import Database

__all__ = [
    "Addresses",
    "Agents",
    "Cursors",
    "Engine",
    "EventHub",
    "Events",
    "Identity",
    "Images",
    "Offers",
    "OperationRunner",
    "Operations",
    "Pods",
    "Services",
    "Specs",
    "Tenants",
    "Vault",
]


class Services:
    """Every use case of one server, over one database and one engine."""

    def __init__(  # noqa: PLR0913 - what a server is made of
        self,
        *,
        database: Database,
        engine: Engine,
        offers: Offers,
        addresses: Addresses,
        secret_store: SecretStore,
        secret_stores: Mapping[str, SecretStore],
        hub: EventHub,
        clock: Clock,
        instance: str,
        cursor_key: bytes,
        address_range: str,
        needed: Collection[tuple[str, str]] = (),
        avoid_subnets: Callable[[], Collection[str]] = tuple,
        should_exit: Callable[[], bool] = lambda: False,
        passwords: Passwords | None = None,
        kept: Kept = Kept(),  # noqa: B008 - frozen
        wording: Wording = Wording(),  # noqa: B008 - frozen
        follow_alerts: Follow | None = None,
        time_scale: float = 1.0,
    ) -> None:
        cursors = Cursors(cursor_key)
        vault = Vault(secret_store, secret_stores)
        turns = Turns()
        self.offers = offers
        self.plugins = Plugins(database, offers, needed)
        self.should_exit = should_exit
        self.addresses = addresses
        self.hub = hub
        self.tenants = Tenants(database, cursors, address_range=address_range, avoid=avoid_subnets)
        self.pods = Pods(database, cursors, offers)
        self.specs = Specs(database, offers, vault, addresses)
        self.agents = Agents(database, engine, offers, addresses, instance=instance)
        self.healths = Healths(database, engine)
        self.usage = UsageHistory(database)
        self.availability = Availabilities(database)
        self.retention = Retention(database, engine, kept)
        self.events = Events(database, hub, cursors, should_exit=should_exit)
        self.alerts = Alerts(database, cursors, clock)
        self.targets = Targets(database, cursors, offers, vault, clock, wording, turns)
        self.target_changes = TargetChanges(database, cursors, offers, vault, turns)
        self.delivery = Delivery(
            database, engine, offers, vault, wording, turns, follow=follow_alerts, scale=time_scale
        )
        self.operations = Operations(database, cursors)
        self.passes = Passes(database, engine, self.agents)
        self.images = Images(database, engine, offers)
        self.identity = Identity(database, clock, passwords)
        self.runner = OperationRunner(
            database, engine, {BUILD: self.images.do_build, RECONCILE: self.passes.do_reconcile}
        )
