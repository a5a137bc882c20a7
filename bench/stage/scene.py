"""The stage: hands each case what it needs, made when first asked for, and clears everything away in the end."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from typing import Self

from stage.engine import Engine
from stage.platform import Platform
from stage.router import Router
from stage.twin import GATEWAY, NETWORK, SUBNET


class Stage:
    """Used as a context: whatever ends it, Ctrl-C included, everything that was made is removed.

    ``is_quick`` asks for few turns: to see that a case works, not to claim anything.
    """

    def __init__(self, *, is_quick: bool = False) -> None:
        self.is_quick = is_quick
        self._made = ExitStack()
        self._platform: Platform | None = None
        self._engine: Engine | None = None
        self._router: Router | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not leave anything behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.clear()

    def turns(self, wanted: int) -> int:
        """Say how many turns to take where so many are wanted for a claim."""
        return min(wanted, 3) if self.is_quick else wanted

    @property
    def platform(self) -> Platform:
        """A platform that runs."""
        if self._platform is None:
            platform = Platform()
            self._made.callback(platform.end)
            platform.up()
            self._platform = platform
        return self._platform

    def another(self, *, plugin: str | None = None, **settings: str) -> Platform:
        """Give one more platform that runs, for what the usual one must not have; ``end`` it, or the stage does."""
        platform = Platform(plugin=plugin, **settings)
        self._made.callback(platform.end)
        platform.up()
        return platform

    @property
    def engine(self) -> Engine:
        """The engine's bare API, with a network for the reference's containers."""
        if self._engine is None:
            engine = Engine(str(os.getpid()))
            self._made.callback(engine.close)
            self._made.callback(engine.sweep)
            engine.network(NETWORK, SUBNET, GATEWAY)
            self._engine = engine
        return self._engine

    @property
    def router(self) -> Router:
        """The reference's router."""
        if self._router is None:
            router = Router(self.platform)
            self._made.callback(router.end)
            router.until_up()
            self._router = router
        return self._router

    def clear(self) -> None:
        """Remove everything; what is asked for next is made anew."""
        self._platform = self._engine = self._router = None
        made, self._made = self._made, ExitStack()
        made.close()
