"""A tenant with its pods, and what its operator does."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from agentpod_client import Client, ClientError

IMAGE = "agentpod-echo:0.1.0"
MEMORY = 128 * 1024 * 1024
"""The limit of memory of the light agent that names none."""


@dataclass
class Pod:
    """A pod as it was when it was made, and as its operator wants it; ``note`` is what it was told to keep in mind."""

    tenant: str
    name: str
    id: str
    note: str
    address: str = ""
    token: str = ""
    image: str = IMAGE
    memory: int = MEMORY
    is_stopped: bool = False

    @property
    def host(self) -> str:
        """Its public name."""
        return f"{self.name}-{self.tenant}.localhost"


class Tenancy:
    """One tenant's pods, and its operator.

    ``done`` counts what was done to the pods, by whomever; ``chance`` is what that is chosen by.
    """

    def __init__(self, platform: Any, tenant: str, size: int) -> None:
        self.platform = platform
        self.engine = platform.engine
        self.tenant = tenant
        self.pods: list[Pod] = []
        self.client: Client = platform.call(client_of, platform)
        self.made = 0
        self.gone: list[str] = []
        self.done: Counter[str] = Counter()
        self.chance = random.Random(tenant)
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
        self.pods.append(Pod(self.tenant, name, made["id"], f"never forget {self.tenant}/{name}"))

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
                self.platform.call(httpx.post, url, headers=headers, json={"text": pod.note}, timeout=5)
            pod.address, pod.token = address, token
            return bool(self.notes(pod))
        return False

    def notes(self, pod: Pod) -> str:
        """Give what the agent knows, through the router."""
        answer = self.platform.get(pod.host, "/notes")
        return answer.text if answer.status_code == httpx.codes.OK and pod.note in answer.text else ""

    def name(self, pod: Pod) -> str:
        """Give the name of its container."""
        return f"agentpod-{self.platform.instance}-{pod.id}"

    def change(self, pod: Pod, **config: str) -> None:
        """Change its config."""
        self.ask(self.client.update_pod_config, self.tenant, pod.name, config=config)

    def resize(self, pod: Pod, memory: int) -> None:
        """Change its limit of memory."""
        self.ask(self.client.update_pod, self.tenant, pod.name, memory=memory)
        pod.memory = memory

    def change_image(self, pod: Pod, image: str) -> None:
        """Change what it is made of."""
        self.ask(self.client.update_pod, self.tenant, pod.name, image=image)
        pod.image = image

    def restart(self, pod: Pod) -> None:
        """Restart it."""
        self.ask(self.client.restart_pod, self.tenant, pod.name)

    def stop(self, pod: Pod) -> None:
        """Stop it."""
        self.ask(self.client.stop_pod, self.tenant, pod.name)
        pod.is_stopped = True

    def start(self, pod: Pod) -> None:
        """Start it."""
        self.ask(self.client.start_pod, self.tenant, pod.name)
        pod.is_stopped = False

    def replace(self, pod: Pod) -> None:
        """Delete it, and ask for another one."""
        self.ask(self.client.delete_pod, self.tenant, pod.name)
        self.pods.remove(pod)
        self.gone.append(pod.id)
        self.make()

    def start_all(self) -> None:
        """Want every pod to run."""
        for pod in self.pods:
            if pod.is_stopped:
                self.start(pod)


def client_of(platform: Any) -> Client:
    """Give an administrator's client of a platform."""
    context = json.loads((platform.state / "context.json").read_text())
    return Client(context["server"], context["token"], timeout=10, retries=0)
