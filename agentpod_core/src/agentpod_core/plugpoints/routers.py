"""The plug point for what gives agents public addresses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from agentpod_core.plugpoints.context import Impure
from agentpod_core.values.routes import Certificate, Daemon, Entrypoints, Route


class Router(Impure):
    """Serves routes. A route change drops no open connection of any route."""

    @abstractmethod
    async def observe(self) -> list[Route]:
        """List the routes of ours that are set now, by key.

        Raises:
            TemporaryError: the router cannot be asked.
        """

    @abstractmethod
    async def apply(self, routes: Sequence[Route]) -> bool:
        """Make exactly these routes ours: add, change, remove; foreign ones stay. True if anything changed.

        Applying twice is applying once; an empty list leaves nothing of ours.
        """

    @abstractmethod
    def entrypoints(self) -> Entrypoints:
        """Say where the public gets in; constant after ``open``."""

    def daemon(self) -> Daemon | None:
        """Describe the process that AgentPod should keep running for this router; None for none."""
        return None

    async def certificates(self) -> tuple[Certificate, ...]:
        """Describe the certificates that it serves, so that a person is told in time; none where it cannot say.

        Each names its hosts, and either its end or what is wrong with it. Nothing is changed.
        """
        return ()

    async def ready(self) -> bool:
        """Say whether the router answers."""
        return True
