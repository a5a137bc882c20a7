"""What listings and single things look like in every format."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from agentpod_cli.cli import cli
from agentpod_cli.render.amounts import width

FORMATS = ("table", "wide", "json", "yaml", "name")


def verbs(command, path=""):
    """Give every verb below a command with its full name."""
    for name, one in command.commands.items():
        full = f"{path} {name}".strip()
        if hasattr(one, "commands"):
            yield from verbs(one, full)
        else:
            yield full, one


FACTORY = "customer-service-zhongguo-2026"
"""The longest name that there may be."""


@pytest.fixture
def world(server, make_tenant, make_pod, make_condition, make_health):
    """A server as one finds it: long names, wide characters, gaps, and a pod in trouble of each kind."""
    availability = _tenants(server, make_tenant)
    pods = _pods(make_pod, make_condition)
    server.items("/pods", *pods)
    for pod in pods:
        path = f"/tenants/{pod['tenant']}/pods/{pod['name']}"
        server.on("GET", path, pod)
        server.on("GET", f"{path}/status", pod["status"] | {"availability": availability})
    usage = {"cpu": 125, "memory": 300 * 2**20, "memory_limit": 2**31, "pids": 7, "rx": 2048, "tx": 99}
    point = {"cpu": 125, "cpu_max": 990, "memory": 300 * 2**20, "memory_max": 2**30, "memory_limit": 2**31}
    history = [
        point | {"at": f"2026-03-01T{at}:00Z", "storage": size, "restarts": starts}
        for at, size, starts in (("11:00", None, 0), ("11:10", 2**32, 0), ("11:40", 2**32, 2))
    ]
    usage |= {"storage": 2**32}
    seen = {"running": True} | usage | {"step": 600, "history": history}
    server.on("GET", "/tenants/acme/pods/support/stats", seen)
    server.on("GET", f"/tenants/{FACTORY}/pods/main/stats", {"running": True} | dict.fromkeys(usage))
    server.on("GET", "/tenants/acme/pods/support/health", make_health())
    slow = {"seconds": 4.9, "failures": 1, "silences": 1, "message": "智能体没有响应。"}
    server.items(
        "/health",
        make_health(),
        make_health(tenant=FACTORY, pod="main", **slow),
        make_health(pod="idle", phase="stopped", well=None, ready=None, seconds=None, memory=None),
    )
    _alerts(server)
    server.on("GET", "//readyz", {"ready": True, "checks": {"store": "ok", "runtime": "ok"}})
    return server


@pytest.fixture
def platform(world, make_event, make_operation):
    """The same, with what can be run and what happens."""
    adapter = {
        "id": "echo",
        "title": "Echo",
        "plugin": "echo",
        "distribution": "agentpod-echo",
        "version": "0.1.0",
        "config_version": 1,
        "sizes": [{"name": "default", "memory": 2**28, "cpus": 500, "pids": 64}],
        "request": 2**25,
        "boot_cost": 0.0,
        "image": "agentpod/echo:1",
        "buildable": True,
    }
    bare = {"id": "wechat", "title": "微信客服", "image": None, "buildable": False}
    bare["sizes"] = [{"name": "default", "memory": None, "cpus": None, "pids": None}]
    world.items("/adapters", adapter, adapter | bare)
    world.on("GET", "/adapters/echo", adapter)
    good = {"name": "echo", "distribution": "agentpod-echo", "version": "0.1.0", "state": "ok"} | (
        {"loaded": True, "error": None, "troubles": []}
    )
    bad = {"name": "broken", "distribution": "broken", "version": "1", "offers": {}, "state": "failed"}
    bad |= {"loaded": False, "troubles": []}
    bad["error"] = "ImportError: No module named 'nothing'"
    world.items("/plugins", good | {"offers": {"agents": ["echo"], "routers": []}}, bad)
    world.items("/images", {"name": "agentpod/echo:1", "adapters": ["echo"]}, {"name": "old:0", "adapters": []})
    happened = [
        make_event(1),
        make_event(2, severity="error", pod="", reason="NetworkGone", message="The network\nis \x1b[31mgone."),
        make_event(3, severity="warning", tenant=FACTORY, pod="main", reason="CrashLoop", message="它退出了三次。"),
    ]
    world.items("/events", *happened)
    failed = {"reason": "BuildFailed", "message": "Step 3 failed.", "repair": None, "params": {}}
    building = make_operation(progress={"percent": 41.6, "line": "Step 5/12"}, created_at="2026-03-01T11:58:30Z")
    broken = make_operation("failed", id="op-2", target="wechat", error=failed, progress={"percent": None, "line": ""})
    world.items("/operations", building, broken)
    world.on("GET", "/operations/op-1", building)
    token = {
        "id": "0192f3a4-5b6c-7d8e-9f00-112233445566",
        "name": "cli build.example.com",
        "prefix": "ap_ab12",
        "role": "operator",
        "tenant": None,
        "created_at": "2026-02-01T12:00:00Z",
        "expires_at": None,
        "last_used_at": None,
    }
    used = {"expires_at": "2026-06-01T00:00:00Z", "last_used_at": "2026-03-01T11:59:00Z"}
    second = {"id": "0192f3a4-5b6c-7d8e-9f00-665544332211", "name": "客服机器人", "tenant": FACTORY, "role": "viewer"}
    world.items("/tokens", token, token | second | used)
    plan = {"key": "pod:1", "tenant": "acme", "pod": "support", "status": None, "wake_at": None}
    change = {"action": "start-container", "target": "c1", "reason": "Exited", "message": "It exited."}
    waits = {
        "key": "pod:2",
        "pod": "model",
        "actions": [],
        "waiting": "它稍后再试。",
        "wake_at": "2026-03-01T12:02:00Z",
    }
    plans = [plan | {"actions": [change]}, plan | waits, plan | {"key": "pod:3", "pod": "idle", "actions": []}]
    world.on("POST", "/reconcile", {"dry_run": True, "passes": 3, "items": plans})
    return world


def _tenants(server, make_tenant):
    server.items(
        "/tenants",
        make_tenant("zeta", name="泽塔（上海）有限公司", pods=0),
        make_tenant(FACTORY, wanted="stopped", created_at="2024-01-01T00:00:00Z", generation=17),
        make_tenant("acme", pods=2, email="ops@acme.example"),
    )
    server.on("GET", "/tenants/acme", make_tenant(pods=2))
    summary = {"adapter": "echo", "wanted": "running", "reason": "X", "message": "The agent answers."}
    status = {
        "slug": "acme",
        "wanted": "running",
        "total": 2,
        "ready": 1,
        "phases": {"running": 1, "stopped": 1},
        "open_alerts": 2,
        "pods": [
            summary | {"name": "support", "phase": "running", "ready": True, "availability": 99.927},
            summary
            | {"name": "model", "phase": "stopped", "ready": False, "message": "它已被停止。", "availability": None},
        ],
    }
    spans = [
        {"begin": "2026-02-27T00:00:00Z", "end": "2026-02-28T00:00:00Z", "ready_seconds": 86400.0},
        {"begin": "2026-02-28T00:00:00Z", "end": "2026-03-01T00:00:00Z", "ready_seconds": 82800.0},
        {"begin": "2026-03-01T00:00:00Z", "end": "2026-03-01T12:00:00Z", "ready_seconds": 0.0},
    ]
    numbers = [(86400.0, 0.0, 100.0), (86400.0, 3540.0, 99.927), (0.0, 0.0, None)]
    spans = [
        span | {"wanted_seconds": wanted, "unknown_seconds": unknown, "percent": percent}
        for span, (wanted, unknown, percent) in zip(spans, numbers, strict=True)
    ]
    status["availability"] = {"today": spans[2], "this_month": spans[1], "last_month": spans[0]}
    server.on("GET", "/tenants/acme/status", status)
    server.items("/tenants/acme/availability", *spans)
    server.items("/tenants/acme/pods/support/availability", *spans)
    return status["availability"]


def _alerts(server):
    """Two pods in trouble, and who is told."""
    trouble = {"reason": "TargetUnreachable", "message": "It cannot be reached.", "repair": None}
    told = {"notifier": "ops", "kind": "raised", "state": "delivered", "attempts": 1, "error": None}
    told |= {"done_at": "2026-03-01T11:50:01Z"}
    failed = told | {"notifier": "mail", "state": "failed", "error": trouble}
    loops = {
        "id": "0192f3a4-5b6c-7d8e-9f00-112233445566",
        "tenant": "acme",
        "pod": "support",
        "reason": "CrashLoop",
        "severity": "error",
        "title": "Crash loop",
        "message": "The agent failed 4 times in a row.",
        "params": {},
        "raised_at": "2026-03-01T11:50:00Z",
        "cleared_at": None,
        "silenced": False,
        "deliveries": [told, failed, told | {"kind": "recovered"}],
    }
    engine = loops | {"id": "a-2", "tenant": None, "pod": None, "title": "容器引擎无法访问", "silenced": True}
    over = loops | {"id": "a-3", "pod": "model", "severity": "warning", "cleared_at": "2026-03-01T11:59:00Z"}
    over |= {"deliveries": [told | {"state": "pending"}]}
    server.on("GET", f"/alerts/{loops['id']}", loops)
    server.items("/alerts", loops, engine | {"deliveries": []}, over)
    silence = {"id": "s-1", "owner": None, "tenant": "acme", "pod": "support", "reason": None, "comment": "new model"}
    silence |= {"ends_at": "2026-03-01T14:00:00Z", "created_at": "2026-03-01T12:00:00Z", "created_by": "admin"}
    server.items("/alerts/silences", silence, silence | {"id": "s-2", "owner": "acme", "pod": None, "reason": "Hung"})
    notifier = {
        "name": "ops",
        "tenant": None,
        "kind": "webhook",
        "config": {"url": {"$secret": True}, "more": {"x": 1}},
    }
    notifier |= {"paused": False, "generation": 1}
    notifier |= {"min_severity": "warning", "reasons": [], "trouble": None, "delivered_at": "2026-03-01T11:50:00Z"}
    notifier |= {"created_at": "2026-02-01T12:00:00Z", "created_by": "admin"}
    broken = {"name": "mail", "tenant": "acme", "kind": "apprise", "reasons": ["CrashLoop", "Blocked"]}
    broken |= {"trouble": trouble | {"repair": "Look whether it answers."}, "delivered_at": None, "paused": True}
    server.items("/notifiers", notifier, notifier | broken)
    server.on("GET", "/notifiers/mail", notifier | broken)
    message = {"alert": loops["id"], "tenant": "acme", "pod": "support", "reason": "CrashLoop", "title": "Crash loop"}
    message |= {"kind": "raised", "state": "pending", "attempts": 3, "error": trouble, "done_at": None}
    message |= {"created_at": "2026-03-01T11:50:00Z"}
    over = message | {"kind": "recovered", "attempts": 0, "error": None}
    server.items("/notifiers/mail/deliveries", over, message)
    schema = {"type": "object", "properties": {"url": {"type": "string"}, "key": {"type": "string"}}}
    kind = {"name": "webhook", "title": "Signed webhook", "plugin": "agentpod", "schema": schema}
    server.items("/notifier-kinds", kind)


def _pods(make_pod, make_condition):
    conditions = [
        make_condition(),
        make_condition("ChannelsConnected", None, "NotAsked", "Nobody asked the agent yet.", "2026-03-01T11:59:30Z"),
    ]
    loop = {"ready": False, "message": "It exited with 1 three times.", "reason": "CrashLoop"}
    down = [make_condition("Ready", False, "NoAnswer", "It does not answer.", "2026-03-01T09:00:00Z")]
    blocked = {
        "message": "The agent does not take its config (exit code 78).",
        "reason": "BadConfig",
        "repair": "Correct the config, then start the pod.",
        "updated_at": None,
    }
    return [
        make_pod("zeta/main", "crash-loop", status=loop, conditions=down),
        make_pod("zeta/blocked", "blocked", status=blocked, spec={"generation": 5, "size": "small"}, urls=[]),
        make_pod(f"{FACTORY}/main", "degraded"),
        make_pod("acme/support", conditions=conditions),
        make_pod("acme/model", "stopped", spec={"wanted": "stopped", "image": "echo:2", "memory": 2**31, "cpus": 500}),
    ]


LISTINGS = {
    "tenant-list": ("tenant", "list"),
    "tenant-get": ("tenant", "get", "acme"),
    "tenant-status": ("tenant", "status", "acme"),
    "tenant-status-by-day": ("tenant", "status", "acme", "--by", "day"),
    "pod-status-by-day": ("pod", "status", "acme/support", "--by", "day"),
    "pod-list": ("pod", "list"),
    "pod-get": ("pod", "get", "acme/support"),
    "pod-get-blocked": ("pod", "get", "zeta/blocked"),
    "pod-status": ("pod", "status", "acme/support"),
    "pod-status-blocked": ("pod", "status", "zeta/blocked"),
    "pod-stats": ("pod", "stats", "acme/support"),
    "pod-stats-since": ("pod", "stats", "acme/support", "--since", "24h"),
    "pod-events": ("pod", "events", "acme/support"),
    "adapter-list": ("adapter", "list"),
    "adapter-get": ("adapter", "get", "echo"),
    "plugin-list": ("plugin", "list"),
    "image-list": ("image", "list"),
    "operation-list": ("operation", "list"),
    "operation-get": ("operation", "get", "op-1"),
    "token-list": ("token", "list"),
    "alert-list": ("alert", "list"),
    "alert-silences": ("alert", "silence", "--list"),
    "alert-get": ("alert", "get", "0192f3a4-5b6c-7d8e-9f00-112233445566"),
    "notifier-get": ("notifier", "get", "mail"),
    "notifier-list": ("notifier", "list"),
    "notifier-kinds": ("notifier", "list", "--kinds"),
    "health": ("health",),
    "health-pod": ("health", "acme/support"),
    "reconcile": ("reconcile", "--dry-run"),
    "events": ("events",),
}
MAKING = {
    "create",
    "tenant create",
    "tenant update",
    "pod create",
    "image build",
    "token create",
    "notifier add",
    "notifier set",
}
"""Verbs that take ``-o`` and change something; their own tests look at their answers."""
EMPTY = ("tenant", "pod", "adapter", "plugin", "image", "operation", "token", "alert", "notifier")


def test_no_verb_with_formats_is_left_out():
    """A new listing cannot come without its golden outputs."""
    found = set()
    for path, command in verbs(cli):
        outputs = [one for one in command.params if "--output" in one.opts]
        if outputs and set(outputs[0].type.choices) >= set(FORMATS):
            found.add(path)
    assert (
        found == {" ".join(one[:2]).split(" --")[0].removesuffix(" acme/support") for one in LISTINGS.values()} | MAKING
    )


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("name", LISTINGS)
def test_every_listing_and_get_keeps_its_look_in_every_format(agentpod, platform, golden, name, output):
    """What a script reads today it reads the same tomorrow."""
    ended = agentpod(*LISTINGS[name], "-o", output)
    assert (ended.code, ended.err) == (0, "")
    golden(f"{name}.{output}.txt", ended.out)


@pytest.mark.parametrize("output", ["table", "wide"])
@pytest.mark.parametrize("name", LISTINGS)
def test_listings_speak_chinese_in_a_chinese_locale(agentpod, platform, golden, name, output):
    """A reader of Chinese gets headings and words in Chinese, aligned by their width."""
    ended = agentpod(*LISTINGS[name], "-o", output, LANG="zh_CN.UTF-8")
    assert ended.code == 0
    golden(f"{name}.{output}.zh.txt", ended.out)
    assert platform.requests[0].headers["accept-language"] == "zh-CN, en;q=0.5"


@pytest.mark.parametrize("output", ["json", "yaml", "name"])
@pytest.mark.parametrize("name", LISTINGS)
def test_what_programs_read_does_not_depend_on_the_language(agentpod, platform, name, output):
    """Only the words of people change with the locale."""
    assert agentpod(*LISTINGS[name], "-o", output).out == agentpod(*LISTINGS[name], "-o", output, LANG="zh_CN").out


@pytest.mark.parametrize("language", ["C.UTF-8", "zh_CN.UTF-8"])
def test_columns_stand_below_one_another(agentpod, platform, language):
    """A wide character takes two places on a terminal, and is counted so."""
    head, *rows = agentpod("tenant", "list", LANG=language).out.splitlines()
    wanted = width(head[: head.index("WANTED" if "WANTED" in head else "期望")])
    assert {width(row[: re.search("running|stopped", row).start()]) for row in rows} == {wanted}


@pytest.mark.parametrize("name", [name for name in LISTINGS if name.endswith(("list", "events"))])
def test_a_name_is_one_line_that_other_verbs_take(agentpod, platform, name):
    """`-o name` feeds xargs."""
    lines = agentpod(*LISTINGS[name], "-o", "name").out.splitlines()
    assert lines
    assert [line for line in lines if line != line.strip() or " " in line or not line] == []


@pytest.mark.parametrize("name", LISTINGS)
def test_json_and_yaml_hold_the_same_as_the_server_gave(agentpod, platform, name):
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


@pytest.mark.parametrize("output", ["table", "wide", "name"])
@pytest.mark.parametrize("noun", EMPTY)
def test_an_empty_list_says_what_to_do_and_prints_nothing(agentpod, server, noun, output):
    """A pipe gets nothing, a person gets a word."""
    server.items(f"/{noun}s")
    ended = agentpod(noun, "list", "-o", output)
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.strip()


@pytest.mark.parametrize("noun", [*(f"{one} list" for one in EMPTY), "events"])
def test_an_empty_list_is_an_empty_array_in_json_and_yaml(agentpod, server, noun):
    """A script need not treat none apart."""
    server.items(f"/{noun.removesuffix(' list').removesuffix('s')}s")
    for output in ("json", "yaml"):
        ended = agentpod(*noun.split(), "-o", output)
        assert (ended.code, ended.out, ended.err) == (0, "[]\n", "")


def test_the_verdict_is_the_first_line_of_pod_status(agentpod, world):
    """One sentence says how the pod is before any detail."""
    assert agentpod("pod", "status", "acme/support").out.splitlines()[0] == "The agent answers."


def test_pod_status_tells_what_was_not_seen_yet(agentpod, server, make_pod):
    """A status that is older than the spec says so."""
    pod = make_pod(spec={"generation": 5})
    server.on("GET", "/tenants/acme/pods/support", pod)
    server.on("GET", "/tenants/acme/pods/support/status", pod["status"])
    assert "5 (seen: 2)" in agentpod("pod", "status", "acme/support").out


def test_adapter_schema_prints_the_schema(agentpod, server):
    """The schema comes out as it is, in both formats."""
    schema = {"type": "object", "properties": {"greeting": {"type": "string"}}}
    server.on("GET", "/adapters/echo/schema", schema)
    assert json.loads(agentpod("adapter", "schema", "echo").out) == schema
    assert yaml.safe_load(agentpod("adapter", "schema", "echo", "-o", "yaml").out) == schema
