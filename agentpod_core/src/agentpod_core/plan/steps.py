"""Decides which actions bring a pod's containers, files and volumes to where they should be."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct

from agentpod_core.desired import FILES_LABEL, Desired
from agentpod_core.observed import Observed
from agentpod_core.plan.failures import ENDED, own_container
from agentpod_core.values.actions import (
    Action,
    CreateContainer,
    CreateVolume,
    ObtainImage,
    RemoveContainer,
    RemoveVolume,
    StartContainer,
    StopContainer,
    UpdateLimits,
    WriteFiles,
)
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Record
from agentpod_core.values.workload import File, OnChange
from agentpod_core.values.world import Container, ContainerState

LIVING = (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)


class Steps(Struct, frozen=True, kw_only=True):
    """What to do, the record as it will be once that is done, and why nothing can be done yet."""

    actions: tuple[Action, ...] = ()
    record: Record
    waits_for: str = ""


def steps(desired: Desired, observed: Observed, record: Record, now: datetime, *, is_hung: bool) -> Steps:
    """Decide the actions for a pod whose record is up to date."""
    container = own_container(desired, observed)
    extras = tuple(
        RemoveContainer(container=one.id, reason="second container of one pod")
        for one in sorted(observed.containers, key=lambda one: one.id)
        if one.name != desired.container
    )
    if desired.wanted is Wanted.DELETED:
        return Steps(actions=(*extras, *_deletion(desired, observed, container)), record=record)
    if desired.wanted is Wanted.STOPPED:
        stops = (_stop(desired, "stop was asked for"),) if container and container.state in LIVING else ()
        done = msgspec.structs.replace(record, restarts_done=desired.restarts)
        return Steps(actions=(*extras, *stops), record=done)
    found = _running(desired, observed, container, record, now, is_hung=is_hung)
    return Steps(actions=(*extras, *found.actions), record=found.record, waits_for=found.waits_for)


def _deletion(desired: Desired, observed: Observed, container: Container | None) -> tuple[Action, ...]:
    actions: list[Action] = []
    if container:
        if container.state in LIVING:
            actions.append(_stop(desired, "the pod is deleted"))
        actions.append(RemoveContainer(container=container.id, reason="the pod is deleted"))
    if not desired.keep_data:
        actions += [RemoveVolume(name=name, reason="the pod is deleted") for name in sorted(observed.volumes)]
    return tuple(actions)


def _running(  # noqa: PLR0913 - one return for each of the states that a container can be found in
    desired: Desired, observed: Observed, container: Container | None, record: Record, now: datetime, *, is_hung: bool
) -> Steps:
    if container is None:
        return _start_or_wait(desired, observed, record, _creation(desired, "no container"), whole=True)
    if container.state is ContainerState.REMOVING:
        return Steps(record=record, waits_for="WaitingForEngine")
    if reason := _why_anew(desired, container):
        obtain, *rest = _creation(desired, reason)
        stops = (_stop(desired, reason),) if container.state in LIVING else ()
        removal = RemoveContainer(container=container.id, reason=reason)
        return _start_or_wait(desired, observed, record, (obtain, *stops, removal, *rest), whole=True)
    if record.blocked is not None:
        stops = (_stop(desired, "no restart mends this exit code"),) if container.state in LIVING else ()
        done = msgspec.structs.replace(record, expects_exit=bool(stops))
        return Steps(actions=(*_limits(desired, container, record), *stops), record=done)
    if container.state is ContainerState.RESTARTING:
        return Steps(actions=_limits(desired, container, record), record=record, waits_for="WaitingForEngine")
    if container.state is ContainerState.CREATED:
        write = _write(desired, desired.workload.files, "before the first start")
        return _start_or_wait(desired, observed, record, (write, _start(desired, "created")), whole=True)
    if container.state in ENDED:
        if record.not_before and now < record.not_before:
            return Steps(actions=_limits(desired, container, record), record=record, waits_for="BackingOff")
        writes, files = _file_changes(desired, container, record)
        again: tuple[Action, ...] = (*_limits(desired, container, record), *writes, _start(desired, "not running"))
        return _start_or_wait(desired, observed, msgspec.structs.replace(record, files=files), again)
    if container.state is ContainerState.PAUSED:
        return Steps(actions=(_start(desired, "paused by hand"),), record=record)
    return _alive(desired, container, record, now, is_hung=is_hung)


def _why_anew(desired: Desired, container: Container) -> str:
    """Say why a container is past mending; empty when it is not."""
    if container.state is ContainerState.DEAD:
        return "dead"
    if container.spec_hash != desired.spec_hash:
        return "the container part of the spec changed"
    if container.state is ContainerState.RUNNING and container.deep and container.address is None:
        return "cut off from its network"
    return ""


def _alive(desired: Desired, container: Container, record: Record, now: datetime, *, is_hung: bool) -> Steps:
    writes, files = _file_changes(desired, container, record)
    written = {file.path for write in writes for file in write.files}
    needs_restart = any(file.on_change is OnChange.RESTART for file in desired.workload.files if file.path in written)
    why = (
        "a restart was asked for"
        if desired.restarts > record.restarts_done
        else "does not answer"
        if is_hung
        else "a file changed"
        if needs_restart
        else ""
    )
    actions: list[Action] = [*_limits(desired, container, record), *writes]
    rests = bool(is_hung and record.not_before and now < record.not_before)
    if why:
        actions = [*_limits(desired, container, record), _stop(desired, why), *writes]
        actions += [] if rests else [_start(desired, why)]
    done = msgspec.structs.replace(
        record, files=files, restarts_done=desired.restarts, expects_exit=rests or record.expects_exit
    )
    return Steps(actions=tuple(actions), record=done)


def _start_or_wait(
    desired: Desired, observed: Observed, record: Record, actions: tuple[Action, ...], *, whole: bool = False
) -> Steps:
    """Go on where a boot slot is free; else wait, and leave what runs alone."""
    if not observed.has_boot_slot and desired.workload.boot_cost > 0:
        return Steps(record=record, waits_for="WaitingToStart")
    done = msgspec.structs.replace(
        record, restarts_done=desired.restarts, files=desired.files if whole else record.files
    )
    return Steps(actions=actions, record=done)


def _creation(desired: Desired, reason: str) -> tuple[Action, ...]:
    obtain = ObtainImage(image=desired.workload.image, reason=reason)
    volumes = (
        CreateVolume(name=name, labels=_volume_labels(desired), reason=reason)
        for _, name in sorted(desired.volumes.items())
    )
    create = CreateContainer(
        name=desired.container,
        labels=desired.labels,
        workload=desired.workload,
        volumes=desired.volumes,
        network=desired.network,
        address=desired.address,
        hostname=desired.hostname,
        reason=reason,
    )
    write = _write(desired, desired.workload.files, "before the first start")
    writes = (write,) if write.files else ()
    return (obtain, *volumes, create, *writes, _start(desired, reason))


def _volume_labels(desired: Desired) -> dict[str, str]:
    # A volume outlives specs, and a volume's labels cannot change: only what never changes goes in.
    return {key: value for key, value in desired.labels.items() if key not in {"agentpod.spec-hash", FILES_LABEL}}


def _file_changes(
    desired: Desired, container: Container, record: Record
) -> tuple[tuple[WriteFiles, ...], dict[str, str]]:
    known = record.files if record.container_id == container.id else {}
    if not known and container.labels.get(FILES_LABEL) == desired.labels[FILES_LABEL]:
        # Made by a pass that was cut off before it could write down what it did.
        known = desired.files
    changed = tuple(file for file in desired.workload.files if known.get(file.path) != desired.files[file.path])
    return ((_write(desired, changed, "changed"),) if changed else ()), desired.files


def _limits(desired: Desired, container: Container, record: Record) -> tuple[UpdateLimits, ...]:
    """Let the engine answer the first exit alone; from the second on, the timing is ours."""
    engine_restarts = len(record.failures) < 2 and record.blocked is None  # noqa: PLR2004
    wanted = msgspec.structs.replace(desired.limits, restart=engine_restarts)
    if container.limits is None or container.limits == wanted:
        return ()
    return (UpdateLimits(container=desired.container, limits=wanted, reason="limits or restart policy differ"),)


def _write(desired: Desired, files: tuple[File, ...], reason: str) -> WriteFiles:
    security = desired.workload.security
    return WriteFiles(
        container=desired.container, files=files, uid=security.uid, gid=security.gid, reason=f"files: {reason}"
    )


def _start(desired: Desired, reason: str) -> StartContainer:
    return StartContainer(container=desired.container, reason=reason)


def _stop(desired: Desired, reason: str) -> StopContainer:
    return StopContainer(container=desired.container, timeout=desired.workload.stop_timeout, reason=reason)
