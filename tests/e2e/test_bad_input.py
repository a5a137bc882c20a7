"""What a user gets wrong, on a whole platform: each time it is said what and where, and nothing half-made stays."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow]

SECRET = "sk-typed-in-the-wrong-place"
ECHO = ("--adapter", "echo")
NO_ADDRESS = "http://127.0.0.1:9"

REFUSED = [
    # Names that are no DNS label.
    (("tenant", "create", "Acme_Ltd"), 2, ["$.slug", "Acme_Ltd"]),
    (("tenant", "create", ""), 2, ["$.slug", '""']),
    (("tenant", "create", "a" * 31), 2, ["$.slug", "1-30"]),
    (("tenant", "create", "../x"), 2, ["$.slug"]),
    (("tenant", "create", "ümlaut"), 2, ["$.slug"]),
    (("tenant", "create", "--", "-x"), 2, ["$.slug"]),
    (("tenant", "create", "fine", "--name", "two\nlines", "--email", "nobody"), 2, ["$.name", "$.email"]),
    (("pod", "create", "bad/Foo", *ECHO), 2, ["$.name", "Foo"]),
    (("pod", "create", "bad/..", *ECHO), 2, ["$.name"]),
    (("pod", "create", "bad", *ECHO), 2, ["TENANT/POD", "bad/main"]),
    (("pod", "create", "bad/x", *ECHO, "--subdomain", "a.b"), 2, ["$.subdomain"]),
    (("pod", "create", "bad/x", *ECHO, "--subdomain", "agentpod"), 2, ["$.subdomain", "reserved"]),
    # What is not there.
    (("pod", "create", "nobody/x", *ECHO), 3, ["nobody", "agentpod tenant list"]),
    (("pod", "get", "bad/nothing"), 3, ["nothing"]),
    (("tenant", "get", "nobody"), 3, ["nobody"]),
    (("pod", "list", "--tenant", "nobody"), 3, ["nobody"]),
    (("adapter", "get", "ecoh"), 3, ["Known: echo"]),
    (("image", "build", "ecoh"), 3, ["Known: echo"]),
    (("pod", "create", "bad/x", "--adapter", "ecoh"), 2, ["$.adapter", "Known: echo"]),
    (("create", "newcomer", "--type", "ecoh"), 2, ["$.adapter", "Known: echo"]),
    (("create", "newcomer2", "--type", "echo", "--set", "greting=x"), 2, ["$.config.greting", "greeting"]),
    (("create", "newcomer3", "--type", "echo", "--channel", "fax"), 2, ["$.config.channel", "web"]),
    # Secrets where they would show.
    (("pod", "create", "bad/x", *ECHO, "--set", f"api_key={SECRET}"), 2, ["$.config.api_key", "--secret"]),
    (("pod", "create", "bad/x", *ECHO, "--secret", f"api_key={SECRET}"), 2, ["api_key=@FILE", "process list"]),
    (("pod", "create", "bad/x", *ECHO, "--secret", SECRET), 2, ["PATH=VALUE"]),
    (("pod", "create", "bad/x", *ECHO, "--secret", "api_key=env:NOT_SET"), 2, ["NOT_SET"]),
    (("pod", "create", "bad/x", *ECHO, "--secret", "api_key=@/nowhere"), 2, ["/nowhere"]),
    # What is there already.
    (("tenant", "create", "bad", "--name", "Another"), 4, ["bad"]),
    (("pod", "create", "bad/taken", *ECHO, "--set", "greeting=other"), 4, ["taken"]),
    (("pod", "create", "bad/other", *ECHO, "--subdomain", "taken-bad"), 4, ["bad/taken", "--subdomain"]),
    (("tenant", "delete", "bad", "--yes"), 4, ["--cascade"]),
    # Rubbish on the command line, and questions that nobody can answer.
    (("pod", "list", "-o", "xml"), 2, ["table", "json"]),
    (("pod", "list", "--phase", "dancing"), 2, ["running"]),
    (("pod", "delete", "bad/taken"), 2, ["--yes"]),
    (("pod", "config", "set", "bad/taken", "--set", "greeting.x=1"), 2, ["$.config.greeting.x", "single value"]),
    (("nonsense",), 2, ["nonsense"]),
    # Servers that are not there, or somebody else's.
    (("pod", "list", "--server", NO_ADDRESS), 7, ["agentpod up", NO_ADDRESS]),
    (("pod", "list", "--server", "ftp://example.org"), 2, ["http"]),
]


@pytest.fixture(scope="module")
def bad(platform):
    """Give a platform with the tenant ``bad``, which has the pod ``taken``."""
    platform.agentpod("tenant", "create", "bad")
    platform.agentpod("pod", "create", "bad/taken", *ECHO, "--set", "greeting=first")
    yield platform
    platform.agentpod("tenant", "delete", "bad", "--cascade", "--yes")


def world(platform) -> tuple[list[str], ...]:
    """Give all that there is: tenants, pods, and what is on the engine."""
    tenants = platform.agentpod("tenant", "list", "-o", "name").stdout.split()
    pods = platform.agentpod("pod", "list", "-o", "name").stdout.split()
    return tenants, pods, sorted(platform.leftovers())


def ask(platform, method: str, path: str, *, token: str | None = None, **options) -> httpx.Response:
    """Ask the API; by default as the platform's own user."""
    context = json.loads((platform.state / "context.json").read_text())
    headers = {"Authorization": f"Bearer {token or context['token']}", **options.pop("headers", {})}
    return httpx.request(method, f"{context['server']}/api/v1{path}", headers=headers, timeout=10, **options)


def test_each_mistake_is_named_and_leaves_nothing(bad) -> None:
    """Exit code and text are right for every mistake, no secret is repeated, and the world is as it was."""
    before = world(bad)
    wrong = []
    with ThreadPoolExecutor(4) as several:
        ended = list(several.map(lambda one: bad.agentpod(*one[0], check=None, given=""), REFUSED))
    for (argv, code, texts), done in zip(REFUSED, ended, strict=True):
        missing = [text for text in texts if text not in done.stderr]
        if done.returncode != code or missing or SECRET in done.stdout + done.stderr or "Traceback" in done.stderr:
            wrong.append((argv, done.returncode, missing, done.stderr))
    assert wrong == []
    assert world(bad) == before
    assert SECRET not in bad.log
    assert "Traceback" not in bad.log


def test_all_mistakes_are_told_at_once_in_the_user_s_language(bad) -> None:
    """One attempt names every mistake with its place, in English and in Chinese."""
    argv = ["pod", "create", "bad/Foo", *ECHO, "--set", "greting=x", "--set", "model=no good", "--size", "huge"]
    argv += ["--set", f"api_key={SECRET}", "--memory", "lots", "--cpus", "-1", "--image", "NO IMAGE"]
    argv += ["--subdomain", "taken-bad"]
    places = {"$.name", "$.size", "$.memory", "$.cpus", "$.image", "$.subdomain"}
    places |= {"$.config.greting", "$.config.model", "$.config.api_key"}
    english = bad.agentpod(*argv, check=2).stderr
    assert {line.split(": ")[0].removeprefix("  - ") for line in english.splitlines() if line[:4] == "  - "} == places
    assert "bad/taken" in english
    bad.env["LC_ALL"] = "zh_CN.UTF-8"
    try:
        chinese = bad.agentpod(*argv, check=2).stderr
    finally:
        bad.env["LC_ALL"] = "C.UTF-8"
    assert all(place in chinese for place in places)
    assert "错误" in chinese
    assert "Must be" not in chinese
    assert "There is no" not in chinese


def test_a_pod_whose_image_is_nowhere_says_so_and_goes_without_a_trace(bad) -> None:
    """The command fails soon with the image's name, the status says the same, and a delete leaves nothing."""
    before = world(bad)
    failed = bad.agentpod("pod", "create", "bad/noimage", *ECHO, "--image", "nowhere/nothing:1", check=1)
    assert "nowhere/nothing:1" in failed.stderr
    assert "nowhere/nothing:1" in bad.agentpod("pod", "status", "bad/noimage").stdout.splitlines()[0]
    bad.agentpod("pod", "delete", "bad/noimage", "--yes")
    bad.agentpod("pod", "delete", "bad/noimage", "--yes", check=3)
    assert world(bad) == before


def test_creating_is_idempotent_and_may_be_cut_off(bad) -> None:
    """The same again is fine, also when the first attempt was killed at any moment."""
    bad.agentpod("tenant", "create", "bad")
    bad.agentpod("pod", "create", "bad/taken", *ECHO, "--set", "greeting=first")
    program = Path(sys.executable).parent / "agentpod"
    for seconds in (0.1, 0.2, 0.3):
        with subprocess.Popen(
            [program, "create", "cut", "--type", "echo"],
            env=bad.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as begun:
            try:
                begun.wait(seconds)
            except subprocess.TimeoutExpired:
                begun.kill()
    bad.agentpod("create", "cut", "--type", "echo")
    assert bad.agentpod("pod", "list", "--tenant", "cut", "-o", "name").stdout.split() == ["cut/main"]
    bad.agentpod("tenant", "delete", "cut", "--cascade", "--yes")


def test_a_wrong_token_and_too_little_of_a_right_are_not_allowed(bad) -> None:
    """A wrong token is 6, and so is a viewer who writes; the pod goes on as it was."""
    bad.env["AGENTPOD_TOKEN"] = "ap_wrong"
    try:
        assert "agentpod login" in bad.agentpod("pod", "list", check=6).stderr
        viewer = ask(bad, "POST", "/tokens", json={"name": "looker", "role": "viewer"}).json()
        bad.env["AGENTPOD_TOKEN"] = viewer["token"]
        assert "bad/taken" in bad.agentpod("pod", "list", "-o", "name").stdout
        bad.agentpod("pod", "stop", "bad/taken", check=6)
        bad.agentpod("tenant", "create", "mine", check=6)
    finally:
        del bad.env["AGENTPOD_TOKEN"]
    assert bad.json("pod", "get", "bad/taken")["spec"]["wanted"] == "running"
    assert ask(bad, "DELETE", f"/tokens/{viewer['id']}").status_code == 204


def test_writes_cursors_and_filters_are_checked(bad) -> None:
    """Preconditions, cursors and queries that are wrong answer as RFC 9457 problems with the right status."""
    pod = "/tenants/bad/pods/taken"
    generation = ask(bad, "GET", pod).headers["etag"]
    cursor = ask(bad, "GET", "/pods?limit=1").json()["next"] or "none"
    asked = [
        (("PATCH", pod), {"json": {"wanted": "running"}}, 428),
        (("PATCH", pod), {"json": {"wanted": "running"}, "headers": {"If-Match": '"999"'}}, 412),
        (("PATCH", pod), {"json": {"wanted": "running"}, "headers": {"If-Match": "rubbish"}}, 400),
        (("PATCH", pod), {"json": {"wanted": "deleted"}, "headers": {"If-Match": "*"}}, 422),
        (("PATCH", pod), {"json": [], "headers": {"If-Match": generation}}, 422),
        (("PATCH", pod), {"content": b"{", "headers": {"If-Match": generation}}, 400),
        (("PATCH", pod), {"content": b"", "headers": {"If-Match": generation}}, 400),
        (("POST", "/tenants"), {"content": b" " * 2_000_000}, 413),
        (("POST", "/tenants"), {"content": b"[" * 100_000}, 400),
        (("GET", f"/tenants?cursor={cursor}"), {}, 400),
        (("GET", f"/pods?limit=1&adapter=echo&cursor={cursor}"), {}, 400),
        (("GET", "/pods?limit=0"), {}, 400),
        (("GET", "/pods?limit=501"), {}, 400),
        (("GET", "/pods?phase=dancing"), {}, 400),
        (("GET", "/events?after=-1"), {}, 400),
        (("GET", f"{pod}/logs?tail=-1"), {}, 400),
        (("GET", "/tenants/..%2f..%2fetc"), {}, 404),
        (("PUT", "/tenants"), {"json": {}}, 405),
    ]
    answers = [ask(bad, *route, **options) for route, options, _ in asked]
    assert [one.status_code for one in answers] == [status for _, _, status in asked]
    assert {one.headers["content-type"] for one in answers} == {"application/problem+json"}
    assert ask(bad, "GET", pod).headers["etag"] == generation
    assert ask(bad, "PATCH", pod, json={"wanted": "running"}, headers={"If-Match": generation}).status_code == 200
    assert ask(bad, "GET", pod).headers["etag"] == generation


def test_the_api_is_closed_on_the_public_address_too(bad) -> None:
    """Through the router nobody gets anything without a token: neither the API nor the metrics."""
    for path, status in (("/api/v1/pods", 401), ("/metrics", 401), ("/api/v1/version", 401), ("/healthz", 200)):
        for headers in ({}, {"X-Forwarded-For": "127.0.0.1"}, {"Connection": "X-Forwarded-For"}):
            assert bad.get("agentpod.localhost", path, headers=headers).status_code == status, (path, headers)


def broken_distribution(folder: Path) -> Path:
    """Make an installed distribution whose plugin fails when it is imported."""
    info = folder / "agentpod_broken-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: agentpod-broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[agentpod]\nbroken = agentpod_broken\n")
    (folder / "agentpod_broken.py").write_text('raise RuntimeError("this plugin is broken")\n')
    return folder


def test_a_broken_plugin_is_listed_and_breaks_nothing_else(new_platform, tmp_path) -> None:
    """A plugin that cannot be imported is named with its reason, and the platform works without it."""
    broken = broken_distribution(tmp_path / "site")
    platform = new_platform(network="10.214.64.0/18", extra={"PYTHONPATH": str(broken)})
    platform.up()
    (row,) = [one for one in platform.json("plugin", "list") if one["name"] == "broken"]
    assert (row["loaded"], row["distribution"]) == (False, "agentpod-broken")
    assert "this plugin is broken" in row["error"]
    assert "echo" in platform.agentpod("adapter", "list", "-o", "name").stdout.split()
    assert re.search(r"plugin broken \(agentpod-broken .*\): failed", platform.log)
    platform.end(signal.SIGTERM)


def test_ports_that_are_taken_are_named_and_nothing_is_left_running(new_platform) -> None:
    """Each port has its setting in the error, and a start that failed leaves no process behind."""
    platform = new_platform(network="10.214.128.0/18")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for setting in ("AGENTPOD_PORT", "AGENTPOD_ROUTER_TRAEFIK_HTTP", "AGENTPOD_ROUTER_TRAEFIK_PING"):
            kept = platform.env[setting]
            platform.env[setting] = port
            failed = platform.agentpod("up", check=1)
            platform.env[setting] = kept
            assert port in failed.stderr
            assert f"with {setting}," in failed.stderr
            assert "Traceback" not in failed.stderr
            assert still_running(platform.state) == []


def still_running(state: Path) -> list[str]:
    """List the command lines of processes that belong to a state folder."""
    mine = str(state)
    lines = subprocess.run(["ps", "axww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return [line for line in lines.splitlines() if mine in line and str(os.getpid()) != line.split()[0]]


def test_settings_that_are_wrong_are_all_told_at_once(new_platform) -> None:
    """Each wrong variable is named in one attempt, and nothing is made."""
    wrong = {"AGENTPOD_PORT": "99999", "AGENTPOD_DOMAIN": "No Domain", "AGENTPOD_PROT": "1"}
    platform = new_platform(network="10.1.2.3/8", extra=wrong)
    failed = platform.agentpod("up", check=2)
    assert all(name in failed.stderr for name in [*wrong, "AGENTPOD_NETWORK_RANGE"])
    assert "AGENTPOD_PORT?" in failed.stderr
    assert not platform.state.exists()


def test_an_engine_that_is_not_there_is_told_by_the_server(new_platform) -> None:
    """Without a container engine the server comes up, says what is missing, and ends in order."""
    nowhere = {"AGENTPOD_RUNTIME_DOCKER_URL": "unix:///nowhere/docker.sock"}
    platform = new_platform(network="10.214.192.0/18", extra=nowhere)
    platform.up(status=503)
    answer = httpx.get(f"http://127.0.0.1:{platform.port}/readyz", timeout=5).json()
    assert answer["checks"]["engine"] == "EngineUnreachable"
    platform.agentpod("down")
    assert still_running(platform.state) == []
