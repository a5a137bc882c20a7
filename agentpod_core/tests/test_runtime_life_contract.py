"""The runtime in memory passes the contract, and each test about life finds one that is broken in its way."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from fakes_under_contract import FakeRuntimeContract, answering, applying

from agentpod_core.errors import TemporaryError
from agentpod_core.plugpoints.link import ExecResult
from agentpod_core.testing import FakeRuntime
from agentpod_core.testing.runtime_life import LifeFacts
from agentpod_core.testing.teeth import Teeth
from agentpod_core.values import actions
from agentpod_core.values.world import Limits, Protection

replace = msgspec.structs.replace


async def starts_anew(runtime, action, _material, real):
    """Start what runs already."""
    await real()
    if isinstance(action, actions.StartContainer):
        found = runtime.engine.containers[action.container]
        found.started_at = runtime.engine.now()


async def volumes_go_too(runtime, action, _material, real):
    """Lose the data with the container."""
    await real()
    if isinstance(action, actions.RemoveContainer):
        for volume in runtime.engine.volumes.values():
            volume.files.clear()


async def lifts_nothing(runtime, action, _material, real):
    """Take None for "as it was"."""
    if not isinstance(action, actions.UpdateLimits):
        await real()
        return
    given = action.limits
    old = runtime.engine.containers[action.container].limits if runtime.engine.containers else Limits()
    kept = Limits(
        memory=given.memory or old.memory,
        cpus=given.cpus or old.cpus,
        pids=given.pids or old.pids,
        restart=given.restart,
    )
    await real(replace(action, limits=kept))


async def clamps(runtime, action, _material, real):
    """Take what the machine has for what was asked."""
    await real()
    if isinstance(action, actions.CreateContainer):
        found = runtime.engine.containers[action.name]
        found.limits = replace(found.limits, cpus=min(found.limits.cpus or 0, 2000))


class Timeless(FakeRuntime):
    """Its events say not when."""

    async def watch(self):
        async for event in super().watch():
            yield event if event.kind == "resync" else replace(event, at=None)


class Nameless(FakeRuntime):
    """Its events say not of which container."""

    async def watch(self):
        async for event in super().watch():
            yield replace(event, name="")


class Forgetful(FakeRuntime):
    """Its watch does not know since when it was deaf."""

    async def watch(self):
        async for event in super().watch():
            yield replace(event, since=None)


class Deaf(FakeRuntime):
    """Its watch ends with the connection."""

    async def watch(self):
        has_begun = False
        async for event in super().watch():
            if event.kind == "resync" and has_begun:
                raise TemporaryError("EngineUnreachable")
            has_begun = True
            yield event


class Remembering(FakeRuntime):
    """It answers for an engine that is away."""

    async def images(self):
        return await super().images() if self.engine.reachable else []


class Endless(FakeRuntime):
    """It gives all of the output, however little was wanted."""

    async def logs(self, container, *, tail=None, follow=False, since=None):
        async for line in super().logs(container, tail=None if not follow else tail, follow=follow, since=since):
            yield line


class Unlimited(FakeRuntime):
    async def exec(self, container, argv, *, timeout, limit):  # noqa: ASYNC109 - part of the contract
        return await super().exec(container, argv, timeout=timeout, limit=limit * 1000)


class EndsQuietly(FakeRuntime):
    """It takes a command that was given up for one that failed."""

    async def exec(self, container, argv, *, timeout, limit):  # noqa: ASYNC109 - part of the contract
        try:
            return await super().exec(container, argv, timeout=timeout, limit=limit)
        except TemporaryError as error:
            if error.reason == "Timeout":
                return ExecResult(code=124)
            raise


class RunsAnywhere(FakeRuntime):
    """It has an answer from a container that does not run."""

    async def exec(self, container, argv, *, timeout, limit):  # noqa: ASYNC109 - part of the contract
        try:
            return await super().exec(container, argv, timeout=timeout, limit=limit)
        except TemporaryError as error:
            if error.reason == "ContainerNotRunning":
                return ExecResult(code=1)
            raise


class TestTeeth(Teeth):
    contract = FakeRuntimeContract
    broken: ClassVar = {
        "test_starting_and_stopping_are_idempotent": applying(starts_anew),
        "test_data_address_and_name_survive": applying(volumes_go_too),
        "test_limits_change_in_place": applying(lifts_nothing),
        "test_more_processors_than_there_are": applying(clamps),
        "test_events_name_the_pod": [Timeless, Nameless],
        "test_the_watch_survives_an_outage": [Deaf, Forgetful],
        "test_an_unreachable_engine_is_temporary": Remembering,
        "test_logs_are_lines": Endless,
        "test_commands_give_their_code_and_output": Unlimited,
        "test_commands_end_in_time": EndsQuietly,
        "test_commands_need_a_running_container": RunsAnywhere,
        "test_usage_is_measured_while_it_runs": answering(
            "stats", lambda _, usage: usage and replace(usage, limit=None)
        ),
        "test_folders_are_absolute": answering("folders", lambda _, found: ("docker",)),
        "test_storage_is_measured_by_pod": [
            answering("storage", lambda _, found: {"volume": sum(found.values())}),
            answering("storage", lambda _, found: dict.fromkeys(found, 0)),
        ],
        "test_the_engine_restarts_by_policy_only": answering(
            "inspect", lambda _, seen: seen and replace(seen, restarts=0)
        ),
        "test_protecting_the_host_is_no_failure": answering(
            "observe", lambda _, world: replace(world, protection=Protection(active=None))
        ),
    }

    @classmethod
    def facts(cls):
        """Leave the facts about objects to ``test_runtime_contract``."""
        return {name for name in vars(LifeFacts) if name.startswith("test_")}
