"""Facts of the runtime contract about what is made, listed, written and removed."""

from __future__ import annotations

import uuid

import msgspec
import pytest

from agentpod_core.errors import ConflictError, NotFoundError, PermanentError
from agentpod_core.plugpoints.runtimes import Runtime
from agentpod_core.testing.offers import ImpureContract
from agentpod_core.testing.parts import needs
from agentpod_core.testing.runtime_hands import Foreign
from agentpod_core.testing.runtime_stage import SCRIPT, SECRET, SECRET_FILE, Stage, first
from agentpod_core.values.actions import (
    Action,
    CreateNetwork,
    CreateVolume,
    ObtainImage,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    StartContainer,
    StopContainer,
    UpdateLimits,
    WriteFiles,
)
from agentpod_core.values.names import owner_labels
from agentpod_core.values.recipes import ImageRecipe
from agentpod_core.values.workload import File, Quote
from agentpod_core.values.world import ContainerState, Limits

COMMAND_SECONDS = 0.5
"""How long a command may take that would take much longer."""
MISSING_IMAGE = "agentpod-contract/missing:0"


class ObjectFacts(ImpureContract):
    """Networks, volumes, containers, files, and everything that is not ours."""

    async def test_created_objects_are_observed(self, stage: Stage) -> None:
        """What was created is listed with its labels, and a container is not started by creating it."""
        await stage.create()
        world = await stage.runtime.observe()
        [container] = [one for one in world.containers if one.name == stage.container]
        assert stage.labels() == {key: container.labels.get(key) for key in stage.labels()}
        assert container.state is ContainerState.CREATED
        assert container.pod_id == stage.pod_id
        volumes = (await stage.runtime.observe_pod(stage.pod_id)).volumes
        assert {one.name: one.labels for one in volumes}[stage.volume] == stage.volume_labels()
        [network] = [one for one in world.networks if one.name == stage.network]
        assert (stage.subnet, "acme") == (network.subnet, network.labels.get("agentpod.tenant"))

    async def test_one_pod_is_observed_by_itself(self, stage: Stage) -> None:
        """Of a pod its containers are listed, as they are among everything, and its volumes, and nobody else's."""
        await stage.create()
        other = msgspec.structs.replace(stage, pod_id=str(uuid.uuid4()))
        await other.make_volume()
        world, one = await stage.runtime.observe(), await stage.runtime.observe_pod(stage.pod_id)
        assert [seen for seen in world.containers if seen.name == stage.container] == list(one.containers)
        assert stage.volume in {seen.name for seen in one.volumes}
        theirs = await stage.runtime.observe_pod(other.pod_id)
        assert ([seen.name for seen in theirs.volumes], theirs.containers) == ([other.volume], ())

    async def test_a_started_container_is_inspected_deeply(self, stage: Stage) -> None:
        """A deep look shows state, address, limits and times; by id as well as by name."""
        container = await stage.start()
        assert container.state is ContainerState.RUNNING
        assert container.deep
        assert (stage.network, stage.address) == (container.network, container.address)
        assert container.exit_code is None
        assert container.started_at is not None
        assert container.started_at.tzinfo is not None
        assert Limits(memory=64 * 1024 * 1024, cpus=500, pids=64, restart=True) == container.limits
        assert container == await stage.runtime.inspect(container.id)

    async def test_what_is_absent_is_none(self, runtime: Runtime) -> None:
        """A container that does not exist is None, and no error."""
        assert await runtime.inspect("agentpod-nobody") is None

    async def test_networks_are_idempotent(self, stage: Stage) -> None:
        """A network made twice is one; one removed twice is gone; another subnet under its name is a conflict."""
        await stage.make_network()
        await stage.make_network()
        seen = [one for one in (await stage.runtime.observe()).networks if one.name == stage.network]
        assert len(seen) == 1
        other = CreateNetwork(
            name=stage.network, tenant="acme", subnet=stage.other_subnet, gateway=stage.other_gateway, reason="test"
        )
        with pytest.raises(ConflictError):
            await stage.runtime.apply(other, {})
        for _ in range(2):
            await stage.runtime.apply(RemoveNetwork(name=stage.network, reason="test"), {})
        assert [one for one in (await stage.runtime.observe()).networks if one.name == stage.network] == []

    async def test_volumes_are_idempotent(self, stage: Stage) -> None:
        """A volume made twice is one; with other labels it is a conflict; removing it twice is fine."""
        await stage.make_volume()
        await stage.make_volume()
        other = CreateVolume(name=stage.volume, labels=owner_labels(stage.instance, pod_id="other"), reason="test")
        with pytest.raises(ConflictError):
            await stage.runtime.apply(other, {})
        for _ in range(2):
            await stage.runtime.apply(RemoveVolume(name=stage.volume, reason="test"), {})
        assert (await stage.runtime.observe_pod(stage.pod_id)).volumes == ()

    async def test_containers_are_idempotent(self, stage: Stage) -> None:
        """A container made twice from one spec is one; from another spec it is a conflict."""
        await stage.create()
        before = await stage.inspect()
        await stage.create()
        assert before.id == (await stage.inspect()).id
        with pytest.raises(ConflictError):
            await stage.create(spec_hash="another")

    async def test_files_are_in_place_before_the_start(self, stage: Stage) -> None:
        """The first thing that the program reads is what was written, with its owner and mode."""
        file = File(path="/data/deep/er/greeting", parts=("hello\n",), mode=0o640)
        secret = File(path=SECRET_FILE, parts=("token=", SECRET, "\n"), quote=Quote.JSON)
        script = f"cat /data/deep/er/greeting; cat {SECRET_FILE}; {SCRIPT}"
        await stage.start(files=(file, secret), command=("sh", "-c", script))
        assert await first(stage.runtime.logs(stage.container, follow=True), 2) == [b"hello", b'token="s\\"3cret"']
        assert await stage.run("stat", "-c", "%a %u %g", file.path) == b"640 1000 1000\n"
        assert await stage.run("stat", "-c", "%a %u %g", SECRET_FILE) == b"400 1000 1000\n"

    async def test_the_agent_owns_its_volumes(self, stage: Stage) -> None:
        """The agent's user can write into a volume's root and into directories that were made for files."""
        await stage.start(files=(File(path="/data/deep/er/greeting", parts=("hello",)),))
        for path in ("/data/new", "/data/deep/new", "/data/deep/er/new", "/plain/new"):
            assert await stage.run("touch", path) == b""

    async def test_seeds_are_written_once(self, stage: Stage) -> None:
        """A ``once`` file is left alone where the agent has one; any other is written anew, also while it runs."""
        seed, file = "/data/memory/seed", "/data/config"
        await stage.start(files=(File(path=seed, parts=("1",), once=True), File(path=file, parts=("1",))))
        again = (
            File(path=seed, parts=("2",), once=True),
            File(path=file, parts=("2",)),
            File(path="/data/memory/other", parts=("2",), once=True),
        )
        for _ in range(2):
            await stage.write(again)
        contents = [await stage.read(path) for path in (seed, file, "/data/memory/other")]
        assert contents == [b"1", b"2", b"2"]

    async def test_files_outside_volumes_are_refused(self, stage: Stage) -> None:
        """A file that lies in no volume is refused, by name."""
        await stage.create()
        with pytest.raises(PermanentError) as caught:
            await stage.write((File(path="/etc/motd", parts=("no",)),))
        assert caught.value.reason == "FileOutsideVolumes"

    async def test_a_missing_secret_is_refused(self, stage: Stage) -> None:
        """A secret without a value stops the action; nothing is written in its place."""
        await stage.create()
        write = WriteFiles(
            container=stage.container,
            files=(File(path=SECRET_FILE, parts=(SECRET,)),),
            uid=1000,
            gid=1000,
            reason="test",
        )
        with pytest.raises(PermanentError) as caught:
            await stage.runtime.apply(write, {})
        assert caught.value.reason == "SecretMissing"
        assert await stage.read(SECRET_FILE) is None

    async def test_secrets_reach_the_environment(self, stage: Stage) -> None:
        """An environment variable that is a secret has the secret's value in the container."""
        await stage.start(env={"TOKEN": SECRET, "PLAIN": "p"}, command=("sh", "-c", f"echo $PLAIN $TOKEN; {SCRIPT}"))
        assert await first(stage.runtime.logs(stage.container, follow=True), 1) == [b'p s"3cret']

    async def test_foreign_objects_are_neither_seen_nor_touched(self, stage: Stage, foreign: Foreign) -> None:
        """What lacks our instance's label is never listed; removing or stopping it does nothing."""
        name = f"foreign-{stage.pod_id}"
        await foreign.add("container", name)
        await foreign.add("volume", name)
        await foreign.add("network", name, subnet=stage.subnet)
        world = await stage.runtime.observe()
        assert name not in {one.name for one in world.containers}
        assert name not in {one.name for one in world.networks}
        assert await stage.runtime.inspect(name) is None
        harmless: tuple[Action, ...] = (
            StopContainer(container=name, timeout=0, reason="test"),
            RemoveContainer(container=name, reason="test"),
            RemoveVolume(name=name, reason="test"),
            RemoveNetwork(name=name, reason="test"),
        )
        for action in harmless:
            await stage.runtime.apply(action, {})
        refused: tuple[Action, ...] = (
            StartContainer(container=name, reason="test"),
            UpdateLimits(container=name, limits=Limits(memory=32 * 1024 * 1024), reason="test"),
        )
        for action in refused:
            with pytest.raises(NotFoundError):
                await stage.runtime.apply(action, {})
        with pytest.raises(NotFoundError):
            await stage.runtime.exec(name, ("echo",), timeout=5, limit=10)
        for kind in ("container", "volume", "network"):
            assert await foreign.exists(kind, name), kind

    async def test_a_foreign_name_is_a_conflict(self, stage: Stage, foreign: Foreign) -> None:
        """A container or volume of somebody else under our name is a conflict, and stays as it is."""
        await foreign.add("volume", stage.volume)
        with pytest.raises(ConflictError):
            await stage.make_volume()
        await foreign.add("container", stage.container)
        await stage.make_network()
        with pytest.raises(ConflictError):
            await stage.runtime.apply(stage.creation(volumes=()), {})
        assert await foreign.exists("container", stage.container)

    async def test_a_taken_subnet_is_a_conflict(self, stage: Stage, foreign: Foreign) -> None:
        """A network over a subnet that somebody else uses is refused as ``SubnetTaken``."""
        await foreign.add("network", f"foreign-{stage.pod_id}", subnet=stage.subnet)
        with pytest.raises(ConflictError) as caught:
            await stage.make_network()
        assert caught.value.reason == "SubnetTaken"

    async def test_a_taken_address_is_a_conflict(self, stage: Stage) -> None:
        """A second container with the address of a running one does not start."""
        await stage.start()
        second = msgspec.structs.replace(stage, pod_id=str(uuid.uuid4()))
        with pytest.raises(ConflictError):
            await second.start()

    async def test_files_are_read(self, stage: Stage) -> None:
        """A file is read from a running and from a stopped container; None where there is none."""
        await stage.start(files=(File(path="/data/deep/file", parts=("hello",)),))
        for _ in range(2):
            assert await stage.read("/data/deep/file") == b"hello"
            assert await stage.read("/data/nope") is None
            with pytest.raises(PermanentError) as caught:
                await stage.runtime.read(stage.container, "/data/deep/file", limit=4)
            assert caught.value.reason == "FileTooLarge"
            await stage.stop()

    async def test_a_missing_image_is_permanent(self, stage: Stage) -> None:
        """An image that cannot be had is ``ImageNotFound``, when it is asked for and when it is used."""
        runtime = stage.runtime
        assert await runtime.has_image(stage.image)
        await runtime.apply(ObtainImage(image=stage.image, reason="test"), {})
        assert not await runtime.has_image(MISSING_IMAGE)
        await stage.make_network()
        await stage.make_volume()
        actions: tuple[Action, ...] = (
            ObtainImage(image=MISSING_IMAGE, reason="test"),
            msgspec.structs.replace(stage, image=MISSING_IMAGE).creation(),
        )
        for action in actions:
            with pytest.raises(PermanentError) as caught:
                await runtime.apply(action, {})
            assert (caught.value.reason, caught.value.params["image"]) == ("ImageNotFound", MISSING_IMAGE)

    async def test_a_command_runs_once_and_leaves_nothing(self, stage: Stage) -> None:
        """It has the pod's volumes, user and secrets, and is gone afterwards; so is one that was left behind."""
        await stage.create()
        for _ in range(2):
            await stage.runtime.apply(stage.once("sh", "-c", "touch /data/done; exec sleep 0.1"), {})
            assert await stage.runtime.inspect(stage.once().name) is None
        await stage.runtime.apply(StartContainer(container=stage.container, reason="test"), {})
        assert (await stage.run("stat", "-c", "%a %u %g", "/data/done")).endswith(b"1000 1000\n")

    async def test_a_command_that_fails_or_takes_too_long_is_said(self, stage: Stage) -> None:
        """An exit code is ``CommandFailed`` with its last words, too much time ``CommandTooSlow``; nothing is left.

        Its host has the pod's name.
        """
        await stage.create()
        with pytest.raises(PermanentError) as failed:
            await stage.runtime.apply(stage.once("sh", "-c", "echo no; hostname; exit 3"), {})
        assert (failed.value.reason, failed.value.params["exit_code"]) == ("CommandFailed", 3)
        assert failed.value.params["output"] == "support-acme"
        with pytest.raises(PermanentError) as slow:
            await stage.runtime.apply(stage.once("sleep", "600", timeout=COMMAND_SECONDS), {})
        assert slow.value.reason == "CommandTooSlow"
        assert await stage.runtime.inspect(stage.once().name) is None

    @needs("builds_images")
    async def test_a_recipe_makes_an_image(self, runtime: Runtime, recipe: ImageRecipe) -> None:
        """What was built is there and listed, progress is told in lines, and a second time is fine."""
        lines: list[str] = []
        assert not await runtime.has_image(recipe.image)
        for _ in range(2):
            await runtime.build(recipe, lines.append)
            assert await runtime.has_image(recipe.image)
            assert recipe.image in await runtime.images()
        assert lines
        assert [line for line in lines if "\n" in line] == []
