"""Lives a history: a world with some pods, the steps in their order, and then peace until all is as it must be.

In peace nothing new happens, and an operator does what only a person can: takes away what stands in the
platform's way, brings images back, and asks for a restart of what no restart mends by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from agentpod_core.ports import pod_key
from agentpod_core.testing import VirtualLoop
from simulated.steps import Restart, Step
from simulated.truths import untruths
from simulated.world import IMAGES, PACE, World

PATIENCE = 300.0
"""Seconds within which a world has to be as it must be, once it is left in peace."""
QUIET = 3 * PACE.resync
FIRST = (0, 1, 2)
MOMENT = 5.0
"""Seconds in which a server notices what a step did, where nothing tells it."""


def live(steps: Sequence[Step], *, standby: bool = False, first: Sequence[int] = FIRST) -> World:
    """Live a history to its end, in virtual time, and give the world as it is then.

    Raises:
        AssertionError: something is not as it must be; it says what.
    """

    async def script(world: World) -> None:
        await _follow(world, steps)

    try:
        return lived(script, standby=standby, first=first)
    except AssertionError as error:
        told = "\n".join(["after", *(f"  {step!r}," for step in steps), str(error)])
        raise AssertionError(told) from None


def scenario_boundaries(steps: Sequence[Step], *, writes: bool = False) -> int:
    """Count the boundaries, or the writes, until a server has done its last for what these steps want."""
    count = 0

    async def script(world: World) -> None:
        nonlocal count
        (process,) = world.processes
        before = process.writes if writes else process.boundaries
        await _follow(world, steps)
        await asyncio.sleep(MOMENT)
        await converged(world)
        count = (process.writes if writes else process.boundaries) - before

    lived(script)
    return count


def live_until_cut(steps: Sequence[Step], nth: int, *, power: bool = False, unsure: bool = False) -> None:
    """Live a scenario in which the server, or the machine, ends at the ``nth`` boundary; or a write's answer is lost.

    Raises:
        AssertionError: something is not as it must be; it says what.
    """

    async def script(world: World) -> None:
        (process,) = world.processes
        if unsure:
            process.unsure_at = range(process.writes + nth, process.writes + nth + 1)
        else:
            process.dies_at = process.boundaries + nth
            process.dying = lambda: _next_life(world, power=power)
        await _follow(world, steps)
        await asyncio.sleep(MOMENT)

    what = "the answer to write" if unsure else "the power went at boundary" if power else "the server died at boundary"
    try:
        lived(script)
    except AssertionError as error:
        raise AssertionError("\n".join([f"{what} {nth}", *(f"  {step!r}," for step in steps), str(error)])) from None


def _next_life(world: World, *, power: bool) -> None:
    loop = asyncio.get_running_loop()
    if power:
        world.engine.lose()
        loop.call_later(1.0, world.engine.come_back)
    loop.call_later(1.5, world.serve)


async def _follow(world: World, steps: Sequence[Step]) -> None:
    for step in steps:
        await step.happen(world)


def lived(script: Callable[[World], Awaitable[None]], *, standby: bool = False, first: Sequence[int] = FIRST) -> World:
    """Live what a script does to a world of some pods that are well."""
    logging.disable(logging.CRITICAL)
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(_lived(script, standby=standby, first=first))
    finally:
        logging.disable(logging.NOTSET)


async def _lived(script: Callable[[World], Awaitable[None]], *, standby: bool, first: Sequence[int]) -> World:
    world = World()
    try:
        for slot in first:
            await world.create(slot)
        world.serve()
        if standby:
            world.serve()
        await converged(world)
        await script(world)
        await calmed(world)
        await converged(world)
        await looked_at(world)
        await converged(world)
        await stay_quiet(world)
    finally:
        for process in world.processes:
            process.die()
        for process in world.processes:
            if process.task:
                with suppress(asyncio.CancelledError):
                    await process.task
    return world


async def calmed(world: World) -> None:
    """Let peace come."""
    for process in world.processes:
        process.dies_at, process.unsure_at = None, range(0)
    world.moods.clear()
    for fate in world.engine.fates.values():
        fate.times = 0
    world.engine.images.update(IMAGES)
    for name in world.in_the_way:
        if world.engine.containers.get(name) is world.foreign.pop(name):
            world.engine.remove_by_hand(name)
    world.in_the_way.clear()
    for name in [name for name in world.engine.networks if name.startswith("foreign-")]:
        del world.engine.networks[name]
    # What ends by itself has to end first: an outage, or a server's death, in whose place another one comes up.
    await asyncio.sleep(45)
    if not world.lives():
        world.serve()


async def converged(world: World) -> None:
    """Wait until everything is as it must be."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE
    while found := untruths(world):
        if world.engine.wrongs or loop.time() > until:
            raise AssertionError("\n".join([f"at {loop.time():.1f}:", *found, *_told(world)]))
        await asyncio.sleep(1.0)
        for slot, pod in enumerate(world.slots):
            if pod and (stored := world.store._pods.get(pod.id)) and stored.record.blocked is not None:
                await Restart(slot).happen(world)


async def looked_at(world: World) -> None:
    """Let every pod have its pass, and the clock that somebody set its consequences."""
    world.store._tell(*(pod_key(pod_id) for pod_id in world.store._pods))
    await asyncio.sleep(1.0)


async def stay_quiet(world: World) -> None:
    """See that the engine leaves a world alone in which all is well."""
    applied, wrote = len(world.engine.applied), len(world.writes)
    await asyncio.sleep(QUIET)
    done, written = world.engine.applied[applied:], world.writes[wrote:]
    assert not done, f"all was well, and still it did {done}"
    assert not written, f"all was well, and still it wrote {written}"
    found = untruths(world)
    assert not found, "\n".join(found)


def _told(world: World, last: int = 30) -> list[Any]:
    return [f"  {one.pod[:5]} {one.happening.reason} {one.happening.params}" for one in world.store.told[-last:]]
