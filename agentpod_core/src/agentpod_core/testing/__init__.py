"""The contract kit: what an implementation of a plug point must pass, and fakes that do.

A contract is a class of tests. Whoever implements the plug point subclasses it in a test module and
defines its fixtures; one that is forgotten is an error that says what it has to return. Each contract's
docstring holds a whole example, and three rules hold for all of them:

- Parts that not every implementation has are declared by flags, class attributes such as
  ``serves_traffic``. False skips the tests of a part and says what is not covered, True insists on them,
  and None, where that is the default, goes by what shows. A part that shows and was declared False fails.
- The tests of a contract run in both modes of pytest-asyncio. A fixture that is async is a
  ``pytest_asyncio.fixture``, or it is an error in the strict mode, which is the default.
- A test is never replaced or removed. One that cannot be passed is overridden with
  ``@pytest.mark.xfail(reason=…)``.
"""

from __future__ import annotations

from agentpod_core.testing.agents import AgentAdapterContract, sample_pod
from agentpod_core.testing.fake_clock import FakeClock
from agentpod_core.testing.fake_engine import FakeEngine
from agentpod_core.testing.fake_hands import FakeHands
from agentpod_core.testing.fake_link import Asked, FakeLink, FakeSocket, SocketScript
from agentpod_core.testing.fake_notifier import FakeNotifier
from agentpod_core.testing.fake_proxy import FakeProxy
from agentpod_core.testing.fake_router import FakeRouter, RouteBoard
from agentpod_core.testing.fake_runtime import FakeRuntime
from agentpod_core.testing.fake_store import FakeStore
from agentpod_core.testing.intact import IntactContract
from agentpod_core.testing.notifiers import NotifierContract
from agentpod_core.testing.probes import HealthProbeContract
from agentpod_core.testing.routers import ForeignRoute, RouterContract
from agentpod_core.testing.runtime_stage import Stage
from agentpod_core.testing.runtimes import Foreign, Outage, RuntimeContract
from agentpod_core.testing.secret_stores import MemorySecretStore, SecretStoreContract
from agentpod_core.testing.store_stage import StoreStage, Told
from agentpod_core.testing.stores import StoreContract
from agentpod_core.testing.virtual_time import VirtualClock, VirtualLoop
from agentpod_core.testing.wire import Backend, Entrance

__all__ = [
    "AgentAdapterContract",
    "Asked",
    "Backend",
    "Entrance",
    "FakeClock",
    "FakeEngine",
    "FakeHands",
    "FakeLink",
    "FakeNotifier",
    "FakeProxy",
    "FakeRouter",
    "FakeRuntime",
    "FakeSocket",
    "FakeStore",
    "Foreign",
    "ForeignRoute",
    "HealthProbeContract",
    "IntactContract",
    "MemorySecretStore",
    "NotifierContract",
    "Outage",
    "RouteBoard",
    "RouterContract",
    "RuntimeContract",
    "SecretStoreContract",
    "SocketScript",
    "Stage",
    "StoreContract",
    "StoreStage",
    "Told",
    "VirtualClock",
    "VirtualLoop",
    "sample_pod",
]
