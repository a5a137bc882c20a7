"""Tells a program about alerts: a signed JSON message by HTTP POST, as Standard Webhooks 1.0 describes it.

One call of ``send`` is one try. When to try again, and for how long, is decided by whoever sends.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, ClassVar, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from agentpod_core import catalogue
from agentpod_core.errors import AgentPodError, ConfigError, PermanentError, Problem, TemporaryError
from agentpod_core.plugpoints.context import Clock, HostContext
from agentpod_core.plugpoints.link import Reply
from agentpod_core.plugpoints.notifiers import Notifier
from agentpod_core.values.rendering import secret_value
from agentpod_core.values.reports import Alert
from agentpod_core.values.workload import SecretRef
from agentpod_server import agent_http
from agentpod_server.notifiers import signing
from agentpod_server.notifiers.outward import ForbiddenError, Outward, unreachable
from agentpod_server.notifiers.places import Place, read_place

SETTING: Final = "AGENTPOD_NOTIFY_PRIVATE_ADDRESSES"
SECONDS: Final = 10.0
LIMIT: Final = 65_536

_LATER: Final = frozenset({408, 425, 429})
_GONE: Final = 410
"""The one answer that says for good that nobody is there; any other may be a slip that is mended tomorrow."""
_LONGEST_WAIT: Final = 3600.0
_TOLD: Final = 200


class WebhookTarget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program that takes signed messages by HTTP POST.

    The URL is secret as a whole: of many services its path or query is all that a sender has to know.
    """

    url: Annotated[
        SecretRef,
        Meta(title="URL", description="Where messages are posted to, for example https://ops.example.com/agentpod."),
    ]
    key: Annotated[
        SecretRef,
        Meta(title="Signing key", description="whsec_ and 24 to 64 random bytes in base64; the receiver has it too."),
    ]
    next_key: Annotated[
        SecretRef | None,
        Meta(title="Next signing key", description="While receivers change over to it, messages are signed with both."),
    ] = None


class WebhookNotifier(Notifier[WebhookTarget]):
    """The notifier named ``webhook``; ``seconds`` is what one try may take in all."""

    name: ClassVar[str] = "webhook"
    title: ClassVar[str] = "Signed webhook"
    target_type: ClassVar[type[Struct]] = WebhookTarget

    def __init__(self, outward: Outward, *, agent: str = "AgentPod", seconds: float = SECONDS) -> None:
        self._outward = outward
        self._agent = agent
        self._seconds = seconds
        self._clock: Clock | None = None
        self._tls: ssl.SSLContext | None = None

    async def open(self, context: HostContext) -> None:
        """Take the clock."""
        self._clock = context.clock

    async def check(self, target: WebhookTarget, material: Mapping[SecretRef, str]) -> None:
        """Refuse a URL or a key that makes no sense, and a host that leads to a private address."""
        place, _ = _read(target, material)
        try:
            await self._outward.addresses(place.host, place.port)
        except ForbiddenError as error:
            raise _forbidden(error) from None
        except TemporaryError:
            # That it cannot be resolved at the moment is no fault of the target's.
            return

    async def send(self, alert: Alert, target: WebhookTarget, material: Mapping[SecretRef, str]) -> None:
        """Post it."""
        place, keys = _read(target, material)
        try:
            async with asyncio.timeout(self._seconds):
                reply = await self._posted(place, keys, alert)
        except ForbiddenError as error:
            raise _forbidden(error) from None
        except TimeoutError:
            raise unreachable(place.host, f"no answer within {self._seconds:g} seconds") from None
        if (refused := _refusal(place.host, reply, self._now())) is not None:
            raise refused

    async def _posted(self, place: Place, keys: Sequence[bytes], alert: Alert) -> Reply:
        body = _body(alert)
        signed = signing.headers(keys, message=alert.id, second=int(self._now().timestamp()), body=body)
        told = {"host": place.authority, "user-agent": self._agent, "content-type": "application/json", **signed}
        tls = await self._trust() if place.is_secure else None
        with await self._outward.connected(place.host, place.port) as connected:
            try:
                return await agent_http.request(
                    place.host,
                    place.port,
                    "POST",
                    place.target,
                    headers=told,
                    body=body,
                    timeout=self._seconds,
                    limit=LIMIT,
                    connected=connected,
                    tls=tls,
                )
            except TemporaryError as error:
                raise unreachable(place.host, error.detail or "no answer in time") from None

    async def _trust(self) -> ssl.SSLContext:
        """Give what this machine trusts; read when it is first needed, for it is large."""
        if self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        return self._tls

    def _now(self) -> datetime:
        return datetime.now(UTC) if self._clock is None else self._clock.now()


def _read(target: WebhookTarget, material: Mapping[SecretRef, str]) -> tuple[Place, list[bytes]]:
    """Read what a target says; all that is wrong with it at once."""
    problems: list[Problem] = []
    place, keys = None, []
    try:
        place = read_place(secret_value(target.url, material).strip())
    except ValueError as error:
        problems.append(_problem("$.url", "NotAccepted", message=str(error)))
    for path, ref in (("$.key", target.key), ("$.next_key", target.next_key)):
        try:
            keys += [signing.read_key(secret_value(ref, material))] if ref is not None else []
        except ValueError as error:
            problems.append(_problem(path, "NotAccepted", message=str(error)))
    if place is None or problems:
        raise ConfigError(problems)
    return place, keys


def _body(alert: Alert) -> bytes:
    """Write the message; its shape is what receivers rely on."""
    return msgspec.json.encode(
        {
            "type": "alert.recovered" if alert.recovered else "alert.raised",
            "timestamp": alert.at,
            "data": {
                "alert_id": alert.alert_id,
                "reason": alert.reason,
                "severity": alert.severity,
                "tenant": alert.tenant or None,
                "pod": alert.pod or None,
                "title": alert.title,
                "text": alert.text,
                "url": alert.url,
                "params": alert.params,
            },
        }
    )


def _refusal(host: str, reply: Reply, now: datetime) -> AgentPodError | None:
    status, answer = reply.status, str(reply.status)
    if 200 <= status < 300:  # noqa: PLR2004 - the class of answers that say yes
        return None
    if status == _GONE:
        return PermanentError("TargetRefused", host=host, answer=answer)
    if 300 <= status < 400:  # noqa: PLR2004 - the class of answers that lead elsewhere
        answer = f"{status}, which leads to {_led(reply.headers.get('location', ''))}, and is not followed"
    is_busy = status in _LATER or status >= 500  # noqa: PLR2004 - the class of answers that blame the server
    wait = _wait(reply.headers.get("retry-after", ""), now)
    return TemporaryError("TargetBusy" if is_busy else "TargetRefused", retry_after=wait, host=host, answer=answer)


def _led(location: str) -> str:
    """Say which host an answer leads to; the rest of the address may be a secret."""
    try:
        parts = urlsplit(location)
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else location and "the same host"
    except ValueError:
        place = ""
    return re.sub(r"[^ -~]", "?", place)[:_TOLD] or "nowhere"


def _wait(text: str, now: datetime) -> float | None:
    """Read a Retry-After: seconds, or a time."""
    if re.fullmatch(r"\d{1,9}", text.strip()):
        return min(float(text), _LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(text)
    # Numbers may be of any length.
    except (ValueError, OverflowError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), _LONGEST_WAIT)


def _forbidden(error: ForbiddenError) -> ConfigError:
    return ConfigError([_problem("$.url", "PrivateAddress", host=error.host, address=error.address, setting=SETTING)])


def _problem(path: str, reason: str, **params: Any) -> Problem:
    return Problem(path=path, reason=reason, params=params, message=catalogue.text(reason, params))
