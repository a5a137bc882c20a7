"""A machine with 50 pods loses its power and comes back: Docker starts them all at once, and nobody is in its way."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from real.tenancy import client_of
from real.truths import blamed, newest_event

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(900)]

PODS = 50
START_DEADLINE = 30.0
BURN = 3 * START_DEADLINE * (os.cpu_count() or 1) / PODS
"""Seconds of processor time that each start after the reboot burns.

Together they take three times as long as the start deadline of one: much more than that is left when the engine, which
starts them before it answers anybody, and then the server are there to ask.
"""


def starts(engine, instance: str) -> dict[str, tuple[str, int]]:
    """Give since when each pod's container runs, and how often the engine started it again by its policy."""
    names = engine.docker("ps", "-q", "--filter", f"label=agentpod.instance={instance}").split()
    rows = engine.docker("inspect", "--format", "{{.Name}} {{.State.StartedAt}} {{.RestartCount}}", *names).splitlines()
    return {name: (started, int(count)) for name, started, count in (row.split() for row in rows)}


def burden(engine, instance: str, pod_ids: list[str]) -> None:
    """Let every start burn so much from now on.

    By hand, while nothing runs: pods that burned as much from the beginning would take minutes more to be made.
    """
    for pod_id in pod_ids:
        config = engine.root / "data" / "volumes" / f"agentpod-{instance}-{pod_id}-config" / "_data" / "config.json"
        content = json.loads(config.read_text())
        config.write_text(json.dumps({**content, "boot": {**content["boot"], "burn": BURN}}))


def test_a_reboot_with_fifty_pods_that_burn_their_processors(private_platform, wait_until) -> None:
    """Every container is started once, by the engine; nothing is failed or restarted, and all are ready in the end."""
    platform = private_platform(AGENTPOD_TIME_SCALE="1", AGENTPOD_RESYNC_INTERVAL="5")
    engine, client = platform.engine, platform.call(client_of, platform)
    platform.call(client.create_tenant, slug="acme", name="Acme")
    config = {"boot": {"burn": 0.1, "seconds": 0.0}}

    def make(number: int) -> None:
        platform.call(client.create_pod, "acme", name=f"pod{number}", adapter="echo", config=config)

    with ThreadPoolExecutor(8) as several:
        list(several.map(make, range(PODS)))

    def ready() -> list[str]:
        pods = platform.call(lambda: list(client.list_tenant_pods("acme")))
        return [pod["name"] for pod in pods if pod["status"]["ready"]]

    wait_until(lambda: len(ready()) == PODS, seconds=300, what="all are ready")
    newest = newest_event(platform, client)
    pod_ids = platform.call(lambda: [pod["id"] for pod in client.list_tenant_pods("acme")])
    platform.process.kill()
    platform.process.wait()

    engine.cut_power()
    burden(engine, platform.instance, pod_ids)
    engine.start()
    platform.up()
    first = starts(engine, platform.instance)
    begun = time.monotonic()
    wait_until(lambda: len(ready()) == PODS, seconds=600, what="all are ready again")

    # Else none of them was ever late, and nobody had to be patient.
    assert time.monotonic() - begun > START_DEADLINE
    assert len(first) == PODS
    assert {count for _, count in first.values()} == {0}
    assert starts(engine, platform.instance) == first
    assert blamed(platform, client, newest) == []
    assert platform.call(lambda: list(client.list_alerts(tenant="acme"))) == []
    client.close()
