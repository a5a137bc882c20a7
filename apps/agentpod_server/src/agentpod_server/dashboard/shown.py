"""How things look on pages: the tone of a phase, the verdict on a pod, its last health, what an event says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import Final, Literal

from msgspec import Struct

from agentpod_core import catalogue
from agentpod_core.catalogue import Language
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Phase, Severity
from agentpod_server.alert_records import AlertRecord
from agentpod_server.records import EventRecord, PodRecord
from agentpod_server.services import Services
from agentpod_server.services.alerts import sentence

Tone = Literal["good", "busy", "warn", "bad", "idle"]

TONES: Final[dict[Phase, Tone]] = {
    Phase.PENDING: "busy",
    Phase.CREATING: "busy",
    Phase.STARTING: "busy",
    Phase.RUNNING: "good",
    Phase.DEGRADED: "bad",
    Phase.CRASH_LOOP: "bad",
    Phase.BLOCKED: "bad",
    Phase.STOPPING: "busy",
    Phase.STOPPED: "idle",
    Phase.DELETING: "busy",
}
TROUBLED: Final = tuple(phase for phase in Phase if TONES[phase] == "bad")
_SEVERITIES: Final[dict[Severity, Tone]] = {Severity.INFO: "idle", Severity.WARNING: "warn", Severity.ERROR: "bad"}
_WORD: Final = tuple("abcdefghijklmnopqrstuvwxyz0123456789-/")


class ShownHealth(Struct, frozen=True, kw_only=True):
    """The last word on whether the agent answers; ``at`` is when it was asked, or since when that holds."""

    tone: Tone
    text: str
    at: datetime | None


class ShownPod(Struct, frozen=True, kw_only=True):
    """A pod as listings and its own page show it."""

    record: PodRecord
    tone: Tone
    verdict: str
    repair: str | None
    health: ShownHealth
    urls: tuple[str, ...]

    @property
    def ref(self) -> str:
        """Its two names."""
        return f"{self.record.tenant}/{self.record.name}"

    @property
    def is_leaving(self) -> bool:
        """Whether it is being deleted."""
        return Wanted.DELETED in {self.record.spec.wanted, self.record.tenant_wanted}


class ShownEvent(Struct, frozen=True, kw_only=True):
    """An event as a list shows it."""

    record: EventRecord
    tone: Tone
    text: str

    @property
    def ref(self) -> str:
        """The names of what it is about; empty for the platform."""
        return "/".join(name for name in (self.record.tenant, self.record.pod) if name)

    @property
    def around(self) -> tuple[str, str] | None:
        """The text before and after those names, where it has them as they are."""
        before, names, after = self.text.partition(self.ref)
        return (before, after) if names and not after.startswith(_WORD) else None

    @property
    def who(self) -> str:
        """Who did it; empty for AgentPod itself."""
        kind, _, name = self.record.actor.partition(":")
        return name if kind in {"user", "token"} else ""

    @property
    def address(self) -> str:
        """The page of what it is about; empty where there is none."""
        if self.record.pod:
            return f"/dashboard/pods/{self.record.tenant}/{self.record.pod}"
        return f"/dashboard/tenants/{self.record.tenant}" if self.record.tenant else ""


class ShownAlert(Struct, frozen=True, kw_only=True):
    """An open alert; ``ref`` is empty for the platform's."""

    ref: str
    tone: Tone
    title: str
    message: str
    is_silenced: bool


def shown_alert(alert: AlertRecord, language: Language) -> ShownAlert:
    """Show an alert."""
    return ShownAlert(
        ref=f"{alert.tenant}/{alert.pod}" if alert.pod else "",
        tone=_SEVERITIES[alert.severity],
        title=catalogue.title(alert.reason, language),
        message=sentence(alert, language),
        is_silenced=alert.is_silenced,
    )


def shown_pod(services: Services, pod: PodRecord, language: Language) -> ShownPod:
    """Show a pod."""
    status = pod.status
    tone = TONES[status.phase]
    if status.phase is Phase.RUNNING and not status.ready:
        tone = "warn"
    repair = catalogue.repair(status.reason, status.params, language)
    return ShownPod(
        record=pod,
        tone=tone,
        verdict=catalogue.text(status.reason, status.params, language),
        repair=repair.replace("TENANT/POD", f"{pod.tenant}/{pod.name}") if repair else None,
        health=_health(services, pod, language),
        urls=tuple(services.addresses.origins(pod.subdomain)),
    )


def by_tenant(pods: Iterable[ShownPod]) -> list[tuple[str, str, list[ShownPod]]]:
    """Group a listing, which is ordered by tenant: slug, name, pods."""
    return [(slug, found[0].record.tenant_name, found) for slug, found in _grouped(pods)]


def shown_event(event: EventRecord, language: Language) -> ShownEvent:
    """Show an event."""
    text = catalogue.text(event.reason, event.params, language)
    return ShownEvent(record=event, tone=_SEVERITIES[event.severity], text=text)


def _grouped(pods: Iterable[ShownPod]) -> Iterable[tuple[str, list[ShownPod]]]:
    return ((slug, list(group)) for slug, group in groupby(pods, lambda pod: pod.record.tenant))


def _health(services: Services, pod: PodRecord, language: Language) -> ShownHealth:
    word = services.healths.word(pod)
    tone: Tone = "idle"
    if pod.is_wanted and word.ready is not None:
        tone = "good" if word.ready else "warn"
    text = catalogue.text(word.reason, word.params, language)
    return ShownHealth(tone=tone, text=text, at=word.checked_at or word.since)
