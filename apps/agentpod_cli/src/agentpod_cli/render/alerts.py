"""How alerts, silences and notifiers are listed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from agentpod_cli.render import colours
from agentpod_cli.render.amounts import age, local
from agentpod_cli.render.tables import Column, View, facts, table
from agentpod_cli.texts import Texts
from agentpod_client import shapes

_KINDS: Final = {"raised": "alert.says_raised", "recovered": "alert.says_recovered"}
_STATES: Final = {"pending": "alert.waiting", "delivered": "alert.delivered", "failed": "alert.failed"}


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


def alert(texts: Texts, one: shapes.Alert, *, coloured: bool) -> str:
    """Show one alert with all that is known of it, and who was told."""
    head = facts(
        [
            (texts("fact.alert"), f"{one['title']} ({one['reason']})"),
            (texts("fact.about"), about(one)),
            (texts("fact.severity"), one["severity"]),
            (texts("fact.state"), _state(texts, one)),
            (texts("fact.begun"), local(one["raised_at"])),
            (texts("fact.ended"), local(one["cleared_at"]) if one["cleared_at"] else ""),
        ],
        coloured=coloured,
    )
    parts = [one["message"], head]
    if one["deliveries"]:
        view: View[shapes.Delivery] = View(
            columns=(
                Column(heading="notifier", cell=lambda told: told["notifier"]),
                *_of_messages(texts),
            ),
            name=lambda told: told["notifier"],
        )
        parts.append(table(view, one["deliveries"], texts, wide=False, coloured=coloured))
    return "\n\n".join(parts)


def silences() -> View[shapes.Silence]:
    """List silences."""
    return View(
        columns=(
            Column(heading="id", cell=lambda silence: silence["id"]),
            Column(heading="owner", cell=lambda silence: silence["owner"] or ""),
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
            Column(heading="state", cell=lambda notifier: _activity(texts, notifier)),
            Column(heading="used", cell=lambda notifier: age(notifier["delivered_at"], now)),
            Column(
                heading="error",
                cell=lambda notifier: notifier["trouble"]["message"] if notifier["trouble"] else "",
                colour=lambda _: "red",
            ),
        ),
        name=lambda notifier: notifier["name"],
    )


def notifier(
    texts: Texts, now: datetime, one: shapes.Notifier, told: Sequence[shapes.NotifierDelivery], *, coloured: bool
) -> str:
    """Show one notifier with its settings, and what it was told last."""
    trouble = one["trouble"]
    head = facts(
        [
            (texts("fact.notifier"), one["name"]),
            (texts("fact.tenant"), one["tenant"] or ""),
            (texts("fact.kind"), one["kind"]),
            *_settings(texts, one["config"]),
            (texts("fact.severity"), one["min_severity"]),
            (texts("fact.reasons"), ", ".join(one["reasons"]) or texts("notifier.all")),
            (texts("fact.state"), _activity(texts, one)),
            (texts("fact.delivered"), local(one["delivered_at"]) if one["delivered_at"] else ""),
            (texts("fact.trouble"), trouble["message"] if trouble else ""),
            (texts("fact.repair"), (trouble["repair"] or "") if trouble else ""),
        ],
        coloured=coloured,
    )
    if not told:
        return head
    view: View[shapes.NotifierDelivery] = View(
        columns=(
            Column(heading="age", cell=lambda message: age(message["created_at"], now)),
            Column(heading="about", cell=about),
            Column(heading="alert", cell=lambda message: message["title"]),
            *_of_messages(texts),
        ),
        name=lambda message: message["alert"],
    )
    return f"{head}\n\n{table(view, told, texts, wide=False, coloured=coloured)}"


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


def about(one: shapes.Alert | shapes.Silence | shapes.NotifierDelivery) -> str:
    """Name what it is about: ``tenant/pod``, a tenant, or nothing for the platform."""
    return "/".join(part for part in (one["tenant"], one["pod"]) if part)


def _state(texts: Texts, alert: shapes.Alert) -> str:
    if alert["cleared_at"]:
        return texts("alert.over")
    return texts("alert.silenced") if alert["silenced"] else texts("alert.open")


def _of_messages(texts: Texts) -> tuple[Column[Any], ...]:
    """Give the columns that say what became of a message."""
    return (
        Column(heading="message", cell=lambda told: texts(_KINDS[told["kind"]])),
        Column(heading="state", cell=lambda told: texts(_STATES[told["state"]])),
        Column(heading="tries", cell=lambda told: str(told["attempts"])),
        Column(
            heading="error", cell=lambda told: told["error"]["message"] if told["error"] else "", colour=lambda _: "red"
        ),
    )


def _activity(texts: Texts, notifier: shapes.Notifier) -> str:
    return texts("notifier.paused") if notifier["paused"] else texts("notifier.on")


def _settings(texts: Texts, config: dict[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Give each field with its dotted path; of a secret that it is set."""
    found = []
    for name, value in config.items():
        path = f"{above}{name}"
        if isinstance(value, dict) and value.get("$secret") is True:
            found.append((path, texts("notifier.secret")))
        elif isinstance(value, dict):
            found += _settings(texts, value, f"{path}.")
        else:
            found.append((path, str(value)))
    return found


def _told(texts: Texts, alert: shapes.Alert) -> str:
    """Name who was told of it, with a word on those who were not."""
    raised = [one for one in alert["deliveries"] if one["kind"] == "raised"]
    return ", ".join(
        one["notifier"] if one["state"] == "delivered" else f"{one['notifier']} ({texts(_STATES[one['state']])})"
        for one in raised
    )
