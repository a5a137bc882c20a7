"""Makes the actions that steps are put together from: what each of them holds, not whether it is to be done."""

from __future__ import annotations

import msgspec

from agentpod_core.desired import FILES_LABEL, Desired
from agentpod_core.values.actions import (
    Action,
    CreateContainer,
    CreateVolume,
    StartContainer,
    StopContainer,
    UpdateLimits,
    WriteFiles,
)
from agentpod_core.values.status import Record
from agentpod_core.values.workload import File, OnChange
from agentpod_core.values.world import Container


def creation(desired: Desired, reason: str) -> tuple[Action, ...]:
    """Make a container of an image that is there, and start it."""
    volumes = (
        CreateVolume(name=name, labels=volume_labels(desired), reason=reason)
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
    files = desired.workload.files
    writes = (_write(desired, files, "FirstStart"),) if files else ()
    return (*volumes, create, *writes, start(desired, reason))


def volume_labels(desired: Desired) -> dict[str, str]:
    """Label what outlives specs: its labels cannot change, so only what never changes goes in."""
    return {key: value for key, value in desired.labels.items() if key not in {"agentpod.spec-hash", FILES_LABEL}}


def file_changes(desired: Desired, container: Container, record: Record) -> tuple[tuple[WriteFiles, ...], bool]:
    """Give what is to be written, and whether the agent has to be started again for it."""
    known = record.files if record.container_id == container.id else {}
    changed = tuple(file for file in desired.workload.files if known.get(file.path) != desired.files[file.path])
    if not changed:
        return (), False
    # Made with these files by a pass that was cut off: before it could write down that they are there, or, where
    # somebody started the container by hand, before they were. To write them again does no harm.
    is_unsure = not known and container.labels.get(FILES_LABEL) == desired.labels[FILES_LABEL]
    needs_restart = not is_unsure and any(file.on_change is OnChange.RESTART for file in changed)
    return (_write(desired, changed, "FilesChanged"),), needs_restart


def limits(desired: Desired, container: Container, record: Record) -> tuple[UpdateLimits, ...]:
    """Let the engine answer the first exit alone; from the second on, the timing is ours."""
    engine_restarts = len(record.failures) < 2 and record.blocked is None and not record.repaired  # noqa: PLR2004 - the first failure is the engine's
    wanted = desired.limits if engine_restarts else msgspec.structs.replace(desired.limits, restart=False)
    if container.limits is None or container.limits == wanted:
        return ()
    return (UpdateLimits(container=desired.container, limits=wanted, reason="LimitsDiffer"),)


def policy(desired: Desired, container: Container, record: Record) -> tuple[UpdateLimits, ...]:
    """Change only who answers an exit: that is never refused for what the agent uses right now."""
    return limits(as_it_is(desired, container, record), container, record)


def as_it_is(desired: Desired, container: Container, record: Record) -> Desired:
    """Give what would be wanted if the container were as it should be: its files stay, and its limits."""
    kept = container.limits or desired.limits
    return msgspec.structs.replace(
        desired,
        workload=msgspec.structs.replace(desired.workload, files=()),
        files=record.files,
        limits=msgspec.structs.replace(kept, restart=True),
    )


def _write(desired: Desired, files: tuple[File, ...], reason: str) -> WriteFiles:
    security = desired.workload.security
    return WriteFiles(container=desired.container, files=files, uid=security.uid, gid=security.gid, reason=reason)


def start(desired: Desired, reason: str) -> StartContainer:
    """Start the pod's container."""
    return StartContainer(container=desired.container, reason=reason)


def stop(desired: Desired, reason: str) -> StopContainer:
    """Stop it, with the time that its agent may take."""
    return StopContainer(container=desired.container, timeout=desired.workload.stop_timeout, reason=reason)
