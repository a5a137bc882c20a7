"""How pods are listed, and how one is described: its verdict first."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from agentpod_cli.render import colours
from agentpod_cli.render.amounts import ABSENT, age, cpus, local, memory
from agentpod_cli.render.availability import glance, percent
from agentpod_cli.render.tables import Column, View, facts, table
from agentpod_cli.render.views import yes_no
from agentpod_cli.texts import Texts
from agentpod_client import shapes


class Row(Struct, frozen=True, kw_only=True):
    """A pod with what it uses, None where that is not known."""

    pod: shapes.Pod
    stats: shapes.Stats | None = None


def reference(pod: shapes.Pod) -> str:
    """Name a pod as other verbs take it."""
    return f"{pod['tenant']}/{pod['name']}"


def pods(texts: Texts, now: datetime) -> View[Row]:
    """List pods by tenant."""
    return View(
        columns=(
            Column(heading="tenant", cell=lambda row: row.pod["tenant"]),
            Column(heading="pod", cell=lambda row: row.pod["name"]),
            Column(heading="adapter", cell=lambda row: row.pod["spec"]["adapter"]),
            Column(
                heading="phase",
                cell=lambda row: row.pod["status"]["phase"],
                colour=lambda row: colours.PHASES.get(row.pod["status"]["phase"]),
            ),
            Column(
                heading="ready",
                cell=lambda row: yes_no(texts, row.pod["status"]["ready"]),
                colour=lambda row: "green" if row.pod["status"]["ready"] else None,
            ),
            Column(heading="health", cell=lambda row: _answer(row.pod, "Ready", texts, now)),
            Column(heading="cpu", cell=lambda row: cpus(row.stats.get("cpu")) if row.stats else ABSENT),
            Column(heading="memory", cell=_memory),
            Column(heading="channels", cell=lambda row: _answer(row.pod, "ChannelsConnected", texts, now)),
            Column(heading="age", cell=lambda row: age(row.pod.get("created_at"), now)),
            Column(heading="storage", cell=_storage, wide=True),
            Column(heading="image", cell=lambda row: row.pod["spec"].get("image") or "", wide=True),
            Column(heading="address", cell=lambda row: " ".join(row.pod.get("urls") or []), wide=True),
            Column(heading="last_error", cell=last_error, wide=True),
        ),
        name=lambda row: reference(row.pod),
        group=lambda row: row.pod["tenant"],
    )


def summaries(texts: Texts) -> View[shapes.PodSummary]:
    """List the pods of one tenant's status."""
    return View(
        columns=(
            Column(heading="pod", cell=lambda pod: pod["name"]),
            Column(heading="adapter", cell=lambda pod: pod.get("adapter") or ""),
            Column(
                heading="phase",
                cell=lambda pod: pod.get("phase") or "",
                colour=lambda pod: colours.PHASES.get(pod.get("phase") or ""),
            ),
            Column(heading="ready", cell=lambda pod: yes_no(texts, pod.get("ready"))),
            Column(heading="availability", cell=lambda pod: percent(pod.get("availability"))),
            Column(heading="message", cell=lambda pod: pod.get("message") or ""),
        ),
        name=lambda pod: pod["name"],
    )


def last_error(row: Row) -> str:
    """Give the verdict of a pod that should be ready and is not."""
    status = row.pod["status"]
    return "" if status["ready"] or row.pod["spec"]["wanted"] != "running" else status.get("message") or ""


def describe(pod: shapes.Pod, texts: Texts, now: datetime, *, coloured: bool = False) -> str:
    """Describe a pod: one sentence that says how it is, then the facts, then every condition."""
    spec, status = pod["spec"], pod["status"]
    generation = str(spec["generation"])
    if status["observed_generation"] != spec["generation"]:
        generation = texts("value.generation", wanted=spec["generation"], seen=status["observed_generation"])
    ready = texts("value.ready") if status["ready"] else texts("value.not_ready")
    head = facts(
        [
            (texts("fact.pod"), reference(pod)),
            (texts("fact.phase"), f"{status['phase']}, {ready}"),
            (texts("fact.wanted"), spec["wanted"]),
            (texts("fact.adapter"), spec["adapter"]),
            (texts("fact.size"), _size(spec)),
            (texts("fact.image"), spec.get("image") or ""),
            (texts("fact.address"), " ".join(pod.get("urls") or [])),
            (texts("fact.generation"), generation),
            (texts("fact.updated"), local(status.get("updated_at"))),
            (texts("fact.availability"), glance(status.get("availability"), texts)),
            (texts("fact.repair"), status.get("repair") or ""),
        ],
        coloured=coloured,
    )
    parts = [status.get("message") or status["reason"], head]
    if status["conditions"]:
        parts.append(table(conditions(texts, now), status["conditions"], texts, wide=False, coloured=coloured))
    return "\n\n".join(parts)


def conditions(texts: Texts, now: datetime) -> View[shapes.Condition]:
    """List conditions."""
    return View(
        columns=(
            Column(heading="condition", cell=lambda one: one["type"]),
            Column(
                heading="status",
                cell=lambda one: yes_no(texts, one["status"]),
                colour=lambda one: colours.of_answer(answer=one["status"]),
            ),
            Column(heading="reason", cell=lambda one: one["reason"]),
            Column(heading="since", cell=lambda one: age(one.get("since"), now)),
            Column(heading="message", cell=lambda one: one.get("message") or ""),
        ),
        name=lambda one: one["type"],
    )


def _answer(pod: shapes.Pod, kind: str, texts: Texts, now: datetime) -> str:
    condition = next((one for one in pod["status"]["conditions"] if one["type"] == kind), None)
    if condition is None:
        return ABSENT
    word = {True: texts("value.ok"), False: condition["reason"], None: texts("value.unknown")}[condition["status"]]
    return f"{word} ({age(condition.get('since'), now)})"


def _storage(row: Row) -> str:
    return memory(row.stats.get("storage")) if row.stats else ABSENT


def _memory(row: Row) -> str:
    if row.stats is None or row.stats.get("memory") is None:
        return ABSENT
    return f"{memory(row.stats['memory'])}/{memory(row.stats.get('memory_limit'))}"


def _size(spec: shapes.PodSpec) -> str:
    parts = (
        spec.get("size") or "",
        memory(spec["memory"]) if spec.get("memory") else "",
        f"{cpus(spec['cpus'])} CPU" if spec.get("cpus") else "",
    )
    return " ".join(part for part in parts if part)
