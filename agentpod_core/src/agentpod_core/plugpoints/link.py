"""The only way in which adapters and probes reach an agent: bounded, credentialed, and no Docker client."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from msgspec import Struct


class Reply(Struct, frozen=True, kw_only=True):
    """An HTTP answer; ``body`` is cut at the link's limit and ``cut`` says so. Header names are lower case."""

    status: int
    headers: dict[str, str] = {}
    body: bytes = b""
    cut: bool = False


class ExecResult(Struct, frozen=True, kw_only=True):
    """A finished command inside the container; outputs are cut at the link's limit."""

    code: int
    stdout: bytes = b""
    stderr: bytes = b""


class Socket(Protocol):
    """An open WebSocket."""

    async def send(self, text: str) -> None:
        """Send one text message."""
        ...

    async def receive(self, timeout: float = 5.0) -> str:  # noqa: ASYNC109 - part of the contract
        """Wait for the next text message.

        Raises:
            TemporaryError: none came in time, the peer closed, or the message was too large.
        """
        ...


class Link(Protocol):
    """A line to one pod's agent.

    Every call is bounded in time (``timeout`` seconds in all) and size, and raises TemporaryError
    (``Unreachable``, ``Timeout``) where the agent cannot be reached; it never raises for what the
    agent answered. Credentials and the forwarded address are set by the link; where one cannot be
    read, ``SecretNotRead`` is raised, and the agent is not asked.
    """

    async def http(  # noqa: PLR0913 - the fields of a request
        self,
        method: str,
        path: str,
        *,
        port: str | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - part of the contract
        credentials: bool = True,
    ) -> Reply:
        """Send one HTTP request to the named port (None: the routed one)."""
        ...

    def websocket(
        self, path: str, *, port: str | None = None, headers: Mapping[str, str] | None = None, timeout: float = 5.0
    ) -> AbstractAsyncContextManager[Socket]:
        """Open a WebSocket; leaving the context closes it."""
        ...

    async def exec(self, argv: tuple[str, ...], *, timeout: float = 30.0) -> ExecResult:  # noqa: ASYNC109
        """Run a command in the container as the agent's user."""
        ...

    async def read(self, path: str, *, limit: int = 1_048_576) -> bytes | None:
        """Read a file of the container; None where there is none."""
        ...

    def credential(self, name: str) -> str:
        """Give one generated secret by name, for handshakes that carry it in their body."""
        ...
