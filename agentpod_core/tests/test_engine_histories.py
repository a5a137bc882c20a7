"""What histories of the chaos kit found, each as short as it can be said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pod_life

from agentpod_core import Container, ContainerState, File, Volume, Workload
from agentpod_core.desired import Desired, desire
from agentpod_core.observed import Observed
from agentpod_core.plan import Timings, plan
from agentpod_core.values.status import Record

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POD = msgspec.structs.replace(
    pod_life.POD,
    workload=Workload(
        image="a:1",
        files=(File(path="/data/config.json", parts=("new",)),),
        volumes=(Volume(name="data", path="/data"),),
        boot_cost=20.0,
    ),
)
DESIRED = desire("testabcd", POD)


def container(desired: Desired, state: ContainerState) -> Container:
    """Give the pod's container as a deep look shows it."""
    return Container(
        id="c",
        name=desired.container,
        state=state,
        labels=desired.labels,
        address="10.0.0.4" if state is ContainerState.RUNNING else None,
        deep=True,
        started_at=NOW - timedelta(hours=1),
        finished_at=None if state is ContainerState.RUNNING else NOW,
        exit_code=None if state is ContainerState.RUNNING else 0,
        limits=desired.limits,
    )


def record(seen: Container) -> Record:
    """Give what is remembered of a container that is known."""
    return Record(
        generation=1,
        container_id=seen.id,
        started_at=seen.started_at,
        seen_exit=seen.finished_at,
        files=DESIRED.files,
        volumes=tuple(DESIRED.volumes.values()),
    )


def test_a_file_that_changed_while_its_pod_waits_to_start_is_not_taken_for_written() -> None:
    """Who waits for its turn to start has written nothing yet: the new file is written when the turn comes."""
    ended = container(DESIRED, ContainerState.EXITED)
    before = msgspec.structs.replace(record(ended), files={"/data/config.json": "the old one's hash"})

    waiting = plan(DESIRED, Observed(containers=(ended,), has_boot_slot=False), before, NOW)
    later = plan(DESIRED, Observed(containers=(ended,)), waiting.record, NOW)

    assert waiting.waits_for == "WaitingToStart"
    assert waiting.record.files == before.files
    assert [type(action).__name__ for action in later.actions] == ["WriteFiles", "StartContainer"]


def test_an_alarm_of_tomorrow_was_now() -> None:
    """After the clock was set back by a day, an alert is over after a good spell, and not a day later."""
    runs = container(DESIRED, ContainerState.RUNNING)
    alarmed = msgspec.structs.replace(record(runs), alerting=("Blocked",), alarmed_at=NOW + timedelta(days=1))

    found = plan(DESIRED, Observed(containers=(runs,)), alarmed, NOW)

    assert found.record.alarmed_at == NOW
    assert found.wake_at == NOW + timedelta(seconds=Timings().good_spell)
