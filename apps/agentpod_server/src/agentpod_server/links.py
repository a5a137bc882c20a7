"""Lines to agents: HTTP and WebSocket over the tenant's network, commands and files through the runtime.

Every call carries the pod's credential and a forwarded address, for agents take the caller, who comes from
their gateway's address, for the trusted proxy. Nothing secret is in any repr, log or error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from agentpod_core.errors import AgentPodError, NotFoundError, PermanentError, TemporaryError
from agentpod_core.plugpoints.link import ExecResult, Link, Reply, Socket
from agentpod_core.plugpoints.runtimes import Runtime
from agentpod_core.ports import PodInput
from agentpod_core.values.workload import SecretRef
from agentpod_core.values.world import Endpoint
from agentpod_server import agent_http

SecretReader = Callable[[str, SecretRef], Awaitable[str]]
"""``Store.secret``: tenant id and reference to value."""

LIMIT = 1_048_576
FORWARDED_FOR = "192.0.2.2"
"""A documentation address: it is nobody's, and neither loopback nor the proxy's own."""

_FOR_SECRETS = 0.5
"""The part of a call's time that reading secrets may take: an agent must not be found silent for want of the rest."""
_GOODBYE = 0.5

_silent = logging.getLogger(f"{__name__}.websocket")
# At its lowest level it writes headers, and in them the credential. A level, because whoever configures
# logging afterwards may enable loggers that exist.
_silent.setLevel(logging.CRITICAL + 1)


class AgentLinks:
    """Makes links. ``limit`` bounds bodies, messages and outputs, in bytes."""

    def __init__(self, runtime: Runtime, secret: SecretReader, *, limit: int = LIMIT) -> None:
        self.runtime = runtime
        self.limit = limit
        self.secret = secret

    def link(self, pod: PodInput, endpoint: Endpoint, container: str) -> Link:
        """Give a line to that pod's agent; nothing happens before its first call."""
        return AgentLink(self, pod, endpoint, container)


class AgentLink:
    """A line to one pod's agent; see ``agentpod_core.plugpoints.link.Link``.

    It reads each of the pod's secrets once, whose values never change under one reference, and holds no connection
    between calls.
    """

    def __init__(self, links: AgentLinks, pod: PodInput, endpoint: Endpoint, container: str) -> None:
        self._links = links
        self._pod = pod
        self._endpoint = endpoint
        self._container = container
        self._credentials: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"AgentLink(pod={self._pod.tenant}/{self._pod.name})"

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
        number = self._port(port)
        body = None if json is None else msgspec.json.encode(json)
        content = {} if body is None else {"content-type": "application/json"}
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        sent = await self._headers({**content, **_lowered(headers)}, timeout, credentials=credentials)
        return await agent_http.request(
            self._endpoint.host,
            number,
            method,
            path,
            headers=sent,
            body=body,
            timeout=max(deadline - loop.time(), 0.0),
            limit=self._links.limit,
        )

    @asynccontextmanager
    async def websocket(
        self,
        path: str,
        *,
        port: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - part of the contract
    ) -> AsyncIterator[Socket]:
        """Open a WebSocket; leaving the context closes it."""
        if not agent_http.is_target(path):
            raise ValueError("the path must begin with / and be percent-encoded")
        number = self._port(port)
        host = f"[{self._endpoint.host}]" if ":" in self._endpoint.host else self._endpoint.host
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        sent = await self._headers(_lowered(headers), timeout, credentials=True)
        try:
            connection = await _Connect(
                f"ws://{host}:{number}{path}",
                additional_headers=sent,
                user_agent_header=None,
                compression=None,
                proxy=None,
                max_size=self._links.limit,
                max_queue=4,
                open_timeout=max(deadline - loop.time(), 0.0),
                close_timeout=_GOODBYE,
                ping_interval=None,
                logger=_silent,
            )
        except TimeoutError:
            raise TemporaryError("Timeout") from None
        except InvalidStatus as error:
            raise TemporaryError("WebSocketRefused", status=error.response.status_code) from None
        except (OSError, WebSocketException) as error:
            raise TemporaryError("Unreachable", detail=type(error).__name__) from None
        try:
            yield AgentSocket(connection, timeout)
        finally:
            await connection.close()

    async def exec(self, argv: tuple[str, ...], *, timeout: float = 30.0) -> ExecResult:  # noqa: ASYNC109
        """Run a command in the container as the agent's user."""
        return await self._links.runtime.exec(self._container, argv, timeout=timeout, limit=self._links.limit)

    async def read(self, path: str, *, limit: int = LIMIT) -> bytes | None:
        """Read a file of the container; None where there is none."""
        return await self._links.runtime.read(self._container, path, limit=limit)

    def credential(self, name: str) -> str:
        """Give one generated secret by name, for handshakes that carry it in their body.

        Raises:
            NotFoundError: the pod has no such secret.
            TemporaryError: nothing was asked over this link yet; secrets arrive with the first call.
        """
        if name not in self._pod.secrets:
            raise NotFoundError("SecretNotFound", key=name)
        if name not in self._credentials:
            raise TemporaryError("CredentialNotRead", key=name)
        return self._credentials[name]

    def _port(self, name: str | None) -> int:
        if name is None:
            return self._endpoint.port
        for port in self._pod.workload.ports:
            if port.name == name:
                return port.number
        raise PermanentError("UnknownPort", port=name)

    async def _headers(self, given: dict[str, str], timeout: float, *, credentials: bool) -> dict[str, str]:  # noqa: ASYNC109
        """Add the forwarded address and, if asked for, the credential, over whatever was given."""
        headers = {**given, "x-forwarded-for": FORWARDED_FOR}
        if not credentials:
            return headers
        await self._read_secrets(timeout * _FOR_SECRETS)
        if self._pod.credential is not None:
            headers["authorization"] = f"Bearer {self.credential(self._pod.credential)}"
        return headers

    async def _read_secrets(self, seconds: float) -> None:
        """Read what was not read yet. Whatever comes between has one reason: it is no word of the agent's."""
        name = ""
        try:
            async with asyncio.timeout(seconds):
                for name, ref in self._pod.secrets.items():
                    if name not in self._credentials:
                        self._credentials[name] = await self._links.secret(self._pod.tenant_id, ref)
        except TimeoutError:
            raise TemporaryError("SecretNotRead", secret=name, cause="Timeout") from None
        except AgentPodError as error:
            trouble = TemporaryError("SecretNotRead")
            trouble.params = {**error.params, "secret": name, "cause": error.reason}
            raise trouble from error


class _Connect(connect):
    """Opens a WebSocket where it was asked to: an agent that redirects would be handed the credential elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class AgentSocket:
    """An open WebSocket to an agent; ``timeout`` bounds each sending."""

    def __init__(self, connection: ClientConnection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout

    async def send(self, text: str) -> None:
        """Send one text message."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._connection.send(text)
        except TimeoutError:
            raise TemporaryError("Timeout") from None
        except ConnectionClosed:
            raise TemporaryError("ConnectionClosed") from None

    async def receive(self, timeout: float = 5.0) -> str:  # noqa: ASYNC109 - part of the contract
        """Wait for the next message; a binary one is read as UTF-8."""
        try:
            async with asyncio.timeout(timeout):
                return await self._connection.recv(decode=True)
        except TimeoutError:
            raise TemporaryError("Timeout") from None
        except (ConnectionClosed, UnicodeDecodeError):
            raise TemporaryError("ConnectionClosed") from None


def _lowered(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in (headers or {}).items()}
