"""What befalls a platform as a whole: the ends and pauses of its servers, its database, its router and its engine."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time
from typing import Any

import httpx

from real.hands import remove
from real.tenancy import Pod, Tenancy

MIDST = (("network", "connect"), ("container", "create"), ("container", "start"), ("volume", "mount"))
"""Events of the engine in the midst of making a pod's container: after each of them the server has more to do."""
LEASE = 10.0


class Misfortunes:
    """Lets things befall one platform; a ``second`` server of it may be there."""

    def __init__(self, platform: Any, chance: random.Random) -> None:
        self.platform = platform
        self._chance = chance
        self._second: Any = None
        context = json.loads((platform.state / "context.json").read_text())
        self._headers = {"Authorization": f"Bearer {context['token']}"}

    def befall(self, what: str, tenancies: list[Tenancy]) -> None:  # noqa: C901 - one case for each
        """Let something happen."""
        match what:
            case "the leader is killed in the midst of making a pod":
                leader = self._leader()
                self._kill_in_the_midst(leader, self._chance.choice(tenancies))
                leader.up()
            case "the leader freezes for longer than its lease":
                _freeze(self._leader(), LEASE + 1.0)
            case "the leader freezes for a moment":
                _freeze(self._leader(), 2.0)
            case "a second server comes":
                self._second = self._another()
                self._second.up()
            case "the second server is killed":
                self.close()
            case "the engine restarts":
                self.platform.engine.restart()
            case "the engine is killed":
                self.platform.engine.cut_power()
                self.platform.engine.start()
            case "PostgreSQL is killed":
                os.kill(self._postgres(), signal.SIGKILL)
            case "PostgreSQL is restarted":
                # The quick way to end: sessions are cut off, and it is the server that starts it again.
                os.kill(self._postgres(), signal.SIGINT)
            case "the router is killed":
                record = self.platform.state / "run" / "daemons" / "traefik.json"
                os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
            case _:
                raise ValueError(what)

    def close(self) -> None:
        """Kill the second server."""
        if self._second:
            _kill(self._second)
            self._second = None

    def _another(self) -> Any:
        first = self.platform
        kept = {name: first.env[name] for name in first.env if name.startswith("AGENTPOD_ROUTER_")}
        kept |= {name: first.env[name] for name in ("AGENTPOD_TIME_SCALE", "AGENTPOD_NOTIFY_PRIVATE_ADDRESSES")}
        kept |= {"AGENTPOD_NAME": "b", "AGENTPOD_DISK_ALERT_PERCENT": first.env["AGENTPOD_DISK_ALERT_PERCENT"]}
        network = first.env["AGENTPOD_NETWORK_RANGE"]
        return type(first)(first.state, network=network, extra=kept, engine=first.engine)

    def _leader(self) -> Any:
        """Give the server that leads; any of them while nobody seems to."""
        servers = [self.platform, *([self._second] if self._second else [])]
        for server in servers:
            try:
                url = f"http://127.0.0.1:{server.port}/metrics"
                told = server.call(httpx.get, url, headers=self._headers, timeout=2).text
            except httpx.HTTPError:
                continue
            if "agentpod_leader 1.0" in told.splitlines():
                return server
        return self._chance.choice(servers)

    def _kill_in_the_midst(self, server: Any, tenancy: Tenancy) -> None:
        """Remove a container, and kill the server right after one of the events of its being made again."""
        kind, action = self._chance.choice(MIDST)
        pod = self._chance.choice([one for one in tenancy.pods if not one.is_stopped] or tenancy.pods)
        chosen = ("--filter", f"type={kind}", "--filter", f"event={action}", "--format", "{{.Action}}")
        command = ["docker", f"--host={self.platform.engine.url}", "events", *chosen]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as events:
            # Somebody else may have removed it, or stopped it: then nothing is made, and the server dies in peace.
            timer = threading.Timer(4.0, events.kill)
            timer.start()
            remover = threading.Thread(target=_remove, args=(tenancy, pod))
            remover.start()
            assert events.stdout is not None
            events.stdout.readline()
            _kill(server)
            events.kill()
            timer.cancel()
            remover.join()

    def _postgres(self) -> int:
        return int((self.platform.state / "postgres" / "data" / "postmaster.pid").read_text().split()[0])


def _kill(server: Any) -> None:
    server.process.kill()
    server.process.wait()


def _freeze(server: Any, seconds: float) -> None:
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    server.process.send_signal(signal.SIGCONT)


def _remove(tenancy: Tenancy, pod: Pod) -> None:
    # The follower of the events has to be there first, and says nothing of that.
    time.sleep(0.3)
    with contextlib.suppress(RuntimeError):
        remove(tenancy, pod)
