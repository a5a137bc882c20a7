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
from simulated.process import Process
from simulated.steps import MakeWay, Restart, Step
from simulated.truths import trespasses, untruths
from simulated.world import PACE, World

PATIENCE = 300.0
"""Seconds within which a world has to be as it must be, once it is left in peace."""
QUIET = 3 * PACE.resync
FIRST = (0, 1, 2)
AFTERMATH = 45.0
"""Seconds in which all is over that ends by itself: an outage, or the time without a server that died."""
TAKEOVER = PACE.lease + 5.0
"""Seconds until another server leads, of whatever leads or comes up."""
STILL = 2.0
"""Seconds for which a world is looked at that seems to be as it must be: nothing is under way any more."""
CUTS = {
    "death": "the server dies at boundary",
    "power": "the power goes at boundary",
    "write": "the answer is lost to write",
    "upkeep": "the answer is lost to renewal",
}
"""How a scenario can be cut short."""


def live(steps: Sequence[Step], *, standby: bool = False, slowness: float = 0.0) -> World:
    """Live a history to its end, in virtual time, and give the world as it is then.

    With ``standby`` a second server is there from the start. ``slowness`` is how long each change takes in its midst.

    Raises:
        AssertionError: something is not as it must be; it says what.
    """

    async def script(world: World) -> None:
        world.slowness = slowness
        await _follow(world, steps)

    try:
        return lived(script, standby=standby)
    except AssertionError as error:
        told = "\n".join(["after", *(f"  {step!r}," for step in steps), str(error)])
        raise AssertionError(told) from None


def cut_everywhere(steps: Sequence[Step], how: str) -> int:
    """Cut a scenario short at its first place, its second and so on, until there is none; give how many there were.

    Raises:
        AssertionError: something is not as it must be; it says what.
    """
    nth = 1
    while live_until_cut(steps, nth, how):
        nth += 1
    return nth - 1


def live_until_cut(steps: Sequence[Step], nth: int, how: str) -> bool:
    """Live a scenario that is cut short at its ``nth`` place; False where all was over before it came to that.

    Raises:
        AssertionError: something is not as it must be; it says what.
    """
    is_cut = False

    async def script(world: World) -> None:
        nonlocal is_cut
        (process,) = world.processes
        if how in {"death", "power"}:
            process.dies_at = process.boundaries + nth
            process.dying = lambda: _next_life(world, power=how == "power")
        else:
            made = process.answers[how]
            process.loses[how] = range(made + nth, made + nth + 1)
        await _follow(world, steps)
        is_cut = await _cut(world, process)

    try:
        lived(script, aftermath=TAKEOVER)
    except AssertionError as error:
        raise AssertionError(
            "\n".join([f"{CUTS[how]} {nth}", *(f"  {step!r}," for step in steps), str(error)])
        ) from None
    return is_cut


async def _cut(world: World, process: Process) -> bool:
    """Wait until a scenario is cut short, and say that it was; or that it is over, for nothing is under way."""
    loop = asyncio.get_running_loop()
    until, still_since = loop.time() + PATIENCE, loop.time()
    while not (process.is_dead or process.lost):
        found = untruths(world)
        if world.engine.wrongs or loop.time() > until:
            raise AssertionError("\n".join(["it has no end:", *found, *_told(world)]))
        if found:
            still_since = loop.time()
        elif loop.time() - still_since > STILL:
            return False
        await asyncio.sleep(0.5)
    return True


def _next_life(world: World, *, power: bool) -> None:
    loop = asyncio.get_running_loop()
    if power:
        world.engine.lose()
        loop.call_later(1.0, world.engine.come_back)
    loop.call_later(1.5, world.serve)


async def _follow(world: World, steps: Sequence[Step]) -> None:
    for step in steps:
        world.ledger.happened += 1
        await step.happen(world)


def lived(script: Callable[[World], Awaitable[None]], *, standby: bool = False, aftermath: float = AFTERMATH) -> World:
    """Live what a script does to a world of some pods that are well."""
    logging.disable(logging.CRITICAL)
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(_lived(script, standby=standby, aftermath=aftermath))
    finally:
        logging.disable(logging.NOTSET)


async def _lived(script: Callable[[World], Awaitable[None]], *, standby: bool, aftermath: float) -> World:
    world = World()
    try:
        for slot in FIRST:
            await world.create(slot)
        world.serve()
        if standby:
            world.serve()
        await converged(world)
        await script(world)
        await calmed(world, aftermath)
        await converged(world)
        await looked_at(world)
        await converged(world)
        await stay_quiet(world)
        hammered = world.ledger.hammered()
        assert not hammered, "\n".join(hammered)
    finally:
        for process in world.processes:
            process.die()
        for process in world.processes:
            if process.task:
                with suppress(asyncio.CancelledError):
                    await process.task
    return world


async def calmed(world: World, aftermath: float) -> None:
    """Let peace come."""
    for process in world.processes:
        process.dies_at, process.loses = None, {}
    world.slowness = world.pull = 0.0
    world.engine.unshown.clear()
    world.moods.clear()
    for fate in world.engine.fates.values():
        fate.times = 0
    # What is in the way leaves now: whether it was left alone shows before that, or never.
    found = trespasses(world)
    assert not found, "\n".join(found)
    await MakeWay().happen(world)
    await asyncio.sleep(aftermath)
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
    applied, wrote = len(world.engine.applied), len(world.ledger.writes)
    await asyncio.sleep(QUIET)
    done, written = world.engine.applied[applied:], world.ledger.writes[wrote:]
    assert not done, f"all was well, and still it did {done}"
    assert not written, f"all was well, and still it wrote {written}"
    found = untruths(world)
    assert not found, "\n".join(found)


def _told(world: World, last: int = 30) -> list[Any]:
    return [f"  {one.pod[:5]} {one.happening.reason} {one.happening.params}" for one in world.store.told[-last:]]
