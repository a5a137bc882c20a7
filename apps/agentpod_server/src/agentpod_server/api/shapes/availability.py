"""How available a pod or a tenant was, over the wire. Days and months are those of UTC."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class AvailabilityView(Struct, frozen=True, kw_only=True):
    """What came of a span of time, in seconds.

    ``wanted_seconds`` is for how long it was to run, ``ready_seconds`` for how long the agent answered, and
    ``unknown_seconds`` for how long nobody could see it. ``percent`` is ready over what is known of the wanted
    time, null where nothing is. A pod is wanted from its first answer on, and not while it is stopped.
    """

    begin: datetime
    end: datetime
    ready_seconds: float
    wanted_seconds: float
    unknown_seconds: float
    percent: float | None


class AvailabilitySummaryView(Struct, frozen=True, kw_only=True):
    """Availability at a glance; today and this month go on until now."""

    today: AvailabilityView
    this_month: AvailabilityView
    last_month: AvailabilityView
