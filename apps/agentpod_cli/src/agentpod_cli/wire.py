"""The line to a server: sends requests, and turns refusals and failures into the CLI's errors.

Nothing here knows a route's meaning, and no error or repr ever names the token.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any

import httpx

from agentpod_cli.errors import FOREIGN, CliError, ServerError
from agentpod_cli.exits import Exit
from agentpod_cli.render.amounts import clean
from agentpod_cli.target import Target

PAGE = 500
_SAME_CLOCK = timedelta(seconds=2)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Wire:
    """A line to one server as one user.

    ``is_local`` says that it is this machine, ``clock_ahead`` how far its clock was ahead of ours in the last stream.
    """

    def __init__(self, target: Target, *, language: str = "en", timeout: float = 30.0) -> None:
        self.target = target
        host = httpx.URL(target.server).host
        self.clock_ahead = timedelta()
        self.is_local = host in _LOOPBACK or host.endswith(".localhost")
        headers = {
            "Accept": "application/json",
            "Accept-Language": language if language == "en" else f"{language}, en;q=0.5",
            "User-Agent": f"agentpod-cli/{version('agentpod-cli')}",
        }
        if target.token:
            headers["Authorization"] = f"Bearer {target.token}"
        self._http = httpx.Client(
            base_url=target.server,
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=5.0),
            verify=_trust(target),
            # A proxy for the outside world is not asked for the way to this very machine.
            trust_env=not self.is_local,
        )

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    @contextlib.contextmanager
    def lines(
        self, path: str, *, params: Mapping[str, Any], headers: Mapping[str, str], silence: float | None
    ) -> Iterator[Iterator[str]]:
        """Open a stream of text lines; ``silence`` is how many seconds without a byte end it."""
        timeout = httpx.Timeout(silence, connect=5.0)
        with (
            self._understood(),
            self._http.stream(
                "GET", _url(path), params=given(params), headers=dict(headers), timeout=timeout
            ) as response,
        ):
            if response.is_error:
                response.read()
                raise _refusal(response)
            self.clock_ahead = _ahead(response)
            yield response.iter_lines()

    def all_items(self, path: str, params: Mapping[str, Any] | None = None) -> list[Any]:
        """Follow a listing to its end."""
        items: list[Any] = []
        query = {"limit": PAGE} | given(params or {})
        while True:
            page = self.json("GET", path, params=query)
            items += page["items"]
            if not page.get("next"):
                return items
            query["cursor"] = page["next"]

    def etag(self, path: str) -> str:
        """Give the version of what is there, for a write that must not overtake another."""
        return str(self.send("GET", path).headers.get("ETag", ""))

    def json(self, method: str, path: str, **options: Any) -> Any:
        """Send a request and give the JSON of the answer."""
        return content(self.send(method, path, **options))

    def send(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        if_match: str | None = None,
        timeout: float | None = None,
        root: bool = False,
        accept: tuple[int, ...] = (),
    ) -> httpx.Response:
        """Send a request; error statuses are raised, but for those in ``accept``; ``root`` is outside the API."""
        headers = {"If-Match": if_match} if if_match is not None else {}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        with self._understood():
            response = self._http.request(
                method,
                path if root else _url(path),
                json=None if body is None else dict(body),
                params=dict(params) if params else None,
                headers=headers,
                timeout=httpx.USE_CLIENT_DEFAULT if timeout is None else timeout,
            )
        if response.is_error and response.status_code not in accept:
            raise _refusal(response)
        return response

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
        """Turn what the network does into the CLI's own error; the message names no token."""
        try:
            yield
        except httpx.TimeoutException as error:
            raise CliError("ServerSilent", Exit.UNREACHABLE, server=self.target.server) from error
        except httpx.TransportError as error:
            reason = "ServerUntrusted" if "CERTIFICATE_VERIFY_FAILED" in str(error) else "ServerUnreachable"
            raise CliError(
                reason, Exit.UNREACHABLE, server=self.target.server, source=self.target.source, why=str(error)
            ) from error


def _trust(target: Target) -> ssl.SSLContext | bool:
    if target.server.startswith("http://"):
        # Reading the machine's certificates takes longer than most commands; this line needs none.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if target.ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=target.ca)
    except OSError as error:
        raise CliError("BadCa", Exit.USAGE, path=target.ca, why=error.strerror or type(error).__name__) from None


def _refusal(response: httpx.Response) -> ServerError:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or not {"reason", "type"} & problem.keys():
        title = f"HTTP {response.status_code} {response.reason_phrase}"
        problem = {"reason": FOREIGN, "title": title, "detail": clean(response.text[:300])}
    return ServerError(response.status_code, problem)


def content(response: httpx.Response) -> Any:
    """Give the JSON of an answer."""
    try:
        return response.json()
    except ValueError:
        raise CliError("NotAgentPod", Exit.UNREACHABLE, server=str(response.url)) from None


def _ahead(response: httpx.Response) -> timedelta:
    """Say how much the server's clock is ahead of ours; within the header's own inexactness not at all."""
    try:
        ahead = parsedate_to_datetime(response.headers["Date"]) - datetime.now(UTC)
    except (KeyError, ValueError):
        return timedelta()
    return ahead if abs(ahead) > _SAME_CLOCK else timedelta()


def _url(path: str) -> str:
    return f"/api/v1{path}"


def given(params: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the params that were not given."""
    return {key: value for key, value in params.items() if value is not None}
