"""The process that runs Apprise for one message: reads a job, does it behind the fence, answers, and is gone.

A process, for Apprise waits, loads much and does what a URL says: this one can be ended when it hangs, gives its
memory back, and cannot do more than the fence lets it. What is made of the answer is decided by the notifier.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from typing import Any, Final

import apprise
import msgspec
import requests

from agentpod_apprise.fence import Fence
from agentpod_apprise.jobs import Answer, Job, Message
from agentpod_core import AllowedAddresses

_LOCAL: Final = frozenset({"blink1", "dbus", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"})
"""What tells nobody but the machine that the server runs on."""
_UNREAD: Final = "must be a URL that Apprise understands, such as tgram://BOT-TOKEN/CHAT-ID"
_FILES: Final = "must name no files: none of this machine is read"
_HEADER: Final = 100
_SECONDS: Final = 30
"""After so many the process ends itself, should nobody be left to end it."""


class _Wire:
    """Notes what HTTP servers answer, which Apprise keeps to itself."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.retry_after = ""

    def watch(self) -> None:
        """Look at every answer that comes from now on."""
        send = requests.Session.send

        def noting(session: requests.Session, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
            response = send(session, request, **settings)
            self.status = response.status_code
            self.retry_after = response.headers.get("Retry-After", "")[:_HEADER]
            return response

        requests.Session.send = noting  # type: ignore[method-assign,assignment]


def work(job: Job) -> Answer:
    """Do a job."""
    fence, wire = Fence(AllowedAddresses.of(job.allowed)), _Wire()
    fence.raise_it(_SECONDS)
    schema = job.url.partition("://")[0].strip().lower()
    if schema in _LOCAL:
        return Answer(problem=f"must lead to somebody: {schema} shows messages on the server's own machine")
    asset = apprise.AppriseAsset(
        async_mode=False, http_redirects=False, pgp_autogen=False, pem_autogen=False, storage_mode="memory"
    )
    try:
        service = apprise.Apprise.instantiate(job.url, asset=asset, suppress_exceptions=False)
    # It raises what it likes, with the URL in it.
    except Exception:  # noqa: BLE001
        service = None
    if service is None:
        return Answer(problem=_FILES if fence.unread else _UNREAD)
    if service.overflow_mode is apprise.OverflowMode.UPSTREAM:
        # A service that has room for less takes the beginning, rather than nothing.
        service.overflow_mode = apprise.OverflowMode.TRUNCATE
    name = str(service.service_name)
    if job.message is None:
        return Answer(service=name, refused=_refused(service, fence))
    wire.watch()
    is_sent = _sent(service, asset, job.message)
    if fence.unread and not is_sent:
        return Answer(service=name, problem=_FILES)
    refused = "" if is_sent or not fence.refused else fence.refused[-1]
    return Answer(service=name, is_sent=is_sent, refused=refused, status=wire.status, retry_after=wire.retry_after)


def _sent(service: Any, asset: Any, message: Message) -> bool:
    told = apprise.Apprise(asset=asset)
    told.add(service)
    try:
        return bool(
            told.notify(
                body=message.body, title=message.title, notify_type=message.kind, body_format=apprise.NotifyFormat.TEXT
            )
        )
    # A service that breaks did not take the message.
    except Exception:  # noqa: BLE001
        return False


def _refused(service: Any, fence: Fence) -> str:
    """Give the address of the service's own host that may not be asked, if there is one."""
    # Where there can be a token in the place of the host, it is nothing to ask the world about.
    if not all("{host}" in template for template in service.templates):
        return ""
    host = getattr(service, "smtp_host", None) or service.host
    with contextlib.suppress(OSError, UnicodeError):
        for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
            if not fence.may_ask(str(address[0])):
                return str(address[0])
    return ""


def main() -> None:
    """Do the job that stands in standard input."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    # Whatever a library prints is no part of the answer.
    answers = os.dup(1)
    os.dup2(2, 1)
    os.write(answers, msgspec.json.encode(work(job)))


if __name__ == "__main__":
    main()
