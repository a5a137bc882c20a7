"""``agentpod-server``: the server's own command line, which the ``agentpod`` command calls.

``up`` runs everything, ``server`` and ``controller`` its two halves, ``down`` ends all but the pods.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Generator, Sequence
from typing import Any, Final

import uvicorn

from agentpod_core import AgentPodError, ConfigError, PermanentError, catalogue
from agentpod_core.catalogue import Language
from agentpod_core.host import PluginState, Redactor
from agentpod_server import ending, garbage, listening, logs, metrics_port, output, startup
from agentpod_server import settings as settings_module
from agentpod_server import tracing as tracing_module
from agentpod_server.app import create_app
from agentpod_server.embedded.daemons import Daemons
from agentpod_server.settings import Settings
from agentpod_server.state import Role, State, holders
from agentpod_server.telemetry import ServerTelemetry
from agentpod_server.watchdog import Watchdog

_log = logging.getLogger("agentpod")

GRACE_SECONDS = 5
DOWN_SECONDS = 30.0
TRACES_SECONDS = 3.0
LARGEST_MESSAGE = 64 * 1024
"""Bytes of a WebSocket message: strangers may send one before they say who they are."""

_ROLES: Final[dict[str, tuple[Role, ...]]] = {
    "up": ("server", "controller"),
    "server": ("server",),
    "controller": ("controller",),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    parser = argparse.ArgumentParser(prog="agentpod-server", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (
        ("up", "run API, dashboard and controller in the foreground"),
        ("server", "run API and dashboard only"),
        ("controller", "run the controller only"),
        ("down", "stop server, router and embedded database; pods go on"),
        ("migrate", "bring the database up to date"),
        ("version", "print the version"),
    ):
        commands.add_parser(name, help=what, description=what)
    command = parser.parse_args(arguments).command
    if command == "version":
        sys.stdout.write(f"{startup.version()}\n")
        return 0
    language = catalogue.from_locale(os.environ.get("LC_ALL") or os.environ.get("LANG"))
    runner = asyncio.Runner()
    code = 1
    try:
        settings = settings_module.load()
        redactor = Redactor()
        output.keep_clean(redactor)
        logs.begin(settings.log_level, settings.log_format)
        code = runner.run(_run(command, settings, State.open(settings.state_dir), redactor))
    except KeyboardInterrupt:
        code = 130
    except AgentPodError as error:
        _explain(error, language)
        code = catalogue.for_error(error).exit or 1
    finally:
        if command in _ROLES:
            ending.expected(code, runner.get_loop(), ending.PATIENCE)
        runner.close()
    return code


async def _run(command: str, settings: Settings, state: State, redactor: Redactor) -> int:
    if command == "down":
        return await _down(settings, state)
    if command == "migrate":
        await startup.open_database(settings, state)
        sys.stdout.write("the database is up to date\n")
        return 0
    with state.lock(*_ROLES[command], name=settings.name):
        version, instance = startup.version(), state.instance
        tracing = await asyncio.to_thread(tracing_module.opened, version=version, instance=instance)
        telemetry = ServerTelemetry(version=version, instance=instance, tracing=tracing)
        watchdog = Watchdog(asyncio.get_running_loop(), settings.plugin_stall_timeout, telemetry.lagged)
        try:
            with watchdog.watching():
                if command == "controller":
                    await _controller(settings, state, telemetry, redactor)
                else:
                    await _server(settings, state, telemetry, redactor, with_controller=command == "up")
        finally:
            # Whoever takes the traces may be silent; the end does not wait for them for long.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.to_thread(telemetry.close), TRACES_SECONDS)
    return 0


class _Server(uvicorn.Server):
    """Leaves signals to us: a stream must end when we want to, not when its client does."""

    def __init__(self, application: Any, **options: Any) -> None:
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            **options,
        )
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield


async def _server(
    settings: Settings, state: State, telemetry: ServerTelemetry, redactor: Redactor, *, with_controller: bool
) -> None:
    taken = _listen(settings.listen, settings.port, "AGENTPOD_PORT")
    port = taken.getsockname()[1]
    stop = asyncio.Event()
    async with (
        startup.undone_on_failure(settings, state) as started,
        startup.assembled(
            settings, state, telemetry, port=port, should_exit=stop.is_set, redactor=redactor
        ) as assembly,
    ):
        if with_controller:
            await startup.start_router(assembly, settings, state)
        started()
        password = await startup.first_admin(assembly, state)
        host = "127.0.0.1" if settings.listen in {"0.0.0.0", "::"} else settings.listen  # noqa: S104 - compared only
        if not settings.name:
            await startup.local_context(assembly, state, f"http://{host}:{port}")
        server = _Server(create_app(assembly.parts), lifespan="on", ws_max_size=LARGEST_MESSAGE)
        tasks = [asyncio.create_task(server.serve(sockets=[taken]), name="http")]
        if with_controller:
            tasks += _controlling(assembly)
        if postgres := startup.embedded_postgres(settings, state):
            tasks.append(asyncio.create_task(postgres.keep(), name="postgres"))
        _heed_signals(stop)
        await _greet(assembly, port, password)
        if password is not None:
            state.first_password_shown()
        early = await _until_stopped(stop, tasks)
        server.should_exit = True
        await _end(tasks, early)


async def _controller(settings: Settings, state: State, telemetry: ServerTelemetry, redactor: Redactor) -> None:
    port = settings.metrics_port
    taken = None if port is None else _listen("127.0.0.1", port, "AGENTPOD_METRICS_PORT")
    stop = asyncio.Event()
    async with (
        startup.undone_on_failure(settings, state) as started,
        startup.assembled(
            settings, state, telemetry, port=settings.port, should_exit=stop.is_set, redactor=redactor
        ) as assembly,
    ):
        await startup.start_router(assembly, settings, state)
        started()
        tasks = [*_controlling(assembly), asyncio.create_task(assembly.services.runner.run(), name="operations")]
        server = _Server(metrics_port.application(assembly.parts.exposition), lifespan="off")
        if taken is not None:
            tasks.append(asyncio.create_task(server.serve(sockets=[taken]), name="http"))
            _log.info("metrics are at http://127.0.0.1:%d/metrics", taken.getsockname()[1])
        _heed_signals(stop)
        early = await _until_stopped(stop, tasks)
        server.should_exit = True
        await _end(tasks, early)


def _controlling(assembly: startup.Assembly) -> list[asyncio.Task[None]]:
    tasks = [
        asyncio.create_task(assembly.controller.run(), name="controller"),
        asyncio.create_task(assembly.services.retention.run(), name="retention"),
        asyncio.create_task(assembly.services.delivery.run(), name="alerts"),
        asyncio.create_task(assembly.watching.run(), name="watching"),
    ]
    if daemon := assembly.daemon:
        keeping = assembly.daemons.keep(daemon, lambda: assembly.controller.epoch is not None)
        tasks.append(asyncio.create_task(keeping, name=f"daemon {daemon.name}"))
    return tasks


async def _until_stopped(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> list[str]:
    """Wait for a signal, or for a task that should have run for ever; gives the names of those that did not."""
    garbage.settle()
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    return [task.get_name() for task in tasks if task.done()]


async def _end(tasks: list[asyncio.Task[None]], early: Sequence[str]) -> None:
    """Let HTTP end by itself, cancel the rest, and raise what ended any of them early, or that something did."""
    http = [task for task in tasks if task.get_name() == "http"]
    # The controller at once: another server may lead while the last answers are given here.
    for task in tasks:
        if task not in http:
            task.cancel()
    if http:
        await asyncio.wait(http, timeout=GRACE_SECONDS + 1)
    for task in http:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
    if early:
        _log.error("ended by itself: %s", ", ".join(early))
        raise AgentPodError("InternalError")


async def _down(settings: Settings, state: State) -> int:
    pids = holders(state.root)
    for pid in pids:
        # It may have ended since it was found.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = asyncio.get_running_loop().time() + DOWN_SECONDS
    while holders(state.root):
        if asyncio.get_running_loop().time() > deadline:
            raise PermanentError("ServerDoesNotStop", pids=", ".join(map(str, pids)))
        await asyncio.sleep(0.1)
    daemons = Daemons(state)
    for name in daemons.names():
        if name != "postgres" and await daemons.stop(name):
            sys.stdout.write(f"stopped {name}\n")
    if (postgres := startup.embedded_postgres(settings, state)) and await postgres.stop():
        sys.stdout.write("stopped postgres\n")
    sys.stdout.write("AgentPod is down; the pods go on\n")
    return 0


def _listen(address: str, port: int, setting: str) -> socket.socket:
    try:
        taken = socket.create_server((address, port), backlog=512)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            setting = "AGENTPOD_LISTEN"
        raise listening.port_error(error, address=address, port=port, setting=setting) from error
    # Inherited by what it accepts. The event loop sets it on sockets of its own making only, and without it
    # every answer waits some 40 ms for the client's acknowledgement.
    taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return taken


def _heed_signals(stop: asyncio.Event) -> None:
    """End in order when told to. Until then a signal ends a start at once, however long that still had to wait."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)


async def _greet(assembly: startup.Assembly, port: int, password: str | None) -> None:
    lines = [
        f"AgentPod {startup.version()} is up",
        f"  dashboard  {assembly.addresses.url(startup.DASHBOARD)}",
        f"  API        http://127.0.0.1:{port}/api/v1",
    ]
    if password is not None:
        lines.append(f"  login      admin / {password}    (shown this once)")
    lines += [
        f"  plugin {info.name} ({info.distribution or '?'} {info.version}): {info.state}; see agentpod plugin list"
        for info in await assembly.services.plugins.listing()
        if info.state not in {PluginState.OK, PluginState.DISABLED}
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _explain(error: AgentPodError, language: Language) -> None:
    lines = [f"agentpod: {catalogue.text(error.reason, error.params, language)}"]
    if isinstance(error, ConfigError):
        lines += [f"  {one.path}: {one.message}" for one in error.problems]
    if repair := catalogue.repair(error.reason, error.params, language):
        lines.append(f"  {repair}")
    sys.stderr.write("\n".join(lines) + "\n")
    _log.debug("%s", error, exc_info=error)


if __name__ == "__main__":
    sys.exit(main())
