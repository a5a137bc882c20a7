"""Reckons how available pods were, purely, from what was written down when their states changed.

Ready time over wanted time. What nobody saw is unknown: it counts neither for a pod nor against it, and is
shown beside the number. When states are written, and for how long they are kept, is the store's affair.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import floor

from msgspec import Struct

from agentpod_core.values.status import ConditionType, PodStatus, Record


class State(StrEnum):
    """How a pod is to whoever owes it to somebody."""

    READY = "ready"
    NOT_READY = "not-ready"
    NOT_WANTED = "not-wanted"
    UNKNOWN = "unknown"


class Span(Struct, frozen=True):
    """A piece of time, its end not included."""

    begin: datetime
    end: datetime


class Transition(Struct, frozen=True):
    """From then on, until the next one, the pod was like that."""

    at: datetime
    state: State


class Availability(Struct, frozen=True, kw_only=True):
    """What a span came to, in seconds. ``wanted`` holds ``ready`` and ``unknown``; the rest of it was down."""

    span: Span
    ready: float = 0.0
    wanted: float = 0.0
    unknown: float = 0.0

    @property
    def percent(self) -> float | None:
        """Ready time over the wanted time that is known, never rounded up; None where nothing is known."""
        known = self.wanted - self.unknown
        return floor(min(self.ready / known, 1.0) * 100_000) / 1000 if known > 0 else None


def state_of(status: PodStatus, record: Record) -> State:
    """Say how a pod is that was concluded to be like that.

    A start that nobody has asked yet is not ready, unless it is known to have been: then nobody knows.
    """
    ready = status.condition(ConditionType.READY)
    if ready is None:
        return State.NOT_READY
    if ready.reason == "NotWanted":
        return State.NOT_WANTED
    if ready.status is None:
        return State.NOT_READY if ready.reason == "NotAskedYet" and not record.was_ready else State.UNKNOWN
    return State.READY if ready.status else State.NOT_READY


def measured(
    histories: Iterable[Sequence[Transition]], gaps: Sequence[Span], spans: Sequence[Span], *, now: datetime
) -> list[Availability]:
    """Measure pods together over each of the spans, which follow one another in time.

    A history is one pod's transitions in their order. What it was in a gap is unknown, and nothing is said of
    the time after ``now``.
    """
    blind = _merged(gaps)
    ready, wanted, unknown = ([0.0] * len(spans) for _ in range(3))
    begins = [span.begin for span in spans]
    for history in histories:
        for begin, end, state in _pieces(history, blind, now):
            for number in range(max(bisect_right(begins, begin) - 1, 0), len(spans)):
                if spans[number].begin >= end:
                    break
                seconds = (min(end, spans[number].end) - max(begin, spans[number].begin)).total_seconds()
                if seconds <= 0:
                    continue
                wanted[number] += seconds
                if state is State.READY:
                    ready[number] += seconds
                elif state is State.UNKNOWN:
                    unknown[number] += seconds
    return [
        Availability(span=span, ready=round(up, 3), wanted=round(all_of_it, 3), unknown=round(unseen, 3))
        for span, up, all_of_it, unseen in zip(spans, ready, wanted, unknown, strict=True)
    ]


def day(at: datetime) -> Span:
    """Give the day (UTC) in which a moment lies."""
    begin = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Span(begin, begin + timedelta(days=1))


def month(at: datetime) -> Span:
    """Give the month (UTC) in which a moment lies."""
    begin = day(at).begin.replace(day=1)
    return Span(begin, (begin + timedelta(days=31)).replace(day=1))


def days(begin: datetime, end: datetime) -> list[Span]:
    """Cut a time into days; the first and the last may be parts of one."""
    return _cut(begin, end, day)


def months(begin: datetime, end: datetime) -> list[Span]:
    """Cut a time into months; the first and the last may be parts of one."""
    return _cut(begin, end, month)


def _cut(begin: datetime, end: datetime, whole: Callable[[datetime], Span]) -> list[Span]:
    found = []
    while begin < end:
        until = min(whole(begin).end, end)
        found.append(Span(begin, until))
        begin = until
    return found


def _pieces(
    history: Sequence[Transition], blind: Sequence[Span], now: datetime
) -> Iterator[tuple[datetime, datetime, State]]:
    """Give what a pod was from when to when, where it was wanted at all."""
    for number, one in enumerate(history):
        end = min(history[number + 1].at if number + 1 < len(history) else now, now)
        if one.state is State.NOT_WANTED or one.at >= end:
            continue
        begin = one.at
        for gap in blind[max(bisect_right(blind, begin, key=lambda span: span.begin) - 1, 0) :]:
            if gap.begin >= end:
                break
            if gap.end <= begin:
                continue
            if gap.begin > begin:
                yield begin, gap.begin, one.state
            yield max(begin, gap.begin), min(end, gap.end), State.UNKNOWN
            begin = min(end, gap.end)
        if begin < end:
            yield begin, end, one.state


def _merged(gaps: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for gap in sorted(gaps, key=lambda one: one.begin):
        if found and gap.begin <= found[-1].end:
            found[-1] = Span(found[-1].begin, max(found[-1].end, gap.end))
        else:
            found.append(gap)
    return found
