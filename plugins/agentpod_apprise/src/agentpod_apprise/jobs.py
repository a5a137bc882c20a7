"""What the notifier and the process that does its work tell each other: one job, one answer, each as JSON."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Kind = Literal["info", "success", "warning", "failure"]
"""Apprise's word for how bad it is."""


class Message(Struct, frozen=True, kw_only=True):
    """What is to be sent."""

    title: str
    body: str
    kind: Kind


class Job(Struct, frozen=True, kw_only=True):
    """What is to be done: to look at a URL and, with a message, to send it there.

    ``allowed`` are the addresses that may be asked though they are not public.
    """

    url: str
    allowed: tuple[str, ...] = ()
    message: Message | None = None

    def __repr__(self) -> str:
        """Leave the URL out."""
        return "Job()"


class Answer(Struct, frozen=True, kw_only=True):
    """What came of it; none of it is secret.

    ``problem`` says what is wrong with the URL. ``refused`` is an address that was asked for and may not be.
    ``status`` is the last HTTP status, None where there was none; ``retry_after`` what came with it.
    """

    service: str = ""
    problem: str = ""
    refused: str = ""
    is_sent: bool = False
    status: int | None = None
    retry_after: str = ""
