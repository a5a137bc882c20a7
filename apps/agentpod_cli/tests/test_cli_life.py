"""Start, stop, restart, delete, config, health, reconcile, images, open: what is sent and what is said."""

from __future__ import annotations

import json
import sys

import pytest

from agentpod_client import waiting

POD = "/tenants/acme/pods/support"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Polling costs the tests no time."""
    monkeypatch.setattr(waiting, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(waiting, "LAST_PAUSE", 0.001)


@pytest.mark.parametrize(("verb", "word"), [("start", "ready"), ("restart", "ready"), ("stop", "stopped")])
def test_a_verb_is_sent_and_followed_to_its_end(agentpod, server, make_pod, verb, word):
    """The status that is older than the verb does not count."""
    server.on("POST", f"{POD}/{verb}", make_pod(spec={"generation": 3}))
    old = make_pod(phase="stopped" if verb == "stop" else "running", spec={"generation": 3})
    server.on("GET", POD, old)
    phase = "stopped" if verb == "stop" else "running"
    server.on("GET", POD, make_pod(phase=phase, spec={"generation": 3}, status={"observed_generation": 3}))
    ended = agentpod("pod", verb, "acme/support")
    assert ended.code == 0
    assert f"Pod acme/support is {word} after" in ended.out
    assert len(server.asked("GET", POD)) == 2
    assert len(server.asked("POST", f"{POD}/{verb}")) == 1


def test_no_wait_sends_the_verb_and_asks_nothing(agentpod, server):
    """What is not waited for is not asked after."""
    server.on("POST", f"{POD}/stop", {})
    ended = agentpod("pod", "stop", "acme/support", "--no-wait")
    assert (ended.code, len(server.requests)) == (0, 1)


DELETIONS = [
    (("pod", "delete", "acme/support"), POD, {}),
    (("pod", "delete", "acme/support", "--keep-data"), POD, {"keep_data": "true"}),
    (("tenant", "delete", "acme"), "/tenants/acme", {}),
    (("tenant", "delete", "acme", "--cascade"), "/tenants/acme", {"cascade": "true"}),
]


@pytest.fixture
def deleting(server, make_pod, make_tenant):
    """A server on which things are there twice more and then gone."""
    for path, thing in ((POD, make_pod()), ("/tenants/acme", make_tenant(pods=2))):
        server.on("DELETE", path, thing, status=202)
        server.on("GET", path, thing)
        server.on("GET", path, thing)
        server.refuse("GET", path, 404, "PodNotFound")
    return server


@pytest.mark.parametrize(("arguments", "path", "query"), DELETIONS)
def test_deleting_waits_until_nothing_is_left(agentpod, deleting, arguments, path, query):
    """Done means gone."""
    ended = agentpod(*arguments, "--yes")
    assert ended.code == 0
    assert "is deleted" in ended.out
    assert deleting.asked("DELETE", path)[0].query == query


@pytest.mark.parametrize("arguments", [one for one, _, _ in DELETIONS])
def test_destructive_verbs_need_somebody_to_ask(agentpod, deleting, arguments):
    """A script that did not say --yes destroys nothing, and is told why."""
    ended = agentpod(*arguments)
    assert ended.code == 2
    assert "--yes" in ended.err
    assert [one.method for one in deleting.requests if one.method != "GET"] == []


@pytest.mark.parametrize(("answer", "code"), [("\n", 1), ("n\n", 1), ("y\n", 0)])
def test_destructive_verbs_ask_and_the_default_is_no(agentpod, deleting, answer, code):
    """Only a clear yes destroys."""
    ended = agentpod("pod", "delete", "acme/support", asks=True, stdin=answer)
    assert ended.code == code
    assert "ALL ITS DATA" in ended.err
    assert len(deleting.asked("DELETE", POD)) == (1 if code == 0 else 0)


def test_deleting_with_pods_says_how_many(agentpod, deleting):
    """The question names what would be lost."""
    ended = agentpod("tenant", "delete", "acme", "--cascade", asks=True, stdin="n\n")
    assert "with its 2 pods and ALL THEIR DATA" in ended.err


def test_deleting_what_is_not_there_is_3(agentpod, server):
    """Nothing is asked about a thing that does not exist."""
    server.refuse("GET", POD, 404, "PodNotFound")
    assert agentpod("pod", "delete", "acme/support").code == 3


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_a_tenant_is_started_and_stopped(agentpod, server, verb):
    """One request each."""
    server.on("POST", f"/tenants/acme/{verb}", {})
    assert agentpod("tenant", verb, "acme").code == 0


def test_a_tenant_is_updated_as_it_is_now(agentpod, server, make_tenant):
    """The write carries the version that was read, so that it overtakes nobody."""
    server.on("GET", "/tenants/acme", make_tenant(), headers={"ETag": '"7"'})
    server.on("PATCH", "/tenants/acme", make_tenant(name="New"))
    assert "New" in agentpod("tenant", "update", "acme", "--name", "New").out
    sent = server.asked("PATCH", "/tenants/acme")[0]
    assert (sent.headers["if-match"], sent.body) == ('"7"', {"name": "New"})
    assert agentpod("tenant", "update", "acme").code == 2


@pytest.fixture
def configured(server):
    """A server with a pod's config."""
    config = {"greeting": "你好", "key": {"$secret": True}, "models": [{"name": "m1"}]}
    view = {"adapter": "echo", "config_version": 1, "generation": 4, "config": config}
    server.on("GET", f"{POD}/config", view, headers={"ETag": '"4"'})
    server.on("PATCH", f"{POD}/config", view | {"generation": 5})
    return server


def test_config_get_shows_all_or_one_field(agentpod, configured):
    """A field is named as --set names it."""
    assert "greeting: 你好" in agentpod("pod", "config", "get", "acme/support").out
    assert agentpod("pod", "config", "get", "acme/support", "greeting").out == "你好\n"
    assert agentpod("pod", "config", "get", "acme/support", "models.0.name").out == "m1\n"
    assert json.loads(agentpod("pod", "config", "get", "acme/support", "-o", "json").out)["key"] == {"$secret": True}
    for path in ("nothing", "models.9", "models.x", "greeting.more"):
        assert agentpod("pod", "config", "get", "acme/support", path).code == 3


def test_config_set_sends_raw_texts_and_secrets_with_the_version_read(agentpod, configured):
    """The server reads the texts by the schema."""
    ended = agentpod("pod", "config", "set", "acme/support", "greeting=Hi", "--secret", "key=env:KEY", KEY="s3cret")
    assert ended.code == 0
    sent = configured.asked("PATCH", f"{POD}/config")[0]
    assert sent.body == {"set": {"greeting": "Hi"}, "secrets": {"key": "s3cret"}}
    assert sent.headers["if-match"] == '"4"'
    assert "s3cret" not in ended.out + ended.err
    assert agentpod("pod", "config", "set", "acme/support").code == 2


def write_editor(tmp_path, *programs):
    """Make an editor that runs the given Python statements on the text, one at each call."""
    script = tmp_path / "editor.py"
    lines = "\n".join(f"    {one!r}," for one in programs)
    script.write_text(
        f"import pathlib, sys\ncount = pathlib.Path({str(tmp_path / 'count')!r})\n"
        f"turn = int(count.read_text()) if count.exists() else 0\ncount.write_text(str(turn + 1))\n"
        f"path = pathlib.Path(sys.argv[1])\ntext = path.read_text()\nprograms = [\n{lines}\n]\n"
        "scope = {'text': text}\nexec(programs[turn], scope)\npath.write_text(scope['text'])\n"
    )
    return f"{sys.executable} {script}"


def test_config_edit_replaces_what_was_edited(agentpod, configured, tmp_path):
    """Comments are left out, the version read is demanded."""
    configured.on("PUT", f"{POD}/config", {"adapter": "echo", "config_version": 1, "generation": 5, "config": {}})
    editor = write_editor(tmp_path, "text = text.replace('你好', 'Hi')")
    ended = agentpod("pod", "config", "edit", "acme/support", asks=True, VISUAL=editor, EDITOR=editor)
    assert ended.code == 0, ended
    sent = configured.asked("PUT", f"{POD}/config")[0]
    assert sent.body["config"] == {"greeting": "Hi", "key": {"$secret": True}, "models": [{"name": "m1"}]}
    assert sent.headers["if-match"] == '"4"'


def test_config_edit_comes_back_with_what_was_refused(agentpod, configured, tmp_path):
    """Work in the editor is not lost over a mistake."""
    problem = [{"path": "$.greeting", "reason": "TooLong", "message": "Too long."}]
    configured.refuse("PUT", f"{POD}/config", 422, "InvalidConfig", problems=problem)
    configured.on("PUT", f"{POD}/config", {"adapter": "echo", "config_version": 1, "generation": 5, "config": {}})
    editor = write_editor(
        tmp_path,
        "text = text.replace('你好', 'a: [')",
        "assert 'YAML' in text; text = text.replace('a: [', 'far too long')",
        "assert '# ' in text and '$.greeting: Too long.' in text; text = text.replace('far too long', 'Hi')",
    )
    ended = agentpod("pod", "config", "edit", "acme/support", asks=True, VISUAL=editor, EDITOR=editor)
    assert ended.code == 0
    assert [one.body["config"]["greeting"] for one in configured.asked("PUT", f"{POD}/config")] == [
        "far too long",
        "Hi",
    ]


def test_config_edit_of_nothing_changes_nothing(agentpod, configured, tmp_path):
    """Leaving the editor is always safe, and a terminal is needed."""
    editor = write_editor(tmp_path, "pass")
    ended = agentpod("pod", "config", "edit", "acme/support", asks=True, VISUAL=editor, EDITOR=editor)
    assert (ended.code, configured.asked("PUT", f"{POD}/config")) == (0, [])
    assert agentpod("pod", "config", "edit", "acme/support").code == 2


@pytest.mark.parametrize(("well", "code"), [(True, 0), (False, 1), (None, 0)])
def test_health_tells_by_its_exit_code(agentpod, server, make_health, well, code):
    """A monitor needs no parsing; a pod that is not to run is no trouble."""
    server.on("GET", f"{POD}/health", make_health(well=well))
    ended = agentpod("health", "acme/support")
    assert ended.code == code
    assert ended.out.startswith("It answers.\n\nPhase ")
    assert json.loads(agentpod("health", "acme/support", "-o", "json").out)["well"] is well


def test_health_of_all_puts_trouble_first(agentpod, server, make_health):
    """Without a pod the server and all agents are told, those in trouble on top, and the exit code is theirs."""
    server.on("GET", "//readyz", {"ready": True, "checks": {"database": "ok"}})
    fine, stopped = make_health(pod="fine"), make_health(pod="stopped", well=None, ready=None)
    server.items("/health", fine, stopped)
    server.items("/health", fine, stopped, make_health(pod="ill", well=False, ready=False, message="It is silent."))
    well, ill = agentpod("health"), agentpod("health", "-o", "name")
    assert (well.code, ill.code, ill.out) == (0, 1, "acme/ill\nacme/fine\nacme/stopped\n")
    told = json.loads(agentpod("health", "-o", "json").out)
    assert (told["server"]["ready"], [one["pod"] for one in told["pods"]]) == (True, ["ill", "fine", "stopped"])


def test_a_server_that_does_not_lead_says_so(agentpod, server, make_health):
    """What only the leader knows is left out, and why is said."""
    unknown = ("seconds", "checked_at", "next_at", "failures", "silences", "waited", "memory")
    server.on("GET", f"{POD}/health", make_health(asked_here=False) | dict.fromkeys(unknown))
    said = agentpod("health", "acme/support").out
    assert "This server does not lead" in said
    assert "Answered" not in said


def test_growing_memory_is_told_with_its_end(agentpod, server, make_health):
    """Rate and time left are in the words of a person."""
    growing = {"used": 900 * 2**20, "limit": 2**30, "growth": 2**20 // 10, "full_in": 1240.0}
    server.on("GET", f"{POD}/health", make_health(memory=growing))
    assert "Memory grows        6MiB a minute, full in 20 min 40 s" in agentpod("health", "acme/support").out


def test_stats_look_back_and_show_gaps(agentpod, server):
    """The span goes to the server as it was given; a time in which nothing was measured is a line of dashes."""

    def point(minute):
        used = {"cpu": 100, "cpu_max": 900, "memory": 2**20, "memory_max": 2**21, "memory_limit": None}
        return used | {"at": f"2026-03-01T11:{minute}:00Z", "storage": 2**30, "restarts": 0}

    history = [point(10), point(11), point(15)]
    server.on("GET", f"{POD}/stats", {"running": False, "step": 60, "history": history})
    lines = agentpod("pod", "stats", "acme/support", "--since", "1h").out.splitlines()
    assert [line.split()[2:] for line in lines[1:]] == [
        ["0.1", "0.9", "1MiB", "2MiB", "-", "1GiB", "0"],
        ["0.1", "0.9", "1MiB", "2MiB", "-", "1GiB", "0"],
        ["-"] * 7,
        ["0.1", "0.9", "1MiB", "2MiB", "-", "1GiB", "0"],
    ]
    assert server.asked("GET", f"{POD}/stats")[-1].query["since"] == "1h"


def test_stats_of_a_time_without_any_say_so(agentpod, server):
    """Where nothing was measured, no table is shown."""
    server.on("GET", f"{POD}/stats", {"running": True, "step": 60, "history": []})
    ended = agentpod("pod", "stats", "acme/support", "--since", "1h")
    assert (ended.out, "Nothing was measured of pod acme/support" in ended.err) == ("", True)


@pytest.mark.parametrize(("is_ready", "status", "code"), [(True, 200, 0), (False, 503, 1)])
def test_the_servers_own_health_is_told_part_by_part(agentpod, server, is_ready, status, code):
    """Also a server that answers 503 says which part is wrong."""
    checks = {"database": "ok", "runtime": "ok" if is_ready else "EngineUnreachable"}
    server.on("GET", "//readyz", {"ready": is_ready, "checks": checks}, status=status)
    server.items("/health")
    ended = agentpod("health")
    assert ended.code == code
    assert "database" in ended.out
    assert is_ready or "EngineUnreachable" in ended.out


PLANS = [
    {
        "key": "pod:1",
        "tenant": "acme",
        "pod": "support",
        "actions": [
            {"action": "create-volume", "target": "data", "reason": "Absent", "message": "The volume is missing."},
            {"action": "start-container", "target": "c1", "reason": "Exited", "message": ""},
        ],
        "status": None,
        "wake_at": None,
    },
    {"key": "tenant:2", "tenant": "zeta", "pod": None, "actions": [], "status": None, "wake_at": None},
]


def test_a_dry_run_prints_the_plan_with_reasons(agentpod, server, golden):
    """What would be done can be read before it is done."""
    server.on("POST", "/reconcile", {"dry_run": True, "passes": 2, "items": PLANS})
    ended = agentpod("reconcile", "--dry-run")
    golden("reconcile.txt", ended.out)
    assert server.requests[0].body == {"dry_run": True}
    assert json.loads(agentpod("reconcile", "--dry-run", "-o", "json").out)["items"] == PLANS
    assert agentpod("reconcile", "--dry-run", "-o", "name").out == "pod:1\ntenant:2\n"


def test_reconcile_waits_until_the_leader_has_looked(agentpod, server, make_operation):
    """Without --dry-run a pass is asked for, and followed to its end."""
    asked = {"dry_run": False, "passes": 1, "items": [], "operation": make_operation("pending")}
    server.on("POST", "/reconcile", asked, status=202)
    server.on("GET", "/operations/op-1", make_operation("running"))
    result = {"passes": 2, "ended": 2, "unfinished": []}
    server.on("GET", "/operations/op-1", make_operation("succeeded", result=result))
    ended = agentpod("reconcile", "acme/support")
    assert (ended.code, ended.out) == (0, "Looked at: 2.\n")
    assert server.asked("POST", "/reconcile")[0].body == {"dry_run": False, "tenant": "acme", "pod": "support"}
    assert len(server.asked("GET", "/operations/op-1")) == 2


def test_reconcile_that_failed_says_why(agentpod, server, make_operation):
    """A pass that the engine cut short is an error, told with what to do."""
    error = {
        "reason": "EngineUnreachable",
        "message": "The engine does not answer.",
        "repair": "Start it.",
        "params": {},
    }
    asked = {"dry_run": False, "passes": 1, "items": [], "operation": make_operation("pending")}
    server.on("POST", "/reconcile", asked, status=202)
    server.on("GET", "/operations/op-1", make_operation("failed", error=error))
    ended = agentpod("reconcile")
    assert ended.code == 1
    assert "The engine does not answer." in ended.err
    assert "Start it." in ended.err


def test_reconcile_names_what_the_engine_is_still_at(agentpod, server, make_operation):
    """What nobody has looked at is not counted: it is named, and the exit code is that of what took too long."""
    asked = {"dry_run": False, "passes": 3, "items": [], "operation": make_operation("pending")}
    server.on("POST", "/reconcile", asked, status=202)
    result = {"passes": 3, "ended": 1, "unfinished": ["acme/support", "acme/sales", "routes"]}
    server.on("GET", "/operations/op-1", make_operation("succeeded", result=result))
    ended = agentpod("reconcile")
    assert (ended.code, ended.out) == (5, "Looked at: 1.\n")
    assert "Not looked at to the end: acme/support, acme/sales, routes\n" in ended.err
    ended = agentpod("reconcile", "-o", "json")
    assert (ended.code, json.loads(ended.out)["result"]) == (5, result)


def test_reconcile_need_not_wait(agentpod, server, make_operation):
    """With --no-wait the passes are asked for and nothing more is asked."""
    asked = {"dry_run": False, "passes": 7, "items": [], "operation": make_operation("pending")}
    server.on("POST", "/reconcile", asked, status=202)
    ended = agentpod("reconcile", "--no-wait")
    assert (ended.code, ended.out) == (0, "Passes asked for: 7.\n")
    assert server.asked("GET", "/operations/op-1") == []


def operation(status, *, percent=None, line="Pulling", error=None):
    """Give an operation as the server shows it."""
    progress = {"percent": percent, "line": line}
    return {
        "id": "op-1",
        "kind": "image-build",
        "target": "echo",
        "status": status,
        "progress": progress,
        "error": error,
    }


def test_building_an_image_follows_its_operation(agentpod, server):
    """Progress is on stderr, the outcome on stdout."""
    server.on("POST", "/images", operation("pending", line=""), status=202)
    server.on("GET", "/operations/op-1", operation("running", percent=10.0))
    server.on("GET", "/operations/op-1", operation("running", percent=80.0))
    server.on("GET", "/operations/op-1", operation("succeeded"))
    ended = agentpod("image", "build", "echo")
    assert ended.code == 0
    assert "The image of echo is built after" in ended.out
    assert "Pulling 75 %" in ended.err


def test_a_failed_operation_is_1_with_its_reason_and_repair(agentpod, server):
    """What a long work failed of is told like any error."""
    error = {"reason": "BuildFailed", "message": "Step 3 failed.", "repair": "Look at the log.", "params": {}}
    server.on("POST", "/images", operation("pending"), status=202)
    server.on("GET", "/operations/op-1", operation("failed", error=error))
    ended = agentpod("image", "build", "echo")
    assert ended.code == 1
    assert "Step 3 failed." in ended.err
    assert "Look at the log." in ended.err


def test_open_prints_the_address_and_starts_a_browser_only_for_a_person(agentpod, server, monkeypatch):
    """In a pipe the address is the whole answer."""
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    server.on("POST", f"{POD}/open", {"url": "https://x.localhost/#once", "expires_at": "2026-03-01T12:05:00Z"})
    ended = agentpod("pod", "open", "acme/support", DISPLAY=":0")
    assert ended.out == "https://x.localhost/#once\n"
    assert "2026-03-01 12:05:00" in ended.err
    assert opened == []
    agentpod("pod", "open", "acme/support", "--print", terminal=True)
    assert opened == []
    agentpod("pod", "open", "acme/support", terminal=True)
    assert opened == ["https://x.localhost/#once"]


def test_stats_of_a_pod_that_does_not_run_say_so(agentpod, server):
    """No row of nothings."""
    server.on("GET", f"{POD}/stats", {"running": False, "cpu": None, "memory": None})
    assert agentpod("pod", "stats", "acme/support").out == "Pod acme/support does not run.\n"
