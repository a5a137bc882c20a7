"""Waiting: what ends it, what is told on the way, and what a short absence of the server does."""

from __future__ import annotations

import pytest

from agentpod_client import (
    ApiError,
    Client,
    NotInTimeError,
    OperationFailedError,
    PodFailedError,
    UnreachableError,
    waiting,
)
from agentpod_client.testing import a_pod, a_tenant, an_operation

POD = "/tenants/acme/pods/support"


@pytest.fixture
def pods(server):
    """Have the server give these pods one after the other; the last stays."""

    def give(*pods):
        for pod in pods:
            server.on("GET", POD, pod)

    return give


def test_what_is_seen_on_the_way_is_told_until_it_is_ready(client, pods):
    """Who waits can show how it goes on."""
    old = a_pod(status={"observed_generation": 1})
    pods(old, a_pod(phase="creating"), a_pod(phase="starting"), a_pod())
    seen = []
    client.wait_ready("acme", "support", seen=lambda pod: seen.append(pod["status"]["phase"]))
    assert seen == ["running", "creating", "starting"]


def test_a_readiness_of_an_older_generation_does_not_count(client, pods):
    """The pod that is to be replaced is not taken for the new one."""
    pods(a_pod(), a_pod(status={"observed_generation": 3}))
    assert client.wait_ready("acme", "support", generation=3)["status"]["observed_generation"] == 3


def test_an_agent_that_answers_until_it_is_restarted_does_not_count(client, pods):
    """Ready is only what the phase calls so too."""
    pods(a_pod(phase="starting", status={"ready": True}), a_pod())
    assert client.wait_ready("acme", "support")["status"]["phase"] == "running"


def test_not_ready_in_time_is_told_with_the_last_word(client, pods, clock):
    """The error says what it was waiting for, and the time is kept."""
    pods(a_pod(phase="starting"))
    with pytest.raises(NotInTimeError) as caught:
        client.wait_ready("acme", "support", timeout=2.0)
    assert (caught.value.name, caught.value.last) == ("acme/support", "It is starting.")
    assert sum(clock.slept) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("phase", ["blocked", "stopped", "deleting"])
def test_what_will_not_come_is_not_waited_for(client, pods, clock, phase):
    """A pod that is blocked or that somebody stopped ends the waiting at once."""
    pods(a_pod(phase=phase))
    with pytest.raises(PodFailedError) as caught:
        client.wait_ready("acme", "support", timeout=1e9)
    assert caught.value.pod["status"]["phase"] == phase
    assert clock.slept == []


def test_a_pod_that_is_gone_is_the_servers_refusal(client, server):
    """A deletion by somebody else is told as such."""
    server.refuse("GET", POD, 404, "PodNotFound")
    with pytest.raises(ApiError) as caught:
        client.wait_ready("acme", "support")
    assert caught.value.reason == "PodNotFound"


def test_a_short_absence_of_the_server_is_waited_out(client, server, pods):
    """A server that restarts does not end what follows it, and its silence is told as None."""
    pods(a_pod(phase="starting"))
    for _ in range(3):
        server.on("GET", POD, "<html>Bad Gateway</html>", status=502, media="text/html")
    pods(a_pod())
    seen = []
    client.wait_ready("acme", "support", seen=seen.append)
    assert None in seen


def test_a_long_absence_of_the_server_is_told(clock):
    """A server that stays away is told after the patience is over."""
    began = clock()
    with Client("http://127.0.0.1:9", clock=clock, sleep=clock.sleep) as client, pytest.raises(UnreachableError):
        client.wait_ready("acme", "support", timeout=1000.0)
    assert waiting.PATIENCE <= clock() - began < waiting.PATIENCE + 5


def test_a_pod_is_waited_for_until_it_is_stopped(client, pods):
    """The stop of an older generation does not count."""
    pods(a_pod(phase="stopped", status={"observed_generation": 1}), a_pod(), a_pod(phase="stopped"))
    assert client.wait_stopped("acme", "support", generation=2)["status"]["observed_generation"] == 2


def test_gone_is_what_the_server_does_not_find(client, server, pods):
    """Pods and tenants alike."""
    pods(a_pod())
    server.refuse("GET", POD, 404, "PodNotFound")
    server.on("GET", "/tenants/acme", a_tenant())
    server.refuse("GET", "/tenants/acme", 404, "TenantNotFound")
    client.wait_pod_gone("acme", "support")
    client.wait_tenant_gone("acme")
    assert len(server.requests) == 4


def test_what_should_go_and_stays_is_told(client, pods):
    """Deleting that takes too long goes on by itself."""
    pods(a_pod(phase="deleting"))
    with pytest.raises(NotInTimeError):
        client.wait_pod_gone("acme", "support", timeout=3.0)


def test_an_operation_is_followed_to_its_end(client, server):
    """A failed one is an error that holds the reason."""
    error = {"reason": "BuildFailed", "message": "Step 3 failed.", "repair": None, "params": {}}
    server.on("GET", "/operations/op-1", an_operation())
    server.on("GET", "/operations/op-1", an_operation("succeeded"))
    server.on("GET", "/operations/op-2", an_operation("failed", error=error))
    assert client.wait_operation("op-1")["status"] == "succeeded"
    with pytest.raises(OperationFailedError, match=r"Step 3 failed\.") as caught:
        client.wait_operation("op-2")
    assert caught.value.operation["error"] == error


def test_an_operation_that_takes_too_long_is_told(client, server):
    """It goes on; the error has its last line."""
    server.on("GET", "/operations/op-1", an_operation())
    with pytest.raises(NotInTimeError) as caught:
        client.wait_operation("op-1", timeout=1.0)
    assert caught.value.last == "Pulling"
