"""Speaks to one Docker Engine: requests, streams, and the engine's refusals in AgentPod's words.

Three clients on purpose: what is followed, or waits for an agent's end, holds its connection for long, and a
hundred of them would starve every other call; and an engine that is being stopped takes no new connections while it
answers on those that it has, so the third makes one for each request. Nothing here knows what the objects mean.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Any, NamedTuple

import aiodocker
import aiohttp
import msgspec

from agentpod_core import ConflictError, PermanentError, TemporaryError

OLDEST_API = (1, 41)
OLDEST_ENGINE = "20.10"
TIMEOUT = 120.0
_CONNECT = 10.0
_MEETING = 10.0
_VERSION, _INFO = "version", "info"


class Engine:
    """One Docker Engine. Make it with ``connect`` or ``at``, and ``close`` it.

    It may be another version from one moment to the next, when somebody upgrades it: it is met again then.
    ``is_local`` is whether it runs on this host. Known once it was met: how many ``processors`` it has, by
    ``limits_swap`` whether its kernel counts swap, and by ``shares_files`` whether its volumes' folders may be written
    here as the container's user would see them.
    """

    def __init__(
        self, control: aiodocker.Docker, streams: aiodocker.Docker, fresh: aiodocker.Docker, *, is_local: bool
    ) -> None:
        self._control = control
        self._streams = streams
        self._fresh = fresh
        self.is_local = is_local
        self.processors = 1
        self.limits_swap = False
        self.shares_files = False
        self._is_met = False
        self._meeting = asyncio.Lock()

    @classmethod
    def at(cls, url: str) -> Engine:
        """Give the engine at that address, without a word to it."""
        streams = aiodocker.Docker(**_connected(url, limit=0))
        fresh = aiodocker.Docker(**_connected(url, force_close=True))
        return cls(aiodocker.Docker(url=url), streams, fresh, is_local=url.startswith("unix://"))

    @classmethod
    async def connect(cls, url: str) -> Engine:
        """Give the engine at that address, and meet it; errors as ``meet``."""
        engine = cls.at(url)
        try:
            await engine.meet()
        except BaseException:
            await engine.close()
            raise
        return engine

    async def meet(self) -> None:
        """Learn what the engine is and can; once is enough, and any other request does it by itself.

        Raises:
            TemporaryError: ``EngineUnreachable``.
            PermanentError: ``EngineTooOld``.
        """
        async with self._meeting:
            if self._is_met:
                return
            version = await self.json("GET", _VERSION, seconds=_MEETING)
            spoken = f"v{_api_version(version)}"
            self._control.api_version = self._streams.api_version = self._fresh.api_version = spoken
            info = await self.json("GET", _INFO, seconds=_MEETING)
            self.processors = info["NCPU"]
            self.limits_swap = bool(info.get("SwapLimit"))
            self.shares_files = self.is_local and not maps_users(info)
            self._is_met = True

    def forget(self) -> None:
        """Take note that it was gone: what comes back may be another version, and is met before the next request."""
        self._is_met = False

    async def close(self) -> None:
        """Let go of all connections."""
        await self._control.close()
        for client in (self._streams, self._fresh):
            connector = client.connector
            await client.close()
            await connector.close()

    async def json(  # noqa: PLR0913 - what a request may be
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        seconds: float = TIMEOUT,
        is_fresh: bool = False,
    ) -> Any:
        """Make a request and decode its answer, which may take so long; None where the engine has nothing to say.

        With ``is_fresh`` it is made on a connection of its own, which no engine takes that is being stopped.

        Raises:
            Refused: the engine answered with an error.
            TemporaryError: ``EngineUnreachable``.
        """
        request = Request(method, path, params, None if body is None else json.dumps(body))
        client = self._fresh if is_fresh else self._control if seconds <= TIMEOUT else self._streams
        async with self._answer(client, request, seconds) as response:
            text = await response.read()
        if not text and method == "GET":
            raise TemporaryError("EngineUnreachable", detail="it ended in the midst of its answer")
        # The list of some hundred containers is half a megabyte, and this three times as quick as the standard library.
        return msgspec.json.decode(text) if text else None

    async def send(self, path: str, *, params: Mapping[str, Any], archive: bytes) -> None:
        """Put an archive."""
        async with self._answer(self._control, Request("PUT", path, params, archive)) as response:
            await response.read()

    async def headers(self, path: str, *, params: Mapping[str, Any]) -> Mapping[str, str] | None:
        """Ask for an answer's headers only; None where there is no such thing."""
        try:
            async with self._answer(self._control, Request("HEAD", path, params)) as response:
                return response.headers
        except Refused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def stream(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None, data: Any = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Open an answer that may never end; ``data`` is an archive, or yields one."""
        sent = json.dumps(body) if body is not None else data
        return self._answer(self._streams, Request(method, path, params, sent), None)

    @asynccontextmanager
    async def _answer(
        self, client: aiodocker.Docker, request: Request, seconds: float | None = TIMEOUT
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        response: aiohttp.ClientResponse | None = None
        try:
            try:
                response = await self._sent(client, request, seconds)
            except Refused as refused:
                if not refused.is_of_version:
                    raise
                self.forget()
                if not (request.data is None or isinstance(request.data, str | bytes)):
                    # What yields an archive did so once.
                    raise TemporaryError("EngineRefused", message=refused.message) from None
                response = await self._sent(client, request, seconds)
            yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TemporaryError("EngineUnreachable", detail=repr(error)) from error
        finally:
            # What is left of an unread answer must not be read by the connection's next user.
            if response is not None:
                response.close()

    async def _sent(self, client: aiodocker.Docker, request: Request, seconds: float | None) -> aiohttp.ClientResponse:
        """Send a request; give the answer, unless that is a refusal."""
        if not self._is_met and request.path not in {_VERSION, _INFO}:
            await self.meet()
        # Which versions it speaks is asked in none of them: it may have been upgraded beyond the one that was spoken.
        version = "" if request.path == _VERSION else f"/{client.api_version}"
        # Not by aiodocker's own query: it can neither look at headers alone nor at an error without a body.
        response = await client.session.request(
            request.method,
            f"{client.docker_host}{version}/{request.path}",
            params={name: _flat(value) for name, value in (request.params or {}).items()},
            data=request.data,
            headers={"Content-Type": "application/json" if isinstance(request.data, str) else "application/x-tar"},
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT),
        )
        if response.status < HTTPStatus.BAD_REQUEST:
            return response
        try:
            raise Refused(response.status, _message(await response.read()))
        finally:
            response.close()


class Request(NamedTuple):
    """What to ask of the engine; ``data`` is JSON as text, or an archive."""

    method: str
    path: str
    params: Mapping[str, Any] | None = None
    data: Any = None


class Refused(Exception):  # noqa: N818 - an answer of the engine, to be put into AgentPod's words by ``as_error``
    """The engine's own refusal, before anybody has said what it means."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message.strip()

    @property
    def is_of_version(self) -> bool:
        """Whether the engine does not speak the version of its API in which it was asked."""
        return self.status == HTTPStatus.BAD_REQUEST and self.mentions("client version")

    def mentions(self, *texts: str) -> bool:
        """Say whether the message holds one of the texts."""
        return any(text in self.message for text in texts)

    def as_error(self) -> TemporaryError | PermanentError | ConflictError:
        """Give what callers may see: a failure of the engine may pass, a refusal will not."""
        if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or self.status == HTTPStatus.CONFLICT:
            return TemporaryError("EngineRefused", message=self.message)
        return PermanentError("EngineRefused", message=self.message)


def filters(**wanted: list[str]) -> dict[str, str]:
    """Write filters as the engine wants them."""
    return {"filters": json.dumps(wanted)}


def _connected(url: str, **options: Any) -> dict[str, Any]:
    if url.startswith("unix://"):
        path = url.removeprefix("unix://")
        return {"url": "unix://localhost", "connector": aiohttp.UnixConnector(path, **options)}
    return {"url": url, "connector": aiohttp.TCPConnector(**options)}


def maps_users(info: Mapping[str, Any]) -> bool:
    """Say whether a container's users are other users on the host."""
    return any("userns" in option or "rootless" in option for option in info.get("SecurityOptions") or ())


def _flat(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _message(body: bytes) -> str:
    text = body.decode(errors="replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text


def _api_version(version: Mapping[str, Any]) -> str:
    """Choose the oldest version that both speak, so that a newer engine behaves as the tested one."""
    newest = _parsed(version["ApiVersion"])
    if newest < OLDEST_API:
        raise PermanentError("EngineTooOld", version=version.get("Version", "?"), needed=OLDEST_ENGINE)
    oldest = _parsed(version.get("MinAPIVersion") or "1.12")
    major, minor = max(OLDEST_API, oldest)
    return f"{major}.{minor}"


def _parsed(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
