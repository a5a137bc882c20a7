"""OpenClaw killed as by ``kill -9`` until a client is greeted (``hello-ok``) through Traefik, with the pod's token.

The client asks for a page until the gateway answers at all, and tries to shake hands from then on. Each agent is
killed once: a second end within ten minutes would be answered by the platform's own, slower policy.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

from websockets.exceptions import WebSocketException

from agentpod_core import SECRETS_PATH
from agentpod_openclaw.client import Conversation, GatewayRefusedError
from harness import Case, Row, at_most, figure
from stage import Stage
from stage.asking import Question, answered_at
from stage.waiting import until

TITLE = "OpenClaw kill -9 → hello-ok through Traefik"
TENANT = "rescue"
PODS = 3
LOCAL = "127.0.0.1"
EVERY = 0.1
CONFIG = {"provider": "openai-compatible", "model": "scripted-1", "base_url": "http://model.invalid:8080/v1"}


def run(stage: Stage) -> Sequence[Row]:
    """Kill one after the other."""
    platform, engine = stage.platform, stage.engine
    platform.image("openclaw")
    platform.tenant(TENANT)
    names = [f"p{number}" for number in range(1 if stage.is_quick else PODS)]
    for name in names:
        body = {"name": name, "adapter": "openclaw", "config": CONFIG}
        platform.call("POST", f"/tenants/{TENANT}/pods", body)
    taken = []
    for pod in [platform.until_ready(TENANT, name, seconds=300) for name in names]:
        container, url = platform.container(pod), f"http://{platform.host(pod)}:{platform.http}"
        token = _token(engine.inspect(container)["Mounts"])

        def is_greeted(url: str = url, token: str = token) -> bool:
            try:
                with Conversation(url, token=token, dial=LOCAL) as conversation:
                    return conversation.hello.get("type", str) == "hello-ok"
            except (OSError, GatewayRefusedError, WebSocketException):
                return False

        if not is_greeted():
            raise RuntimeError(f"{container} greets nobody before it is killed")
        killed = engine.kill(container)
        answered_at(Question(port=platform.http, host=platform.host(pod), path="/healthz"), seconds=180, every=EVERY)
        until(is_greeted, f"{container} says hello-ok", seconds=180, every=EVERY)
        taken.append(time.time() - killed)
    platform.clear(TENANT)
    return [figure(TITLE, taken, "s", goal=at_most(30, "s"))]


def _token(mounts: list[dict[str, str]]) -> str:
    (folder,) = (Path(mount["Source"]) for mount in mounts if mount["Destination"] == SECRETS_PATH)
    token: str = json.loads((folder / "openclaw.json").read_text())["gateway_token"]
    return token


CASE = Case(name="rescue", title=TITLE, run=run)
