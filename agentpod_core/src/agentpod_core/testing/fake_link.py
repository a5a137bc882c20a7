"""A link whose agent is a script: replies by path, sockets by path, files and commands.

It keeps the bounds of the real one (time, size) and notes what was asked. No network is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import Struct

from agentpod_core.errors import NotFoundError, TemporaryError
from agentpod_core.plugpoints.link import ExecResult, Reply

LIMIT = 1_048_576


class Asked(Struct, frozen=True, kw_only=True):
    """One request as it came to the fake; ``kind`` is ``http``, ``websocket``, ``exec`` or ``read``."""

    kind: str
    method: str = ""
    path: str = ""
    port: str | None = None
    json: Any = None
    headers: dict[str, str] = {}
    credentials: bool = True
    argv: tuple[str, ...] = ()


Answer = Reply | Exception | Callable[[Asked], Reply]
"""What a path answers; an exception is raised, a function is asked each time."""


class SocketScript(Struct, frozen=True, kw_only=True):
    """What the other end of a WebSocket does: greets, answers each message, and maybe closes."""

    greets: tuple[str, ...] = ()
    answers: Callable[[str], Iterable[str]] | None = None
    closes: bool = False
    refuses: bool = False


class FakeSocket:
    """An open WebSocket to a script; ``sent`` is what came from our side."""

    def __init__(self, script: SocketScript, limit: int) -> None:
        self.sent: list[str] = []
        self.is_open = True
        self._script = script
        self._limit = limit
        self._waiting: list[str] = list(script.greets)

    async def send(self, text: str) -> None:
        """Hand one message to the script."""
        if not self.is_open:
            raise TemporaryError("ConnectionClosed")
        self.sent.append(text)
        if self._script.answers is not None:
            self._waiting.extend(self._script.answers(text))

    async def receive(self, timeout: float = 5.0) -> str:  # noqa: ASYNC109 - part of the contract
        """Give the script's next message."""
        if self._waiting:
            message = self._waiting.pop(0)
            if len(message.encode()) > self._limit:
                raise TemporaryError("ConnectionClosed")
            return message
        if self._script.closes or not self.is_open:
            raise TemporaryError("ConnectionClosed")
        await asyncio.sleep(timeout)
        raise TemporaryError("Timeout")


class FakeLink:
    """A line to a scripted agent.

    ``replies`` maps ``"GET /healthz"`` (or a path, for every method) to what it answers, other
    paths answer 404. ``sockets`` maps paths to scripts, or to the messages that greet. Change the
    attributes in mid-test: ``unreachable`` refuses every call, ``silent`` lets every call run into
    its timeout, ``stuck`` does not even keep the timeout. ``trouble`` is the platform's own, such as a secret that
    cannot be read: every call raises it.
    """

    def __init__(  # noqa: PLR0913 - each is one thing that an agent has
        self,
        replies: Mapping[str, Answer] | None = None,
        *,
        sockets: Mapping[str, SocketScript | Sequence[str]] | None = None,
        files: Mapping[str, bytes] | None = None,
        commands: Mapping[tuple[str, ...], ExecResult] | None = None,
        credentials: Mapping[str, str] | None = None,
        unreachable: bool = False,
        silent: bool = False,
        stuck: bool = False,
        trouble: TemporaryError | None = None,
        limit: int = LIMIT,
    ) -> None:
        self.replies: dict[str, Answer] = dict(replies or {})
        self.sockets = dict(sockets or {})
        self.files = dict(files or {})
        self.commands = dict(commands or {})
        self.credentials = dict(credentials or {})
        self.unreachable = unreachable
        self.silent = silent
        self.stuck = stuck
        self.trouble = trouble
        self.asked: list[Asked] = []
        self.opened: list[FakeSocket] = []
        self._limit = limit

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
        """Answer by script."""
        asked = Asked(
            kind="http",
            method=method,
            path=path,
            port=port,
            json=json,
            headers=dict(headers or {}),
            credentials=credentials,
        )
        await self._reach(asked, timeout)
        answer = self.replies.get(f"{method} {path}", self.replies.get(path, Reply(status=404)))
        if isinstance(answer, Exception):
            raise answer
        reply = answer if isinstance(answer, Reply) else answer(asked)
        if len(reply.body) > self._limit:
            return msgspec.structs.replace(reply, body=reply.body[: self._limit], cut=True)
        return reply

    @asynccontextmanager
    async def websocket(
        self,
        path: str,
        *,
        port: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - part of the contract
    ) -> AsyncIterator[FakeSocket]:
        """Open a scripted WebSocket; a path without script refuses the handshake."""
        await self._reach(Asked(kind="websocket", path=path, port=port, headers=dict(headers or {})), timeout)
        found = self.sockets.get(path, SocketScript(refuses=True))
        script = found if isinstance(found, SocketScript) else SocketScript(greets=tuple(found))
        if script.refuses:
            raise TemporaryError("Unreachable")
        socket = FakeSocket(script, self._limit)
        self.opened.append(socket)
        try:
            yield socket
        finally:
            socket.is_open = False

    async def exec(self, argv: tuple[str, ...], *, timeout: float = 30.0) -> ExecResult:  # noqa: ASYNC109
        """Answer by script; a command that it does not know ends with 127."""
        await self._reach(Asked(kind="exec", argv=argv), timeout)
        return self.commands.get(argv, ExecResult(code=127, stderr=b"not found"))

    async def read(self, path: str, *, limit: int = LIMIT) -> bytes | None:
        """Give a scripted file."""
        await self._reach(Asked(kind="read", path=path), 5.0)
        content = self.files.get(path)
        return None if content is None else content[:limit]

    def credential(self, name: str) -> str:
        """Give a scripted secret."""
        if name not in self.credentials:
            raise NotFoundError("SecretNotFound", key=name)
        return self.credentials[name]

    async def _reach(self, asked: Asked, seconds: float) -> None:
        self.asked.append(asked)
        if self.trouble is not None:
            raise self.trouble
        if self.unreachable:
            raise TemporaryError("Unreachable")
        if self.stuck:
            await asyncio.get_running_loop().create_future()
        if self.silent:
            await asyncio.sleep(seconds)
            raise TemporaryError("Timeout")
        await asyncio.sleep(0)
