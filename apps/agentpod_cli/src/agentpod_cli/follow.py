"""Follows events and logs through cut connections: what was missed meanwhile is asked for again.

Gives items for ever, until the server refuses; the caller stops by leaving.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from agentpod_cli import shapes, sse
from agentpod_cli.errors import CliError, ServerError
from agentpod_cli.exits import Exit

if TYPE_CHECKING:
    # The verbs that import this must stay quick to load.
    from agentpod_cli.client import Client

SILENCE = 45.0
"""Seconds without a byte after which an event stream is dead: the server says something every 15."""

_PAUSES = (0.5, 1.0, 2.0, 5.0)
_BAD_GATEWAY, _UNAVAILABLE, _GATEWAY_TIMEOUT = 502, 503, 504


class Retry:
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
        self._tries = 0

    def arrived(self) -> None:
        """Note that the server answers."""
        self._was_there, self._tries = True, 0

    def failed(self, error: CliError) -> None:
        """Wait before the next try, or raise the error where no next one would help."""
        is_away = error.exit_code == Exit.UNREACHABLE or (
            isinstance(error, ServerError) and error.status in (_BAD_GATEWAY, _UNAVAILABLE, _GATEWAY_TIMEOUT)
        )
        if error.reason not in self._patient_with:
            if not is_away or not self._was_there:
                raise error
            if self._tries == 0:
                self._lost()
        self.pause()

    def pause(self) -> None:
        """Wait a little, longer each time nothing came."""
        self._sleep(_PAUSES[min(self._tries, len(_PAUSES) - 1)])
        self._tries += 1


def events(  # noqa: PLR0913 - the filters of the route
    client: Client,
    *,
    tenant: str | None,
    pod: str | None,
    after: int | None,
    lost: Callable[[], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[shapes.Event]:
    """Give every event after a number as it is committed, none twice and none left out."""
    retry = Retry(lost, sleep)
    last = after
    while True:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        params = {"tenant": tenant, "pod": pod, "after": last}
        try:
            with client.lines("/events", params=params, headers=headers, silence=SILENCE) as lines:
                retry.arrived()
                for message in sse.messages(lines):
                    event = _event(message)
                    if event is not None and (last is None or event["seq"] > last):
                        last = event["seq"]
                        yield event
        except CliError as error:
            retry.failed(error)
        else:
            retry.pause()


def logs(
    client: Client,
    path: str,
    *,
    tail: int | None,
    lost: Callable[[], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[str]:
    """Give an agent's output line by line, over its restarts too."""
    retry = Retry(lost, sleep, patient_with=("NoContainer",))
    since: str | None = None
    while True:
        params = {"follow": "true", "tail": tail if since is None else None, "since": since}
        try:
            # A quiet agent is no dead line: nothing says how long it may be silent.
            with client.lines(path, params=params, headers={"Accept": "text/plain"}, silence=None) as lines:
                retry.arrived()
                ahead = client.clock_ahead
                since = since or _now(ahead)
                for line in lines:
                    yield line
                    since = _now(ahead)
        except CliError as error:
            retry.failed(error)
        else:
            # The container ended; its next one, or its next start, goes on with this output.
            retry.pause()


def _event(message: sse.Message) -> shapes.Event | None:
    try:
        content = json.loads(message.data)
    except ValueError:
        return None
    is_event = isinstance(content, dict) and isinstance(content.get("seq"), int)
    return cast("shapes.Event", content) if is_event else None


def _now(ahead: timedelta) -> str:
    return (datetime.now(UTC) + ahead).isoformat(timespec="milliseconds").replace("+00:00", "Z")
