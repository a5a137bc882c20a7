"""Plugins that are taken away: what was made with them runs on and is healed, and what is missing is said."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow]

SOURCE = Path(__file__).parent / "plugins" / "visitor.py"


@pytest.fixture(scope="module")
def house(new_platform, throwaway_plugins):
    """Give a platform with a running pod of a plugin, and the folder that the plugin is in."""
    folder = throwaway_plugins()
    folder.install("agentpod-visitor", SOURCE.read_text(), version="3.2", requires="agentpod-core>=0.1")
    platform = new_platform(network="10.232.0.0/16", extra={"PYTHONPATH": str(folder.path)})
    platform.up()
    platform.agentpod("tenant", "create", "inn")
    platform.agentpod("pod", "create", "inn/guest", "--adapter", "visitor")
    return platform, folder


def conditions(platform: Any) -> dict[str, Any]:
    """Give the pod's conditions by type."""
    return {one["type"]: one for one in platform.json("pod", "status", "inn/guest")["conditions"]}


def client(platform: Any) -> httpx.Client:
    """Give an administrator's client of the API."""
    context = json.loads((platform.state / "context.json").read_text())
    headers = {"Authorization": f"Bearer {context['token']}"}
    return httpx.Client(base_url=context["server"], headers=headers, timeout=10)


def login(platform: Any, browser: httpx.Client) -> None:
    """Begin a session of the dashboard."""
    word = next(line.split()[3] for line in platform.log.splitlines() if line.strip().startswith("login"))
    token = re.search(r'name="_csrf" value="([^"]+)"', browser.get("/login").text)
    assert token is not None
    browser.post("/login", data={"user": "admin", "password": word, "_csrf": token[1]})


def docker(*argv: str) -> None:
    """Run the engine's own client."""
    subprocess.run(["docker", *argv], check=True, capture_output=True)


def test_a_pod_outlives_its_plugin(house, wait_until) -> None:
    """Adapter and probe are uninstalled: the pod runs, is healed from what is stored, and says what is missing."""
    platform, folder = house
    assert "UpToDate" not in conditions(platform)
    platform.end(signal.SIGTERM)
    folder.uninstall("agentpod-visitor")
    platform.up()

    def missed() -> bool:
        found = conditions(platform)
        return "UpToDate" in found and found["Ready"]["reason"] == "PluginGone"

    wait_until(missed, seconds=30, what=f"the pod says what is missing: {conditions(platform)}")
    found = conditions(platform)
    for name in ("UpToDate", "Ready"):
        assert found[name]["status"] is None
        assert "visitor" in found[name]["message"]
        assert "agentpod-visitor 3.2" in found[name]["message"]
    assert found["Alive"]["status"] is True
    assert platform.json("pod", "get", "inn/guest")["status"]["phase"] == "running"
    assert platform.get("guest-inn.localhost").status_code == 200

    pod = platform.json("pod", "get", "inn/guest")
    before = platform.container(pod["id"])
    docker("kill", "-s", "KILL", before["Id"])
    wait_until(lambda: platform.get("guest-inn.localhost").status_code == 200, seconds=30, what="it is started again")
    docker("rm", "-f", before["Id"])

    def made_anew() -> bool:
        now = platform.container(pod["id"])
        return bool(now) and now["Id"] != before["Id"] and platform.get("guest-inn.localhost").status_code == 200

    wait_until(made_anew, seconds=30, what="it is made again from the stored workload")
    assert platform.container(pod["id"])["Config"]["Image"] == before["Config"]["Image"]


def test_what_needs_the_plugin_is_refused_and_what_does_not_works(house, wait_until) -> None:
    """Config and new pods of a missing adapter are refused by name; pages render; stop, start and delete work."""
    platform, _ = house
    refused = [
        platform.agentpod("pod", "config", "set", "inn/guest", "--set", "greeting=hi", check=None),
        platform.agentpod("pod", "create", "inn/other", "--adapter", "visitor", check=None),
    ]
    for done in refused:
        assert done.returncode != 0
        assert "agentpod-visitor 3.2" in done.stderr
    listed = {one["name"]: one for one in json.loads(platform.agentpod("plugin", "list", "-o", "json").stdout)}
    missing = listed["agentpod-visitor"]
    assert (missing["state"], missing["distribution"], missing["version"]) == ("missing", "agentpod-visitor", "3.2")
    assert {one["reason"] for one in missing["troubles"]} == {"PluginGone"}
    assert "missing" in platform.agentpod("plugin", "list").stdout
    with httpx.Client(base_url=f"http://127.0.0.1:{platform.port}", timeout=10, follow_redirects=True) as browser:
        login(platform, browser)
        pod = platform.json("pod", "get", "inn/guest")
        for path in ("/dashboard", "/dashboard/adapters", "/dashboard/pods", f"/dashboard/pods/{pod['id']}"):
            page = browser.get(path)
            assert page.status_code == 200, path
            assert "agentpod-visitor" in page.text or path == "/dashboard/pods", path
    platform.agentpod("pod", "stop", "inn/guest")
    platform.agentpod("pod", "start", "inn/guest", "--no-wait")
    wait_until(lambda: platform.get("guest-inn.localhost").status_code == 200, seconds=30, what="it runs again")


def test_a_server_without_runtime_and_router_comes_up_and_says_so(house, wait_until) -> None:
    """Where the plugins of engine and router are missing, pods run on and everybody can read what is wrong."""
    platform, _ = house
    platform.end(signal.SIGTERM)
    seen = len(platform.log)
    platform.env |= {"AGENTPOD_RUNTIME": "nowhere", "AGENTPOD_ROUTER": "nobody"}
    platform.up(status=503)
    url = f"http://127.0.0.1:{platform.port}/readyz"
    assert httpx.get(url).json() == {
        "ready": False,
        "checks": {"database": "ok", "engine": "UnknownRuntime", "router": "UnknownRouter"},
    }
    listed = {one["name"]: one for one in json.loads(platform.agentpod("plugin", "list", "-o", "json").stdout)}
    assert (listed["nowhere"]["state"], listed["nobody"]["state"]) == ("missing", "missing")
    with httpx.Client(base_url=f"http://127.0.0.1:{platform.port}", timeout=10, follow_redirects=True) as browser:
        login(platform, browser)
        page = browser.get("/dashboard").text
        assert "nowhere" in page
        assert "nobody" in page
    assert platform.agentpod("pod", "get", "inn/guest").stdout
    assert platform.get("guest-inn.localhost").status_code == 200
    assert "Traceback" not in platform.log[seen:]
    platform.end(signal.SIGTERM)
    platform.env.pop("AGENTPOD_RUNTIME")
    platform.env.pop("AGENTPOD_ROUTER")
    platform.up()
    platform.agentpod("pod", "delete", "inn/guest", "--yes")
    assert platform.agentpod("pod", "get", "inn/guest", check=None).returncode != 0


def test_plugins_are_listed_without_a_server(house) -> None:
    """On a machine whose server does not run, the plugins of this environment are loaded for a look."""
    platform, folder = house
    platform.agentpod("down")
    folder.install("agentpod-broken", "print('hello')\nraise OSError('no')\n", version="1.1")
    done = platform.agentpod("plugin", "list", "-o", "json")
    listed = {one["distribution"]: one for one in json.loads(done.stdout)}
    assert listed["agentpod-broken"]["state"] == "failed"
    assert listed["agentpod-docker"]["state"] == "ok"
    assert "No server" in done.stderr
