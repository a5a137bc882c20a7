"""Lets Traefik know routes by labels: one carrier a route on a Docker Engine, and a bell when they have changed.

What a carrier is made of stands in ``carriers``; here is in which order carriers come and go. New ones come
first, and old ones go once Traefik has said that it knows the new ones: a route that changes is served
throughout. Any step can be the last of a process that is killed, since the bell says what it was rung for.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import httpx
from msgspec import Struct

from agentpod_core import Route
from agentpod_traefik import carriers
from agentpod_traefik.dynamic import Serving
from agentpod_traefik.engine import Engine, Listed

PATIENCE = (2.0, 8.0)
"""Seconds after each ring. Traefik inspects every container of the engine, one by one, for every ring and for all that
starts and ends there besides; and it hears no bell between its first look and the moment when it begins to listen."""

_AT_ONCE = 4
_LOOK = 0.01

log = logging.getLogger(__name__)

T = TypeVar("T")


class Place(Struct, frozen=True, kw_only=True):
    """Where labels are kept and read: the engine, whose carriers they are, and the port of Traefik's ping."""

    endpoint: str
    instance: str
    ping: int


class LabelRoutes:
    """The labels are the truth. They outlive this process, Traefik and the engine's restarts.

    ``note`` is a file that is there as long as carriers may be: whoever serves the routes otherwise later
    on learns from it that there is something to clear away, and where.
    """

    def __init__(self, place: Place, serving: Serving, note: Path) -> None:
        self._place = place
        self._serving = serving
        self._note = note
        self._token: str | None = None

    async def observe(self) -> list[Route]:
        """List the routes that are set; of two carriers of one route, as a killed process leaves, either one."""
        async with Engine(self._place.endpoint) as engine:
            found = await self._ours(engine)
        routes = {route.key: route for one in found if (route := self._route(one))}
        return [routes[key] for key in sorted(routes)]

    async def apply(self, routes: Sequence[Route]) -> bool:
        """Make the carriers that are missing, remove those that are too many, and ring where Traefik was not told."""
        wanted = [carriers.carrier(route, self._serving, self._place.instance) for route in routes]
        async with Engine(self._place.endpoint) as engine:
            ours = await self._ours(engine)
            bells = [one for one in ours if carriers.BELL in one.labels]
            there = [one for one in ours if one not in bells]
            labels = {one.name: one.labels for one in wanted}
            stale = [one for one in there if labels.get(one.name) != one.labels]
            kept = {one.name for one in there} - {one.name for one in stale}
            missing = [one for one in wanted if one.name not in kept]
            if not missing and not stale and self._stands_for(bells, labels):
                await self._remind(engine, bells)
                return False
            self._note.write_text(self._place.endpoint, encoding="utf-8")
            # What was tampered with has the name that the right one needs.
            await _each(engine.remove, (one.id for one in stale if one.name in labels))
            await _each(engine.create, missing)
            stale = [one for one in stale if one.name not in labels]
            if stale:
                bells = await self._make_known(engine, bells, [*labels, *(one.name for one in stale)])
            await _each(engine.remove, (one.id for one in stale))
            bell = await self._ring(engine, bells, labels)
            if not wanted:
                await engine.remove(bell.id)
                self._token = None
        log.info("routes changed: %d made, %d removed, %d in all", len(missing), len(stale), len(wanted))
        return True

    async def is_followed(self, within: float) -> bool:
        """Say whether Traefik knows the carriers of the last bell."""
        return self._token is None or await self._is_heard(self._token, within) is True

    async def clear(self) -> bool:
        """Remove everything, and the note that there is anything. Nobody is told: Traefik reads no labels any more."""
        async with Engine(self._place.endpoint) as engine:
            ours = await self._ours(engine)
            await _each(engine.remove, (one.id for one in ours))
        self._note.unlink(missing_ok=True)
        return bool(ours)

    async def _ours(self, engine: Engine) -> list[Listed]:
        instance = self._place.instance
        found = await engine.containers(f"{carriers.INSTANCE}={instance}", f"{carriers.ROUTER}={carriers.NAME}")
        return [one for one in found if carriers.is_ours(one.labels, instance)]

    def _route(self, one: Listed) -> Route | None:
        return carriers.read(one.name, one.labels, self._serving, self._place.instance)

    def _stands_for(self, bells: Sequence[Listed], names: Collection[str]) -> bool:
        """Say whether the one bell there is was made when exactly these carriers were there."""
        if not names:
            return not bells
        return [one.labels[carriers.BELL] for one in bells] == [carriers.digest_of(names)]

    async def _ring(self, engine: Engine, earlier: Sequence[Listed], names: Iterable[str]) -> Listed:
        """Make Traefik look; by a bell of its own each time, so that its answer cannot be of an earlier look."""
        bell = carriers.bell(self._place.instance, carriers.digest_of(names), secrets.token_hex(4))
        made = await engine.create(bell)
        # Before it rings, or Traefik would find the earlier ones once more.
        await _each(engine.remove, (one.id for one in earlier))
        await self._tell(engine, made)
        return made

    async def _make_known(self, engine: Engine, bells: list[Listed], names: Collection[str]) -> list[Listed]:
        """Have Traefik know all that is there, before anything of it goes; gives the bell that told it."""
        if not self._stands_for(bells, names):
            return [await self._ring(engine, bells, names)]
        await self._remind(engine, bells)
        return bells

    async def _remind(self, engine: Engine, bells: Sequence[Listed]) -> None:
        """Ring once more where Traefik has missed it, or nobody came to ring."""
        self._token = None
        for bell in bells:
            self._token = bell.labels[carriers.TOKEN]
            if await self._is_heard(self._token, 0) is False:
                await self._tell(engine, bell)

    async def _tell(self, engine: Engine, bell: Listed) -> None:
        """Ring until Traefik knows. One that does not run looks by itself when it starts."""
        self._token = bell.labels[carriers.TOKEN]
        for seconds in PATIENCE:
            await engine.start(bell.id)
            if await self._is_heard(self._token, seconds) is not False:
                return
        log.warning("Traefik does not follow what changes on the Docker Engine")

    async def _is_heard(self, token: str, within: float) -> bool | None:
        """Ask Traefik whether it has seen the bell of that token; None when nobody is there to ask."""
        url = f"http://127.0.0.1:{self._place.ping}{carriers.token_path(token)}"
        clock = asyncio.get_running_loop()
        until = clock.time() + within
        async with httpx.AsyncClient(trust_env=False, timeout=2.0, verify=False) as client:  # noqa: S501 - no TLS
            while True:
                try:
                    if (await client.get(url)).is_success:
                        return True
                except httpx.ConnectError:
                    return None
                except httpx.HTTPError as error:
                    log.debug("Traefik did not answer: %r", error)
                if clock.time() >= until:
                    return False
                await asyncio.sleep(_LOOK)


async def _each(call: Callable[[T], Awaitable[object]], things: Iterable[T]) -> None:
    """Await a call for each thing, a few at once: an engine gets no faster with more."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(thing: T) -> None:
        async with turns:
            await call(thing)

    for outcome in await asyncio.gather(*map(one, things), return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
