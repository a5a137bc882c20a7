"""What /metrics shows is well-formed, follows Prometheus' conventions, and is documented."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from agentpod_core import PermanentError, TemporaryError
from agentpod_core.embedding import Phase
from agentpod_core.values.status import Happening
from agentpod_server import census
from agentpod_server.records import Scope
from agentpod_server.store import counting
from agentpod_server.store.database import Database
from agentpod_server.telemetry import ServerTelemetry

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"
FULL = counting.Counted(pods={"running": 3}, ready=2, tenants=1, outbox={"pending": 4}, outbox_oldest=1.5)


def _exposed(counted: counting.Counted | None = FULL, **standing) -> str:
    """Give the whole text of a server that has done one of everything."""

    class Still(Collector):
        def collect(self) -> Iterator[object]:
            return census.families(census.Standing(**standing), counted)

    telemetry = ServerTelemetry(version="1.2", instance="abcdefgh")
    telemetry.registry.register(Still())
    with telemetry.span("act", action="StartContainer", why="NoContainer"):
        telemetry.acted("StartContainer", 0.2, "ok")
    telemetry.reconciled("pod:1", 0.2, "ok")
    telemetry.probed("1", 0.1, "Answering", ready=True)
    telemetry.answered("GET", "/", 200, 0.1)
    telemetry.lagged(0.001)
    return telemetry.exposition()[0].decode()


def _value(text: str, name: str, **labels: str) -> float | None:
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return next((one.value for one in samples if one.name == name and labels.items() <= one.labels.items()), None)


def test_every_metric_says_what_it_is() -> None:
    """Each has HELP and TYPE, and Prometheus' own parser reads them all."""
    text = _exposed()
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        assert family.type != "unknown", family.name
        assert family.samples, family.name


def test_names_follow_the_conventions() -> None:
    """Ours begin with the project's name and are in base units; only counters end with _total."""
    for family in text_string_to_metric_families(_exposed()):
        if not family.name.startswith(("process_", "python_")):
            assert re.fullmatch(r"agentpod(_[a-z]+)*", family.name)
        assert not family.name.endswith(("_ms", "_milliseconds", "_kb", "_mb"))
        assert (family.type == "histogram") <= family.name.endswith("_seconds")
        for sample in family.samples:
            assert sample.name.endswith("_total") <= (family.type == "counter")


def test_the_reference_has_them_all_and_no_others() -> None:
    """What is shown stands in docs/reference/metrics.md, with its labels."""
    documented = dict(
        re.findall(r"^\| `([a-z_]+?)(?:_total|_info)?(?:\{([a-z, ]+)\})?` \|", REFERENCE.read_text(), re.MULTILINE)
    )
    shown = {}
    for family in text_string_to_metric_families(_exposed()):
        labels = {label for sample in family.samples for label in sample.labels} - {"le", "generation"}
        name = re.sub(r"_(total|info)$", "", family.name)
        shown[name] = ", ".join(sorted(labels))
    created = {name for name in shown if name.endswith("_created")}
    assert {name: shown[name] for name in shown if name not in created} == documented


def test_phases_without_pods_are_zero() -> None:
    """Every phase is there, so that an alert on one of them has something to look at."""
    text = _exposed()
    assert {phase.value: _value(text, "agentpod_pods", phase=phase.value) for phase in Phase} == {
        phase.value: 3.0 if phase is Phase.RUNNING else 0.0 for phase in Phase
    }
    assert _value(text, "agentpod_outbox_oldest_seconds") == 1.5


def test_without_the_database_its_numbers_are_absent() -> None:
    """What nobody knows is not shown as zero; what the server knows itself is there."""
    text = _exposed(None, epoch=7, keys=2)
    assert _value(text, "agentpod_database_up") == 0.0
    assert _value(text, "agentpod_pods", phase="running") is None
    assert (_value(text, "agentpod_leader"), _value(text, "agentpod_leader_epoch")) == (1.0, 7.0)
    assert _value(text, "agentpod_queue_keys") == 2.0


def test_starts_are_counted_by_why_and_only_when_they_succeed() -> None:
    """A start that failed is no start."""
    telemetry = ServerTelemetry()
    with telemetry.span("act", action="StartContainer", why="NotAnswering"):
        pass
    with pytest.raises(LookupError), telemetry.span("act", action="StartContainer", why="NotAnswering"):
        raise LookupError
    assert telemetry.registry.get_sample_value("agentpod_container_starts_total", {"why": "NotAnswering"}) == 1.0


def test_a_plugin_with_endless_reasons_makes_no_endless_series() -> None:
    """Beyond a hundred different ones they are counted together."""
    telemetry = ServerTelemetry()
    for number in range(300):
        telemetry.probed("1", 0.1, f"Reason{number}", ready=False)
    text = telemetry.exposition()[0].decode()
    assert len(re.findall(r"^agentpod_probes_total\{", text, re.MULTILINE)) == 101
    assert telemetry.registry.get_sample_value("agentpod_probes_total", {"outcome": "Other"}) == 200.0


@pytest.mark.asyncio(loop_scope="session")
async def test_the_platform_is_counted(rig, api) -> None:
    """Tenants and pods are counted over all tenants."""
    await rig.pod(api, tenant="acme")
    await rig.pod(api, tenant="zenith")
    async with rig.database.transaction(Scope(actor="test")):
        counted = await counting.count()
    assert (counted.tenants, counted.pods, counted.ready) == (2, {"pending": 2}, 0)
    assert counted.outbox == {}


class Idle:
    """A controller that stands by, and a hub that nobody listens to."""

    epoch, depth, oldest, subscribers = None, 0, 0.0, 0


@pytest.mark.asyncio(loop_scope="session")
async def test_a_census_asks_the_database_now_and_then(rig, api) -> None:
    """Two scrapes at once are one count, and a database that does not answer is said."""
    telemetry = ServerTelemetry()
    taken = census.Census(rig.database, Idle(), Idle(), telemetry.registry)
    await rig.pod(api, tenant="acme")
    await taken.refresh()
    await rig.pod(api, tenant="zenith")
    await taken.refresh()
    assert telemetry.registry.get_sample_value("agentpod_tenants") == 1.0
    assert telemetry.registry.get_sample_value("agentpod_database_up") == 1.0


@pytest.mark.parametrize(
    "error",
    [
        TemporaryError("StoreUnreachable"),
        PermanentError("DatabaseRefused", where="?", problem="?"),
        asyncpg.UndefinedTableError("no such table"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_database_that_is_away_is_said(error) -> None:
    """Whatever it says, its numbers are left out, and the server's own are there."""
    telemetry = ServerTelemetry()
    taken = census.Census(Gone(error), Idle(), Idle(), telemetry.registry)
    await taken.refresh()
    assert telemetry.registry.get_sample_value("agentpod_database_up") == 0.0
    assert telemetry.registry.get_sample_value("agentpod_tenants") is None
    assert telemetry.registry.get_sample_value("agentpod_leader") == 0.0


class Gone:
    """A database that was there once."""

    def __init__(self, error: Exception) -> None:
        self.connections = Database("postgresql://nobody@127.0.0.1:1/x").connections
        self._error = error

    @asynccontextmanager
    async def transaction(self, _scope: Scope) -> AsyncIterator[None]:
        raise self._error
        yield


async def test_two_scrapers_at_once_see_the_same(monkeypatch) -> None:
    """Who asks while it is being counted waits for that count."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def count() -> counting.Counted:
        begun.set()
        await go_on.wait()
        return FULL

    class There(Gone):
        @asynccontextmanager
        async def transaction(self, _scope: Scope) -> AsyncIterator[None]:
            yield

    monkeypatch.setattr(counting, "count", count)
    telemetry = ServerTelemetry()
    taken = census.Census(There(OSError()), Idle(), Idle(), telemetry.registry)

    async def scrape() -> float | None:
        await taken.refresh()
        return telemetry.registry.get_sample_value("agentpod_tenants")

    first = asyncio.create_task(scrape())
    await begun.wait()
    second = asyncio.create_task(scrape())
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(first, second) == [1.0, 1.0]


def test_what_the_engine_restarts_by_itself_is_counted() -> None:
    """An agent that ends, and that its container engine starts again before anybody looks, was started so often."""
    telemetry = ServerTelemetry()
    telemetry.happened(
        [
            Happening(kind="container", reason="RestartedByEngine", params={"times": 3}),
            Happening(kind="container", reason="OutOfMemory", params={"times": 2}),
            Happening(kind="container", reason="OutOfMemory", params={"exit_code": 137}),
            Happening(kind="container", reason="ContainerExited", params={"exit_code": 1}),
        ]
    )
    value = telemetry.registry.get_sample_value
    assert value("agentpod_container_starts_total", {"why": "RestartedByEngine"}) == 3.0
    assert value("agentpod_container_starts_total", {"why": "OutOfMemory"}) == 2.0
    assert value("agentpod_container_starts_total", {"why": "ContainerExited"}) is None
