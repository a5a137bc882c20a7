"""Decides which of an agent's answers are worth a look or a pass; asks nobody."""

from __future__ import annotations

from agentpod_core.observed import Lack, Probed
from agentpod_core.values.reports import ProbeResult
from agentpod_core.values.workload import Probe

STEPS = 10
"""Of so many parts of its start deadline the last two, and all beyond it, are when a start is late."""

LEAST = 0.005
"""The shortest start deadline in seconds that can be divided."""


def is_same(before: Probed, result: ProbeResult, lack: Lack | None) -> bool:
    """Say whether an answer says what the one before said."""
    then = before.result
    return (then.ready, then.reason, before.lack) == (result.ready, result.reason, lack)


def step(probed: Probed | None, probe: Probe) -> int:
    """Give in which part of its time a start is; those in which it is not late are one."""
    waited = probed.waited if probed else 0.0
    return max(int(waited * STEPS / max(probe.start_deadline, LEAST)), STEPS - 3)


def is_news(before: Probed | None, now: Probed, probe: Probe) -> bool:
    """Say whether a pass may come to another conclusion than after the answer before."""
    if before is None or not is_same(before, now.result, now.lack):
        return True
    is_counted = (before.failures, before.silences) != (now.failures, now.silences)
    is_enough = is_counted and probe.failures in {now.failures, now.silences}
    return is_enough or before.waited < probe.start_deadline <= now.waited
