"""What somebody does to a platform's objects with the engine's own tools, and what the platform makes of it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow]

NETWORK = "10.228.0.0/17"
SOCKET = Path("/var/run/docker.sock")


def docker(*argv: str, check: bool = True) -> str:
    """Run the engine's own client."""
    return subprocess.run(["docker", *argv], capture_output=True, text=True, check=check).stdout.strip()


def eat_too_much(container: dict) -> None:
    """Have an agent take twice the memory that it may."""
    token = docker("exec", container["Id"], "cat", "/run/agentpod/secrets/token", check=False)
    (network,) = container["NetworkSettings"]["Networks"].values()
    url = f"http://{network['IPAddress']}:8080/admin/memory"
    headers, body = {"Authorization": f"Bearer {token}"}, {"bytes": 2 * container["HostConfig"]["Memory"]}
    # It ends before it answers; where it has not begun to listen, there is another time.
    with contextlib.suppress(httpx.HTTPError):
        httpx.post(url, headers=headers, json=body, timeout=5)


class Shop:
    """A platform with one pod, and the hands to disturb it."""

    def __init__(self, platform, wait_until) -> None:
        self.platform = platform
        self.wait_until = wait_until
        platform.agentpod("tenant", "create", "shop")
        platform.agentpod("pod", "create", "shop/till", "--adapter", "echo")
        self.id = platform.json("pod", "get", "shop/till")["id"]
        self.host = "till-shop.localhost"

    @property
    def container(self) -> dict:
        return self.platform.container(self.id)

    @property
    def name(self) -> str:
        return self.container["Name"].removeprefix("/")

    @property
    def status(self) -> dict:
        return self.platform.json("pod", "get", "shop/till")["status"]

    def events(self) -> list[str]:
        """Give the reasons of all events."""
        return [one["reason"] for one in self.platform.json("events")]

    def until(self, condition, what: str, seconds: float = 20) -> object:
        return self.wait_until(condition, seconds=seconds, what=what)

    def is_well(self) -> None:
        self.until(lambda: self.status["ready"], "the pod is ready again")
        self.until(lambda: self.platform.get(self.host, "/readyz").status_code == 200, "its address answers")


@pytest.fixture(scope="module")
def shop(new_platform, wait_until) -> Shop:
    """A platform that was started before its engine was there."""
    platform = new_platform(network=NETWORK)
    socket = platform.state.parent / "engine.sock"
    platform.env["AGENTPOD_RUNTIME_DOCKER_URL"] = f"unix://{socket}"
    platform.up(status=503)
    platform.agentpod("tenant", "create", "early")
    made = json.loads(
        platform.agentpod("pod", "create", "early/bird", "--adapter", "echo", "--no-wait", "-o", "json").stdout
    )
    assert made["status"]["ready"] is False
    assert platform.process.poll() is None
    wait_until(
        lambda: "EngineUnreachable" in [one["reason"] for one in platform.json("events")],
        seconds=40,
        what="the operator is told",
    )
    socket.symlink_to(SOCKET)
    wait_until(
        lambda: platform.json("pod", "get", "early/bird")["status"]["ready"], seconds=40, what="the engine is found"
    )
    return Shop(platform, wait_until)


def test_an_engine_that_comes_later_is_found(shop) -> None:
    """The server came up without it and said so once; with it the pod that waited runs, and the alert is over."""
    assert shop.events().count("EngineUnreachable") == 1
    (alert,) = [one for one in shop.platform.json("alert", "list", "--all") if one["reason"] == "EngineUnreachable"]
    assert alert["cleared_at"]
    assert "Traceback" not in shop.platform.log


def test_limits_set_by_hand_are_set_back(shop) -> None:
    """Memory, processors, processes and restart policy are as they were, in the same container."""
    before = shop.container
    shown = ("Memory", "NanoCpus", "PidsLimit", "RestartPolicy")
    docker(
        "update", "--memory", "64m", "--memory-swap", "64m", "--pids-limit", "33", "--restart", "always", before["Id"]
    )
    wanted = {key: before["HostConfig"][key] for key in shown}
    shop.until(lambda: {key: shop.container["HostConfig"][key] for key in shown} == wanted, "the limits are back")
    assert (shop.container["Id"], shop.container["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])


def test_a_paused_container_goes_on(shop) -> None:
    """It is thawed, and not restarted."""
    before = shop.container
    docker("pause", before["Id"])
    shop.until(lambda: not shop.container["State"]["Paused"], "it goes on")
    assert shop.container["State"]["StartedAt"] == before["State"]["StartedAt"]
    shop.is_well()


def test_a_second_container_goes_and_ours_stays(shop) -> None:
    """One that somebody ran with the pod's labels is removed as soon as it starts."""
    before = shop.container
    labels = [f"--label={key}={value}" for key, value in before["Config"]["Labels"].items()]
    docker("run", "-d", "--name", "agentpod-double", *labels, "--entrypoint", "sleep", before["Config"]["Image"], "600")
    shop.until(lambda: not docker("ps", "-aq", "--filter", "name=agentpod-double"), "the double is gone", 10)
    assert shop.container["Id"] == before["Id"]
    shop.is_well()


def test_a_network_that_was_taken_away_comes_back(shop) -> None:
    """A container that was forced out of its network, which was then removed, gets both again at its address."""
    before = shop.container
    [(network, place)] = before["NetworkSettings"]["Networks"].items()
    docker("network", "disconnect", "-f", network, before["Id"])
    docker("network", "rm", network)
    shop.until(lambda: shop.container.get("Id") not in {None, before["Id"]}, "it is made anew", 40)
    shop.is_well()
    assert shop.container["NetworkSettings"]["Networks"][network]["IPAddress"] == place["IPAddress"]


def test_a_volume_that_was_removed_is_told_of(shop) -> None:
    """The pod goes on with an empty one, and an event says that the data is lost."""
    name, volumes = shop.name, [one["Name"] for one in shop.container["Mounts"] if one["Type"] == "volume"]
    # Else the platform is quicker than the second command.
    shop.platform.process.send_signal(signal.SIGSTOP)
    try:
        docker("rm", "-f", name)
        docker("volume", "rm", *volumes)
    finally:
        shop.platform.process.send_signal(signal.SIGCONT)
    shop.until(lambda: shop.container, "it is made anew")
    shop.is_well()
    assert shop.events().count("VolumeLost") == 1
    assert [docker("volume", "inspect", "-f", "{{.Name}}", one) for one in volumes] == volumes


def test_who_holds_the_address_is_named_and_left_alone(shop) -> None:
    """While a stranger has the pod's address the pod says so; when it goes, the pod starts by itself."""
    shop.platform.agentpod("pod", "stop", "shop/till")
    [(network, _)] = shop.container["NetworkSettings"]["Networks"].items()
    address = shop.container["NetworkSettings"]["Networks"][network]["IPAMConfig"]["IPv4Address"]
    image = shop.container["Config"]["Image"]
    docker(
        "run",
        "-d",
        "--name",
        "squatter-shop",
        "--network",
        network,
        "--ip",
        address,
        "--entrypoint",
        "sleep",
        image,
        "600",
    )
    try:
        shop.platform.agentpod("pod", "start", "shop/till", "--no-wait")
        shop.until(lambda: shop.status["reason"] == "AddressTaken", "the holder is told of")
        assert "squatter-shop" in shop.status["message"]
        assert docker("inspect", "-f", "{{.State.Running}}", "squatter-shop") == "true"
    finally:
        docker("rm", "-f", "squatter-shop")
    shop.is_well()


def test_a_killed_child_is_told_of_while_the_agent_lives_on(shop) -> None:
    """A process of the agent's that takes too much memory is killed; that is said, and restarts nobody."""
    before = shop.container
    greedy = "x = bytearray(8 << 30)"
    limit = before["HostConfig"]["Memory"]
    assert limit
    assert limit < 8 << 30
    subprocess.run(["docker", "exec", before["Id"], "python3", "-c", greedy], capture_output=True, check=False)
    shop.until(lambda: "OutOfMemory" in shop.events(), "it is told of")
    assert shop.container["State"]["StartedAt"] == before["State"]["StartedAt"]


def test_an_agent_that_takes_too_much_memory_is_named(shop) -> None:
    """It is started again, and everywhere it is memory that it ended for: in events, in an alert, in its verdict."""
    name = "shop/glutton"
    shop.platform.agentpod("pod", "create", name, "--adapter", "echo")
    pod = shop.platform.json("pod", "get", name)["id"]
    first = shop.platform.container(pod)

    def told() -> list[tuple[str, bool | None]]:
        events = shop.platform.json("pod", "events", name)
        return [(one["reason"], one["params"].get("child")) for one in events if one["kind"] in {"container", "health"}]

    eat_too_much(first)
    shop.until(lambda: shop.platform.container(pod)["State"]["StartedAt"] != first["State"]["StartedAt"], "it starts")
    shop.until(told, "its end is told of")
    shop.until(lambda: shop.platform.json("pod", "get", name)["status"]["ready"], "it is ready again")
    assert told() == [("OutOfMemory", None)]
    opened = shop.platform.json("alert", "list", "--tenant", "shop", "--pod", "glutton")
    assert [one["reason"] for one in opened] == ["OutOfMemory"]

    def is_named() -> bool:
        # It ends again and again, until the pauses between its tries are long enough to ask in one of them.
        if (seen := shop.platform.container(pod))["State"]["Running"]:
            eat_too_much(seen)
        verdict = shop.platform.agentpod("pod", "status", name).stdout.splitlines()[0]
        return "killed for lack of memory (limit 128" in verdict

    shop.until(is_named, "its verdict names memory", 60)
    reasons = {one["reason"] for one in shop.platform.json("pod", "events", name)}
    assert reasons.isdisjoint({"ContainerExited", "RestartedByEngine", "NotAnswering", "StartTooSlow"})


def test_an_unknown_container_is_reported_and_left(shop) -> None:
    """What carries the platform's label and is in no database is told of once, and runs on."""
    labels = {**shop.container["Config"]["Labels"], "agentpod.pod-id": "nobody"}
    given = [f"--label={key}={value}" for key, value in labels.items()]
    docker(
        "run",
        "-d",
        "--name",
        "agentpod-orphan",
        *given,
        "--entrypoint",
        "sleep",
        shop.container["Config"]["Image"],
        "60",
    )
    try:
        shop.until(lambda: "OrphanContainer" in shop.events(), "it is told of")
        assert docker("inspect", "-f", "{{.State.Running}}", "agentpod-orphan") == "true"
    finally:
        docker("rm", "-f", "agentpod-orphan")
