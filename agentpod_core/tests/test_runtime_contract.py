"""Every fact of the runtime contract bites: for each there is a broken runtime that it finds."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from agentpod_core.errors import AgentPodError, ConflictError, NotFoundError, PermanentError
from agentpod_core.plugpoints.link import ExecResult
from agentpod_core.testing import FakeRuntime, RuntimeContract, Stage, runtime_life, runtime_stage
from agentpod_core.values import actions
from agentpod_core.values.world import Container, ContainerState, EngineEvent, Limits, Protection, Usage, World

Kind = type[FakeRuntime]


def applying(change: Callable[..., Any]) -> Kind:
    """Make a runtime whose ``apply`` is that: it is given the runtime, the action, the material and the real apply."""

    class Broken(FakeRuntime):
        async def apply(self, action, material):
            async def real(other=None, given=None):
                await FakeRuntime.apply(self, other or action, material if given is None else given)

            await change(self, action, material, real)

    return Broken


def answering(method: str, answer: Callable[..., Any]) -> Kind:
    """Make a runtime one of whose methods changes its answer, or raises something else."""

    async def broken(self, *args, **kwargs):
        return answer(self, await getattr(FakeRuntime, method)(self, *args, **kwargs))

    return type("Broken", (FakeRuntime,), {method: broken})


def seeing(**facts: Any) -> Kind:
    """Make a runtime that shows something else of every container."""
    return answering("inspect", lambda _, seen: msgspec.structs.replace(seen, **facts) if seen else None)


def ignoring(*kinds: type) -> Kind:
    """Make a runtime that does nothing for some actions."""

    async def change(_runtime, action, _material, real):
        if not isinstance(action, kinds):
            await real()

    return applying(change)


def forgiving(*errors: type[AgentPodError]) -> Kind:
    """Make a runtime that takes a refusal for done."""

    async def change(_runtime, _action, _material, real):
        try:
            await real()
        except errors:
            return

    return applying(change)


def strict(kind: type) -> Kind:
    """Make a runtime for which what is absent already is an error."""

    async def change(runtime, action, _material, real):
        gone = getattr(action, "container", None) or getattr(action, "name", None)
        there = (*runtime.engine.containers, *runtime.engine.volumes, *runtime.engine.networks)
        if isinstance(action, kind) and gone not in there:
            raise NotFoundError("ContainerNotFound", container=gone)
        await real()

    return applying(change)


def writing(**facts: Any) -> Kind:
    """Make a runtime that writes files otherwise than it was asked."""

    async def change(_runtime, action, _material, real):
        if isinstance(action, actions.WriteFiles):
            action = msgspec.structs.replace(
                action, files=tuple(msgspec.structs.replace(file, **facts) for file in action.files)
            )
        await real(action)

    return applying(change)


async def _restart_on_update(runtime, action, _material, real):
    await real()
    if isinstance(action, actions.UpdateLimits):
        found = runtime.engine.containers[action.container]
        found.end_wanted = True
        runtime.engine.end(found, 0)
        runtime.engine.begin(found)


async def _root_owns_volumes(runtime, action, _material, real):
    await real()
    if isinstance(action, actions.StartContainer):
        runtime.engine.put = lambda *_: None
        runtime.engine.look = lambda *_: None


async def _empty_secret(_runtime, _action, material, real):
    await real(given=dict.fromkeys(material, "") or {runtime_stage.SECRET: ""})


async def _clamp(runtime, action, _material, real):
    await real()
    if isinstance(action, actions.CreateContainer):
        found = runtime.engine.containers[action.name]
        found.limits = msgspec.structs.replace(found.limits, cpus=min(found.limits.cpus or 0, 2000))


async def _volumes_go_too(runtime, action, _material, real):
    await real()
    if isinstance(action, actions.RemoveContainer):
        for volume in runtime.engine.volumes.values():
            volume.files.clear()


async def _takes_anything(runtime, action, _material, real):
    name = getattr(action, "container", None) or getattr(action, "name", "")
    if isinstance(action, actions.RemoveContainer):
        runtime.engine.containers.pop(name, None)
    await real()


class _Deaf(FakeRuntime):
    """Its watch ends with the connection."""

    async def watch(self):
        async for event in FakeRuntime.watch(self):
            if event.kind == "resync" and self.engine.watchers and getattr(self, "heard", False):
                msg = "connection lost"
                raise OSError(msg)
            self.heard = True
            yield event


class _Nameless(FakeRuntime):
    """Its events name nobody."""

    async def watch(self):
        async for event in FakeRuntime.watch(self):
            yield EngineEvent(kind=event.kind, at=event.at)


class _Unlined(FakeRuntime):
    """Its output comes in one piece."""

    async def logs(self, container, *, tail=None, follow=False, since=None):
        yield b"\n".join([line async for line in FakeRuntime.logs(self, container, tail=tail, since=since)])


class _Tireless(FakeRuntime):
    """Its commands have no end."""

    async def exec(self, container, argv, *, timeout, limit):  # noqa: ASYNC109 - part of the contract
        return await FakeRuntime.exec(self, container, argv, timeout=3600, limit=limit)


class _Guessing(FakeRuntime):
    """It answers for an engine that is away."""

    async def observe(self):
        return World() if not self.engine.reachable else await FakeRuntime.observe(self)


class _Boundless(FakeRuntime):
    """It reads whatever it is told to."""

    async def read(self, container, path, *, limit):
        return await FakeRuntime.read(self, container, path, limit=limit * 1000)


def _runs_anywhere(self, container, argv, *, timeout, limit):
    del self, container, argv, timeout, limit

    async def result():
        return ExecResult(code=0)

    return result()


BROKEN: dict[str, list[Kind]] = {
    "created_objects_are_observed": [
        answering("observe", lambda _, world: msgspec.structs.replace(world, volumes=())),
        answering("observe", lambda _, world: msgspec.structs.replace(world, containers=())),
    ],
    "a_started_container_is_inspected_deeply": [
        seeing(address=None),
        seeing(limits=Limits()),
        seeing(deep=False),
        ignoring(actions.StartContainer),
    ],
    "what_is_absent_is_none": [
        answering("inspect", lambda _, seen: seen or Container(id="", name="", state=ContainerState.DEAD))
    ],
    "networks_are_idempotent": [
        forgiving(ConflictError),
        ignoring(actions.RemoveNetwork),
        strict(actions.RemoveNetwork),
    ],
    "volumes_are_idempotent": [forgiving(ConflictError), ignoring(actions.RemoveVolume), strict(actions.RemoveVolume)],
    "containers_are_idempotent": [forgiving(ConflictError)],
    "starting_and_stopping_are_idempotent": [
        strict(actions.StopContainer),
        strict(actions.RemoveContainer),
        ignoring(actions.StopContainer),
        forgiving(NotFoundError),
    ],
    "files_are_in_place_before_the_start": [
        ignoring(actions.WriteFiles),
        writing(mode=0o777),
        applying(_empty_secret),
    ],
    "the_agent_owns_its_volumes": [answering("exec", lambda _, result: msgspec.structs.replace(result, code=1))],
    "seeds_are_written_once": [writing(once=False), writing(once=True)],
    "files_outside_volumes_are_refused": [forgiving(PermanentError)],
    "a_missing_secret_is_refused": [applying(_empty_secret)],
    "secrets_reach_the_environment": [applying(_empty_secret)],
    "foreign_objects_are_neither_seen_nor_touched": [applying(_takes_anything)],
    "a_foreign_name_is_a_conflict": [forgiving(ConflictError)],
    "a_taken_subnet_is_a_conflict": [forgiving(ConflictError)],
    "a_taken_address_is_a_conflict": [forgiving(ConflictError)],
    "data_address_and_name_survive": [applying(_volumes_go_too), seeing(address="10.219.0.11")],
    "limits_change_in_place": [ignoring(actions.UpdateLimits), applying(_restart_on_update)],
    "more_processors_than_there_are": [applying(_clamp)],
    "events_name_the_pod": [_Nameless],
    "the_watch_survives_an_outage": [_Deaf],
    "an_unreachable_engine_is_temporary": [_Guessing],
    "logs_are_lines": [_Unlined],
    "commands_give_their_code_and_output": [
        answering("exec", lambda _, result: msgspec.structs.replace(result, code=0)),
        answering("exec", lambda _, result: msgspec.structs.replace(result, stderr=b"")),
    ],
    "commands_end_in_time": [_Tireless],
    "commands_need_a_running_container": [type("Broken", (FakeRuntime,), {"exec": _runs_anywhere})],
    "files_are_read": [_Boundless, answering("read", lambda _, content: content or b"")],
    "usage_is_measured_while_it_runs": [
        answering("stats", lambda _, usage: usage or Usage(cpu=0, memory=0)),
        answering("stats", lambda _, usage: usage and msgspec.structs.replace(usage, limit=None)),
    ],
    "a_missing_image_is_permanent": [forgiving(PermanentError), answering("has_image", lambda _, found: not found)],
    "the_engine_restarts_by_policy_only": [seeing(restarts=0), ignoring(actions.UpdateLimits)],
    "protecting_the_host_is_no_failure": [
        answering("observe", lambda _, world: msgspec.structs.replace(world, protection=Protection(active=None)))
    ],
}


def test_every_fact_has_a_broken_runtime():
    """No fact of the contract is without a runtime that it must find broken."""
    facts = {name.removeprefix("test_") for name in dir(RuntimeContract) if name.startswith("test_")}
    assert facts - {"contract_is_intact"} == set(BROKEN)


@pytest.mark.parametrize(("fact", "kind"), [(fact, kind) for fact, kinds in BROKEN.items() for kind in kinds])
async def test_a_broken_runtime_is_found(fact, kind, monkeypatch):
    """The fact fails for the runtime that breaks it, and holds for the one that does not."""
    monkeypatch.setattr(runtime_stage, "PATIENCE", 1.0)
    monkeypatch.setattr(runtime_life, "PATIENCE", 1.0)
    with pytest.raises((AssertionError, pytest.fail.Exception, AgentPodError, TimeoutError, OSError, ValueError)):
        await _check(fact, kind("fakefake"))
    await _check(fact, FakeRuntime("fakefake"))


async def _check(fact: str, runtime: FakeRuntime) -> None:
    contract = RuntimeContract()
    test = getattr(contract, f"test_{fact}")
    engine = runtime.engine
    stage = Stage(runtime=runtime, instance="fakefake", image="fake:1", subnet="10.219.0.0/26", pod_id="0192-aaaa")

    async def add(kind, name, *, subnet=""):
        if kind == "container":
            engine.add_foreign_container(name)
        elif kind == "volume":
            engine.add_foreign_volume(name)
        else:
            engine.add_foreign_network(name, subnet)

    async def exists(kind, name):
        return name in {"container": engine.containers, "volume": engine.volumes, "network": engine.networks}[kind]

    async def begin():
        engine.reachable = False

    async def end():
        engine.reachable = True

    async def kill(name):
        engine.kill(name)

    given = {
        "stage": stage,
        "runtime": runtime,
        "foreign": SimpleNamespace(add=add, exists=exists),
        "outage": SimpleNamespace(begin=begin, end=end),
        "kill": kill,
    }
    await test(**{name: given[name] for name in inspect.signature(test).parameters})
