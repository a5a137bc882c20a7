"""An engine that stands still, and one that is started again in order: neither is held against anybody."""

from __future__ import annotations

from typing import Any

from real.receiver import Receiver
from real.tenancy import Tenancy
from real.truths import blamed, newest_event
from real.watch import until

AWAY = "EngineUnreachable"


def assert_a_frozen_engine_is_told_and_blames_nobody(tenancies: list[Tenancy], receiver: Receiver) -> None:
    """While it answers nobody, how the pods are is unknown, and they go on; that is told once, and its end once."""
    first = tenancies[0]
    before, newest = _starts(tenancies), newest_event(first.platform, first.client)
    with first.engine.frozen():
        unknown = {(None, AWAY, "running", True)}
        until(lambda: _lives(tenancies) == unknown, "nobody knows who lives", lambda: _lives(tenancies))
        until(lambda: _told(receiver) == ["alert.raised"], "somebody is told", lambda: receiver.got)
        _is([pod for one in tenancies for pod in one.pods if not one.notes(pod)], [])
    known = {(True, "ContainerRunning", "running", True)}
    until(lambda: _lives(tenancies) == known, "all are seen to live", lambda: _lives(tenancies))
    until(lambda: _told(receiver) == ["alert.raised", "alert.recovered"], "its end is told", lambda: receiver.got)
    first.platform.agentpod("reconcile")
    _is(_starts(tenancies), before)
    _is(blamed(first.platform, first.client, newest), [])
    _is([one["reason"] for one in first.ask(lambda: list(first.client.list_alerts()))], [AWAY])


def assert_an_engine_that_starts_again_in_order_blames_nobody(tenancies: list[Tenancy]) -> None:
    """Every agent ends with it and starts with it, once, and none of them failed."""
    first = tenancies[0]
    before, newest = _starts(tenancies), newest_event(first.platform, first.client)
    first.engine.restart()
    known = {(True, "ContainerRunning", "running", True)}

    after = _starts(tenancies)
    _is([pod for pod in before if after[pod][0] == before[pod][0]], [])
    # A status may still be the one of before, and whoever is to be blamed must have been looked at.
    first.platform.agentpod("reconcile")
    until(lambda: _lives(tenancies) == known, "all live again", lambda: _lives(tenancies))
    _is(_starts(tenancies), after)
    _is(blamed(first.platform, first.client, newest), [])
    _is([count for _, count in after.values()], [count for _, count in before.values()])
    _is([one for each in tenancies for one in _alerts(each)], [])


def _is(found: object, expected: object) -> None:
    assert found == expected, f"{found} and not {expected}"


def _starts(tenancies: list[Tenancy]) -> dict[str, tuple[str, int]]:
    """Give since when each container runs, and how often the engine started it again by its policy."""
    seen = {pod.id: one.platform.container(pod.id) for one in tenancies for pod in one.pods}
    return {pod: (found["State"]["StartedAt"], found["RestartCount"]) for pod, found in seen.items()}


def _lives(tenancies: list[Tenancy]) -> set[tuple[bool | None, str, str, bool]]:
    """Give whether the pods live, why that is said, and how they are as a whole; one where all are the same."""
    found = set()
    for tenancy in tenancies:
        for pod in tenancy.ask(lambda tenancy=tenancy: list(tenancy.client.list_tenant_pods(tenancy.tenant))):
            status = pod["status"]
            (alive,) = [one for one in status["conditions"] if one["type"] == "Alive"]
            found.add((alive["status"], alive["reason"], status["phase"], status["ready"]))
    return found


def _alerts(tenancy: Tenancy) -> list[dict[str, Any]]:
    return list(tenancy.ask(lambda: list(tenancy.client.list_alerts(tenant=tenancy.tenant))))


def _told(receiver: Receiver) -> list[str]:
    return [one["type"] for one in receiver.got if one["data"]["reason"] == AWAY]
