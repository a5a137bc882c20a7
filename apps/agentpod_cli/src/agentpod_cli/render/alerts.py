"""How alerts, silences and notifiers are listed."""

from __future__ import annotations

from datetime import datetime

from agentpod_cli.render import colours
from agentpod_cli.render.amounts import age, local
from agentpod_cli.render.tables import Column, View
from agentpod_cli.texts import Texts
from agentpod_client import shapes


def alerts(texts: Texts, now: datetime) -> View[shapes.Alert]:
    """List alerts."""
    return View(
        columns=(
            Column(heading="age", cell=lambda alert: age(alert["raised_at"], now)),
            Column(
                heading="severity",
                cell=lambda alert: alert["severity"],
                colour=lambda alert: colours.SEVERITIES.get(alert["severity"]),
            ),
            Column(heading="about", cell=about),
            Column(heading="alert", cell=lambda alert: alert["title"]),
            Column(heading="state", cell=lambda alert: _state(texts, alert)),
            Column(heading="told", cell=lambda alert: _told(texts, alert)),
            Column(heading="id", cell=lambda alert: alert["id"], wide=True),
            Column(heading="message", cell=lambda alert: alert["message"], wide=True),
        ),
        name=lambda alert: alert["id"],
    )


def silences() -> View[shapes.Silence]:
    """List silences."""
    return View(
        columns=(
            Column(heading="id", cell=lambda silence: silence["id"]),
            Column(heading="about", cell=about),
            Column(heading="reason", cell=lambda silence: silence["reason"] or ""),
            Column(heading="end", cell=lambda silence: local(silence["ends_at"])),
            Column(heading="actor", cell=lambda silence: silence["created_by"]),
            Column(heading="comment", cell=lambda silence: silence["comment"]),
        ),
        name=lambda silence: silence["id"],
    )


def notifiers(texts: Texts, now: datetime) -> View[shapes.Notifier]:
    """List notifiers."""
    return View(
        columns=(
            Column(heading="notifier", cell=lambda notifier: notifier["name"]),
            Column(heading="tenant", cell=lambda notifier: notifier["tenant"] or ""),
            Column(heading="kind", cell=lambda notifier: notifier["kind"]),
            Column(heading="severity", cell=lambda notifier: notifier["min_severity"]),
            Column(heading="reasons", cell=lambda notifier: ", ".join(notifier["reasons"]) or texts("notifier.all")),
            Column(heading="used", cell=lambda notifier: age(notifier["delivered_at"], now)),
            Column(
                heading="error",
                cell=lambda notifier: notifier["trouble"]["message"] if notifier["trouble"] else "",
                colour=lambda _: "red",
            ),
        ),
        name=lambda notifier: notifier["name"],
    )


def kinds() -> View[shapes.NotifierKind]:
    """List kinds of notifiers."""
    return View(
        columns=(
            Column(heading="kind", cell=lambda kind: kind["name"]),
            Column(heading="title", cell=lambda kind: kind["title"]),
            Column(heading="plugin", cell=lambda kind: kind["plugin"]),
            Column(heading="fields", cell=lambda kind: ", ".join(kind["schema"].get("properties", {}))),
        ),
        name=lambda kind: kind["name"],
    )


def about(one: shapes.Alert | shapes.Silence) -> str:
    """Name what it is about: ``tenant/pod``, a tenant, or nothing for the platform."""
    return "/".join(part for part in (one["tenant"], one["pod"]) if part)


def _state(texts: Texts, alert: shapes.Alert) -> str:
    if alert["cleared_at"]:
        return texts("alert.over")
    return texts("alert.silenced") if alert["silenced"] else texts("alert.open")


def _told(texts: Texts, alert: shapes.Alert) -> str:
    """Name who was told of it, with a word on those who were not."""
    raised = [one for one in alert["deliveries"] if one["kind"] == "raised"]
    words = {"pending": "alert.waiting", "failed": "alert.failed"}
    return ", ".join(
        f"{one['notifier']} ({texts(words[one['state']])})" if one["state"] in words else one["notifier"]
        for one in raised
    )
