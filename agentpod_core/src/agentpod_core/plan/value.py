"""What a plan is: the actions of one pass, and what is concluded from them."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from agentpod_core.values.actions import PlannedAction
from agentpod_core.values.alerts import AlertChange
from agentpod_core.values.status import Happening, PodStatus, Record


class Plan(Struct, frozen=True, kw_only=True):
    """One pass for one pod.

    ``assessed`` is the record before the actions, ``record`` the one that holds once all of them
    are done. ``waits_for`` is a reason of the catalogue where something is to be done and cannot be yet. ``wake_at``
    is when to look again though nothing happens; None for the usual resync. ``unchanged`` is the status that holds
    for as long as nothing of it is done, where that ends an agent that runs.
    ``lacks_image`` says that the wanted image has to be got first.
    ``is_gone`` says that nothing of a deleted pod is left.
    """

    actions: tuple[PlannedAction, ...]
    status: PodStatus
    assessed: Record
    record: Record
    happenings: tuple[Happening, ...] = ()
    alerts: tuple[AlertChange, ...] = ()
    waits_for: str = ""
    lacks_image: bool = False
    unchanged: PodStatus | None = None
    wake_at: datetime | None = None
    is_gone: bool = False
