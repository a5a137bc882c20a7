"""Decides which actions bring a pod's containers, files and volumes to where they should be."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct

from agentpod_core.desired import FILES_LABEL, Desired
from agentpod_core.observed import Observed
from agentpod_core.plan.answers import own_container
from agentpod_core.plan.failures import ENDED
from agentpod_core.plan.memory import WORRY
from agentpod_core.values.actions import (
    Action,
    CreateContainer,
    CreateVolume,
    ObtainImage,
    RemoveContainer,
    RemoveVolume,
    RunOnce,
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

REPAIR_TIMEOUT = 300.0
"""Seconds that an adapter's own repair may take."""


class Steps(Struct, frozen=True, kw_only=True):
    """What to do, the record as it will be once that is done, and why nothing can be done yet."""

    actions: tuple[Action, ...] = ()
    record: Record
    waits_for: str = ""


def steps(  # noqa: PLR0913 - all that steps follow from
    desired: Desired, observed: Observed, record: Record, now: datetime, *, is_hung: bool, is_full_soon: bool = False
) -> Steps:
    """Decide the actions for a pod whose record is up to date."""
    container = own_container(desired, observed)
    extras = tuple(
        RemoveContainer(container=one.id, reason="SecondContainer")
        for one in sorted(observed.containers, key=lambda one: one.id)
        if one.name != desired.container
    )
    if desired.wanted is Wanted.DELETED:
        return Steps(actions=(*extras, *_deletion(desired, observed, container)), record=record)
    if desired.wanted is Wanted.STOPPED:
        stops = (_stop(desired, "NotWanted"),) if container and container.state in LIVING else ()
        done = msgspec.structs.replace(record, restarts_done=desired.restarts)
        return Steps(actions=(*extras, *stops), record=done)
    worry = "NoAnswer" if is_hung else WORRY if is_full_soon else ""
    found = _running(desired, observed, container, record, now, worry)
    return Steps(actions=(*extras, *found.actions), record=found.record, waits_for=found.waits_for)


def _deletion(desired: Desired, observed: Observed, container: Container | None) -> tuple[Action, ...]:
    actions: list[Action] = []
    if container:
        if container.state in LIVING:
            actions.append(_stop(desired, "Deleting"))
        actions.append(RemoveContainer(container=container.id, reason="Deleting"))
    if not desired.keep_data:
        actions += [RemoveVolume(name=name, reason="Deleting") for name in sorted(observed.volumes or ())]
    return tuple(actions)


def _running(  # noqa: PLR0913 - one return for each of the states that a container can be found in
    desired: Desired, observed: Observed, container: Container | None, record: Record, now: datetime, worry: str
) -> Steps:
    if record.blocked is not None:
        return _blocked(desired, observed, container, record)
    if container is None:
        return _start_or_wait(desired, observed, record, _creation(desired, "NoContainer"), desired.files)
    if container.state is ContainerState.REMOVING:
        return Steps(record=record, waits_for="WaitingForEngine")
    if reason := _why_anew(desired, container):
        obtain, *rest = _creation(desired, reason)
        stops = (_stop(desired, reason),) if container.state in LIVING else ()
        removal = RemoveContainer(container=container.id, reason=reason)
        return _start_or_wait(desired, observed, record, (obtain, *stops, removal, *rest), desired.files)
    if container.state is ContainerState.RESTARTING:
        return Steps(actions=_limits(desired, container, record), record=record, waits_for="WaitingForEngine")
    if container.state is ContainerState.CREATED:
        # Each of its steps may have been cut short, and to repeat one changes nothing.
        return _start_or_wait(desired, observed, record, _creation(desired, "FirstStart"), desired.files)
    if container.state in ENDED:
        if record.not_before and now < record.not_before:
            return Steps(actions=_limits(desired, container, record), record=record, waits_for="BackingOff")
        writes, files = _file_changes(desired, container, record)
        again: tuple[Action, ...] = (*_limits(desired, container, record), *writes, _start(desired, "NotRunning"))
        return _start_or_wait(desired, observed, record, again, files)
    if container.state is ContainerState.PAUSED:
        return Steps(actions=(_start(desired, "PausedByHand"),), record=record)
    return _alive(desired, container, record, now, worry)


def _blocked(desired: Desired, observed: Observed, container: Container | None, record: Record) -> Steps:
    """Keep down what no restart mends, after one try of its own repair."""
    actions: list[Action] = []
    if container is not None:
        actions += _limits(desired, container, record)
        if container.state in LIVING:
            actions.append(_stop(desired, "NoRestartMends"))
            record = msgspec.structs.replace(record, expects_exit=True)
    repair = observed.repair
    if repair is None or repair.command is None or record.repaired:
        return Steps(actions=tuple(actions), record=record)
    run = RunOnce(
        name=f"{desired.container}-once",
        labels=_volume_labels(desired),
        workload=desired.workload,
        volumes=desired.volumes,
        command=repair.command,
        timeout=REPAIR_TIMEOUT,
        reason="RepairOnce",
    )
    done = msgspec.structs.replace(record, blocked=None, repaired=True)
    return Steps(actions=(*actions, run), record=done)


def _why_anew(desired: Desired, container: Container) -> str:
    """Say why a container is past mending; empty when it is not."""
    if container.state is ContainerState.DEAD:
        return "ContainerDead"
    if container.spec_hash != desired.spec_hash:
        return "SpecChanged"
    if container.state is ContainerState.RUNNING and container.deep and container.address is None:
        return "CutOff"
    return ""


def _alive(desired: Desired, container: Container, record: Record, now: datetime, worry: str) -> Steps:
    """Mend a container that runs; ``worry`` is why its agent is to be started again as it is, empty for none."""
    is_hung = worry == "NoAnswer"
    writes, files = _file_changes(desired, container, record)
    written = {file.path for write in writes for file in write.files}
    needs_restart = any(file.on_change is OnChange.RESTART for file in desired.workload.files if file.path in written)
    why = (
        "RestartAsked"
        if desired.restarts > record.restarts_done
        else worry
        if is_hung
        else "FilesChanged"
        if needs_restart
        else worry
    )
    actions: list[Action] = [*_limits(desired, container, record), *writes]
    rests = bool(is_hung and record.not_before and now < record.not_before)
    if why:
        actions = [*_limits(desired, container, record), _stop(desired, why), *writes]
        actions += [] if rests else [_start(desired, why)]
    if files == record.files and desired.restarts == record.restarts_done and not why:
        return Steps(actions=tuple(actions), record=record)
    done = msgspec.structs.replace(
        record,
        files=files,
        restarts_done=desired.restarts,
        expects_exit=rests or record.expects_exit,
        expects_start=bool(why) and not rests,
    )
    return Steps(actions=tuple(actions), record=done)


def _start_or_wait(
    desired: Desired, observed: Observed, record: Record, actions: tuple[Action, ...], files: dict[str, str]
) -> Steps:
    """Go on where a boot slot is free; else wait, and leave what runs alone. ``files`` are those in place then."""
    if not observed.has_boot_slot and desired.workload.boot_cost > 0:
        return Steps(record=record, waits_for="WaitingToStart")
    done = msgspec.structs.replace(record, restarts_done=desired.restarts, files=files, expects_start=True)
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
    write = _write(desired, desired.workload.files, "FirstStart")
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
    return ((_write(desired, changed, "FilesChanged"),) if changed else ()), desired.files


def _limits(desired: Desired, container: Container, record: Record) -> tuple[UpdateLimits, ...]:
    """Let the engine answer the first exit alone; from the second on, the timing is ours."""
    if container.limits is None:
        return ()
    engine_restarts = len(record.failures) < 2 and record.blocked is None and not record.repaired  # noqa: PLR2004 - the first failure is the engine's
    wanted = desired.limits if engine_restarts else msgspec.structs.replace(desired.limits, restart=False)
    if container.limits == wanted:
        return ()
    return (UpdateLimits(container=desired.container, limits=wanted, reason="LimitsDiffer"),)


def _write(desired: Desired, files: tuple[File, ...], reason: str) -> WriteFiles:
    security = desired.workload.security
    return WriteFiles(container=desired.container, files=files, uid=security.uid, gid=security.gid, reason=reason)


def _start(desired: Desired, reason: str) -> StartContainer:
    return StartContainer(container=desired.container, reason=reason)


def _stop(desired: Desired, reason: str) -> StopContainer:
    return StopContainer(container=desired.container, timeout=desired.workload.stop_timeout, reason=reason)
