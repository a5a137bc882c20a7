"""Fixtures for tests of telling people: the parts of a server that do it on a real PostgreSQL, and pods to tell of.

A conftest takes them in with ``from agentpod_server.services.alerts.testing import *``, beside the store's.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from agentpod_core import Alert, SecretRef
from agentpod_core.host import Host
from agentpod_core.testing import FakeNotifier
from agentpod_core.testing.store_stage import RECORD, STATUS, WORKLOAD
from agentpod_core.values.alerts import AlertChange, Raise
from agentpod_core.values.names import default_subdomain
from agentpod_core.values.pods import PodSpec
from agentpod_core.values.status import Severity
from agentpod_server.alert_records import SilenceRecord, TargetRecord
from agentpod_server.records import Scope
from agentpod_server.secrets import Key, KeyRing, PostgresSecretStore
from agentpod_server.services.alerts.delivery import Delivery
from agentpod_server.services.alerts.messages import Wording
from agentpod_server.services.alerts.reading import Alerts
from agentpod_server.services.alerts.target_changes import Change, TargetChanges
from agentpod_server.services.alerts.targets import Asked, Targets
from agentpod_server.services.alerts.turns import Turns
from agentpod_server.services.config import Given
from agentpod_server.services.cursors import Cursors
from agentpod_server.services.offers import Offers
from agentpod_server.services.vault import Vault
from agentpod_server.store import pods, tenants
from agentpod_server.store.database import Database
from agentpod_server.store.engine import PostgresStore
from agentpod_server.store.listen import Listener
from agentpod_server.testing import SystemClock

__all__ = ["stage"]

ALL = Scope(actor="test")
DOWN = Raise(
    reason="CrashLoop",
    severity=Severity.ERROR,
    params={"cause": "PermanentExit", "cause_params": {"exit_code": 78}},
)
GROWS = Raise(reason="MemoryGrowing", severity=Severity.WARNING, params={"memory": 1, "limit": 2, "minutes": 3})
AWAY = Raise(reason="EngineUnreachable", severity=Severity.ERROR)


class Box(FakeNotifier):
    """A notifier in memory whose errors a test orders, next one first; ``hold`` keeps targets with a secret waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[Exception] = []
        self.hold: asyncio.Event | None = None
        self.refused_pods: set[str] = set()
        self.refusal: Exception | None = None
        self.tried: list[Alert] = []

    async def send(self, alert: Alert, target: Any, material: Mapping[SecretRef, str]) -> None:
        """Keep the alert, unless the test wants it otherwise."""
        self.tried.append(alert)
        if self.hold is not None and target.password is not None:
            await self.hold.wait()
        if self.refusal is not None and alert.pod in self.refused_pods:
            raise self.refusal
        if self.errors:
            raise self.errors.pop(0)
        await super().send(alert, target, material)


class Mailbox(Box):
    """One that people read."""

    name: ClassVar[str] = "mail"
    gathers: ClassVar[bool] = True


class Leader:
    """Whoever leads, or not."""

    epoch: int | None = None


class Stage:
    """The parts of a server that tell people, and pods to tell of."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.box, self.mail = Box(), Mailbox()
        self.host = Host(builtins=[self.box, self.mail], entry_points=[])
        self.secrets = PostgresSecretStore(database, KeyRing((Key(secrets.token_bytes(32)),)))
        self.vault = Vault(self.secrets, {"postgres": self.secrets})
        self.offers = Offers(self.host)
        self.store = PostgresStore(
            database,
            listener=Listener(database),
            hosts=lambda one: (one,),
            secret_stores={"postgres": self.secrets},
        )
        self.clock = SystemClock()
        cursors, self.turns = Cursors(b"k" * 32), Turns()
        self.targets = Targets(database, cursors, self.offers, self.vault, self.clock, Wording(), self.turns)
        self.target_changes = TargetChanges(database, cursors, self.offers, self.vault, self.turns)
        self.alerts = Alerts(database, cursors, self.clock)
        self.leader: Any = Leader()
        self.ids: dict[str, str] = {}

    def delivery(self, **parts: Any) -> Delivery:
        """Make what sends."""
        return Delivery(self.database, self.leader, self.offers, self.vault, Wording(), self.turns, **parts)

    async def lead(self, holder: str = "one") -> None:
        """Take the lead."""
        self.leader.epoch = await self.store.lead(holder, 60)

    async def pod(self, tenant: str, name: str) -> str:
        """Make a pod."""
        async with self.database.transaction(ALL):
            placement = await pods.place(tenant)
            spec = PodSpec(adapter="echo", subdomain=default_subdomain(tenant, name))
            made = await pods.create(placement, name=name, spec=spec, workload=WORKLOAD, secrets={}, credential=None)
        self.ids[f"{tenant}/{name}"] = made.id
        return made.id

    async def change(self, pod: str, *changes: AlertChange) -> None:
        """Raise and clear alerts of a pod, as the engine does."""
        await self.store.save(self.leader.epoch, self.ids[pod], status=STATUS, record=RECORD, alerts=changes)

    async def storm(self, count: int) -> list[str]:
        """Have so many pods fail at once; gives them."""
        names = [f"acme/bot-{number}" for number in range(count)]
        for name in names:
            await self.pod(*name.split("/"))
            await self.change(name, DOWN)
        return names

    async def forget(self, pod: str) -> None:
        """Delete a pod for good."""
        await self.execute("update pods set wanted = 'deleted' where id = $1::uuid", self.ids[pod])
        await self.store.forget_pod(self.leader.epoch, self.ids[pod])

    async def target(
        self, name: str, *, scope: Scope = ALL, secret: str | None = None, kind: str = "fake", **parts: Any
    ) -> TargetRecord:
        """Make a target."""
        given = Given(secrets={"password": secret} if secret else {})
        asked = Asked(name=name, kind=kind, given=given, **parts)
        return (await self.targets.create(scope, asked))[0]

    async def set(self, name: str, *, scope: Scope = ALL, **parts: Any) -> TargetRecord:
        """Change a target."""
        return await self.target_changes.change(scope, name, expected=None, change=Change(**parts))

    async def silence(self, **about: Any) -> SilenceRecord:
        """Keep people from being told for an hour."""
        return await self.alerts.silence(ALL, ends_at=self.clock.now() + timedelta(hours=1), **about)

    async def drain(self) -> None:
        """Send all that is due."""
        await self.delivery().drain()

    def sent(self) -> list[tuple[str, str, bool]]:
        """Give what was sent, as subject, reason and whether it is over."""
        return [(f"{one.tenant}/{one.pod}", one.reason, one.recovered) for one in self.box.sent]

    async def deliveries(self) -> list[tuple[str, str, str]]:
        """Give what became of every message: its target, its kind, its state."""
        found, _ = await self.alerts.listing(ALL)
        return [(one.target, one.kind.value, one.state.value) for alert in found for one in alert.deliveries]

    async def execute(self, sql: str, *args: object) -> None:
        """Do what no part of the server does."""
        async with self.database.transaction(ALL) as transaction:
            await transaction.execute(sql, *args)

    async def value(self, sql: str) -> Any:
        """Look at what no part of the server shows."""
        async with self.database.transaction(ALL) as transaction:
            return await transaction.value(sql)

    async def make_due(self) -> None:
        """Let every pause be over."""
        await self.execute("update alerts_outbox set due_at = now()")
        await self.execute("update alert_routes set not_before = null")

    async def theirs(self, slug: str) -> Scope:
        """Give the scope of a tenant's own people."""
        async with self.database.transaction(ALL):
            return Scope(tenant_id=(await tenants.get(slug)).id, actor="theirs")


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> AsyncIterator[Stage]:
    """Two tenants with a pod each, open notifiers, and the lead."""
    made = Stage(database)
    errors = await made.host.open(
        folder=tmp_path, instance="testtest", settings=lambda *_: {}, clock=made.clock, domain="agents.test"
    )
    if errors:
        raise errors[0]
    async with database.transaction(ALL):
        for slug in ("acme", "globex"):
            await tenants.create(slug=slug, address_range="10.214.0.0/16")
    for tenant in ("acme", "globex"):
        await made.pod(tenant, "bot")
    await made.lead()
    yield made
    await made.host.close()
