"""What only a real engine can show of the Docker runtime, beyond the contract."""

# ruff: noqa: ASYNC110, ASYNC221, ASYNC240 - a test may block its own loop

from __future__ import annotations

import asyncio
import json
import subprocess
import uuid
from pathlib import Path

import msgspec
import pytest

from agentpod_core import (
    ConflictError,
    ContainerState,
    File,
    ObtainImage,
    PermanentError,
    PluginError,
    RemoveContainer,
    Security,
    StartContainer,
    TemporaryError,
    UpdateLimits,
)
from agentpod_core.testing import Stage
from agentpod_docker import DockerRuntime, agentpod_runtimes
from agentpod_docker.sweep import sweep

pytestmark = pytest.mark.docker


@pytest.fixture
def stage(docker_runtime, docker_instance, docker_image, docker_subnet):
    """A pod to apply."""
    return Stage(
        runtime=docker_runtime,
        instance=docker_instance,
        image=docker_image,
        subnet=docker_subnet,
        pod_id=str(uuid.uuid4()),
    )


def _inspect(hands, name: str) -> dict:
    return json.loads(hands.docker("inspect", name))[0]


def test_the_runtime_is_offered():
    """The plugin offers one runtime, named docker, and making it touches nothing."""
    assert [runtime.name for runtime in agentpod_runtimes()] == ["docker"]


async def test_a_runtime_that_is_not_open_says_so():
    """Use before ``open`` is an error of its own; closing is fine."""
    runtime = DockerRuntime()
    await runtime.close()
    with pytest.raises(PluginError):
        await runtime.has_image("x")


async def test_an_engine_that_comes_later_is_met_then(docker_opened, docker_wire, docker_image):
    """Opening where no engine listens yet is fine; what needs it says so until it is there, and then knows it."""
    await docker_wire.begin()
    runtime = await docker_opened(f"unix://{docker_wire.path}")
    with pytest.raises(TemporaryError) as caught:
        await runtime.observe()
    assert caught.value.reason == "EngineUnreachable"
    pull = ObtainImage(image=docker_image, reason="test")
    with pytest.raises(TemporaryError):
        await runtime.apply(pull, {})
    await docker_wire.end()
    await runtime.apply(pull, {})
    assert await runtime.has_image(docker_image)
    await runtime.close()


async def test_who_holds_an_address_or_a_subnet_is_named(stage, docker_hands, docker_image):
    """The refusal says which container or network of somebody else's is in the way."""
    docker_hands.docker("network", "create", "--subnet", stage.subnet, f"net-{stage.pod_id}")
    try:
        with pytest.raises(ConflictError) as subnet:
            await stage.make_network()
        assert subnet.value.params["holder"] == f"net-{stage.pod_id}"
    finally:
        docker_hands.docker("network", "rm", f"net-{stage.pod_id}")
    await stage.start()
    await stage.stop()
    name = f"squatter-{stage.pod_id}"
    docker_hands.docker(
        "run", "-d", "--name", name, "--network", stage.network, "--ip", stage.address, docker_image, "sleep", "600"
    )
    try:
        with pytest.raises(ConflictError) as address:
            await stage.start()
        assert address.value.params == {"address": stage.address, "holder": name}
    finally:
        docker_hands.docker("rm", "-f", name)


@pytest.mark.parametrize("policy", ["always", "on-failure:3", "no"])
async def test_a_policy_of_somebody_elses_is_drift(stage, docker_hands, policy):
    """Only the policy that leaves alone what was stopped is ours; setting the limits brings it back."""
    before = await stage.start()
    docker_hands.docker("update", "--restart", policy, stage.container)
    assert (await stage.inspect()).limits != before.limits
    await stage.runtime.apply(UpdateLimits(container=stage.container, limits=before.limits, reason="test"), {})
    assert (await stage.inspect()).limits == before.limits


async def test_a_container_whose_image_was_removed_runs_again(stage, docker_hands, docker_image):
    """An image that somebody untagged while the container was down is no reason not to start it."""
    tag = f"agentpod-test-{stage.pod_id}:1"
    docker_hands.docker("tag", docker_image, tag)
    pod = msgspec.structs.replace(stage, image=tag)
    await pod.start()
    await pod.stop()
    docker_hands.docker("rmi", "-f", tag)
    await pod.runtime.apply(StartContainer(container=pod.container, reason="test"), {})
    assert (await pod.inspect()).state is ContainerState.RUNNING


async def test_the_container_is_as_hard_as_asked(stage, docker_hands):
    """The engine itself confirms user, capabilities, read-only root, log limits and that nothing is published."""
    await stage.start()
    raw = _inspect(docker_hands, stage.container)
    host = raw["HostConfig"]
    assert raw["Config"]["User"] == "1000:1000"
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert (host["ReadonlyRootfs"], host["Privileged"], host["Init"]) == (True, False, True)
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert not host["PortBindings"]
    assert not [ports for ports in raw["NetworkSettings"]["Ports"].values() if ports]
    network = json.loads(docker_hands.docker("network", "inspect", stage.network))[0]
    assert network["Options"]["com.docker.network.bridge.name"] == stage.network
    result = await stage.runtime.exec(stage.container, ("touch", "/etc/x"), timeout=10, limit=100)
    assert result.code != 0
    assert await stage.run("touch", "/tmp/x") == b""


async def test_given_hosts_are_known(stage):
    """Further names can be looked up in the container."""
    await stage.create()
    await stage.runtime.apply(RemoveContainer(container=stage.container, reason="test"), {})
    creation = msgspec.structs.replace(stage.creation(), hosts={"llm.internal": "192.0.2.7"})
    await stage.runtime.apply(creation, stage.material)
    await stage.runtime.apply(StartContainer(container=stage.container, reason="test"), {})
    assert b"192.0.2.7\tllm.internal" in await stage.run("cat", "/etc/hosts")


async def test_a_paused_container_goes_on(stage, docker_hands):
    """Starting what somebody paused unpauses it."""
    before = await stage.start()
    docker_hands.docker("pause", stage.container)
    assert (await stage.inspect()).state is ContainerState.PAUSED
    await stage.runtime.apply(StartContainer(container=stage.container, reason="test"), {})
    assert before == await stage.inspect()


async def test_a_link_in_the_way_is_replaced_not_followed(stage):
    """An agent cannot make us write elsewhere by putting a link where a directory should be."""
    await stage.start(files=(File(path="/data/keep", parts=("k",)),))
    await stage.run("ln", "-s", "/plain", "/data/dir")
    await stage.write((File(path="/data/dir/file", parts=("x",)),))
    assert await stage.read("/data/dir/file") == b"x"
    assert await stage.read("/plain/file") is None


async def test_links_are_followed_when_read(stage):
    """A link to a file is read as the file; a directory is refused by name."""
    await stage.start(files=(File(path="/data/file", parts=("x",)),))
    await stage.run("ln", "-s", "/data/file", "/data/link")
    assert await stage.read("/data/link") == b"x"
    with pytest.raises(PermanentError) as caught:
        await stage.read("/data")
    assert caught.value.reason == "NotAFile"


async def test_an_existing_directory_keeps_its_mode(stage):
    """Directories that exist keep the mode that the agent gave them, and so does a volume's root."""
    await stage.start(files=(File(path="/data/dir/a", parts=("x",)),))
    await stage.run("sh", "-c", "busybox chmod 0711 /data/dir /data")
    await stage.write((File(path="/data/dir/b", parts=("x",)),))
    assert await stage.run("stat", "-c", "%a %u", "/data/dir") == b"711 1000\n"
    assert await stage.run("stat", "-c", "%a %u", "/data") == b"711 1000\n"
    assert await stage.run("stat", "-c", "%a %u", "/plain") == b"750 1000\n"


async def test_a_command_that_is_not_there_is_an_answer(stage):
    """A command that the image lacks gives a code, as a shell would."""
    await stage.start()
    result = await stage.runtime.exec(stage.container, ("no-such-thing",), timeout=10, limit=1000)
    assert result.code in {126, 127}


async def test_a_command_that_took_too_long_is_ended(stage, docker_hands):
    """What is given up does not run on in the container."""
    await stage.start()
    with pytest.raises(TemporaryError):
        await stage.runtime.exec(stage.container, ("sleep", "333"), timeout=0.3, limit=100)
    async with asyncio.timeout(10):
        while "sleep 333" in docker_hands.docker("top", stage.container):
            await asyncio.sleep(0.05)


async def test_errors_hold_no_secret(stage):
    """Whatever the engine says of a secret's value, it is not in the error."""
    await stage.create(command=('s"3cret',), security=Security(init=False))
    with pytest.raises(PermanentError) as caught:
        await stage.runtime.apply(StartContainer(container=stage.container, reason="test"), stage.material)
    assert caught.value.reason == "EngineRefused"
    assert 's"3cret' not in f"{caught.value} {caught.value!r} {caught.value.detail}"


async def test_a_network_made_anew_is_found(stage, docker_hands):
    """A stopped container whose network was removed and made again by us starts in the new one."""
    await stage.start()
    await stage.stop()
    docker_hands.docker("network", "rm", stage.network)
    with pytest.raises(TemporaryError) as caught:
        await stage.runtime.apply(StartContainer(container=stage.container, reason="test"), {})
    assert caught.value.reason == "NetworkMissing"
    await stage.make_network()
    await stage.runtime.apply(StartContainer(container=stage.container, reason="test"), {})
    assert (await stage.inspect()).address == stage.address


async def test_a_volume_that_the_engine_made_by_half_is_made_anew(stage, docker_hands):
    """An engine that is killed while it makes a volume knows it without labels afterwards."""
    docker_hands.docker("volume", "create", stage.volume)
    await stage.make_volume()
    assert json.loads(docker_hands.docker("volume", "inspect", stage.volume))[0]["Labels"] == stage.volume_labels()


async def test_what_lies_in_a_volume_that_nobody_calls_ours_stays(stage, docker_hands):
    """Somebody may have put it there by hand: then it is for a person to say whose it is."""
    docker_hands.docker("volume", "create", stage.volume)
    [found] = json.loads(docker_hands.docker("volume", "inspect", stage.volume))
    Path(found["Mountpoint"], "memory.md").write_text("kept")
    with pytest.raises(ConflictError) as caught:
        await stage.make_volume()
    assert caught.value.reason == "NameTaken"
    assert Path(found["Mountpoint"], "memory.md").read_text() == "kept"
    docker_hands.docker("volume", "rm", stage.volume)


async def test_a_host_route_is_a_taken_subnet(stage):
    """The engine would accept a subnet over a route of the host; we do not."""
    subnet = stage.subnet
    link = "aptest0"
    subprocess.run(["ip", "link", "add", link, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "link", "set", link, "up"], check=True)
        subprocess.run(["ip", "route", "add", subnet, "dev", link], check=True)
        with pytest.raises(ConflictError) as caught:
            await stage.make_network()
        assert caught.value.reason == "SubnetTaken"
        assert caught.value.params["holder"] == link
    finally:
        subprocess.run(["ip", "link", "del", link], check=True)


async def test_many_followers_starve_nobody(stage):
    """More followed streams than a client's default connections leave other calls alone."""
    await stage.start(command=("sh", "-c", "echo on; exec sleep 600"))
    followers = [stage.runtime.logs(stage.container, follow=True) for _ in range(110)]
    try:
        async with asyncio.timeout(30):
            assert await asyncio.gather(*(anext(one) for one in followers)) == [b"on"] * 110
            assert stage.container in {one.name for one in (await stage.runtime.observe()).containers}
    finally:
        for one in followers:
            await one.aclose()


async def test_a_sweep_takes_one_instance_only(stage, docker_hands):
    """A sweep removes what bears the instance's label, and nothing of another."""
    name = f"foreign-{stage.pod_id}"
    await docker_hands.add("volume", name)
    other = msgspec.structs.replace(stage, instance=f"y{stage.instance[1:]}")
    await other.make_volume()
    gone = await sweep("unix:///var/run/docker.sock", other.instance, with_volumes=True)
    assert gone == [other.volume]
    assert await docker_hands.exists("volume", name)


async def test_what_is_no_pod_is_not_observed(stage, docker_hands, docker_image):
    """A container of this instance that names no pod, such as a router's, is nobody's orphan, and is swept."""
    await stage.start()
    name = f"agentpod-{stage.instance}-carrier"
    docker_hands.docker("create", f"--label=agentpod.instance={stage.instance}", "--name", name, docker_image, "x")
    observed = [one.name for one in (await stage.runtime.observe()).containers]
    assert (stage.container in observed, name in observed) == (True, False)
    assert name in await sweep("unix:///var/run/docker.sock", stage.instance, with_volumes=False)
