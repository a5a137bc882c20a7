"""The proxy in memory passes the contract, and each test about requests finds one that is broken in its way."""

from __future__ import annotations

import asyncio
import functools
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fakes_under_contract import TheirRoute

from agentpod_core.host import Host
from agentpod_core.testing import Entrance, FakeProxy, RouteBoard, RouterContract
from agentpod_core.testing.fake_proxy import ADDRESSES, DOCUMENTATION
from agentpod_core.testing.router_traffic import RouterTraffic
from agentpod_core.testing.teeth import Teeth
from agentpod_core.testing.wire import own_address


@functools.cache
def certificate():
    """Give a context for a server that nobody has a reason to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "contract.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(private + made.public_bytes(serialization.Encoding.PEM))
        file.flush()
        context.load_cert_chain(file.name)
    return context


class TestFakeProxy(RouterContract):
    kind = FakeProxy
    offers: ClassVar = (FakeProxy,)
    serves_traffic = True
    serves_https = True
    hang_seconds = 0.1
    settles = 3.0

    @pytest.fixture
    def host(self):
        return Host(builtins=[one() for one in self.offers], entry_points=())

    @pytest.fixture
    def board(self):
        return RouteBoard()

    @pytest.fixture
    def router(self, board):
        return self.kind(board, hang_seconds=self.hang_seconds)

    @pytest.fixture
    def again(self, board):
        async def another():
            return self.kind(board)

        return another

    @pytest.fixture
    def foreign(self, board):
        return TheirRoute(board)

    @pytest.fixture
    async def door(self, router):
        async with router.listening() as port:
            yield Entrance(address="127.0.0.1", port=port)

    @pytest.fixture
    async def secure_door(self, router):
        async with router.listening(tls=certificate()) as port:
            yield Entrance(address="127.0.0.1", port=port, tls=True)

    @pytest.fixture
    async def outside_door(self, router):
        address = own_address()
        if address is None:
            yield None
            return
        async with router.listening(address) as port:
            yield Entrance(address=address, port=port)


class RenamesHosts(FakeProxy):
    """It tells the agent another host than the client named."""

    def told(self, route, visit):
        return super().told(route, visit) | {"host": route.hosts[0]}


class TakesSubdomains(FakeProxy):
    """It gives what lies below a host to that host."""

    def find(self, host):
        return super().find(host) or super().find(host.partition(".")[2])


class ReadsLiterally(FakeProxy):
    """It compares a path as it is written."""

    def is_refused(self, route, visit):
        return any(f"{visit.target}/".startswith(f"{prefix}/") for prefix in route.refuse)


class TrustsUpgrades(FakeProxy):
    def is_refused(self, route, visit):
        return not visit.is_upgrade and super().is_refused(route, visit)


class RefusesLookAlikes(FakeProxy):
    def is_refused(self, route, visit):
        return super().is_refused(route, visit) or visit.target.startswith(route.refuse)


class RefusesForAll(FakeProxy):
    """What one route refuses, all refuse."""

    def is_refused(self, route, visit):
        return any(super(RefusesForAll, self).is_refused(one, visit) for one in self.board.routes.values())


class NeverAttributes(FakeProxy):
    def told(self, route, visit):
        return super().told(route, visit) | {"x-forwarded-for": visit.address}


class AlwaysAttributes(FakeProxy):
    def told(self, route, visit):
        told = super().told(route, visit)
        return told | {"x-forwarded-for": DOCUMENTATION} if visit.address == "127.0.0.1" else told


class KnowsOneSpelling(FakeProxy):
    def is_ours_to_tell(self, header):
        return header in ADDRESSES


class BelievesTheScheme(FakeProxy):
    def told(self, route, visit):
        told = super().told(route, visit)
        return told | {"x-forwarded-proto": visit.headers.get("x-forwarded-proto", visit.scheme)}


class TrustsEncryption(FakeProxy):
    def is_refused(self, route, visit):
        return visit.scheme == "http" and super().is_refused(route, visit)


class Buffers(FakeProxy):
    """It passes an answer on when it is complete."""

    async def relay(self, agent, head, client):
        async with asyncio.timeout(self.hang_seconds):
            body = (
                await agent.readexactly(int(head["content-length"])) if "content-length" in head else await agent.read()
            )
        client.write(body)


class CutsWhatChanges(FakeProxy):
    """It closes the connections of a route that changes or goes."""

    async def apply(self, routes):
        kept = {new.key: new for new in routes}
        for old in await self.observe():
            if kept.get(old.key) != old:
                for writer in self.tunnels.get(old.key, ()):
                    writer.transport.abort()
        return await super().apply(routes)


class StumblesOnRemoval(FakeProxy):
    """It has nothing for the next request after a route went."""

    stumbles = False

    async def apply(self, routes):
        before = len(await self.observe())
        is_changed = await super().apply(routes)
        self.stumbles = len(routes) < before
        return is_changed

    async def dial(self, route):
        if self.stumbles:
            self.stumbles = False
            return 503
        return await super().dial(route)


class BlamesItself(FakeProxy):
    """It takes an agent that is down for a mistake of its own."""

    async def dial(self, route):
        dialled = await super().dial(route)
        return 500 if isinstance(dialled, int) else dialled


class HurriesOn(FakeProxy):
    """It gives an agent up as soon as it hesitates."""

    def __init__(self, board=None, *, owner="agentpod", hang_seconds=1.0):
        super().__init__(board, owner=owner, hang_seconds=hang_seconds / 2)


class NeverReady(FakeProxy):
    async def ready(self):
        return False


class TestTeeth(Teeth):
    contract = TestFakeProxy
    broken: ClassVar = {
        "test_a_request_reaches_its_target_and_only_it": RenamesHosts,
        "test_an_unknown_host_is_not_found": TakesSubdomains,
        "test_a_refused_path_never_reaches_the_agent": ReadsLiterally,
        "test_a_refused_path_is_closed_to_websockets": TrustsUpgrades,
        "test_what_is_not_refused_goes_through": RefusesLookAlikes,
        "test_a_route_without_refusals_refuses_nothing": RefusesForAll,
        "test_a_loopback_client_gets_a_documentation_address": NeverAttributes,
        "test_without_attribution_a_loopback_client_stays_one": AlwaysAttributes,
        "test_a_client_cannot_choose_its_address": KnowsOneSpelling,
        "test_the_scheme_is_told": BelievesTheScheme,
        "test_a_refused_path_is_refused_over_https": TrustsEncryption,
        "test_a_stream_arrives_as_it_is_made": Buffers,
        "test_open_websockets_outlive_every_route_change": CutsWhatChanges,
        "test_removal_stops_serving": StumblesOnRemoval,
        "test_a_target_that_is_down_is_a_bad_gateway_at_once": BlamesItself,
        "test_a_hung_target_is_given_up": HurriesOn,
        "test_a_router_that_serves_is_ready": NeverReady,
    }

    @classmethod
    def facts(cls):
        """Leave the facts about routes to ``test_router_contract``."""
        return {name for name in vars(RouterTraffic) if name.startswith("test_")}
