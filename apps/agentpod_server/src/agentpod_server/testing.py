"""Fixtures for tests of the API and of what stands on it: a whole server over a real database and a fake engine.

A conftest takes them in with ``from agentpod_server.testing import *``, beside the store's. One
server serves a whole session, on loopback, so streams and WebSockets are the real ones; tests that
use it say ``pytestmark = pytest.mark.asyncio(loop_scope="session")``.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

import asyncpg
import httpx
import pytest
import pytest_asyncio
import uvicorn
from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST
from litestar import Litestar
from msgspec import Meta, Struct

from agentpod_core import (
    AgentAdapter,
    AgentPodError,
    ConfigError,
    Door,
    Entrypoints,
    File,
    HealthProbe,
    ImageRecipe,
    Link,
    Package,
    Pod,
    Port,
    Probe,
    ProbeResult,
    Problem,
    Resources,
    RouteSpec,
    Runtime,
    SecretRef,
    StartContainer,
    Volume,
    Workload,
)
from agentpod_core.host import Host
from agentpod_core.observed import Probed, Trend
from agentpod_core.plan import Plan
from agentpod_core.testing import FakeLink, FakeNotifier, FakeRuntime
from agentpod_core.values.status import PodStatus, Record
from agentpod_core.values.workload import SECRETS_PATH
from agentpod_server import dashboard
from agentpod_server.app import Parts, create_app
from agentpod_server.records import EnginePart, PodRecord, Role, Scope
from agentpod_server.secrets import KeyRing, PostgresSecretStore
from agentpod_server.secrets.keys import Key
from agentpod_server.services import Addresses, EventHub, Offers, Services
from agentpod_server.services.passwords import Passwords
from agentpod_server.store import generations
from agentpod_server.store.database import Database
from agentpod_server.store.listen import Listener
from agentpod_server.store.testing import Servers
from agentpod_server.store.testing_servers import TestServer
from agentpod_server.telemetry import ServerTelemetry

__all__ = ["api", "rig", "served_rig"]

INSTANCE = "testapi2"
_DATABASE = "agentpod_api"
PASSWORD = "correct horse battery"  # noqa: S105 - of the tests' own admin
IMAGE = "talker:1"


class Bot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of several things with a secret each."""

    name: str
    token: SecretRef


class TalkerConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A config with something of everything."""

    greeting: Annotated[str, Meta(min_length=1, max_length=40)]
    repeat: Annotated[int, Meta(ge=1, le=9)] = 1
    api_key: SecretRef | None = None
    bots: tuple[Bot, ...] = ()


_PROBES = {
    "unprobed": Probe(probe="nobody"),
    "nonsense": Probe(probe="always", interval=1e12, timeout=0.0, failures=0),
}
"""How an agent is asked after some greetings."""


class TalkerAdapter(AgentAdapter[TalkerConfig]):
    """A kind of agent with all that an adapter can have."""

    name: ClassVar[str] = "talker"
    title: ClassVar[str] = "Talker"
    config_type: ClassVar[type[Struct]] = TalkerConfig
    generated_secrets: ClassVar[tuple[str, ...]] = ("token",)
    credential: ClassVar[str | None] = "token"
    sizes: ClassVar[dict[str, Resources]] = {
        "default": Resources(memory=128 * 1024**2, cpus=500),
        "large": Resources(memory=1024**3, cpus=2000),
    }

    def workload(self, config: TalkerConfig, pod: Pod, package: Package | None) -> Workload:
        """Render; some greetings do what they say."""
        del package
        if config.greeting == "refuse":
            raise ConfigError(
                [Problem(path="$.greeting", reason="NotAccepted", params={"message": "no"}, message="no")]
            )
        if config.greeting == "break":
            raise RuntimeError("a text that must not be shown")
        hidden = [pod.secrets["token"], *(bot.token for bot in config.bots)]
        if config.api_key is not None:
            hidden.append(config.api_key)
        return Workload(
            image=IMAGE,
            env={"GREETING": config.greeting, "ORIGINS": ",".join(pod.origins)},
            files=tuple(File(path=f"{SECRETS_PATH}/{number}", parts=(ref,)) for number, ref in enumerate(hidden)),
            ports=(Port(name="http", number=8080),),
            volumes=(Volume(name="data", path="/data"),),
            probe=_PROBES.get(config.greeting, Probe(probe="always")),
            route=RouteSpec(port="http"),
            resources=pod.resources,
        )

    def recipe(self) -> ImageRecipe | None:
        """Have an image that can be built."""
        return ImageRecipe(image=IMAGE)

    async def open_door(self, link: Link, pod: Pod) -> Door | None:
        """Give a door."""
        del link
        return Door(path=f"/door?pod={pod.name}", expires_at=datetime(2030, 1, 1, tzinfo=UTC))


class AlwaysProbe(HealthProbe):
    """Finds every agent well."""

    name = "always"
    title = "Always well"

    async def check(self, link: Link, settings: dict[str, Any], *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
        """Say so."""
        del link, settings, timeout
        return ProbeResult(alive=True, ready=True, reason="Answering")


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """Give the present moment."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Give the loop's seconds, plus what a test has let pass."""
        return asyncio.get_running_loop().time() + self.passed

    passed = 0.0

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)


class RigEngine:
    """An engine that does nothing by itself: it remembers what it was asked and answers what it was told."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.fake = FakeRuntime(INSTANCE)
        self.leads: int | None = 1
        self.nudged: list[str] = []
        self.looked: list[str] = []
        self.troubles: dict[str, AgentPodError] = {}
        self.answers: dict[str, Probed] = {}
        self.trends: dict[str, Trend] = {}
        self.links: dict[str, Link] = {}

    @property
    def runtime(self) -> Runtime:
        """The fake runtime."""
        return self.fake

    @property
    def epoch(self) -> int | None:
        """The epoch that the test set."""
        return self.leads

    async def plan(self, pod_id: str) -> Plan | None:
        """Give a plan of one action."""
        action = StartContainer(container=f"agentpod-{INSTANCE}-{pod_id}", reason="NotRunning")
        return Plan(
            actions=(action,), status=PodStatus(), assessed=Record(), record=Record(), waits_for="WaitingToStart"
        )

    async def look(self, key: str) -> None:
        """Remember the key, and end as the test said."""
        self.looked.append(key)
        if error := self.troubles.get(key):
            raise error

    async def nudge(self, *keys: str) -> None:
        """Remember the keys."""
        self.nudged += keys

    def probed(self, pod_id: str) -> Probed | None:
        """Give what the test said."""
        return self.answers.get(pod_id)

    def trend(self, pod_id: str) -> Trend | None:
        """Give what the test said."""
        return self.trends.get(pod_id)

    async def link(self, pod_id: str) -> Link | None:
        """Give the test's link."""
        return self.links.get(pod_id)

    def runs(self, pod_id: str) -> None:
        """Let a pod have a line to its agent."""
        self.links[pod_id] = FakeLink()


class Rig:
    """A server, its parts, and clients for it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.engine = RigEngine()
        self.clock = SystemClock()
        self.notifier = FakeNotifier()
        self.host = Host(builtins=[TalkerAdapter(), AlwaysProbe(), self.notifier], entry_points=[])
        self.vault = PostgresSecretStore(database, KeyRing((Key(secrets.token_bytes(32)),)))
        self.listener = Listener(database)
        self.stopping = False
        self.services = Services(
            database=database,
            engine=self.engine,
            offers=Offers(self.host),
            addresses=Addresses(domain="agents.test", entrypoints=Entrypoints(http=8080, https=None)),
            secret_store=self.vault,
            secret_stores={"postgres": self.vault},
            hub=EventHub(database, lambda: self.listener.follow("events")),
            clock=self.clock,
            instance=INSTANCE,
            cursor_key=b"k" * 32,
            address_range="10.216.0.0/16",
            should_exit=lambda: self.stopping,
            passwords=Passwords(PasswordHasher.from_parameters(CHEAPEST)),
        )
        self.parts = Parts(
            services=self.services,
            database=database,
            version="0.0.0",
            instance=INSTANCE,
            exposition=_exposition,
            telemetry=ServerTelemetry(),
            handlers=dashboard.handlers(lambda: self.listener.follow("status")),
        )
        self.url = ""
        self.token = ""

    def reset(self) -> None:
        """Forget what tests did, the database aside."""
        self.engine.reset()
        self.clock.passed += 86_400.0
        self.stopping = False

    async def token_for(self, role: Role = Role.ADMIN, tenant: str | None = None) -> str:
        """Make an API token."""
        scope = Scope(actor="test")
        _, value = await self.services.identity.create_token(scope, name=f"{role}", role=role, tenant=tenant)
        return value

    async def pod(self, client: httpx.AsyncClient, *, tenant: str = "acme", **body: Any) -> httpx.Response:
        """Ask for a pod, and for its tenant if that is missing."""
        await client.post("/api/v1/tenants", json={"slug": tenant})
        asked = {"name": "main", "adapter": "talker", "config": {"greeting": "hi"}} | body
        return await client.post(f"/api/v1/tenants/{tenant}/pods", json=asked)

    async def record(self, pod_id: str) -> PodRecord:
        """Read a pod."""
        return await self.services.pods.by_id(Scope(), pod_id)

    async def engine_part(self, pod_id: str) -> EnginePart:
        """Read a pod's workload."""
        async with self.database.transaction(Scope()):
            part = await generations.engine_part(pod_id)
        if part is None:
            raise LookupError(pod_id)
        return part

    @contextlib.asynccontextmanager
    async def client(self, token: str | None = None, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
        """Give a client; without a token it is nobody's."""
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=20, trust_env=False) as client:
            yield client

    @contextlib.asynccontextmanager
    async def serving(self, app: Litestar) -> AsyncIterator[None]:
        """Serve while the block runs."""
        server = _Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on", ws="websockets-sansio"))
        running = asyncio.create_task(server.serve())
        try:
            while not server.started:
                if running.done():
                    running.result()
                await asyncio.sleep(0.005)
            port = server.servers[0].sockets[0].getsockname()[1]
            self.url = f"http://127.0.0.1:{port}"
            yield
        finally:
            self.stopping = server.should_exit = True
            await running


async def _exposition() -> tuple[bytes, str]:
    return b"agentpod_up 1\n", "text/plain; version=0.0.4"


async def eventually(claim: Callable[[], bool | Awaitable[bool]], seconds: float = 10.0) -> None:
    """Return when a claim has become true."""
    async with asyncio.timeout(seconds):
        while True:
            outcome = claim()
            if outcome if isinstance(outcome, bool) else await outcome:
                return
            await asyncio.sleep(0.01)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def served_rig(postgres_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """Run one server for all tests of a session, over a database of its own."""
    postgres_server = postgres_servers.get("18")
    admin = await asyncpg.connect(postgres_server.admin())
    await admin.execute(f"create database {_DATABASE} template agentpod_template owner agentpod_test_owner")
    await admin.close()
    database = Database(postgres_server.access(_DATABASE).app_dsn)
    await database.open()
    rig = Rig(database)
    await rig.host.open(
        folder=tmp_path_factory.mktemp("plugins"),
        instance=INSTANCE,
        settings=lambda *_: {},
        clock=rig.clock,
        only={"probe": ()},
    )
    async with rig.serving(create_app(rig.parts)):
        yield rig
    await rig.listener.close()
    await database.close()


@pytest_asyncio.fixture(loop_scope="session")
async def rig(served_rig: Rig, postgres_server: TestServer) -> Rig:
    """Give the server as new: nothing in it but an administrator and a token of theirs."""
    admin = await asyncpg.connect(postgres_server.admin(_DATABASE))
    found = await admin.fetch(
        "select tablename from pg_tables where schemaname = 'public' and tablename <> all($1::text[])",
        ["nodes", "settings", "migration"],
    )
    await admin.execute(f"truncate {', '.join(row['tablename'] for row in found)} cascade")
    await admin.close()
    served_rig.reset()
    await served_rig.services.identity.create_admin(PASSWORD)
    served_rig.token = await served_rig.token_for()
    return served_rig


@pytest_asyncio.fixture(loop_scope="session")
async def api(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    """Give the administrator's client."""
    async with rig.client(rig.token) as client:
        yield client


class _Server(uvicorn.Server):
    """A server that leaves the process's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
