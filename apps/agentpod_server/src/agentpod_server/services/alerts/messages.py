"""Puts an alert into words: one message in the operator's language. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from agentpod_core import Alert, Severity, catalogue
from agentpod_core.catalogue import Language
from agentpod_core.values.alerts import TEST
from agentpod_server.alert_records import AlertRecord, MessageKind, MessageRecord


class Wording(Struct, frozen=True, kw_only=True):
    """How messages are worded: in which language, and where the dashboard is that they lead to."""

    language: Language = "en"
    dashboard: str = ""

    def message(self, told: MessageRecord) -> Alert:
        """Give the message as it is sent."""
        alert, is_over = told.alert, told.kind is MessageKind.RECOVERED
        return Alert(
            id=told.id,
            alert_id=alert.id,
            reason=alert.reason,
            severity=Severity.INFO if is_over else alert.severity,
            tenant=alert.tenant,
            pod=alert.pod,
            at=(alert.cleared_at or alert.raised_at) if is_over else alert.raised_at,
            title=self.title(alert, is_over=is_over),
            text=catalogue.text("AlertOver", {}, self.language) if is_over else sentence(alert, self.language),
            url=f"{self.dashboard}/pods/{told.pod_id}" if told.pod_id and self.dashboard else self.dashboard or None,
            params=alert.params | ({"ends": list(told.ends)} if is_over else {}),
            recovered=is_over,
        )

    def title(self, alert: AlertRecord, *, is_over: bool) -> str:
        """Name subject and trouble in a line."""
        subject = f"{alert.tenant}/{alert.pod}" if alert.pod else "AgentPod"
        params = {"subject": subject, "what": catalogue.title(alert.reason, self.language)}
        return catalogue.text("AlertOverTitle" if is_over else "AlertTitle", params, self.language)

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
