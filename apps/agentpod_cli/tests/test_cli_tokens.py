"""API tokens, pods' own tokens, changes of a pod beside its config, and operations: what is sent and what is said."""

from __future__ import annotations

import json

import pytest

from agentpod_client import waiting

POD = "/tenants/acme/pods/support"
MADE = {
    "id": "t-1",
    "name": "portal",
    "prefix": "ap_ab12",
    "role": "operator",
    "tenant": None,
    "created_at": "2026-03-01T12:00:00Z",
    "expires_at": None,
    "last_used_at": None,
    "token": "ap_shown-this-once",
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Polling costs the tests no time."""
    monkeypatch.setattr(waiting, "FIRST_PAUSE", 0.001)


def test_a_new_token_is_the_whole_answer(agentpod, server):
    """It can be sent into a file; its id and that it is shown once stand beside it."""
    server.on("POST", "/tokens", MADE, status=201)
    ended = agentpod("token", "create", "portal")
    assert (ended.code, ended.out) == (0, "ap_shown-this-once\n")
    assert "t-1" in ended.err
    assert server.requests[0].body == {"name": "portal", "role": "operator", "tenant": None}


def test_a_token_is_made_as_narrow_as_was_said(agentpod, server):
    """Role, tenant and end go to the server."""
    server.on("POST", "/tokens", MADE, status=201)
    options = ("--role", "viewer", "--tenant", "acme", "--expires-in", "2d", "-o", "json")
    assert json.loads(agentpod("token", "create", "portal", *options).out) == MADE
    assert server.requests[0].body == {
        "name": "portal",
        "role": "viewer",
        "tenant": "acme",
        "expires_at": "2026-03-03T12:00:00+00:00",
    }


def test_the_name_of_a_new_token_is_what_revokes_it(agentpod, server):
    """`-o name` gives the id, not the token."""
    server.on("POST", "/tokens", MADE, status=201)
    assert agentpod("token", "create", "portal", "-o", "name").out == "t-1\n"


def test_revoking_asks_first(agentpod, server):
    """What uses it is shut out, so nobody does it by a slip."""
    server.on("DELETE", "/tokens/t-1", "", status=204)
    assert agentpod("token", "revoke", "t-1").code == 2
    assert agentpod("token", "revoke", "t-1", asks=True, stdin="n\n").code == 1
    assert server.requests == []
    ended = agentpod("token", "revoke", "t-1", "--yes")
    assert (ended.code, len(server.requests)) == (0, 1)


def test_a_pods_token_is_rotated_and_the_pod_waited_for(agentpod, server, make_pod):
    """Done means that the new one works."""
    server.on("POST", f"{POD}/rotate-token", make_pod(spec={"generation": 3}))
    server.on("GET", POD, make_pod(spec={"generation": 3}))
    server.on("GET", POD, make_pod(spec={"generation": 3}, status={"observed_generation": 3}))
    ended = agentpod("pod", "token", "rotate", "acme/support", "--yes")
    assert ended.code == 0
    assert "Pod acme/support is ready after" in ended.out
    assert len(server.asked("GET", POD)) == 2


def test_rotating_asks_first(agentpod, server):
    """The agent restarts and its clients are shut out."""
    assert agentpod("pod", "token", "rotate", "acme/support").code == 2
    assert server.requests == []


def test_a_pod_is_changed_as_it_is_now(agentpod, server, make_pod):
    """Only what was named changes; an empty value goes back to the default."""
    server.on("GET", POD, make_pod(), headers={"ETag": '"2"'})
    server.on("PATCH", POD, make_pod())
    ended = agentpod("pod", "update", "acme/support", "--memory", "2GiB", "--size", "")
    assert ended.code == 0
    sent = server.asked("PATCH", POD)[0]
    assert (sent.body, sent.headers["if-match"]) == ({"memory": "2GiB", "size": None}, '"2"')


def test_a_change_of_a_stopped_pod_is_not_waited_for(agentpod, server, make_pod):
    """It will not become ready."""
    stopped = make_pod(phase="stopped", spec={"wanted": "stopped"})
    server.on("GET", POD, stopped, headers={"ETag": '"2"'})
    server.on("PATCH", POD, stopped)
    ended = agentpod("pod", "update", "acme/support", "--cpus", "1")
    assert (ended.code, ended.out) == (0, "Pod acme/support is accepted.\n")


def test_a_change_of_nothing_is_a_usage_error(agentpod, server):
    """The options are named."""
    ended = agentpod("pod", "update", "acme/support")
    assert (ended.code, server.requests) == (2, [])
    assert "--memory" in ended.err


def test_operations_are_filtered_by_the_server(agentpod, server):
    """Only what was asked for is fetched."""
    server.items("/operations")
    agentpod("operation", "list", "--kind", "image-build", "--status", "failed")
    assert server.requests[0].query == {"kind": "image-build", "status": "failed", "limit": "500"}
