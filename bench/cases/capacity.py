"""How many OpenClaw pods fit into 4 GiB: idle, and after a chat turn, in each size.

Real pods that talk to a scripted model. What is counted is the working set of a pod's control group (what it holds
less what the kernel can drop); the platform's own memory, a case of its own, comes on top.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from agentpod_openclaw.client import Conversation
from harness import Case, Row, figure
from stage import Stage
from stage.platform import Platform

TITLE = "OpenClaw pods per 4 GiB"
TENANT = "capacity"
SIZES = ("small", "default")
PODS = 3
ROOM = 4 * 1024**3
MIB = 1024**2
SETTLED = 20.0
MODEL = {"provider": "openai-compatible", "model": "scripted-1", "base_url": f"http://model-{TENANT}:8080/v1"}


def run(stage: Stage) -> Sequence[Row]:
    """Start all pods of a size, look, talk to each, look again."""
    platform = stage.platform
    platform.image("openclaw")
    platform.image("echo")
    platform.tenant(TENANT)
    platform.call("POST", f"/tenants/{TENANT}/pods", {"name": "model", "adapter": "echo"})
    rows = [row for size in SIZES for row in measured(stage, size)]
    platform.clear(TENANT)
    return rows


def measured(stage: Stage, size: str) -> list[Row]:
    """Measure the pods of one size."""
    platform = stage.platform
    names = [f"{size}{number}" for number in range(1 if stage.is_quick else PODS)]
    for name in names:
        body = {"name": name, "adapter": "openclaw", "size": size, "config": MODEL}
        platform.call("POST", f"/tenants/{TENANT}/pods", body)
    pods = [platform.until_ready(TENANT, name, seconds=300) for name in names]

    def row(when: str) -> Row:
        time.sleep(SETTLED)
        taken = [stage.engine.working_set(platform.container(pod)) for pod in pods]
        each = statistics.median(taken)
        note = f"{each / MIB:.0f} MiB each"
        return figure(f"{TITLE}: {size}, {when}", [ROOM // one for one in taken], "pods", note=note)

    idle = row("idle")
    for name in names:
        talk(platform, f"{TENANT}/{name}")
    rows = [idle, row("after a turn")]
    for name in names:
        platform.delete(TENANT, name)
    return rows


def talk(platform: Platform, pod: str) -> None:
    """Have one chat turn, as a browser would."""
    link = platform.agentpod("pod", "open", pod).split()[0]
    with Conversation(link, dial="127.0.0.1") as conversation:
        if not (reply := conversation.say("How are you?")):
            raise RuntimeError(f"{pod} said nothing: {reply!r}")


CASE = Case(name="capacity", title=TITLE, run=run)
