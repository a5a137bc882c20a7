"""A pod's output: its last lines as a page, and the lines that come as a stream of text."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from litestar import Controller, MediaType, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream

from agentpod_core import AgentPodError, catalogue
from agentpod_core.catalogue import Language
from agentpod_server.api import streams
from agentpod_server.dashboard import pages, shown
from agentpod_server.dashboard.live import LONGEST
from agentpod_server.dashboard.pages import Anything
from agentpod_server.dashboard.pods import pod_of
from agentpod_server.records import Scope
from agentpod_server.services import Services
from agentpod_server.services.identity import Caller

TAILS = (100, 500, 2000)
_UNSEEN = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])|[\x00-\x08\x0b-\x1f\x7f]")
"""What colours a terminal or moves its cursor: nothing to read."""

Tail = Annotated[int, QueryParameter(ge=1, le=10_000)]


class LogPages(Controller):
    """The page and the stream."""

    path = "/pods/{ref:str}/logs"

    @get()
    async def show(  # noqa: PLR0913 - what a page needs
        self,
        request: Anything,
        ref: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
        tail: FromQuery[int] = TAILS[0],
    ) -> Response[Any]:
        """Show the last lines."""
        found = await pod_of(services, asking, ref, "logs")
        number = tail if tail in TAILS else TAILS[0]
        text, why_not = "", ""
        try:
            lines = await services.agents.logs(found, tail=number)
            text = b"\n".join([_UNSEEN.sub(b"", line) async for line in lines]).decode(errors="replace")
        except AgentPodError as error:
            why_not = catalogue.text(error.reason, error.params, language)
        return pages.page(
            request,
            "logs.html",
            pod=shown.shown_pod(services, found, language),
            text=text,
            why_not=why_not,
            tail=number,
            tails=TAILS,
        )

    @get("/stream", media_type=MediaType.TEXT)
    async def stream(
        self,
        ref: FromPath[str],
        services: NamedDependency[Services],
        caller: NamedDependency[Caller],
        asking: NamedDependency[Scope],
        tail: Tail = TAILS[0],
    ) -> Stream:
        """Give the last lines and then each that comes, until the container ends or an hour is over."""
        found = await pod_of(services, asking, ref, "stream")
        lines = await services.agents.logs(found, tail=tail, follow=True)
        until = time.monotonic() + LONGEST
        readable = (_UNSEEN.sub(b"", line) async for line in lines)

        def source(is_over: Callable[[], bool]) -> AsyncIterator[bytes]:
            return streams.text_lines(readable, lambda: is_over() or time.monotonic() > until)

        return Stream(
            streams.while_welcome(services, caller, source),
            media_type=MediaType.TEXT,
            headers=streams.UNBUFFERED,
        )
