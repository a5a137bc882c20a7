"""A machine with 50 pods loses its power and comes back: Docker starts them all at once, and nobody is in its way."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from real.tenancy import client_of

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

PODS = 50
START_DEADLINE = 30.0
BURN = START_DEADLINE * (os.cpu_count() or 1) / PODS
"""Seconds of processor time that each start burns: together they take as long as the start deadline of one."""


def starts(engine, instance: str) -> dict[str, tuple[str, int]]:
    """Give since when each pod's container runs, and how often the engine started it again by its policy."""
    names = engine.docker("ps", "-q", "--filter", f"label=agentpod.instance={instance}").split()
    rows = engine.docker("inspect", "--format", "{{.Name}} {{.State.StartedAt}} {{.RestartCount}}", *names).splitlines()
    return {name: (started, int(count)) for name, started, count in (row.split() for row in rows)}


def test_a_reboot_with_fifty_pods_that_burn_their_processors(private_platform, wait_until) -> None:
    """Every container is started once, by the engine; nothing is failed or restarted, and all are ready in the end."""
    platform = private_platform(AGENTPOD_TIME_SCALE="1", AGENTPOD_RESYNC_INTERVAL="5")
    engine, client = platform.engine, platform.call(client_of, platform)
    platform.call(client.create_tenant, slug="acme", name="Acme")
    config = {"boot": {"burn": BURN, "seconds": 0.0}}

    def make(number: int) -> None:
        platform.call(client.create_pod, "acme", name=f"pod{number}", adapter="echo", config=config)

    with ThreadPoolExecutor(8) as several:
        list(several.map(make, range(PODS)))

    def ready() -> list[str]:
        pods = platform.call(lambda: list(client.list_tenant_pods("acme")))
        return [pod["name"] for pod in pods if pod["status"]["ready"]]

    wait_until(lambda: len(ready()) == PODS, seconds=300, what="all are ready")
    told = platform.call(lambda: [event["seq"] for event in client.list_events(limit=1)])
    newest = max(told)
    platform.process.kill()
    platform.process.wait()

    engine.cut_power()
    engine.start()
    platform.up()
    first = starts(engine, platform.instance)
    wait_until(lambda: len(ready()) == PODS, seconds=300, what="all are ready again")

    assert len(first) == PODS
    assert starts(engine, platform.instance) == first
    events = platform.call(lambda: [one for one in client.list_events() if one["seq"] > newest])
    blamed = {"ContainerExited", "RestartedByEngine", "StartTooSlow", "NotAnswering", "Degraded", "CrashLoop"}
    assert [one["reason"] for one in events if one["reason"] in blamed] == []
    assert platform.call(lambda: list(client.list_alerts(tenant="acme"))) == []
    client.close()
