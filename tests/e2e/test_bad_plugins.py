"""A platform full of plugins that misbehave: each is named, and everything else works."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow]

SOURCES = Path(__file__).parent / "plugins"
SETTING = f"sk-{secrets.token_hex(12)}"
"""A secret in the settings of a plugin."""

IMPORTS = "from agentpod_core import hookimpl\nfrom agentpod_echo import EchoAdapter\n"
HOOK = IMPORTS + "@hookimpl\ndef agentpod_agents():\n"
NAMED = IMPORTS + "class Adapter(EchoAdapter):\n    name = {name!r}\n"
OFFER = "\n@hookimpl\ndef agentpod_agents():\n    return [Adapter()]\n"

BAD: dict[str, tuple[str, str, str]] = {
    # Distribution: its code, its version, and the reason it has to be listed with.
    "bad-import": ("import no_such_module_at_all\n", "0.1", "PluginNotLoaded"),
    "bad-exit": ("raise SystemExit(3)\n", "0.2", "PluginNotLoaded"),
    "bad-name": (NAMED.format(name="") + OFFER, "0.3", "InvalidOfferName"),
    "bad-slug": (NAMED.format(name="Bad Name") + OFFER, "0.4", "InvalidOfferName"),
    "bad-type": (HOOK + "    return [EchoAdapter, 5]\n", "0.5", "WrongOffer"),
    "bad-hook": (HOOK + "    raise RuntimeError('no')\n", "0.6", "PluginNotLoaded"),
    "bad-sleep": ("import time\ntime.sleep(10**6)\n", "0.7", "PluginBlocked"),
    "bad-loop": (HOOK + "    while True:\n        pass\n", "0.8", "PluginBlocked"),
    "bad-spelling": (NAMED.format(name="spelt") + OFFER.replace("agents", "agnets"), "0.9", "UnknownHook"),
    "bad-core": ("import no_such_module_at_all\n", "0.10", "WrongCoreVersion"),
    "bad-twin": (NAMED.format(name="twin") + OFFER, "0.11", "NameOfferedTwice"),
    "bad-other-twin": (NAMED.format(name="twin") + OFFER, "0.12", "NameOfferedTwice"),
    "bad-echo": (NAMED.format(name="other-echo") + OFFER, "0.13", "PluginNameShared"),
    "bad-off": ("import no_such_module_at_all\n", "0.14", "PluginDisabled"),
}


@pytest.fixture(scope="module")
def zoo(new_platform, throwaway_plugins):
    """Give a running platform with every kind of bad plugin next to the good ones."""
    folder = throwaway_plugins()
    for name, (code, version, _) in BAD.items():
        requires = "agentpod-core>=99" if name == "bad-core" else "agentpod-core>=0.1"
        folder.install(name, code, version=version, requires=requires, point="echo" if name == "bad-echo" else "")
    for name in ("bad-probes", "bad-adapters", "bad-leak"):
        folder.install(name, (SOURCES / f"{name.replace('-', '_')}.py").read_text(), version="2.0")
    platform = new_platform(
        network="10.231.0.0/16",
        extra={
            "PYTHONPATH": str(folder.path),
            "AGENTPOD_PLUGIN_LOAD_TIMEOUT": "1",
            "AGENTPOD_PLUGIN_STALL_TIMEOUT": "1",
            "AGENTPOD_DISABLED_PLUGINS": "bad-off",
            "AGENTPOD_NOTIFIER_TELLER_PASSWORD": SETTING,
        },
    )
    platform.up()
    platform.agentpod("tenant", "create", "zoo")
    return platform


def plugins(platform: Any) -> dict[str, Any]:
    """Give the plugins by distribution, as the command line lists them."""
    return {one["distribution"]: one for one in json.loads(platform.agentpod("plugin", "list", "-o", "json").stdout)}


def client(platform: Any) -> httpx.Client:
    """Give an administrator's client of the API."""
    context = json.loads((platform.state / "context.json").read_text())
    headers = {"Authorization": f"Bearer {context['token']}"}
    return httpx.Client(base_url=context["server"], headers=headers, timeout=10)


@contextlib.contextmanager
def browser(platform: Any) -> Iterator[httpx.Client]:
    """Give a client that is logged in to the dashboard."""
    word = next(line.split()[3] for line in platform.log.splitlines() if line.strip().startswith("login"))
    with httpx.Client(base_url=f"http://127.0.0.1:{platform.port}", timeout=10, follow_redirects=True) as found:
        token = re.search(r'name="_csrf" value="([^"]+)"', found.get("/login").text)
        assert token is not None
        page = found.post("/login", data={"user": "admin", "password": word, "_csrf": token[1]})
        assert page.url.path == "/dashboard"
        yield found


def test_every_bad_plugin_is_named_and_the_good_ones_work(zoo) -> None:
    """Terminal, API and dashboard name each with distribution, version, reason and what to do; an echo pod runs."""
    zoo.agentpod("pod", "create", "zoo/good", "--adapter", "echo")
    assert zoo.get("good-zoo.localhost").status_code == 200
    found = plugins(zoo)
    table = zoo.agentpod("plugin", "list").stdout
    with browser(zoo) as dashboard:
        page = dashboard.get("/dashboard/adapters").text
    for name, (_, version, reason) in BAD.items():
        one = found[name]
        assert one["version"] == version
        assert reason in [trouble["reason"] for trouble in one["troubles"]], name
        assert one["troubles"][0]["repair"], name
        assert f"{name} {version}" in " ".join(trouble["message"] for trouble in one["troubles"]), name
        row = next(line for line in table.splitlines() if f" {name} " in f" {line} ")
        assert version in row
        assert one["state"] in row
        assert f"{name} {version}" in page, name
    states = {name: found[name]["state"] for name in BAD}
    assert states["bad-off"] == "disabled"
    assert states["bad-echo"] == "partly"
    assert {state for name, state in states.items() if name not in {"bad-off", "bad-echo"}} == {"failed"}
    assert found["agentpod-http-probe"]["state"] == "ok"


@pytest.mark.parametrize(
    ("adapter", "reason"),
    [
        ("raising", "PluginFailed"),
        ("dozing", "PluginBlocked"),
        ("looping", "PluginBlocked"),
        ("lying", "PluginAnsweredWrong"),
        ("twin", "NameOfferedTwice"),
    ],
)
def test_an_adapter_that_breaks_costs_one_request(zoo, adapter, reason) -> None:
    """Who asks for it is told whose fault it is; meanwhile the server answers others, and the list shows it."""
    with client(zoo) as api:
        answer = api.post("/api/v1/tenants/zoo/pods", json={"name": f"pod-{adapter}", "adapter": adapter})
        problem = answer.json()
        told = problem["problems"][0] if problem["reason"] == "InvalidConfig" else problem
        assert told["reason"] == reason
        assert "bad-" in json.dumps(told)
        assert api.get("/api/v1/adapters").status_code == 200
        if reason == "NameOfferedTwice":
            return
        listed = plugins(zoo)["bad-adapters"]
        assert listed["state"] == "partly"
        (trouble,) = [
            one for one in listed["troubles"] if (one["offer"], one["call"]) == (f"agent:{adapter}", "workload")
        ]
        assert (trouble["reason"], trouble["over"]) == (reason, False)
        assert trouble["at"]


def test_probes_that_misbehave_hold_up_nobody(zoo, wait_until) -> None:
    """Whatever a probe does, its own pod says who is to blame, and the server and other pods go on."""
    names = ("asleep", "spinning", "waiting", "stubborn", "quitting", "silly")
    for name in names:
        zoo.agentpod("pod", "create", f"zoo/{name}", "--adapter", name, "--no-wait")

    def conditions(name: str) -> dict[str, Any]:
        return {one["type"]: one for one in zoo.json("pod", "status", f"zoo/{name}")["conditions"]}

    for name in names:
        wait_until(
            lambda name=name: conditions(name).get("Ready", {}).get("reason", "").startswith("Plugin"),
            seconds=60,
            what=f"the pod asked by {name} names the plugin: {conditions(name)}",
        )
        ready = conditions(name)["Ready"]
        assert "bad-probes 2.0" in ready["message"], ready
        assert conditions(name)["Alive"]["status"] is True
    slowest = 0.0
    with client(zoo) as api:
        for _ in range(40):
            begun = time.monotonic()
            assert api.get("/api/v1/pods").status_code == 200
            slowest = max(slowest, time.monotonic() - begun)
            time.sleep(0.1)
    assert slowest < 3.0
    zoo.agentpod("pod", "create", "zoo/later", "--adapter", "echo")
    good = zoo.json("pod", "get", "zoo/later")
    subprocess.run(["docker", "kill", "-s", "KILL", zoo.container(good["id"])["Id"]], check=True, capture_output=True)
    wait_until(lambda: zoo.get("later-zoo.localhost").status_code == 200, seconds=30, what="the good pod is healed")
    calls = {one["offer"] for one in plugins(zoo)["bad-probes"]["troubles"]}
    assert calls >= {f"probe:{name}" for name in names}
    for name in names:
        zoo.agentpod("pod", "delete", f"zoo/{name}", "--yes")


def test_what_a_plugin_prints_logs_and_raises_shows_no_secret(zoo, wait_until) -> None:
    """A probe and a notifier that tell all they can reach tell it to nobody."""
    value = f"sk-{secrets.token_hex(12)}"
    asked = ("pod", "create", "zoo/leaky", "--adapter", "leaky", "--no-wait", "--secret", "api_key=-")
    zoo.agentpod(*asked, given=value)
    pod = zoo.json("pod", "get", "zoo/leaky")
    wait_until(lambda: zoo.log.count("leak ***") >= 8, seconds=60, what=f"the probe leaks\n{zoo.log[-3000:]}")
    inside = zoo.container(pod["id"])["Id"]
    read = ["docker", "exec", inside, "cat", "/run/agentpod/secrets/token"]
    token = subprocess.run(read, capture_output=True, text=True, check=True).stdout
    context = json.loads((zoo.state / "context.json").read_text())
    with client(zoo) as api:
        paths = ["plugins", "pods", "events?limit=500", "adapters", "operations"]
        paths += [f"tenants/zoo/pods/leaky{rest}" for rest in ("", "/status", "/health", "/plan", "/events", "/config")]
        answers = "\n".join(api.get(f"/api/v1/{path}").text for path in paths)
    said = "\n".join(
        zoo.agentpod(*verb).stdout
        for verb in (("plugin", "list", "-o", "json"), ("pod", "status", "zoo/leaky"), ("events",))
    )
    with browser(zoo) as dashboard:
        pages = "\n".join(dashboard.get(path).text for path in ("/dashboard/adapters", f"/dashboard/pods/{pod['id']}"))
    assert "Leaky" in answers
    assert "leaky" in zoo.log
    hidden = {"api key": value, "token": token, "setting": SETTING, "the admin's token": context["token"]}
    shown = {"log": zoo.log, "answers": answers, "command line": said, "dashboard": pages}
    assert [(what, where) for what, one in hidden.items() for where, text in shown.items() if one in text] == []
    zoo.agentpod("pod", "delete", "zoo/leaky", "--yes")
