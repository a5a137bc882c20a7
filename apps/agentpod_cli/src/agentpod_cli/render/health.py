"""How the health of agents is listed, trouble first, and how that of one is described."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from agentpod_cli.render import colours
from agentpod_cli.render.amounts import ABSENT, age, memory, moment, seconds
from agentpod_cli.render.tables import Column, View, facts
from agentpod_cli.render.views import yes_no
from agentpod_cli.texts import Texts
from agentpod_client import shapes

_ORDER = {False: 0, True: 1, None: 2}


def trouble_first(found: Iterable[shapes.Health]) -> list[shapes.Health]:
    """Order by what is wrong, then what is well, then what is not to run."""
    return sorted(found, key=lambda one: (_ORDER[one["well"]], one["tenant"], one["pod"]))


def healths(texts: Texts, now: datetime) -> View[shapes.Health]:
    """List how agents are."""
    return View(
        columns=(
            Column(heading="tenant", cell=lambda one: one["tenant"]),
            Column(heading="pod", cell=lambda one: one["pod"]),
            Column(
                heading="phase",
                cell=lambda one: one["phase"],
                colour=lambda one: colours.PHASES.get(one["phase"]),
            ),
            Column(
                heading="ready",
                cell=lambda one: yes_no(texts, one["ready"]),
                colour=lambda one: colours.of_answer(answer=one["ready"]),
            ),
            Column(heading="since", cell=lambda one: age(one["since"], now)),
            Column(heading="answered", cell=_answered),
            Column(heading="memory", cell=_memory),
            Column(heading="checked", cell=lambda one: age(one["checked_at"], now), wide=True),
            Column(heading="failures", cell=_failures, wide=True),
            Column(heading="message", cell=lambda one: one.get("message") or one["reason"]),
        ),
        name=lambda one: f"{one['tenant']}/{one['pod']}",
    )


def describe(one: shapes.Health, texts: Texts, now: datetime, *, coloured: bool) -> str:
    """Describe how an agent is: what it said last, and all that the engine goes by."""
    probe, trend = one["probe"], one["memory"]
    pairs = [
        (texts("fact.phase"), one["phase"]),
        (texts("fact.alive"), yes_no(texts, one["alive"])),
        (texts("fact.ready"), yes_no(texts, one["ready"])),
        (texts("fact.since"), age(one["since"], now) if one["since"] else ""),
        (texts("fact.answered"), "" if one["seconds"] is None else seconds(one["seconds"])),
        (texts("fact.checked"), age(one["checked_at"], now) if one["checked_at"] else ""),
        (texts("fact.next_check"), _until(one["next_at"], now)),
        (texts("fact.failures"), "" if one["failures"] is None else _failures(one)),
        (texts("fact.silences"), "" if one["silences"] is None else str(one["silences"])),
        (texts("fact.waited"), seconds(one["waited"]) if one["waited"] and not one["ready"] else ""),
        (texts("fact.probe"), "" if probe is None else texts("health.probe", **_spans(probe))),
        (texts("fact.memory"), "" if trend is None else _memory(one)),
        (texts("fact.growth"), "" if trend is None or not trend["growth"] else _growth(texts, trend)),
    ]
    parts = [one.get("message") or one["reason"], facts(pairs, coloured=coloured)]
    if not one["asked_here"]:
        parts.append(texts("health.asked_elsewhere"))
    elif probe is None:
        parts.append(texts("health.no_probe"))
    return "\n\n".join(parts)


def _spans(probe: shapes.Probe) -> dict[str, object]:
    spans = {name: seconds(float(probe[name])) for name in ("interval", "timeout", "start_interval", "start_deadline")}
    return {"name": probe["name"], **spans}


def _answered(one: shapes.Health) -> str:
    return ABSENT if one["seconds"] is None else seconds(one["seconds"])


def _failures(one: shapes.Health) -> str:
    most = f"/{one['probe']['failures']}" if one["probe"] else ""
    return ABSENT if one["failures"] is None else f"{one['failures']}{most}"


def _memory(one: shapes.Health) -> str:
    trend = one["memory"]
    return ABSENT if trend is None else f"{memory(trend['used'])}/{memory(trend['limit'])}"


def _growth(texts: Texts, trend: shapes.MemoryTrend) -> str:
    rate = memory(trend["growth"] * 60)
    full_in = trend["full_in"]
    if full_in is None:
        return texts("health.growth", rate=rate)
    return texts("health.full_in", rate=rate, time=seconds(full_in))


def _until(text: str | None, now: datetime) -> str:
    then = moment(text)
    return "" if then is None else seconds(max((then - now).total_seconds(), 0.0))
