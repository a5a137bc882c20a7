"""What the processes of a platform leave one another: the database, a port for metrics, an end in order."""

from __future__ import annotations

import asyncio
import os
import socket
from types import SimpleNamespace

import httpx
import pytest

from agentpod_core import AgentPodError, Daemon, PermanentError
from agentpod_server import main, metrics_port, startup
from agentpod_server.records import Scope
from agentpod_server.settings import Settings
from agentpod_server.state import State
from agentpod_server.testing import eventually


async def exposition() -> tuple[bytes, str]:
    """Give one metric."""
    return b"agentpod_leader 1.0\n", "text/plain; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/metrics", 200), ("GET", "/", 404), ("POST", "/metrics", 404)]
)
async def test_a_metrics_port_has_one_page(method, path, status) -> None:
    """There are the metrics as Prometheus reads them, and nothing else."""
    transport = httpx.ASGITransport(metrics_port.application(exposition))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.request(method, path)
    assert answer.status_code == status
    if status == 200:
        assert answer.text == "agentpod_leader 1.0\n"
        assert answer.headers["content-type"].startswith("text/plain; version=")


def test_a_metrics_port_that_is_taken_names_its_setting() -> None:
    """Who starts a second controller on one machine learns which setting to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PermanentError) as raised:
        main._listen("127.0.0.1", taken.getsockname()[1], "AGENTPOD_METRICS_PORT")
    assert (raised.value.reason, raised.value.params["setting"]) == ("PortTaken", "AGENTPOD_METRICS_PORT")


@pytest.mark.parametrize("error", [None, PermanentError("PortTaken", port=80)], ids=["without a word", "with an error"])
async def test_a_part_that_ends_by_itself_is_no_good_end(error, monkeypatch, caplog) -> None:
    """A process of which a part ended fails, and says which part or why."""
    monkeypatch.setattr(main.garbage, "settle", lambda: None)

    async def part() -> None:
        if error:
            raise error

    tasks = [asyncio.create_task(part(), name="alerts"), asyncio.create_task(asyncio.sleep(1000), name="retention")]
    early = await main._until_stopped(asyncio.Event(), tasks)
    with pytest.raises(AgentPodError) as raised:
        await main._end(tasks, early)
    assert raised.value.reason == ("PortTaken" if error else "InternalError")
    assert error or "alerts" in caplog.text


async def test_a_signal_is_a_good_end(monkeypatch) -> None:
    """Told to end, a process does so without an error."""
    monkeypatch.setattr(main.garbage, "settle", lambda: None)
    stop = asyncio.Event()
    tasks = [asyncio.create_task(asyncio.sleep(1000), name="retention")]
    stop.set()
    await main._end(tasks, await main._until_stopped(stop, tasks))
    assert tasks[0].cancelled()


class Part:
    """A part of a process that goes on for ever; ``begun`` is set once it began."""

    epoch = 1

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def run(self, *_: object) -> None:
        self.begun.set()
        await asyncio.Event().wait()

    keep = run


_KEPT = """
    select (select count(*) from events where reason = 'VeryOld') as old_events,
           (select count(*) from metrics_history where span = 600 and cpu = 7) as rolled_up
"""


@pytest.mark.asyncio(loop_scope="session")
async def test_a_process_that_acts_does_all_that_goes_on_beside(rig, api) -> None:
    """It controls, watches, keeps the router's process alive, takes away what is old and rolls history up."""
    await rig.pod(api)
    async with rig.database.transaction(Scope(actor="test")) as transaction:
        await transaction.execute(
            "insert into events (id, at, kind, reason) values (gen_random_uuid(), '2020-01-01', 'pod', 'VeryOld')"
        )
        await transaction.execute(
            "insert into metrics_history (tenant_id, pod_id, span, at, samples, cpu, cpu_max, memory, memory_max,"
            " restarts) select tenant_id, id, 60, now() - interval '2 hours', 1, 7, 7, 7, 7, 0 from pods"
        )

    async def is_done() -> bool:
        async with rig.database.transaction(Scope(actor="test")) as transaction:
            return tuple(await transaction.row(_KEPT)) == (0, 1)

    assert not await is_done()
    controller, watching, daemons = Part(), Part(), Part()
    tasks = main._controlling(
        SimpleNamespace(
            controller=controller,
            services=rig.services,
            watching=watching,
            daemons=daemons,
            daemon=Daemon(name="router", argv=("/router",)),
        )
    )
    try:
        async with asyncio.timeout(60):
            for part in (controller, watching, daemons):
                await part.begun.wait()
        await eventually(is_done, seconds=60)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Postgres:
    """An embedded database; ``process`` is None before anybody started it."""

    process = None

    def __init__(self) -> None:
        self.stopped = 0

    async def stop(self) -> bool:
        self.stopped += 1
        return True


@pytest.fixture
def platform(tmp_path, monkeypatch):
    """A state folder with an embedded database; gives settings, state and the database."""
    postgres = Postgres()
    monkeypatch.setattr(startup, "embedded_postgres", lambda *_: postgres)
    return Settings(state_dir=tmp_path / "state"), State.open(tmp_path / "state"), postgres


async def _fails(settings: Settings, state: State) -> None:
    with pytest.raises(PermanentError):
        async with startup.undone_on_failure(settings, state):
            raise PermanentError("PortTaken", address="127.0.0.1", port=80, setting="?", problem="?")


async def test_a_start_that_fails_takes_its_database_along(platform) -> None:
    """What it started, and nobody else uses, is stopped."""
    settings, state, postgres = platform
    with state.lock("server"):
        await _fails(settings, state)
    assert postgres.stopped == 1


async def test_a_start_that_fails_leaves_the_database_to_another_server(platform, monkeypatch) -> None:
    """Of two that were started together one may fail: the database that it began serves the other one."""
    settings, state, postgres = platform
    monkeypatch.setattr(startup, "holders", lambda _: {os.getpid(), 1})
    await _fails(settings, state)
    assert postgres.stopped == 0


async def test_down_is_fine_with_a_server_that_ends_by_itself(platform, monkeypatch, capsys) -> None:
    """A server that is gone between being found and being told to end is no trouble."""
    settings, state, postgres = platform
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    found = [{process.pid}]
    monkeypatch.setattr(main, "holders", lambda _: found.pop() if found else set())
    assert await main._down(settings, state) == 0
    assert "AgentPod is down" in capsys.readouterr().out
    assert postgres.stopped == 1
