"""Tells people about alerts through whatever service an Apprise URL names.

What a service's answer means is decided here; Apprise itself runs in a process of its own for each message.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import Meta, Struct

from agentpod_apprise.jobs import Answer, Job, Kind, Message
from agentpod_core import (
    Alert,
    AllowedAddresses,
    ConfigError,
    HostContext,
    Notifier,
    PermanentError,
    Problem,
    SecretRef,
    Severity,
    TemporaryError,
    secret_value,
)

SETTING: Final = "AGENTPOD_NOTIFIER_APPRISE_PRIVATE_ADDRESSES"
SECONDS: Final = 25.0

_LONGEST: Final = 4000
_LATER: Final = frozenset({408, 425, 429})
_GONE: Final = 410
"""The one answer that says for good that nobody is there; any other may be a slip that is mended tomorrow."""
_LONGEST_WAIT: Final = 3600.0
_KINDS: Final[Mapping[Severity, Kind]] = {
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.ERROR: "failure",
}
_PASSED_ON: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


class AppriseSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the operator may set: addresses, networks and names that messages may go to though they are not public."""

    private_addresses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no address."""
        AllowedAddresses.of(self.private_addresses)


class AppriseTarget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place that one Apprise URL leads to. It is secret as a whole, for it holds tokens and passwords."""

    url: Annotated[
        SecretRef,
        Meta(
            title="Apprise URL",
            description="For example mailtos://USER:PASSWORD@mail.example.com?to=ops@example.com, "
            "slack://A/B/C, feishu://TOKEN, dingtalk://SECRET@TOKEN or tgram://BOT-TOKEN/CHAT-ID.",
        ),
    ]


class AppriseNotifier(Notifier[AppriseTarget]):
    """The notifier named ``apprise``; ``seconds`` is what one message may take, how many run at a time the host's."""

    name: ClassVar[str] = "apprise"
    title: ClassVar[str] = "E-mail and chat services (Apprise)"
    settings_type: ClassVar[type[Struct]] = AppriseSettings
    target_type: ClassVar[type[Struct]] = AppriseTarget
    gathers: ClassVar[bool] = True

    def __init__(self, *, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._allowed: tuple[str, ...] = ()

    async def open(self, context: HostContext) -> None:
        """Take the settings."""
        self._allowed = context.settings.private_addresses

    async def check(self, target: AppriseTarget, material: Mapping[SecretRef, str]) -> None:
        """Refuse a URL that Apprise does not understand, or whose host is not to be asked."""
        with suppress(TemporaryError):
            # A name that takes long to resolve is no fault of the target's.
            _judge(await self._done(Job(url=_url(target, material), allowed=self._allowed)))

    async def send(self, alert: Alert, target: AppriseTarget, material: Mapping[SecretRef, str]) -> None:
        """Send it."""
        body = alert.text if alert.url is None else f"{alert.text}\n\n{alert.url}"
        kind: Kind = "success" if alert.recovered else _KINDS[alert.severity]
        message = Message(title=alert.title, body=body[:_LONGEST], kind=kind)
        answer = await self._done(Job(url=_url(target, material), allowed=self._allowed, message=message))
        _judge(answer)
        if not answer.is_sent:
            raise _failure(answer)

    async def _done(self, job: Job) -> Answer:
        try:
            async with asyncio.timeout(self._seconds):
                return await _answered(job)
        except TimeoutError:
            raise _unreachable("", f"no answer within {self._seconds:g} seconds") from None


async def _answered(job: Job) -> Answer:
    """Have a process do a job; it is gone when this ends, however it ends."""
    try:
        process = await _started()
    except OSError as error:
        raise _unreachable("", error.strerror or type(error).__name__) from None
    try:
        told, _ = await process.communicate(msgspec.json.encode(job))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        return msgspec.json.decode(told, type=Answer)
    except msgspec.DecodeError:
        raise _unreachable("", f"Apprise ended with {process.returncode}") from None


async def _started() -> asyncio.subprocess.Process:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        # What it loads is not to be written anywhere.
        "-IB",
        "-m",
        "agentpod_apprise.sender",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd="/",
        env={"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": "/nonexistent", **environment},
        start_new_session=True,
    )


def _url(target: AppriseTarget, material: Mapping[SecretRef, str]) -> str:
    url = secret_value(target.url, material).strip()
    if len(url) > _LONGEST:
        _judge(Answer(problem=f"must have at most {_LONGEST} characters"))
    return url


def _judge(answer: Answer) -> None:
    """Refuse a target that makes no sense."""
    if answer.problem:
        raise ConfigError(
            [Problem(path="$.url", reason="NotAccepted", params={"message": answer.problem}, message=answer.problem)]
        )
    if answer.refused and not answer.is_sent:
        params = {"host": answer.service, "address": answer.refused, "setting": SETTING}
        message = f"{answer.service} leads to {answer.refused}, which is no public address; see {SETTING}"
        raise ConfigError([Problem(path="$.url", reason="PrivateAddress", params=params, message=message)])


def _failure(answer: Answer) -> TemporaryError | PermanentError:
    status, told = answer.status, {"host": answer.service, "answer": str(answer.status)}
    if status is None:
        return _unreachable(answer.service, "no connection, or its sign-in was refused")
    if status == _GONE:
        return PermanentError("TargetRefused", **told)
    wait = min(float(answer.retry_after), _LONGEST_WAIT) if re.fullmatch(r"\d{1,9}", answer.retry_after) else None
    # An answer of the 200s that Apprise takes for a no has its reason in its text, which is the service's own.
    is_busy = status in _LATER or status >= 500 or status < 300  # noqa: PLR2004 - classes of answers
    return TemporaryError("TargetBusy" if is_busy else "TargetRefused", retry_after=wait, **told)


def _unreachable(service: str, cause: str) -> TemporaryError:
    return TemporaryError("TargetUnreachable", host=service or "Apprise", cause=cause)
