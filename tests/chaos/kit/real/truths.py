"""What must be true of a tenant's pods in peace, and of what was told of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx

from agentpod_client import Client
from real.receiver import Receiver
from real.tenancy import Pod, Tenancy

WORST = ("Degraded", "CrashLoop", "Blocked")
SPEAK_OF = {
    "OutOfMemory": ("OutOfMemory",),
    "NotAnswering": ("Hung",),
    "Degraded": WORST,
    "CrashLoop": WORST[1:],
}
"""The alerts of which one must have been raised where there is such an event of a pod."""
BLAMES = frozenset({"ContainerExited", "RestartedByEngine", "StartTooSlow", "NotAnswering", "Degraded", "CrashLoop"})
"""The events by which something is held against an agent."""


def untruths(tenancy: Tenancy) -> Iterator[str]:
    """List what is not as it must be."""
    rows = tenancy.engine.docker("ps", "-a", "--format", '{{.Label "agentpod.pod-id"}} {{.Names}} {{.State}}')
    seen: dict[str, list[tuple[str, str]]] = {}
    for row in rows.splitlines():
        pod_id, name, state = row.split(" ") if not row.startswith(" ") else ("", *row.split())
        seen.setdefault(pod_id, []).append((name, state))
    volumes = tenancy.engine.docker("volume", "ls", "--format", "{{.Name}}").split()
    listed = tenancy.platform.call(lambda: list(tenancy.client.list_tenant_pods(tenancy.tenant)))
    status = {pod["id"]: pod for pod in listed}
    for pod_id in tenancy.gone:
        if pod_id in status or pod_id in seen or any(pod_id in volume for volume in volumes):
            yield f"{pod_id} was deleted, and something of it is left"
    for pod in tenancy.pods:
        found = _of_pod(tenancy, pod, seen.get(pod.id, []), status)
        yield from (f"{pod.tenant}/{pod.name}: {what}" for what in found)


def newest_event(platform: Any, client: Client) -> int:
    """Give the number of the last thing that happened."""
    return max(platform.call(lambda: [event["seq"] for event in client.list_events(limit=1)]), default=0)


def blamed(platform: Any, client: Client, after: int) -> list[str]:
    """List what was held against agents since that event."""
    events = platform.call(lambda: list(client.list_events(after=after)))
    return [f"{one['reason']} of {one['tenant']}/{one['pod']}" for one in events if one["reason"] in BLAMES]


def untold(tenancy: Tenancy, receiver: Receiver) -> Iterator[str]:
    """List the tenant's troubles of which there is no alert, its alerts that are not over, and what did not arrive."""
    names = [pod.name for pod in tenancy.pods]
    alerts = tenancy.platform.call(lambda: list(tenancy.client.list_alerts(tenant=tenancy.tenant)))
    events = tenancy.platform.call(lambda: list(tenancy.client.list_events(after=0, tenant=tenancy.tenant)))
    raised = {(one["pod"], one["reason"]) for one in alerts}
    for event in events:
        reasons = SPEAK_OF.get(event["reason"], ())
        if event["pod"] in names and reasons and raised.isdisjoint((event["pod"], one) for one in reasons):
            yield f"nobody was told of {event['reason']} of {event['pod']}"
    yield from undelivered(alerts, receiver)


def undelivered(alerts: list[dict[str, Any]], receiver: Receiver) -> Iterator[str]:
    """List the alerts that are not over, and of all of them what did not arrive."""
    got = {(one["data"]["alert_id"], one["type"].partition(".")[2]) for one in receiver.got}
    for alert in alerts:
        said = f"{alert['reason']} of {alert['tenant']}/{alert['pod']}"
        if alert["cleared_at"] is None:
            yield f"{said} is still open"
        for delivery in alert["deliveries"]:
            if delivery["state"] != "delivered" or (alert["id"], delivery["kind"]) not in got:
                yield f"that {said} was {delivery['kind']} did not arrive: {delivery}"


def _of_pod(tenancy: Tenancy, pod: Pod, seen: list[tuple[str, str]], status: dict[str, Any]) -> Iterator[str]:
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
    if seen != [(tenancy.name(pod), "running")] or not found["status"]["ready"]:
        yield f"it is {said}, and there are {seen}"
        return
    yield from _otherwise_made(pod, tenancy.platform.container(pod.id))
    yield from _unanswered(tenancy, pod)


def _otherwise_made(pod: Pod, container: dict[str, Any]) -> Iterator[str]:
    """Compare its container with what was asked for."""
    memory, policy = container["HostConfig"]["Memory"], container["HostConfig"]["RestartPolicy"]["Name"]
    if memory != pod.memory or policy == "always":
        yield f"its limits are those that somebody else gave it: {memory} and not {pod.memory}, started again {policy}"
    if container["Config"]["Image"] != pod.image:
        yield f"its image is {container['Config']['Image']} and not {pod.image}"
    addresses = [one["IPAddress"] for one in container["NetworkSettings"]["Networks"].values()]
    if pod.address and addresses != [pod.address]:
        yield f"its addresses are {addresses} and not {pod.address}"


def _unanswered(tenancy: Tenancy, pod: Pod) -> Iterator[str]:
    """Ask the agent itself for what it must still know: its token and its data."""
    if not pod.token:
        return
    headers = {"Authorization": f"Bearer {pod.token}"}
    answer = tenancy.platform.get(pod.host, "/usage", headers=headers)
    if answer.status_code != httpx.codes.OK:
        yield f"its route or its token: {answer.status_code}"
    if not tenancy.notes(pod):
        yield "it has forgotten what it knew"
