"""Speaks to a Docker Engine about containers that carry labels: list, make, start, remove, and nothing else."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import httpx
from msgspec import Struct

from agentpod_core import PermanentError, TemporaryError
from agentpod_traefik.carriers import IMAGE, Labelled
from agentpod_traefik.endpoint import socket_path

OLDEST_API = (1, 41)
OLDEST_ENGINE = "20.10"
TIMEOUT = 30.0
"""Seconds; a busy engine takes a second or two to start a container."""


class Listed(Struct, frozen=True, kw_only=True):
    """A container as the engine's list shows it."""

    id: str
    name: str
    labels: dict[str, str]


class Engine:
    """One conversation with an engine: ``async with Engine(endpoint) as engine``.

    Everything raises ``TemporaryError`` (``EngineUnreachable``; ``EngineRefused`` for what may pass) or
    ``PermanentError`` (``EngineTooOld``, ``EngineRefused``).
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        path = socket_path(endpoint)
        # Plain HTTP only: reading the system's certificates would take longer than all that is asked.
        transport = httpx.AsyncHTTPTransport(uds=str(path) if path else None, verify=False)
        self._client = httpx.AsyncClient(
            transport=transport,
            base_url="http://docker" if path else endpoint.replace("tcp://", "http://", 1),
            timeout=httpx.Timeout(TIMEOUT, connect=5.0),
            trust_env=False,
        )
        self._version = ""

    async def __aenter__(self) -> Self:
        try:
            self._version = f"/v{_api_version((await self._ask('GET', '/version')).json())}"
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            await self._client.aclose()
            raise TemporaryError("EngineUnreachable", detail=f"{self._endpoint} is no Docker Engine") from error
        except BaseException:
            await self._client.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def containers(self, *labels: str) -> list[Listed]:
        """List the containers that have all these labels, running or not."""
        query = {"all": "1", "filters": json.dumps({"label": labels})}
        return [
            Listed(
                id=raw["Id"],
                name=raw["Names"][0].removeprefix("/") if raw.get("Names") else "",
                labels=raw.get("Labels") or {},
            )
            for raw in (await self._ask("GET", "/containers/json", params=query)).json()
        ]

    async def create(self, wanted: Labelled) -> Listed:
        """Make a container from an image without content, which is made too where it is missing."""
        request: dict[str, Any] = {
            "params": {"name": wanted.name},
            "json": {"Image": IMAGE, "Labels": wanted.labels, **wanted.body},
        }
        answer = await self._ask("POST", "/containers/create", {HTTPStatus.NOT_FOUND}, **request)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            await self._make_empty_image()
            answer = await self._ask("POST", "/containers/create", **request)
        return Listed(id=answer.json()["Id"], name=wanted.name, labels=wanted.labels)

    async def start(self, container: str) -> None:
        """Start a container."""
        await self._ask("POST", f"/containers/{container}/start")

    async def remove(self, container: str) -> None:
        """Remove a container; fine when it is gone or going."""
        gone = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}
        await self._ask("DELETE", f"/containers/{container}", gone, params={"force": "1", "v": "1"})

    async def _make_empty_image(self) -> None:
        archive = io.BytesIO()
        tarfile.open(fileobj=archive, mode="w").close()
        name, _, tag = IMAGE.partition(":")
        query = {"fromSrc": "-", "repo": name, "tag": tag}
        answer = await self._ask("POST", "/images/create", params=query, content=archive.getvalue())
        for line in filter(None, answer.text.splitlines()):
            if problem := json.loads(line).get("error"):
                raise PermanentError("EngineRefused", message=str(problem))

    async def _ask(
        self, method: str, path: str, expected: set[HTTPStatus] | None = None, **options: Any
    ) -> httpx.Response:
        try:
            answer = await self._client.request(method, f"{self._version}{path}", **options)
        except httpx.HTTPError as error:
            raise TemporaryError("EngineUnreachable", detail=f"{self._endpoint}: {error!r}") from error
        if answer.is_success or answer.status_code == HTTPStatus.NOT_MODIFIED or answer.status_code in (expected or ()):
            return answer
        message = _message(answer)
        if answer.is_server_error or answer.status_code == HTTPStatus.CONFLICT:
            raise TemporaryError("EngineRefused", message=message)
        raise PermanentError("EngineRefused", message=message)


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return answer.text.strip()[:500]


def _api_version(version: Mapping[str, Any]) -> str:
    """Choose the oldest version that both speak, so that a newer engine behaves as the tested one."""
    if _parsed(version["ApiVersion"]) < OLDEST_API:
        raise PermanentError("EngineTooOld", version=version.get("Version", "?"), needed=OLDEST_ENGINE)
    major, minor = max(OLDEST_API, _parsed(version.get("MinAPIVersion") or "1.12"))
    return f"{major}.{minor}"


def _parsed(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
