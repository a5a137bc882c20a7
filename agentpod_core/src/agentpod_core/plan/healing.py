"""Decides when an agent is told that it came back from an unclean end, and when to give that up.

What an agent leaves off then, only its adapter knows. Whether it could be told changes nothing about how the
pod is.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from agentpod_core.desired import Desired
from agentpod_core.errors import AgentPodError
from agentpod_core.observed import Observed
from agentpod_core.plan.answers import own_container
from agentpod_core.plan.timings import Timings
from agentpod_core.values.actions import TellHealed
from agentpod_core.values.status import Happening, Record, Severity
from agentpod_core.values.world import ContainerState

TRIES = 5


def telling(desired: Desired, observed: Observed, record: Record, now: datetime) -> TellHealed | None:
    """Give the action that tells a healed agent, once it is ready again; None while there is nothing to tell."""
    if record.heals is None or record.ready_since is None or (record.heal_at is not None and now < record.heal_at):
        return None
    container = own_container(desired, observed)
    if container is None or container.state is not ContainerState.RUNNING or container.address is None:
        return None
    return TellHealed(container=container.id, address=container.address, reason="ReadyAgain")


def told(record: Record) -> Record:
    """Give the record once the agent was told."""
    return msgspec.structs.replace(record, heals=None, heal_at=None)


def told_in_vain(
    record: Record, error: AgentPodError, now: datetime, timings: Timings
) -> tuple[Record, tuple[Happening, ...]]:
    """Count a try that failed; the last one is reported, and is no fault of the pod's."""
    tries = (record.heals or 0) + 1
    if tries < TRIES:
        return msgspec.structs.replace(record, heals=tries, heal_at=now + timings.backoff(tries + 1)), ()
    happening = Happening(
        kind="health",
        reason="AfterHealFailed",
        severity=Severity.WARNING,
        params={**error.params, "cause": error.reason, "tries": tries},
    )
    return told(record), (happening,)
