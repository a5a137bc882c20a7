"""The runtime in memory passes the contract, and each test about objects finds one that is broken in its way."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from fakes_under_contract import FakeRuntimeContract, answering, applying

from agentpod_core.errors import AgentPodError, NotFoundError, TemporaryError
from agentpod_core.plugpoints.link import ExecResult
from agentpod_core.testing import FakeRuntime, runtime_stage
from agentpod_core.testing.fake_engine import FakeVolume
from agentpod_core.testing.runtime_life import LifeFacts
from agentpod_core.testing.teeth import Broken, Teeth, facts_of
from agentpod_core.values import actions

replace = msgspec.structs.replace


class TestFakeRuntime(FakeRuntimeContract):
    """The runtime in memory is whole."""


def forgiving(reason, *kinds):
    """Make a runtime that takes one kind of refusal for done."""

    async def change(_runtime, action, _material, real):
        try:
            await real()
        except AgentPodError as error:
            if error.reason != reason or not isinstance(action, kinds or object):
                raise

    return applying(change)


def strict(kind):
    """Make a runtime for which it is an error to remove what is absent already."""

    async def change(runtime, action, _material, real):
        there = (*runtime.engine.volumes, *runtime.engine.networks)
        if isinstance(action, kind) and action.name not in there:
            raise NotFoundError("ContainerNotFound", container=action.name)
        await real()

    return applying(change)


def writing(**facts):
    """Make a runtime that writes files otherwise than it was asked."""

    async def change(_runtime, action, _material, real):
        if isinstance(action, actions.WriteFiles):
            action = replace(action, files=tuple(replace(file, **facts) for file in action.files))
        await real(action)

    return applying(change)


class Untitled(FakeRuntime):
    title = ""


class ClosesOnce(FakeRuntime):
    async def close(self):
        if self.engine is None:
            raise RuntimeError("closed already")
        self.engine = None


class SeesEverybody(FakeRuntime):
    """It takes everything for that pod's."""

    async def observe_pod(self, pod_id):
        mine = await super().observe_pod(pod_id)
        return msgspec.structs.replace(mine, containers=(await self.observe()).containers)


class ShyOfEmptyEngines(FakeRuntime):
    """It takes an engine without containers for a mistake."""

    async def inspect(self, name):
        if not self.engine.containers and not self.engine.applied:
            raise NotFoundError("ContainerNotFound", container=name)
        return await super().inspect(name)


class RootOwnsFolders(FakeRuntime):
    """The agent may not write into directories that were made for files."""

    async def exec(self, container, argv, *, timeout, limit):  # noqa: ASYNC109 - part of the contract
        if argv[0] == "touch" and argv[1].count("/") > 2:
            return ExecResult(code=1, stderr=b"Permission denied")
        return await super().exec(container, argv, timeout=timeout, limit=limit)


async def empty_secret(_runtime, _action, material, real):
    """Write nothing in place of a secret that is missing."""
    await real(given={runtime_stage.SECRET: ""} | material)


async def environment_without_secrets(runtime, action, _material, real):
    """Leave the secret out of the environment."""
    await real()
    if isinstance(action, actions.CreateContainer):
        runtime.engine.containers[action.name].env.pop("TOKEN", None)


async def removes_any_volume(runtime, action, _material, real):
    """Remove a volume whoever owns it."""
    if isinstance(action, actions.RemoveVolume) and not runtime.engine.volumes.get(action.name, EMPTY).labels:
        runtime.engine.volumes.pop(action.name, None)
    await real()


async def adopts_volumes(runtime, action, _material, real):
    """Take a volume of nobody for ours."""
    if isinstance(action, actions.CreateVolume):
        there = runtime.engine.volumes.get(action.name)
        if there is not None and not there.labels:
            there.labels = dict(action.labels)
    await real()


async def leaves_its_container(runtime, action, _material, real):
    """Leave what a command ran in."""
    await real()
    if isinstance(action, actions.RunOnce):
        runtime.engine.add_foreign_container(action.name, action.labels)


async def runs_on_nothing(runtime, action, _material, real):
    """Run a command without the pod's volumes."""
    await real()
    if isinstance(action, actions.RunOnce):
        for volume in runtime.engine.volumes.values():
            volume.files.pop("done", None)


async def runs_as_another(_runtime, action, _material, real):
    """Run a command under a name of its own."""
    await real(replace(action, hostname="") if isinstance(action, actions.RunOnce) else action)


class Boundless(FakeRuntime):
    """It reads whatever it is told to."""

    async def read(self, container, path, *, limit):
        return await super().read(container, path, limit=limit * 1000)


class HopesForImages(FakeRuntime):
    """It thinks that an image that nobody has may come one day."""

    async def apply(self, action, material):
        try:
            await super().apply(action, material)
        except AgentPodError as error:
            if isinstance(action, actions.ObtainImage):
                raise TemporaryError(error.reason, **error.params) from None
            raise


EMPTY = FakeVolume({"somebody": "else"})


class TestTeeth(Teeth):
    contract = FakeRuntimeContract
    broken: ClassVar = {
        "test_contract_is_intact": Broken(changes={"test_files_are_read": lambda self, stage: None}),
        "test_no_part_is_hidden": [
            Broken(changes={"can_be_unreachable": False}),
            Broken(changes={"builds_images": False}),
            Broken(changes={"is_installed": False}),
        ],
        "test_name_is_a_slug": Untitled,
        "test_is_offered_by_an_installed_plugin": Broken(changes={"offers": ()}),
        "test_closing_is_idempotent": ClosesOnce,
        "test_one_pod_is_observed_by_itself": SeesEverybody,
        "test_created_objects_are_observed": answering(
            "observe",
            lambda _, world: replace(world, networks=tuple(replace(one, labels={}) for one in world.networks)),
        ),
        "test_a_started_container_is_inspected_deeply": answering(
            "inspect", lambda _, seen: seen and replace(seen, deep=False)
        ),
        "test_what_is_absent_is_none": ShyOfEmptyEngines,
        "test_networks_are_idempotent": strict(actions.RemoveNetwork),
        "test_volumes_are_idempotent": strict(actions.RemoveVolume),
        "test_containers_are_idempotent": forgiving("ObjectDiffers", actions.CreateContainer),
        "test_files_are_in_place_before_the_start": writing(mode=0o777),
        "test_the_agent_owns_its_volumes": RootOwnsFolders,
        "test_seeds_are_written_once": writing(once=False),
        "test_files_outside_volumes_are_refused": forgiving("FileOutsideVolumes"),
        "test_a_missing_secret_is_refused": applying(empty_secret),
        "test_secrets_reach_the_environment": applying(environment_without_secrets),
        "test_foreign_objects_are_neither_seen_nor_touched": applying(removes_any_volume),
        "test_a_foreign_name_is_a_conflict": applying(adopts_volumes),
        "test_a_taken_subnet_is_a_conflict": forgiving("SubnetTaken"),
        "test_a_taken_address_is_a_conflict": forgiving("AddressTaken"),
        "test_files_are_read": Boundless,
        "test_a_missing_image_is_permanent": HopesForImages,
        "test_a_command_runs_once_and_leaves_nothing": [applying(leaves_its_container), applying(runs_on_nothing)],
        "test_a_command_that_fails_or_takes_too_long_is_said": [
            forgiving("CommandFailed"),
            forgiving("CommandTooSlow"),
            applying(runs_as_another),
        ],
        "test_a_recipe_makes_an_image": answering(
            "images", lambda _, images: [one for one in images if one != "built:1"]
        ),
    }

    @classmethod
    def facts(cls):
        """Leave the facts about life to ``test_runtime_life_contract``."""
        return facts_of(cls.contract) - {name for name in vars(LifeFacts) if name.startswith("test_")}
