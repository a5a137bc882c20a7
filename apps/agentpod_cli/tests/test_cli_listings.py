"""What listings and single things look like in every format."""

from __future__ import annotations

import json

import pytest
import yaml

FORMATS = ("table", "wide", "json", "yaml", "name")


@pytest.fixture
def world(server, make_tenant, make_pod, make_condition, make_event):
    """A server with two tenants, three pods and everything else in small numbers."""
    conditions = [
        make_condition(),
        make_condition("ChannelsConnected", None, "NotAsked", "Nobody asked the agent yet.", "2026-03-01T11:59:30Z"),
    ]
    loop = {"ready": False, "message": "It exited with 1 three times.", "reason": "CrashLoop"}
    down = [make_condition("Ready", False, "NoAnswer", "It does not answer.", "2026-03-01T09:00:00Z")]
    pods = [
        make_pod("zeta/main", "crash-loop", status=loop, conditions=down),
        make_pod("acme/support", conditions=conditions),
        make_pod("acme/model", "stopped", spec={"wanted": "stopped", "image": "echo:2", "memory": 2**31, "cpus": 500}),
    ]
    server.items(
        "/tenants", make_tenant("zeta", name="泽塔", pods=1), make_tenant("acme", pods=2, email="ops@acme.example")
    )
    server.on("GET", "/tenants/acme", make_tenant(pods=2))
    summary = {"adapter": "echo", "wanted": "running", "reason": "X", "message": "The agent answers."}
    status = {
        "slug": "acme",
        "wanted": "running",
        "total": 2,
        "ready": 1,
        "phases": {"running": 1, "stopped": 1},
        "pods": [
            summary | {"name": "support", "phase": "running", "ready": True},
            summary | {"name": "model", "phase": "stopped", "ready": False, "message": "It was stopped."},
        ],
    }
    server.on("GET", "/tenants/acme/status", status)
    server.items("/pods", *pods)
    server.on("GET", "/tenants/acme/pods/support", pods[1])
    stats = {"running": True, "cpu": 125, "memory": 300 * 2**20, "memory_limit": 2**31, "pids": 7, "rx": 2048, "tx": 99}
    server.on("GET", "/tenants/acme/pods/support/stats", stats)
    adapter = {
        "id": "echo",
        "title": "Echo",
        "plugin": "echo",
        "version": "0.1.0",
        "config_version": 1,
        "sizes": [{"name": "default", "memory": 2**28, "cpus": 500, "pids": 64}],
        "request": 2**25,
        "boot_cost": 0.0,
        "image": "agentpod/echo:1",
        "buildable": True,
    }
    server.items("/adapters", adapter)
    server.on("GET", "/adapters/echo", adapter)
    good = {"name": "echo", "distribution": "agentpod-echo", "version": "0.1.0", "loaded": True, "error": None}
    bad = {
        "name": "broken",
        "distribution": "broken",
        "version": "1",
        "offers": {},
        "loaded": False,
        "error": "ImportError",
    }
    server.items("/plugins", good | {"offers": {"agents": ["echo"], "routers": []}}, bad)
    server.items("/images", {"name": "agentpod/echo:1", "adapters": ["echo"]})
    happened = [
        make_event(1),
        make_event(2, severity="error", pod="", reason="NetworkGone", message="The network\nis \x1b[31mgone."),
    ]
    server.items("/events", *happened)
    return server


LISTINGS = {
    "tenant-list": ("tenant", "list"),
    "tenant-get": ("tenant", "get", "acme"),
    "tenant-status": ("tenant", "status", "acme"),
    "pod-list": ("pod", "list"),
    "pod-get": ("pod", "get", "acme/support"),
    "pod-status": ("pod", "status", "acme/support"),
    "pod-stats": ("pod", "stats", "acme/support"),
    "pod-events": ("pod", "events", "acme/support"),
    "adapter-list": ("adapter", "list"),
    "adapter-get": ("adapter", "get", "echo"),
    "plugin-list": ("plugin", "list"),
    "image-list": ("image", "list"),
    "events": ("events",),
}


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("name", LISTINGS)
def test_every_listing_and_get_keeps_its_look_in_every_format(agentpod, world, golden, name, output):
    """What a script reads today it reads the same tomorrow."""
    ended = agentpod(*LISTINGS[name], "-o", output)
    assert (ended.code, ended.err) == (0, "")
    golden(f"{name}.{output}.txt", ended.out)


@pytest.mark.parametrize("name", ["tenant-list", "pod-list", "pod-status", "events", "plugin-list"])
def test_listings_speak_chinese_in_a_chinese_locale(agentpod, world, golden, name):
    """A reader of Chinese gets headings and words in Chinese, aligned by their width."""
    ended = agentpod(*LISTINGS[name], LANG="zh_CN.UTF-8")
    assert ended.code == 0
    golden(f"{name}.zh.txt", ended.out)
    assert world.requests[0].headers["accept-language"] == "zh-CN, en;q=0.5"


@pytest.mark.parametrize("name", LISTINGS)
def test_json_and_yaml_hold_the_same_as_the_server_gave(agentpod, world, name):
    """Nothing is renamed, dropped or made up between the server's answer and a script."""
    as_json = json.loads(agentpod(*LISTINGS[name], "-o", "json").out)
    assert as_json == yaml.safe_load(agentpod(*LISTINGS[name], "-o", "yaml").out)


def test_json_passes_on_what_a_newer_server_adds(agentpod, server, make_tenant):
    """A member that this client does not know is not swallowed."""
    server.on("GET", "/tenants/acme", make_tenant(colour="blue"))
    assert json.loads(agentpod("tenant", "get", "acme", "-o", "json").out)["colour"] == "blue"


def test_pods_are_grouped_by_tenant_on_a_terminal(agentpod, world):
    """An empty line parts tenants where a person reads, and colour marks the phase."""
    lines = agentpod("pod", "list", terminal=True).out.splitlines()
    assert lines[3] == ""
    assert "\x1b[32mrunning\x1b[0m" in lines[2]


def test_no_colour_without_a_terminal_or_with_no_color(agentpod, world):
    """Colour never reaches a pipe, nor a terminal whose user does not want it."""
    assert "\x1b" not in agentpod("pod", "list").out
    assert "\x1b" not in agentpod("pod", "list", terminal=True, NO_COLOR="1").out


def test_pod_list_passes_its_filters_on(agentpod, server):
    """The server filters, not the client."""
    server.items("/pods")
    agentpod("pod", "list", "--tenant", "acme", "--phase", "degraded")
    asked = server.requests[0].query
    assert (asked["tenant"], asked["phase"]) == ("acme", "degraded")


def test_listings_are_followed_to_their_end(agentpod, server, make_tenant):
    """A page is not mistaken for the whole."""
    server.on("GET", "/tenants", {"items": [make_tenant("acme")], "next": "cursor-2"})
    server.on("GET", "/tenants", {"items": [make_tenant("beta")], "next": None})
    assert agentpod("tenant", "list", "-o", "name").out == "acme\nbeta\n"
    assert server.requests[1].query["cursor"] == "cursor-2"


def test_a_pod_whose_numbers_cannot_be_had_is_listed_without_them(agentpod, server, make_pod):
    """One broken pod does not break the list."""
    server.items("/pods", make_pod())
    server.refuse("GET", "/tenants/acme/pods/support/stats", 503, "EngineUnreachable")
    ended = agentpod("pod", "list")
    assert ended.code == 0
    assert "support" in ended.out


@pytest.mark.parametrize("noun", ["tenant", "pod", "adapter", "image"])
def test_an_empty_list_says_what_to_do_and_prints_nothing(agentpod, server, noun):
    """A pipe gets nothing, a person gets the next step."""
    server.items(f"/{noun}s")
    ended = agentpod(noun, "list")
    assert (ended.code, ended.out) == (0, "")
    assert "agentpod " in ended.err


def test_an_empty_list_is_an_empty_array_in_json(agentpod, server):
    """A script need not treat none apart."""
    server.items("/pods")
    assert json.loads(agentpod("pod", "list", "-o", "json").out) == []


def test_the_verdict_is_the_first_line_of_pod_status(agentpod, world):
    """One sentence says how the pod is before any detail."""
    assert agentpod("pod", "status", "acme/support").out.splitlines()[0] == "The agent answers."


def test_pod_status_tells_what_was_not_seen_yet(agentpod, server, make_pod):
    """A status that is older than the spec says so."""
    server.on("GET", "/tenants/acme/pods/support", make_pod(spec={"generation": 5}))
    assert "5 (seen: 2)" in agentpod("pod", "status", "acme/support").out


def test_adapter_schema_prints_the_schema(agentpod, server):
    """The schema comes out as it is, in both formats."""
    schema = {"type": "object", "properties": {"greeting": {"type": "string"}}}
    server.on("GET", "/adapters/echo/schema", schema)
    assert json.loads(agentpod("adapter", "schema", "echo").out) == schema
    assert yaml.safe_load(agentpod("adapter", "schema", "echo", "-o", "yaml").out) == schema
