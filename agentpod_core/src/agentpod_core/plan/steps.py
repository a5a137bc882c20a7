"""Decides which actions bring a pod's containers, files and volumes to where they should be."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct

from agentpod_core.desired import Desired
from agentpod_core.observed import Observed
from agentpod_core.plan.answers import own_container
from agentpod_core.plan.failures import ENDED
from agentpod_core.plan.making import as_it_is, creation, file_changes, limits, policy, start, stop, volume_labels
from agentpod_core.plan.memory import WORRY
from agentpod_core.values.actions import (
    Action,
    RemoveContainer,
    RemoveVolume,
    RunOnce,
)
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Record
from agentpod_core.values.world import Container, ContainerState

LIVING = (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)

REPAIR_TIMEOUT = 300.0
"""Seconds that an adapter's own repair may take."""

SILENT = "NoAnswer"
"""The reason to end an agent that hangs."""

CHANGED = "SpecChanged"
"""The reason to take away one that could go on as it is."""

UNPAUSE = "PausedByHand"
"""The reason of the one start that boots nobody: what was paused goes on where it was."""

IMAGE = "WaitingForImage"
SLOT = "WaitingToStart"
BACKING_OFF = "BackingOff"
WAITS = (IMAGE, SLOT)
"""Why something is merely not done yet, which says nothing of how it will end."""


class Steps(Struct, frozen=True, kw_only=True):
    """What to do, the record as it will be once that is done, and why nothing more can be done yet.

    ``lacks_image`` says that the way on is shut until the wanted image is there, ``is_upkeep`` that what is done keeps
    going what is there, and leaves the change to come as it stands.
    """

    actions: tuple[Action, ...] = ()
    record: Record
    waits_for: str = ""
    lacks_image: bool = False
    is_upkeep: bool = False


def steps(  # noqa: PLR0913 - all that steps follow from
    desired: Desired,
    observed: Observed,
    record: Record,
    now: datetime,
    *,
    is_hung: bool,
    is_full_soon: bool = False,
    is_refused: bool = False,
) -> Steps:
    """Decide the actions for a pod whose record is up to date; ``is_refused`` says that the last try of them failed."""
    container = own_container(desired, observed)
    extras = tuple(
        RemoveContainer(container=one.id, reason="SecondContainer")
        for one in sorted(observed.containers, key=lambda one: one.id)
        if one.name != desired.container
    )
    if desired.wanted is Wanted.DELETED:
        return Steps(actions=(*extras, *_deletion(desired, observed, container)), record=record)
    if desired.wanted is Wanted.STOPPED:
        stops = (stop(desired, "NotWanted"),) if container and container.state in LIVING else ()
        done = msgspec.structs.replace(record, restarts_done=desired.restarts, put_down=True)
        return Steps(actions=(*extras, *stops), record=done)
    worry = SILENT if is_hung else WORRY if is_full_soon else ""
    found = _running(desired, observed, container, record, now, worry, is_refused=is_refused)
    return msgspec.structs.replace(found, actions=(*extras, *found.actions)) if extras else found


def needs_image(desired: Desired, container: Container | None) -> bool:
    """Say whether a container has to be made, or started for the first time, before the pod is as it is wanted."""
    if desired.wanted is not Wanted.RUNNING:
        return False
    if container is None or container.state is ContainerState.CREATED:
        return True
    return container.state is not ContainerState.REMOVING and bool(_why_anew(desired, container))


def announced(assessed: Record, done: Record) -> Record:
    """Give the record to be kept while a container is stopped: an end and a start of ours are no surprise."""
    return msgspec.structs.replace(assessed, expects_exit=True, expects_start=done.expects_start)


def _deletion(desired: Desired, observed: Observed, container: Container | None) -> tuple[Action, ...]:
    actions: list[Action] = []
    if container:
        if container.state in LIVING:
            actions.append(stop(desired, "Deleting"))
        actions.append(RemoveContainer(container=container.id, reason="Deleting"))
    if not desired.keep_data:
        actions += [RemoveVolume(name=name, reason="Deleting") for name in sorted(observed.volumes or ())]
    return tuple(actions)


def _running(  # noqa: PLR0913 - all that the fate of one that is to run follows from
    desired: Desired,
    observed: Observed,
    container: Container | None,
    record: Record,
    now: datetime,
    worry: str,
    *,
    is_refused: bool,
) -> Steps:
    if record.blocked is not None:
        return _blocked(desired, observed, container, record)
    if container is not None and container.state is ContainerState.REMOVING:
        return Steps(record=record, waits_for="WaitingForEngine")
    reason = _why_anew(desired, container) if container else "NoContainer"
    # What is refused must not keep down what is there, nor what is there keep out the change: they are tried in turn.
    is_turn = is_refused and not record.refuses_start
    # It was ended for the change in vain, and is not to be ended for it again and again.
    is_early = is_refused and record.change_at is not None and now < record.change_at and _runs(container)
    if container is not None and not reason:
        if is_early or (is_turn and (container.state in ENDED or worry == SILENT)):
            return _upkeep(desired, observed, container, record, now, worry)
        return _as_wanted(desired, observed, container, record, now, worry)
    shut = IMAGE if not observed.has_image else SLOT if not _has_slot(desired, observed) else ""
    found = Steps(record=record)
    if container is not None and reason == CHANGED and (shut or is_turn or is_early) and _goes_on(container, record):
        # What is there goes on, and is looked after, until what is to come can be had.
        found = _upkeep(desired, observed, container, record, now, worry)
    if shut:
        return msgspec.structs.replace(found, waits_for=found.waits_for or shut, lacks_image=shut == IMAGE)
    if is_early:
        return msgspec.structs.replace(found, is_upkeep=True)
    if found.actions or found.waits_for == BACKING_OFF:
        # To try what was refused is left for when the one that is there has come back.
        return found
    if container is None:
        return _begun(desired, record, creation(desired, reason))
    return _anew(desired, container, record, reason)


def _runs(container: Container | None) -> bool:
    return container is not None and container.state is ContainerState.RUNNING


def _goes_on(container: Container, record: Record) -> bool:
    """Say whether one of an earlier spec is kept going: what was put down may be what the change is to be rid of."""
    return container.state is not ContainerState.CREATED and not (record.put_down and container.state in ENDED)


def _upkeep(  # noqa: PLR0913 - see _as_wanted
    desired: Desired, observed: Observed, container: Container, record: Record, now: datetime, worry: str
) -> Steps:
    """Keep a container going as it is."""
    there = as_it_is(desired, container, record)
    found = _as_wanted(there, observed, container, record, now, worry)
    return msgspec.structs.replace(found, is_upkeep=True)


def _as_wanted(  # noqa: PLR0913 - one return for each of the states that a container can be found in
    desired: Desired, observed: Observed, container: Container, record: Record, now: datetime, worry: str
) -> Steps:
    """Have a container run that is as it is wanted."""
    if container.state is ContainerState.RESTARTING:
        return Steps(actions=limits(desired, container, record), record=record, waits_for="WaitingForEngine")
    if container.state is ContainerState.CREATED:
        if not observed.has_image:
            return Steps(record=record, waits_for=IMAGE, lacks_image=True)
        # Each of its steps may have been cut short, and to repeat one changes nothing.
        return _start_or_wait(desired, observed, record, creation(desired, "FirstStart"))
    if container.state in ENDED:
        return _ended(desired, observed, container, record, now)
    if container.state is ContainerState.PAUSED:
        return Steps(actions=(start(desired, UNPAUSE),), record=record)
    return _alive(desired, observed, container, record, now, worry)


def _blocked(desired: Desired, observed: Observed, container: Container | None, record: Record) -> Steps:
    """Keep down what no restart mends, after one try of its own repair."""
    actions: list[Action] = []
    record = msgspec.structs.replace(record, put_down=True)
    if container is not None:
        if container.state in LIVING:
            actions.append(stop(desired, "NoRestartMends"))
            record = msgspec.structs.replace(record, expects_exit=True)
        actions += limits(desired, container, record)
    repair = observed.repair
    if repair is None or repair.command is None or record.repaired:
        return Steps(actions=tuple(actions), record=record)
    if not _has_slot(desired, observed):
        # It burns as much as a start, and a change that all of them refuse has all of them repaired.
        return Steps(actions=tuple(actions), record=record, waits_for=SLOT)
    run = RunOnce(
        name=f"{desired.container}-once",
        labels=volume_labels(desired),
        workload=desired.workload,
        volumes=desired.volumes,
        command=repair.command,
        timeout=REPAIR_TIMEOUT,
        reason="RepairOnce",
        hostname=desired.hostname,
    )
    done = msgspec.structs.replace(record, blocked=None, repaired=True)
    return Steps(actions=(*actions, run), record=done)


def _why_anew(desired: Desired, container: Container) -> str:
    """Say why a container is past mending; empty when it is not."""
    if container.state is ContainerState.DEAD:
        return "ContainerDead"
    if container.spec_hash != desired.spec_hash:
        return CHANGED
    if container.state is ContainerState.RUNNING and container.deep and container.address is None:
        return "CutOff"
    return ""


def _ended(desired: Desired, observed: Observed, container: Container, record: Record, now: datetime) -> Steps:
    change = limits(desired, container, record)
    if record.not_before and now < record.not_before:
        return Steps(actions=change, record=record, waits_for=BACKING_OFF)
    writes, _ = file_changes(desired, container, record)
    return _start_or_wait(desired, observed, record, (*change, *writes, start(desired, "NotRunning")))


def _anew(desired: Desired, container: Container, record: Record, reason: str) -> Steps:
    stops = (stop(desired, reason),) if container.state in LIVING else ()
    removal = RemoveContainer(container=container.id, reason=reason)
    if stops:
        # How it ends nobody sees: it may have had to be killed.
        record = msgspec.structs.replace(record, heals=0, heal_at=None)
    return _begun(desired, record, (*stops, removal, *creation(desired, reason)))


def _alive(  # noqa: PLR0913 - all that the fate of one that runs follows from
    desired: Desired, observed: Observed, container: Container, record: Record, now: datetime, worry: str
) -> Steps:
    """Mend a container that runs; ``worry`` is why its agent is to be started again as it is, empty for none."""
    is_hung = worry == SILENT
    writes, needs_restart = file_changes(desired, container, record)
    why = (
        "RestartAsked"
        if desired.restarts > record.restarts_done
        else worry
        if is_hung
        else "FilesChanged"
        if needs_restart
        else worry
    )
    change = limits(desired, container, record)
    if why and not is_hung and (first := policy(desired, container, record)):
        # Who answers an exit is set first: what follows may be refused again and again.
        return Steps(actions=first, record=record, is_upkeep=True)
    if why and not is_hung and not _has_slot(desired, observed):
        return Steps(actions=change, record=record, waits_for=SLOT)
    if why:
        # A container that has ended takes any limit, one that runs only those that it keeps to already.
        done = _again(desired, observed, record, now, why, (*change, *writes), is_hung=is_hung)
        return Steps(actions=done.actions, record=msgspec.structs.replace(done.record, files=desired.files))
    if change and (first := policy(desired, container, record)):
        return Steps(actions=first, record=record)
    if desired.files != record.files or desired.restarts != record.restarts_done:
        record = msgspec.structs.replace(record, files=desired.files, restarts_done=desired.restarts)
    # One kind after another: a limit that is refused for as long as the agent uses more must not undo the rest.
    return Steps(actions=writes or change, record=record)


def _again(  # noqa: PLR0913 - all that a restart follows from
    desired: Desired,
    observed: Observed,
    record: Record,
    now: datetime,
    why: str,
    between: tuple[Action, ...],
    *,
    is_hung: bool,
) -> Steps:
    """End an agent that runs and start it again; to end one that hangs has no need to wait for its start's turn."""
    waits = not _has_slot(desired, observed) or bool(record.not_before and now < record.not_before)
    rests = is_hung and waits
    starts = () if rests else (start(desired, why),)
    done = msgspec.structs.replace(
        record,
        restarts_done=desired.restarts,
        expects_exit=rests,
        expects_start=not rests,
        heals=0,
        heal_at=None,
    )
    return Steps(actions=(stop(desired, why), *between, *starts), record=done)


def _has_slot(desired: Desired, observed: Observed) -> bool:
    return observed.has_boot_slot or desired.workload.boot_cost <= 0


def _start_or_wait(desired: Desired, observed: Observed, record: Record, actions: tuple[Action, ...]) -> Steps:
    if not _has_slot(desired, observed):
        return Steps(record=record, waits_for=SLOT)
    return _begun(desired, record, actions)


def _begun(desired: Desired, record: Record, actions: tuple[Action, ...]) -> Steps:
    """Do what ends in a start with all that is wanted."""
    done = msgspec.structs.replace(record, restarts_done=desired.restarts, files=desired.files, expects_start=True)
    return Steps(actions=actions, record=done)
