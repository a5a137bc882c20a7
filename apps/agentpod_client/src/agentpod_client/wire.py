"""The line to one server: sends requests, sends again what may be sent again, and turns failures into ours.

Nothing here knows what a route means.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import httpx

from agentpod_client.errors import (
    ApiError,
    BadNameError,
    BadTokenError,
    ClientError,
    ForeignAnswerError,
    SilentServerError,
    UnreachableError,
    UntrustedServerError,
)
from agentpod_client.listing import Listing

PREFIX = "/api/v1"
_CONNECT_SECONDS = 5.0
_SAME_CLOCK = timedelta(seconds=2)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PASSING = (429, 502, 503, 504)
"""Statuses of a server that is busy or away for a moment."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0


class Stream(NamedTuple):
    """Lines as they come, and how far the server's clock is ahead of ours."""

    lines: Iterator[str]
    ahead: timedelta


class Wire:
    """Talks to one server as one user; safe to share between threads.

    Args:
        server: The server's address, such as ``https://agentpod.example.com``.
        token: An API token; without one only what is open to everybody answers.
        language: In which language the server's texts come, ``en`` or ``zh-CN``.
        timeout: Seconds that one request may take.
        retries: How often a read is sent again after the server was away or busy; a write is sent
            again only where it certainly never left.
        ca: A file with the certificate authority that vouches for the server.
        user_agent: How the program calls itself.
        clock: A monotonic clock, for tests.
        sleep: What waits, for tests.

    Raises:
        ValueError: the address is no http(s) address.
        BadTokenError: the token is none.
        OSError: ``ca`` cannot be read.
    """

    def __init__(  # noqa: PLR0913 - what a connection is made of
        self,
        server: str,
        token: str | None = None,
        *,
        language: str = "en",
        timeout: float = 30.0,
        retries: int = 2,
        ca: str | None = None,
        user_agent: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        url = _address(server)
        self.server = str(url).rstrip("/")
        self.is_local = url.host in _LOOPBACK or url.host.endswith(".localhost")
        self._retries = retries
        self._clock = clock
        self._sleep = sleep
        headers = {
            "Accept": "application/json",
            "Accept-Language": language if language == "en" else f"{language}, en;q=0.5",
            "User-Agent": user_agent or f"agentpod-client/{version('agentpod-client')}",
        }
        if token:
            headers["Authorization"] = f"Bearer {_checked(token)}"
        self._http = httpx.Client(
            base_url=self.server,
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=_CONNECT_SECONDS),
            verify=_trust(url, ca),
            # A proxy for the outside world is not asked for the way to this very machine.
            trust_env=not self.is_local,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.server!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    @contextlib.contextmanager
    def _stream(
        self, path: str, *, params: Mapping[str, Any], headers: Mapping[str, str], silence: float | None
    ) -> Iterator[Stream]:
        """Open a stream of text lines; ``silence`` is how many seconds without a byte end it."""
        timeout = httpx.Timeout(silence, connect=_CONNECT_SECONDS)
        with (
            self._understood(),
            self._http.stream(
                "GET", f"{PREFIX}{path}", params=given(params), headers=dict(headers), timeout=timeout
            ) as response,
        ):
            if not response.is_success:
                response.read()
                raise self._refusal(response)
            yield Stream(response.iter_lines(), _ahead(response))

    def _listing(self, path: str, params: Mapping[str, Any], *, cursor: str | None = None) -> Listing[Any]:
        return Listing(lambda at: self._json("GET", path, params={**params, "cursor": at}), cursor)

    def _etag(self, path: str, generation: int | None, **options: Any) -> str:
        """Name the version that a write replaces: the one of that generation, or the present one."""
        if generation is not None:
            return f'"{generation}"'
        return str(self._send("GET", path, **options).headers.get("ETag", "*"))

    def _json(self, method: str, path: str, **options: Any) -> Any:
        return self._content(self._send(method, path, **options))

    def _content(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError:
            raise ForeignAnswerError(self.server, response.status_code, response.reason_phrase, response.text) from None

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request, and again where that helps and does nothing twice."""
        pause, tries = _FIRST_PAUSE, self._retries
        while True:
            try:
                return self._send_once(method, path, **options)
            except ClientError as error:
                proposed = getattr(error, "retry_after", None) or pause
                if tries == 0 or not _may_go_again(method, error) or proposed > _LONGEST_PAUSE:
                    raise
            self._sleep(proposed)
            pause, tries = pause * 2, tries - 1

    def _send_once(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        is_root: bool = False,
        accept: tuple[int, ...] = (),
    ) -> httpx.Response:
        kind = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
        with self._understood():
            response = self._http.request(
                method,
                path if is_root else f"{PREFIX}{path}",
                json=None if body is None else dict(body),
                params=given(params or {}) or None,
                headers={**kind, **(headers or {})},
            )
        if not response.is_success and response.status_code not in accept:
            raise self._refusal(response)
        return response

    def _refusal(self, response: httpx.Response) -> ClientError:
        try:
            problem = response.json()
        except ValueError:
            problem = None
        if not isinstance(problem, dict) or not {"reason", "type"} & problem.keys():
            return ForeignAnswerError(self.server, response.status_code, response.reason_phrase, response.text)
        seconds = response.headers.get("Retry-After", "")
        return ApiError(response.status_code, problem, retry_after=float(seconds) if seconds.isdecimal() else None)

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
        """Turn what the network does into our errors; httpx's own hold the request, and with it the token."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            is_untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
            is_silent = isinstance(error, httpx.ConnectTimeout)
            kind = UntrustedServerError if is_untrusted else SilentServerError if is_silent else UnreachableError
            raise kind(self.server, str(error) or type(error).__name__, was_sent=False) from None
        except httpx.TimeoutException as error:
            raise SilentServerError(self.server, str(error) or type(error).__name__) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise UnreachableError(self.server, str(error) or type(error).__name__) from None


def given(params: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the params that were not given."""
    return {key: value for key, value in params.items() if value is not None}


def part(text: str) -> str:
    """Write a name as one part of a path.

    Raises:
        BadNameError: a path without that part, which is what dots and nothing mean in one, is another route.
    """
    if text in {"", ".", ".."}:
        raise BadNameError(text)
    return quote(text, safe="")


def _may_go_again(method: str, error: ClientError) -> bool:
    if isinstance(error, UntrustedServerError):
        return False
    if isinstance(error, UnreachableError) and not error.was_sent:
        return True
    if isinstance(error, ApiError | ForeignAnswerError):
        return method == "GET" and error.status in _PASSING
    return method == "GET"


def _address(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL:
        raise ValueError("the server's address is no URL") from None
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise ValueError("the server's address has to be http(s)://HOST[:PORT], without a user name")
    return url.copy_with(query=None, fragment=None)


def _checked(token: str) -> str:
    # The HTTP library quotes a header that it refuses, and a token must not be quoted.
    if not token.isascii() or not token.isprintable() or " " in token:
        raise BadTokenError("this is no API token: it holds characters that none has")
    return token


def _trust(url: httpx.URL, ca: str | None) -> ssl.SSLContext | bool:
    if url.scheme == "http":
        # Reading the machine's certificates takes longer than most commands; this line needs none.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return True if ca is None else ssl.create_default_context(cafile=ca)


def _ahead(response: httpx.Response) -> timedelta:
    """Say how much the server's clock is ahead of ours; within the header's own inexactness not at all."""
    try:
        ahead = parsedate_to_datetime(response.headers["Date"]) - datetime.now(UTC)
    except (KeyError, ValueError):
        return timedelta()
    return ahead if abs(ahead) > _SAME_CLOCK else timedelta()
