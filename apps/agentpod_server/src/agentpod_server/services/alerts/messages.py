"""Puts an alert into words: one message in the operator's language. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from agentpod_core import Alert, Severity, catalogue
from agentpod_core.catalogue import Language
from agentpod_core.values.alerts import TEST
from agentpod_server.alert_records import AlertRecord, MessageKind, MessageRecord

LISTED: Final = 50
"""So many alerts are named in one message; the others are counted."""
_ROOM: Final = 3500
"""Characters that the list may have: the chats that take least take about so much."""
_RANKS: Final = {severity: rank for rank, severity in enumerate(Severity)}


class Wording(Struct, frozen=True, kw_only=True):
    """How messages are worded: in which language, and where the dashboard is that they lead to."""

    language: Language = "en"
    dashboard: str = ""

    def message(self, told: MessageRecord) -> Alert:
        """Give the message as it is sent."""
        alert, is_over = told.alert, told.kind is MessageKind.RECOVERED
        ended = catalogue.text("AlertStopped" if alert.is_stopped else "AlertOver", {}, self.language)
        return Alert(
            id=told.id,
            alert_id=alert.id,
            reason=alert.reason,
            severity=Severity.INFO if is_over else alert.severity,
            tenant=alert.tenant,
            pod=alert.pod,
            at=(alert.cleared_at or alert.raised_at) if is_over else alert.raised_at,
            title=self.title(alert, is_over=is_over),
            text=ended if is_over else self._sentence(alert),
            url=f"{self.dashboard}/pods/{told.pod_id}" if told.pod_id and self.dashboard else self.dashboard or None,
            params=alert.params | ({"ends": list(told.ends), "stopped": alert.is_stopped} if is_over else {}),
            recovered=is_over,
        )

    def together(self, told: Sequence[MessageRecord]) -> Alert:
        """Give one message that stands for several: what is wrong before what is over, the worst first.

        Of an alert that began and ended meanwhile it says the end alone.
        """
        over = {ended for one in told if one.kind is MessageKind.RECOVERED for ended in one.ends}
        kept = [one for one in told if one.kind is MessageKind.RECOVERED or one.alert.id not in over]
        alerts = sorted(map(self.message, kept), key=lambda one: (one.recovered, -_RANKS[one.severity], one.at))
        if len(alerts) == 1:
            return msgspec.structs.replace(alerts[0], id=told[0].id)
        wrong = sum(not one.recovered for one in alerts)
        params = {"open": wrong, "over": len(alerts) - wrong}
        words = "SeveralOver" if not wrong else "SeveralAlerts" if wrong == len(alerts) else "SeveralAlertsSomeOver"
        tenants = {one.tenant for one in alerts}
        return Alert(
            id=told[0].id,
            alert_id=told[0].alert.id,
            reason="SeveralAlerts",
            severity=alerts[0].severity,
            tenant=tenants.pop() if len(tenants) == 1 else "",
            pod="",
            at=max(one.at for one in alerts),
            title=catalogue.text(words, params, self.language),
            text="\n".join(self._lines(alerts)),
            url=self.dashboard or None,
            params=params,
            recovered=not wrong,
            alerts=tuple(alerts),
        )

    def _lines(self, alerts: Sequence[Alert]) -> Iterator[str]:
        room = _ROOM
        for number, alert in enumerate(alerts):
            room -= len(alert.title) + 1
            if number == LISTED or room < 0:
                yield catalogue.text("MoreAlerts", {"count": len(alerts) - number}, self.language)
                return
            yield alert.title

    def title(self, alert: AlertRecord, *, is_over: bool) -> str:
        """Name subject and trouble in a line."""
        subject = f"{alert.tenant}/{alert.pod}" if alert.pod else "AgentPod"
        params = {"subject": subject, "what": catalogue.title(alert.reason, self.language)}
        ended = "AlertStoppedTitle" if alert.is_stopped else "AlertOverTitle"
        return catalogue.text(ended if is_over else "AlertTitle", params, self.language)

    def _sentence(self, alert: AlertRecord) -> str:
        try:
            return sentence(alert, self.language)
        # Params that make no sense cost an alert its text, not itself, nor the others that are told with it.
        except Exception:  # noqa: BLE001
            return catalogue.title(alert.reason, self.language)

    def test(self, message_id: str, at: datetime) -> Alert:
        """Give the message that only tries a target out."""
        return Alert(
            id=message_id,
            alert_id=message_id,
            reason=TEST,
            severity=Severity.INFO,
            tenant="",
            pod="",
            at=at,
            title=f"AgentPod: {catalogue.title(TEST, self.language)}",
            text=catalogue.text(TEST, {}, self.language),
            url=self.dashboard or None,
        )


def sentence(alert: AlertRecord, language: Language) -> str:
    """Say what is wrong and what to do about it; of a pod that is ill in some way, what that comes from."""
    reason, params = cause(alert)
    said = [catalogue.text(reason, params, language)]
    if repair := catalogue.repair(reason, params, language):
        said.append(repair.replace("TENANT/POD", f"{alert.tenant}/{alert.pod}") if alert.pod else repair)
    return " ".join(said)


def cause(alert: AlertRecord) -> tuple[str, Mapping[str, Any]]:
    """Give the reason that says most about an alert, with its params."""
    if "cause" in alert.params and "cause_params" in alert.params:
        return str(alert.params["cause"]), dict(alert.params["cause_params"])
    return alert.reason, alert.params
