"""Real pods of a platform on a private engine: what is done to them, and what must be true of them in peace.

Everything is looked at from outside: with the engine's own client, through the router and by the API.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from agentpod_client import Client, ClientError

IMAGE = "agentpod-echo:0.1.0"
NOTE = "what I must never forget"
FOREIGN = "nobodys"
LOOSE = 300 * 1024 * 1024


class Receiver:
    """Takes webhooks; ``got`` are the types and ids of the messages."""

    def __init__(self, call: Callable[..., Any]) -> None:
        got = self.got = []  # type: list[dict[str, Any]]

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = call(ThreadingHTTPServer, ("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Pod:
    """A pod as it was when it was made."""

    tenant: str
    name: str
    id: str
    address: str
    token: str
    is_stopped: bool = False

    @property
    def host(self) -> str:
        """Its public name."""
        return f"{self.name}-{self.tenant}.localhost"


class Tenancy:
    """One tenant's pods, and the hands that do things to them."""

    def __init__(self, platform: Any, tenant: str, size: int) -> None:
        self.platform = platform
        self.engine = platform.engine
        self.tenant = tenant
        self.pods: list[Pod] = []
        self.client: Client = platform.call(client_of, platform)
        self.made = 0
        self.gone: list[str] = []
        self.ask(self.client.create_tenant, slug=tenant, name=tenant)
        for _ in range(size):
            self.make()
        for pod in list(self.pods):
            self.settle(pod)

    def close(self) -> None:
        """Ask no more."""
        self.client.close()

    # What its operator does.

    def ask(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Ask the platform, again and again while it cannot answer."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.platform.call(method, *args, **kwargs)
            except ClientError as error:
                if time.monotonic() > deadline or 400 <= getattr(error, "status", 500) < 500:
                    raise
                time.sleep(0.2)

    def make(self) -> None:
        """Ask for one more pod."""
        self.made += 1
        name = f"pod{self.made}"
        made, _ = self.ask(self.client.create_pod, self.tenant, name=name, adapter="echo")
        self.pods.append(Pod(self.tenant, name, made["id"], "", ""))

    def settle(self, pod: Pod) -> None:
        """Wait until a new pod answers; let it learn something, and learn what must stay as it is."""
        deadline = time.monotonic() + 120
        while not self._learn(pod):
            if time.monotonic() > deadline:
                raise AssertionError(f"{pod} does not come up:\n{self.platform.log[-3000:]}")
            time.sleep(0.2)

    def _learn(self, pod: Pod) -> bool:
        with contextlib.suppress(httpx.HTTPError, RuntimeError, KeyError):
            seen = self.platform.container(pod.id)
            token = self.engine.docker("exec", seen["Id"], "cat", "/run/agentpod/secrets/token")
            address = "".join(one["IPAddress"] for one in seen["NetworkSettings"]["Networks"].values())
            if not self.notes(pod):
                headers = {"Host": f"{pod.host}:{self.platform.http}"}
                url = f"http://127.0.0.1:{self.platform.http}/notes"
                self.platform.call(httpx.post, url, headers=headers, json={"text": NOTE}, timeout=5)
            pod.address, pod.token = address, token
            return NOTE in self.notes(pod)
        return False

    def notes(self, pod: Pod) -> str:
        """Give what the agent knows, through the router."""
        answer = self.platform.get(pod.host, "/notes")
        return answer.text if answer.status_code == httpx.codes.OK and NOTE in answer.text else ""

    def start_all(self) -> None:
        """Want every pod to run."""
        for pod in self.pods:
            if pod.is_stopped:
                self._start(pod)

    # What a history is made of.

    def live(self, seed: int, steps: int) -> list[str]:
        """Do so many things, and say which."""
        chance = random.Random(seed)
        told = []
        for _ in range(steps):
            name = chance.choice(sorted(self.hands))
            pod = chance.choice(self.pods)
            told.append(f"{name} {pod.tenant}/{pod.name}")
            with contextlib.suppress(RuntimeError, OSError, KeyError):
                # What it is to be done to may not be there just now, and that is fine.
                self.hands[name](self, pod)
            time.sleep(chance.choice([0.0, 0.1, 0.5, 1.0]))
        return told

    def _name(self, pod: Pod) -> str:
        return f"agentpod-{self.platform.instance}-{pod.id}"

    def _signal(self, pod: Pod, number: signal.Signals) -> None:
        init = self.platform.container(pod.id)["State"]["Pid"]
        if init > 1:
            with open(f"/proc/{init}/task/{init}/children") as children:  # noqa: PTH123
                for pid in children.read().split():
                    os.kill(int(pid), number)

    def _kill(self, pod: Pod) -> None:
        self._signal(pod, signal.SIGKILL)

    def _hang(self, pod: Pod) -> None:
        self._signal(pod, signal.SIGSTOP)

    def _remove(self, pod: Pod) -> None:
        self.engine.docker("rm", "-f", self._name(pod))

    def _pause(self, pod: Pod) -> None:
        self.engine.docker("pause", self._name(pod))

    def _stop_by_hand(self, pod: Pod) -> None:
        self.engine.docker("stop", "-t", "1", self._name(pod))

    def _loosen(self, pod: Pod) -> None:
        self.engine.docker("update", f"--memory={LOOSE}", f"--memory-swap={LOOSE}", "--restart=always", self._name(pod))

    def _rename(self, pod: Pod) -> None:
        self.engine.docker("rename", self._name(pod), f"renamed-{pod.id}-{time.monotonic_ns()}")

    def _double(self, pod: Pod) -> None:
        labels = self.platform.container(pod.id)["Config"]["Labels"]
        given = [part for key, value in labels.items() for part in ("--label", f"{key}={value}")]
        self.engine.docker("run", "-d", "--network=none", *given, "--entrypoint=sleep", IMAGE, "600")

    def _cut_network(self, pod: Pod) -> None:
        del pod
        network = self.engine.docker("network", "ls", "-q", "--filter", f"label=agentpod.tenant={self.tenant}").strip()
        attached = json.loads(self.engine.docker("network", "inspect", network))[0]["Containers"]
        for container in attached:
            self.engine.docker("network", "disconnect", "-f", network, container)
        self.engine.docker("network", "rm", network)

    def _greet(self, pod: Pod) -> None:
        config = {"greeting": f"Hello at {time.monotonic_ns()}"}
        self.ask(self.client.update_pod_config, self.tenant, pod.name, config=config)

    def _reply(self, pod: Pod) -> None:
        config = {"reply": f"{time.monotonic_ns()}: {{message}}"}
        self.ask(self.client.update_pod_config, self.tenant, pod.name, config=config)

    def _resize(self, pod: Pod) -> None:
        memory = random.choice([96, 128, 160]) * 1024 * 1024
        self.ask(self.client.update_pod, self.tenant, pod.name, memory=memory)

    def _restart(self, pod: Pod) -> None:
        if not pod.is_stopped:
            self.ask(self.client.restart_pod, self.tenant, pod.name)

    def _stop(self, pod: Pod) -> None:
        self.ask(self.client.stop_pod, self.tenant, pod.name)
        pod.is_stopped = True

    def _start(self, pod: Pod) -> None:
        self.ask(self.client.start_pod, self.tenant, pod.name)
        pod.is_stopped = False

    def _replace(self, pod: Pod) -> None:
        self.ask(self.client.delete_pod, self.tenant, pod.name)
        self.pods.remove(pod)
        self.gone.append(pod.id)
        self.make()

    hands: dict[str, Callable[[Tenancy, Pod], None]] = {  # noqa: RUF012 - never changed
        "kill": _kill,
        "kill again": _kill,
        "hang": _hang,
        "remove": _remove,
        "pause": _pause,
        "stop by hand": _stop_by_hand,
        "other limits by hand": _loosen,
        "rename": _rename,
        "second container": _double,
        "remove the network": _cut_network,
        "new greeting": _greet,
        "new reply": _reply,
        "new size": _resize,
        "restart": _restart,
        "stop": _stop,
        "start": _start,
        "replace": _replace,
    }

    # What must be true in peace.

    def untruths(self) -> Iterator[str]:
        """List what is not as it must be."""
        rows = self.engine.docker("ps", "-a", "--format", '{{.Label "agentpod.pod-id"}} {{.Names}} {{.State}}')
        seen: dict[str, list[tuple[str, str]]] = {}
        for row in rows.splitlines():
            pod_id, name, state = row.split(" ") if not row.startswith(" ") else ("", *row.split())
            seen.setdefault(pod_id, []).append((name, state))
        volumes = self.engine.docker("volume", "ls", "--format", "{{.Name}}").split()
        status = {pod["id"]: pod for pod in self.platform.call(lambda: list(self.client.list_tenant_pods(self.tenant)))}
        for pod_id in self.gone:
            if pod_id in status or pod_id in seen or any(pod_id in volume for volume in volumes):
                yield f"{pod_id} was deleted, and something of it is left"
        for pod in self.pods:
            found = self._untruths(pod, seen.get(pod.id, []), status)
            yield from (f"{pod.tenant}/{pod.name}: {what}" for what in found)

    def untold(self, receiver: Receiver) -> Iterator[str]:
        """List the platform's alerts that are not over, and the messages that did not arrive."""
        got = {(one["data"]["alert_id"], one["type"].partition(".")[2]) for one in receiver.got}
        for alert in self.platform.call(lambda: list(self.client.list_alerts())):
            said = f"{alert['reason']} of {alert['tenant']}/{alert['pod']}"
            if alert["cleared_at"] is None:
                yield f"{said} is still open"
            for delivery in alert["deliveries"]:
                if delivery["state"] != "delivered" or (alert["id"], delivery["kind"]) not in got:
                    yield f"that {said} was {delivery['kind']} did not arrive: {delivery}"

    def _untruths(self, pod: Pod, seen: list[tuple[str, str]], status: dict[str, Any]) -> Iterator[str]:
        found = status.get(pod.id)
        if found is None:
            yield "the platform does not know it"
            return
        said = f"{found['status']['phase']}: {found['status']['message']}"
        if found["status"]["observed_generation"] != found["spec"]["generation"]:
            yield "its last change was not seen"
        if pod.is_stopped:
            states = [state for _, state in seen]
            if states not in ([], ["exited"], ["created"]) or found["status"]["phase"] != "stopped":
                yield f"it is to be stopped; it is {said}, and there are {seen}"
            return
        if seen != [(self._name(pod), "running")] or not found["status"]["ready"]:
            yield f"it is {said}, and there are {seen}"
            return
        container = self.platform.container(pod.id)
        if container["HostConfig"]["Memory"] == LOOSE or container["HostConfig"]["RestartPolicy"]["Name"] == "always":
            yield "its limits are those that somebody else gave it"
        addresses = [one["IPAddress"] for one in container["NetworkSettings"]["Networks"].values()]
        if pod.address and addresses != [pod.address]:
            yield f"its addresses are {addresses} and not {pod.address}"
        yield from self._unanswered(pod)

    def _unanswered(self, pod: Pod) -> Iterator[str]:
        """Ask the agent itself for what it must still know: its token and its data."""
        if not pod.token:
            return
        headers = {"Authorization": f"Bearer {pod.token}"}
        answer = self.platform.get(pod.host, "/usage", headers=headers)
        if answer.status_code != httpx.codes.OK:
            yield f"its route or its token: {answer.status_code}"
        if not self.notes(pod):
            yield "it has forgotten what it knew"


@contextlib.contextmanager
def foreign_container(engine: Any) -> Iterator[Callable[[], str]]:
    """Have a container of nobody's; the result says what it is and since when."""
    engine.docker("run", "-d", "--name", FOREIGN, "--restart=always", "--entrypoint=sleep", IMAGE, "36000")

    def identity() -> str:
        return engine.docker("inspect", FOREIGN, "--format", "{{.Id}} {{.State.Running}} {{.HostConfig.Memory}}")

    yield identity
    engine.docker("rm", "-f", FOREIGN)


def kill_after_event(platform: Any, count: int) -> None:
    """Kill the server right after so many more events of the engine, in the midst of what it does; or after a while."""
    command = ["docker", f"--host={platform.engine.url}", "events", "--format", "{{.Action}}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as events:
        timer = threading.Timer(5.0, events.kill)
        timer.start()
        assert events.stdout is not None
        for _ in range(count):
            events.stdout.readline()
        platform.process.kill()
        platform.process.wait()
        events.kill()
        timer.cancel()


def kill_postgres(platform: Any) -> None:
    """Kill the database as an operator's mistake would: every process of it."""
    pid = int((platform.state / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)


def client_of(platform: Any) -> Client:
    """Give an administrator's client of a platform."""
    context = json.loads((platform.state / "context.json").read_text())
    return Client(context["server"], context["token"], timeout=10, retries=0)
