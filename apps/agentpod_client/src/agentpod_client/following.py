"""Follows events and logs through cut connections: what was missed meanwhile is asked for again.

What is given here does not end by itself, until the server refuses; the caller stops by leaving.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import cast

from agentpod_client import shapes, sse
from agentpod_client.errors import ApiError, ClientError, is_away
from agentpod_client.pods import path_of
from agentpod_client.wire import Wire

SILENCE = 45.0
"""Seconds without a byte after which an event stream is dead: the server says something every 15."""

_PAUSES = (0.5, 1.0, 2.0, 5.0)


def _nobody() -> None:
    """Tell nobody."""


class Following(Wire):
    """What goes on."""

    def follow_events(
        self,
        *,
        tenant: str | None = None,
        pod: str | None = None,
        after: int | None = None,
        lost: Callable[[], None] = _nobody,
        missed: Callable[[], None] = _nobody,
    ) -> Iterator[shapes.Event]:
        """Give every event after a number (else only new ones) as it is committed, none twice and none left out.

        ``lost`` is called when a line that was there is cut and the server does not answer again at once,
        ``missed`` when some of the events after that number are kept no longer: they were left out.
        """
        patience = _Patience(lost, self._sleep)
        last = self._newest(tenant, pod) if after is None else after
        while True:
            headers = {
                "Accept": "text/event-stream",
                "Cache-Control": "no-store",
                "Last-Event-ID": str(last),
            }
            params = {"tenant": tenant, "pod": pod, "after": last}
            try:
                with self._stream("/events", params=params, headers=headers, silence=SILENCE) as stream:
                    patience.arrived()
                    for message in sse.messages(stream.lines):
                        if message.event == "missed":
                            missed()
                        event = _event(message)
                        if event is not None and event["seq"] > last:
                            last = event["seq"]
                            yield event
            except ClientError as error:
                patience.failed(error)
            else:
                patience.pause()

    def follow_pod_logs(
        self, tenant: str, pod: str, *, tail: int | None = None, lost: Callable[[], None] = _nobody
    ) -> Iterator[str]:
        """Give an agent's output line by line, over its restarts too; ``tail`` is for what was written so far."""
        patience = _Patience(lost, self._sleep, patient_with=("NoContainer",))
        since: str | None = None
        path = f"{path_of(tenant, pod)}/logs"
        while True:
            params = {"follow": True, "tail": tail if since is None else None, "since": since}
            try:
                # A quiet agent is no dead line: nothing says how long it may be silent.
                with self._stream(path, params=params, headers={"Accept": "text/plain"}, silence=None) as stream:
                    patience.arrived()
                    since = since or _now(stream.ahead)
                    for line in stream.lines:
                        # Before the line is worked on, which may take long.
                        since = _now(stream.ahead)
                        yield line
            except ClientError as error:
                patience.failed(error)
            else:
                # The container ended; its next one, or its next start, goes on with this output.
                patience.pause()

    def _newest(self, tenant: str | None, pod: str | None) -> int:
        found = self._json("GET", "/events", params={"tenant": tenant, "pod": pod, "limit": 1})["items"]
        return int(found[-1]["seq"]) if found else 0


class _Patience:
    """Decides how long to wait for a server that went away; gives up on one that was never there.

    ``patient_with`` are refusals that pass by themselves.
    """

    def __init__(
        self, lost: Callable[[], None], sleep: Callable[[float], None], *, patient_with: tuple[str, ...] = ()
    ) -> None:
        self._lost = lost
        self._sleep = sleep
        self._patient_with = patient_with
        self._was_there = False
        self._was_told = False
        self._tries = 0

    def arrived(self) -> None:
        """Note that the server answers."""
        self._was_there, self._was_told, self._tries = True, False, 0

    def failed(self, error: ClientError) -> None:
        """Wait before the next try, or raise the error where no next one would help."""
        if not (isinstance(error, ApiError) and error.reason in self._patient_with):
            if not is_away(error) or not self._was_there:
                raise error
            if not self._was_told:
                self._was_told = True
                self._lost()
        self.pause()

    def pause(self) -> None:
        """Wait a little, longer each time nothing came."""
        self._sleep(_PAUSES[min(self._tries, len(_PAUSES) - 1)])
        self._tries += 1


def _event(message: sse.Message) -> shapes.Event | None:
    try:
        content = json.loads(message.data)
    except ValueError:
        return None
    is_event = isinstance(content, dict) and isinstance(content.get("seq"), int)
    return cast("shapes.Event", content) if is_event else None


def _now(ahead: timedelta) -> str:
    return (datetime.now(UTC) + ahead).isoformat(timespec="milliseconds").replace("+00:00", "Z")
