"""Asks every running agent how it is, each at its own pace, and tells when an answer changes.

Decides nothing about a pod: it keeps the last answer and how many bad ones came in a row. An agent that runs is asked
every ``interval`` from question to question, so that one which falls silent is found out after
``interval * failures + timeout`` at most, however long each silence takes. What goes wrong with us is no answer: it
counts as neither failure nor silence, and where it lasts the probe is one that cannot be had.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from agentpod_core.controller.news import is_news, is_same, step
from agentpod_core.desired import asked_hash
from agentpod_core.errors import AgentPodError, ConfigError, PermanentError
from agentpod_core.observed import Lack, Probed
from agentpod_core.plugpoints.link import Link
from agentpod_core.plugpoints.probes import HealthProbe
from agentpod_core.ports import Clock, Links, PodInput, Telemetry
from agentpod_core.values.reports import ProbeResult
from agentpod_core.values.workload import Probe
from agentpod_core.values.world import Container, Endpoint

logger = logging.getLogger(__name__)

OUR_OWN = frozenset(
    {
        "CredentialNotRead",
        "EngineRefused",
        "EngineUnreachable",
        "PluginAnsweredWrong",
        "PluginBlocked",
        "PluginFailed",
        "PluginPaused",
        "SecretNotFound",
        "SecretNotRead",
    }
)
"""Reasons for which an agent could not be asked: they speak of the platform, and no restart of an agent mends them."""


PATIENCE = 3.0
"""Seconds beyond its own time after which a probe's silence is taken for the agent's. Who guards probes ends them
sooner, and names them."""


LEAST_PAUSE = 0.005

UNASKED = Lack(reason="NotAskedYet")


class _Follower(Struct):
    """One start that is asked, as ``pod`` says; ``is_guess`` where nobody knows how that container is to be asked."""

    pod: PodInput
    started_at: datetime | None
    generation: int
    is_guess: bool
    boots: bool
    phase: float
    task: asyncio.Task[None] | None = None
    link: Link | None = None
    probed: Probed | None = None
    was_ready: bool = False
    is_in_step: bool = False
    pause: float = 0.0


class Prober:
    """Follows running containers.

    A container of an earlier spec is asked as it was before, also after another start of it. Where that is not known,
    it is asked as the wanted one: if it is well, that was right, and until then it counts as one that nobody asked.

    ``changed`` is called with a pod's id when a pass is worthwhile, ``late`` shortly before a start is taken for
    failed, and again and again from then on: whether it still works on its start is worth a look. ``spec_hash`` gives
    the hash of the container that a pod should have.
    """

    def __init__(  # noqa: PLR0913 - what asking needs
        self,
        *,
        probe: Callable[[str], HealthProbe],
        links: Links,
        clock: Clock,
        telemetry: Telemetry,
        changed: Callable[[str], None],
        late: Callable[[str], None] = lambda _: None,
        slots: int = 1,
        scale: float = 1.0,
        spec_hash: Callable[[PodInput], str] = lambda _: "",
    ) -> None:
        self._probe = probe
        self._links = links
        self._clock = clock
        self._telemetry = telemetry
        self._changed = changed
        self._late = late
        self._slots = slots
        self._scale = scale
        self._spec_hash = spec_hash
        self._followers: dict[str, _Follower] = {}
        self._asked: dict[str, tuple[str, PodInput]] = {}
        self._booting: set[str] = set()

    def last(self, pod_id: str) -> Probed | None:
        """Give the last word on a pod; None when nobody asked since its start."""
        follower = self._followers.get(pod_id)
        return follower.probed if follower else None

    def follow(self, pod: PodInput, container: Container) -> None:
        """Ask that start of that container from now on; to do so already is fine."""
        follower = self._followers.get(pod.id)
        is_same_start = follower is not None and follower.started_at == container.started_at and not _is_over(follower)
        if follower and is_same_start and follower.generation == pod.generation and container.address:
            return
        is_old = container.spec_hash != self._spec_hash(pod)
        made_of, asked_as = self._asked.get(pod.id, ("", pod))
        asked = asked_as if is_old and made_of == container.id else pod
        probe = asked.workload.probe
        if probe is None:
            self.leave(pod.id)
            if not is_old:
                self._asked[pod.id] = container.id, pod
            return
        if container.address is None:
            self.leave(pod.id)
            return
        if follower and is_same_start and follower.pod is asked:
            follower.generation = pod.generation
            return
        kept = follower.probed if follower and follower.started_at == container.started_at else None
        self.leave(pod.id)
        is_guess = is_old and made_of != container.id and pod.record.asked != asked_hash(pod.workload)
        if not is_guess:
            self._asked[pod.id] = container.id, asked
        follower = _Follower(
            pod=asked,
            started_at=container.started_at,
            generation=pod.generation,
            is_guess=is_guess,
            boots=asked.workload.boot_cost > 0,
            phase=zlib.crc32(pod.id.encode()) / 2**32,
            probed=kept,
            was_ready=pod.record.was_ready and pod.record.started_at == container.started_at,
        )
        self._followers[pod.id] = follower
        if follower.boots and not follower.was_ready:
            self._booting.add(pod.id)
        # In a context of its own: it outlives the pass that it begins with, and is no part of it.
        follower.task = asyncio.create_task(
            self._ask(asked, container, probe, follower), name=f"probe {pod.id}", context=contextvars.Context()
        )

    def leave(self, pod_id: str) -> None:
        """Ask that pod no more."""
        follower = self._followers.pop(pod_id, None)
        self._booting.discard(pod_id)
        if follower and follower.task:
            follower.task.cancel()

    def forget(self, pod_id: str) -> None:
        """Drop what is known of a pod that is gone."""
        self.leave(pod_id)
        self._asked.pop(pod_id, None)

    def close(self) -> None:
        """Ask nobody any more."""
        for pod_id in list(self._followers):
            self.leave(pod_id)
        self._asked.clear()

    async def _ask(self, pod: PodInput, container: Container, probe: Probe, follower: _Follower) -> None:
        # A probe that swallows its end is asked no more all the same.
        while self._followers.get(pod.id) is follower:
            try:
                await self._ask_once(pod, container, probe, follower)
            except Exception:
                # It must not end for that: nobody would ever ask this pod again.
                logger.exception("asking pod %s went wrong; it is asked again", pod.id)
                follower.pause = max(probe.interval * self._scale, LEAST_PAUSE)
            await self._clock.sleep(follower.pause)

    async def _ask_once(self, pod: PodInput, container: Container, probe: Probe, follower: _Follower) -> None:
        asked_at = self._clock.monotonic()
        before = follower.probed
        result, is_answer, lack = await self._check(pod, container, probe, follower)
        # The pause as it was meant: no agent is to blame for a machine that slept longer.
        spent = follower.pause + min(result.seconds, probe.timeout + PATIENCE)
        unasked = 0.0 if is_answer else (before.unasked if before else 0.0) + spent
        if not is_answer and lack is None:
            lack = self._lack(probe, follower, result, unasked)
        waits = is_answer and not follower.was_ready and not result.ready
        waited = (before.waited if before else 0.0) + (spent / self._crowd() if waits else 0.0)
        if (result.ready or lack) and not follower.was_ready:
            follower.was_ready = True
            self._booting.discard(pod.id)
        follower.pause = self._pause(probe, follower, self._clock.monotonic() - asked_at)
        now = self._clock.now()
        probed = follower.probed = Probed(
            result=result,
            failures=0 if result.ready else (before.failures if before else 0) + is_answer,
            silences=0 if is_answer and result.alive else (before.silences if before else 0) + is_answer,
            waited=waited,
            unasked=unasked,
            at=now,
            since=before.since if before and is_same(before, result, lack) else now,
            next_at=now + timedelta(seconds=follower.pause),
            started_at=container.started_at,
            lack=lack,
            probe=probe,
        )
        if not follower.was_ready and step(before, probe) != step(probed, probe):
            self._late(pod.id)
        if is_news(before, probed, probe):
            if not is_answer:
                logger.warning("pod %s could not be asked: %s", pod.id, result.reason)
            self._changed(pod.id)
        self._telemetry.probed(pod.id, result.seconds, result.reason, ready=result.ready)

    def _lack(self, probe: Probe, follower: _Follower, result: ProbeResult, unasked: float) -> Lack | None:
        """Give a lack where an agent could not be asked for so long that it would have been given up by now."""
        known = follower.probed.lack if follower.probed else None
        if known is None:
            patience = probe.failures * probe.interval * self._scale if follower.was_ready else probe.start_deadline
            if unasked < patience:
                return None
        if known is not None and known.reason == result.reason:
            return known
        return Lack(reason=result.reason, params=result.params)

    def _pause(self, probe: Probe, follower: _Follower, took: float) -> float:
        """Give how long to wait before asking again, after an answer that took so long."""
        if not follower.was_ready:
            # Many that boot at once take longer each, and asking them all as often would make it longer still.
            pause = min(probe.start_interval * self._crowd(), max(probe.start_interval, probe.interval))
            return max(pause * self._scale, LEAST_PAUSE)
        interval = probe.interval * self._scale
        if not follower.is_in_step:
            # Those that came to us at one moment, after a takeover or a reboot, are to be asked at different ones.
            follower.is_in_step = True
            interval *= follower.phase
        return max(interval - took, LEAST_PAUSE)

    def _crowd(self) -> float:
        """Give by how much a start is slowed down by the others: those that boot share the processors."""
        return max(1.0, len(self._booting) / self._slots)

    async def _check(
        self, pod: PodInput, container: Container, probe: Probe, follower: _Follower
    ) -> tuple[ProbeResult, bool, Lack | None]:
        """Ask once; gives the result, and whether it is the agent's: what goes wrong with us is held against nobody.

        A probe that cannot be had is a lack, and so is one that cannot be asked with these settings.
        """
        begun = self._clock.monotonic()
        is_answer = True
        try:
            asker = self._probe(probe.probe)
        except AgentPodError as error:
            return _lacking(error)
        try:
            if follower.link is None:
                endpoint = Endpoint(host=container.address or "", port=pod.workload.main_port() or 0)
                follower.link = self._links.link(pod, endpoint, container.id)
            async with asyncio.timeout(probe.timeout + PATIENCE):
                result = await asker.check(follower.link, probe.settings, timeout=probe.timeout)
        except TimeoutError:
            result = ProbeResult(alive=False, ready=False, reason="Timeout")
        except ConfigError as error:
            what = "; ".join(f"{one.path}: {one.message}" for one in error.problems)
            return _lacking(PermanentError("WrongProbeSettings", probe=probe.probe, problems=what))
        except AgentPodError as error:
            is_answer = False
            result = ProbeResult(alive=True, ready=False, reason=error.reason, params=error.params)
        except Exception:
            is_answer = False
            logger.debug("probe %s failed", probe.probe, exc_info=True)
            result = ProbeResult(alive=True, ready=False, reason="ProbeFailed", params={"probe": probe.probe})
        if result.reason in OUR_OWN:
            is_answer = False
            result = msgspec.structs.replace(result, alive=True, ready=False)
        if follower.is_guess and result.ready:
            follower.is_guess = False
            self._asked[pod.id] = container.id, pod
        elif follower.is_guess:
            return ProbeResult(alive=True, ready=False, reason=UNASKED.reason), False, UNASKED
        return msgspec.structs.replace(result, seconds=self._clock.monotonic() - begun), is_answer, None


def _is_over(follower: _Follower) -> bool:
    """Say whether nobody asks any more, which a probe that ends its own task brings about."""
    return follower.task is not None and follower.task.done()


def _lacking(error: AgentPodError) -> tuple[ProbeResult, bool, Lack]:
    result = ProbeResult(alive=True, ready=False, reason=error.reason, params=error.params)
    return result, False, Lack(reason=error.reason, params=error.params)
