"""Takes note of what servers write and do, and notes at once what none of them may ever do.

Only who holds the lease acts. Whoever is badly off has an alert open, and one. An agent that is said to have been
told that it was healed was told. What was tried again and again was left alone in between. What is said to be done is.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import Any

from agentpod_core.desired import desire
from agentpod_core.plan import Timings
from agentpod_core.values.actions import CreateContainer, RunOnce, StartContainer
from agentpod_core.values.alerts import Raise
from agentpod_core.values.status import Phase

LEVELS = ("Degraded", "CrashLoop", "Blocked")
AT_LEAST = {Phase.DEGRADED: LEVELS, Phase.CRASH_LOOP: LEVELS[1:], Phase.BLOCKED: LEVELS[2:]}
"""The alerts of which one is open while a pod is in that phase."""
ASLEEP = frozenset({Phase.STOPPED, Phase.STOPPING, Phase.DELETING})
"""Of a pod that is not wanted nobody is told, and its agent is told nothing."""
SPEAKS_OF = {"OutOfMemory": "OutOfMemory", "NotAnswering": "Hung"}
"""The alert that is open from such an event on."""
IN_A_ROW = 6
"""So many tries may follow from one thing that happens: to each belongs a first one, and a fresh start after it."""


class Ledger:
    """The notes of one world; ``wrongs`` is the list to which what may never be is added."""

    def __init__(self, world: Any, timings: Timings) -> None:
        self.writes: list[tuple[str, Any]] = []
        self.writers: defaultdict[int, set[str]] = defaultdict(set)
        self.healed: Counter[str] = Counter()
        self.tries: Counter[tuple[str, str]] = Counter()
        self.happened = 0
        self._world = world
        self._wrongs: list[str] = world.engine.wrongs
        self._timings = timings
        self._open: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        self._heals: dict[str, int] = {}

    def touches(self, holder: str, what: object) -> None:
        """Somebody is about to change the world."""
        now, until = asyncio.get_running_loop().time(), self._world.store._expires
        leader = self._world.store._holder
        if holder != leader or now >= until:
            self._wrongs.append(f"{holder} does {what} at {now:.2f}, while {leader} leads until {until:.2f}")
        if isinstance(what, StartContainer):
            self.tries["starts", what.container] += 1
        elif isinstance(what, CreateContainer | RunOnce):
            self.tries[type(what).__name__, what.name] += 1

    def tells(self, pod_id: str) -> None:
        """An agent is told that it was healed."""
        self.healed[pod_id] += 1

    def wrote(self, holder: str, name: str, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        """Somebody has written."""
        self.writes.append((name, args + tuple(given.values())))
        if holder != self._world.store._holder:
            self._wrongs.append(f"{holder} wrote {name}, while {self._world.store._holder} leads")
        self.writers[self._world.store._epoch].add(holder)
        subject = args[1] if name == "save" else ""
        self._follow_alerts(subject, given.get("alerts", ()))
        if name == "save":
            status, happenings = given["status"], given.get("happenings", ())
            self._judge(subject, status, happenings)
            self._believe(subject, status)
            self._follow_healing(subject, status, given["record"], happenings)

    def hammered(self) -> list[str]:
        """List what was tried more often than patience allows, in this world's whole life."""
        allowed = self._patience(asyncio.get_running_loop().time()) + IN_A_ROW * (1 + self.happened)
        return [f"{what} of {name}: {tries} tries" for (what, name), tries in self.tries.items() if tries > allowed]

    def _patience(self, seconds: float) -> int:
        """Count the tries of what fails each time, in so many seconds."""
        tries, lasted, pause = 2, 0.0, self._timings.first_backoff
        while lasted < seconds:
            tries, lasted, pause = tries + 1, lasted + pause, min(2 * pause, self._timings.longest_backoff)
        return tries

    def _follow_alerts(self, subject: str, changes: Any) -> None:
        opened = self._open[subject]
        for change in changes:
            key = (change.reason, getattr(change, "subject", ""))
            is_news = (key in opened) is not isinstance(change, Raise)
            if subject and not is_news:
                # Of the platform's own a new leader does not know, and may say them again.
                self._wrongs.append(f"of {subject[-4:]} was said a second time: {change}")
            if isinstance(change, Raise):
                opened -= {(one, "") for one in change.replaces}
                opened.add(key)
            else:
                opened.discard(key)

    def _judge(self, pod_id: str, status: Any, happenings: Any) -> None:
        opened = {reason for reason, _ in self._open[pod_id]}
        if status.phase in AT_LEAST and opened.isdisjoint(AT_LEAST[status.phase]):
            self._wrongs.append(f"{pod_id[-4:]} is {status.phase}, and the alerts that are open are {opened}")
        for one in happenings:
            if one.reason in SPEAKS_OF and SPEAKS_OF[one.reason] not in opened:
                self._wrongs.append(
                    f"{one.reason} was told of {pod_id[-4:]}, and the alerts that are open are {opened}"
                )

    def _believe(self, pod_id: str, status: Any) -> None:
        """Who waits for a change goes by this: what is said to be ready and applied is so."""
        pod = self._world.store._pods.get(pod_id)
        if pod is None or not status.ready or status.observed_generation != pod.generation:
            return
        desired = desire(self._world.engine.instance, pod)
        own = self._world.engine.containers.get(desired.container)
        is_said = status.phase is Phase.RUNNING
        if is_said and own and own.labels.get("agentpod.spec-hash", desired.spec_hash) != desired.spec_hash:
            self._wrongs.append(f"{pod_id[-4:]} is said to be as it is wanted, and runs as it was before")

    def _follow_healing(self, pod_id: str, status: Any, record: Any, happenings: Any) -> None:
        if record.heals is not None:
            self._heals.setdefault(pod_id, self.healed[pod_id])
            return
        before = self._heals.pop(pod_id, None)
        is_given_up = any(one.reason == "AfterHealFailed" for one in happenings)
        if before == self.healed[pod_id] and status.phase not in ASLEEP and not is_given_up:
            self._wrongs.append(f"{pod_id[-4:]} was healed, and its agent was not told")
