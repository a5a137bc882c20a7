"""Concludes what is left to say of a pod while nobody can look at it: whether it lives is unknown."""

from __future__ import annotations

from datetime import datetime

import msgspec

from agentpod_core.errors import AgentPodError
from agentpod_core.observed import Probed
from agentpod_core.plan import alerting
from agentpod_core.plan.conclude import Answer, keep_since, transition
from agentpod_core.plan.value import Plan
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import ConditionType, Phase, PodStatus, Record

REASON = "CannotBeSeen"
WORSE = (Phase.CRASH_LOOP, Phase.BLOCKED)


def unseen(before: PodStatus, probed: Probed | None, error: AgentPodError, now: datetime) -> PodStatus:
    """Conclude what is left to say of a pod; that it is dead is never concluded, and who answers is still ready."""
    unknown = {ConditionType.ALIVE} if probed and probed.result.ready else {ConditionType.ALIVE, ConditionType.READY}
    conditions = tuple(
        keep_since(
            Answer(type=one.type, status=None, reason=error.reason, params=error.params), before, one.generation, now
        )
        if one.type in unknown
        else one
        for one in before.conditions
    )
    is_ready = before.ready and ConditionType.READY not in unknown
    return msgspec.structs.replace(before, ready=is_ready, conditions=conditions)


def hidden(  # noqa: PLR0913 - all that is known of such a pod
    wanted: Wanted, before: PodStatus, record: Record, probed: Probed | None, error: AgentPodError, now: datetime
) -> Plan:
    """Conclude that this pod alone cannot be looked at, while the engine shows others: it is in nobody's care."""
    status = unseen(before, probed, error, now)
    if wanted is Wanted.RUNNING and before.phase not in WORSE:
        params = {**error.params, "cause": error.reason}
        status = msgspec.structs.replace(status, phase=Phase.DEGRADED, reason=REASON, params=params)
    after, alerts = alerting.of_phase(record, status, now) if wanted is Wanted.RUNNING else (record, ())
    return Plan(
        actions=(), status=status, assessed=record, record=after, happenings=transition(before, status), alerts=alerts
    )
