"""The form of a pod, to make one and to change it: names, the adapter's own fields, the container's few.

What is asked is the same as by API and command line; here it is only read from inputs and shown again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET, Struct

from agentpod_core import AgentAdapter, AgentPodError, ConfigError, NotFoundError, catalogue, format_bytes
from agentpod_core.catalogue import Language
from agentpod_server import forms
from agentpod_server.dashboard import words
from agentpod_server.forms import Parts
from agentpod_server.records import PodRecord, TenantRecord
from agentpod_server.services.asked import Asked
from agentpod_server.services.config import Given, published

_BOX = ("size", "subdomain", "image", "memory", "cpus")
_AT = {
    "$.name": "pod.name",
    "$.tenant": "pod.tenant",
    "$.adapter": "pod.name",
    **{f"$.{name}": f"box.{name}" for name in _BOX},
}
_BY_REASON = {
    "PodExists": "pod.name",
    "PodDeleting": "pod.name",
    "SubdomainTaken": "box.subdomain",
    "SubdomainUnavailable": "box.subdomain",
    "TenantNotFound": "pod.tenant",
    "TenantDeleting": "pod.tenant",
}


class Alert(Struct, frozen=True, kw_only=True):
    """Something wrong that belongs to no field."""

    title: str
    text: str
    repair: str | None = None


class PodForm(Struct, frozen=True, kw_only=True):
    """A form as it is drawn: the parts, and what is wrong as id, title and text."""

    who: Parts | None
    config: Parts
    box: Parts
    wrong: list[tuple[str, str, str]]
    alerts: list[Alert]

    @property
    def focus(self) -> str:
        """The id of the element to begin with; empty for none."""
        return self.wrong[0][0] if self.wrong else ""


def empty(  # noqa: PLR0913 - what a form is drawn of
    kind: AgentAdapter[Any],
    language: Language,
    tenants: Sequence[TenantRecord],
    *,
    tenant: str,
    posted: forms.Posted | None = None,
    error: AgentPodError | None = None,
) -> PodForm:
    """Draw the form of a new pod; after ``error``, with what was sent and what was wrong with it."""
    places = forms.read(published(kind.config_type), posted or {}).places
    problems, alerts = _sorted(error, places, language)
    who = _who_schema(tenants, tenant, language)
    return _drawn(
        who=forms.draw(who, prefix="pod", posted=posted, problems=problems),
        config=forms.draw(published(kind.config_type), posted=posted, problems=problems),
        box=forms.draw(_box_schema(kind, language), prefix="box", posted=posted, problems=problems),
        alerts=alerts,
    )


def filled(  # noqa: PLR0913 - what a form is drawn of
    kind: AgentAdapter[Any],
    language: Language,
    pod: PodRecord,
    config: dict[str, Any],
    *,
    posted: forms.Posted | None = None,
    error: AgentPodError | None = None,
) -> PodForm:
    """Draw the form of a pod that is there; ``config`` is its own, secrets masked."""
    places = forms.read(published(kind.config_type), posted or {}, config).places
    problems, alerts = _sorted(error, places, language)
    box = _box_of(pod, kind)
    return _drawn(
        who=None,
        config=forms.draw(published(kind.config_type), config, posted=posted, problems=problems),
        box=forms.draw(_box_schema(kind, language), box, prefix="box", posted=posted, problems=problems),
        alerts=alerts,
    )


def asked(kind: AgentAdapter[Any], posted: forms.Posted, config: dict[str, Any] | None, pod: PodRecord | None) -> Asked:
    """Read what a form asks for, against what it showed: ``config`` and ``pod``, or neither for a new pod.

    Raises:
        ConfigError: keys of a map are missing or given twice.
    """
    reading = forms.read(published(kind.config_type), posted, config)
    if reading.problems:
        raise ConfigError(reading.problems)
    before = _box_of(pod, kind) if pod is not None else {}
    wishes: dict[str, Any] = {}
    for name in _BOX:
        text = forms.last(posted, f"box.{name}")
        if text is not None and text.strip() != (before.get(name) or _default(name, kind)):
            wishes[name] = text.strip() or None
    return Asked(
        given=Given(config=reading.config, set=reading.texts, secrets=reading.secrets)
        if _says_something(reading, config)
        else UNSET,
        **wishes,
    )


def _says_something(reading: forms.Reading, config: dict[str, Any] | None) -> bool:
    """Say whether a form changes the config; one that does not must not fail on what a config has become."""
    return config is None or bool(reading.texts or reading.secrets) or reading.config != config


def _drawn(*, who: Parts | None, config: Parts, box: Parts, alerts: list[Alert]) -> PodForm:
    parts = [one for one in (who, config, box) if one is not None]
    return PodForm(
        who=who, config=config, box=box, alerts=alerts, wrong=[found for one in parts for found in forms.wrong(one)]
    )


def _sorted(
    error: AgentPodError | None, places: dict[str, str], language: Language
) -> tuple[Mapping[str, list[str]], list[Alert]]:
    """Sort what is wrong to the inputs that it belongs to; what belongs to none is told above the form."""
    problems: dict[str, list[str]] = {}
    alerts: list[Alert] = []
    if error is None:
        return problems, alerts
    told = alert_of(error, language)
    if isinstance(error, ConfigError):
        for problem in error.problems:
            name = _AT.get(problem.path) or forms.place_of(places, problem.path)
            said = words.problem_text(problem, language)
            if name:
                problems.setdefault(name, []).append(said)
            else:
                alerts.append(Alert(title=told.title, text=f"{problem.path}: {said}"))
    elif name := _BY_REASON.get(error.reason, ""):
        problems[name] = [told.text]
    else:
        alerts.append(told)
    return problems, alerts


def alert_of(error: AgentPodError, language: Language) -> Alert:
    """Say what is wrong as a whole."""
    return Alert(
        title=catalogue.title(error.reason, language),
        text=catalogue.text(error.reason, error.params, language),
        repair=catalogue.repair(error.reason, error.params, language),
    )


def status_of(error: AgentPodError) -> int:
    """Give the HTTP status of a form that was refused."""
    return 404 if isinstance(error, NotFoundError) else catalogue.for_error(error).status or 500


def _who_schema(tenants: Sequence[TenantRecord], tenant: str, language: Language) -> dict[str, Any]:
    slugs = [one.slug for one in tenants]
    preset = tenant if tenant in slugs else slugs[0] if len(slugs) == 1 else None
    labels = {one.slug: one.slug if one.name == one.slug else f"{one.slug} · {one.name}" for one in tenants}
    return {
        "type": "object",
        "properties": {
            "tenant": {
                "type": "string",
                "title": words.say("pod.tenant", language),
                "enum": slugs,
                "x-agentpod-labels": labels,
                "x-agentpod-widget": "select",
                **({"default": preset} if preset else {}),
            },
            "name": {
                "type": "string",
                "title": words.say("pod.name", language),
                "description": words.say("pod.name_help", language),
                "examples": ["support"],
            },
        },
        "required": ["tenant", "name"],
    }


def _box_schema(kind: AgentAdapter[Any], language: Language) -> dict[str, Any]:
    sizes = {
        name: words.say(
            "pod.size_choice",
            language,
            name=name,
            memory=format_bytes(limits.memory) if limits.memory else "∞",
            cpus=f"{limits.cpus / 1000:g}" if limits.cpus else "∞",
        )
        for name, limits in kind.sizes.items()
    }
    text = {"type": ["string", "null"], "default": None}
    properties: dict[str, Any] = {}
    if sizes:
        properties["size"] = {
            "type": "string",
            "title": words.say("pod.size", language),
            "enum": list(sizes),
            "default": next(iter(sizes)),
            "x-agentpod-labels": sizes,
        }
    for name, examples in (("subdomain", []), ("image", []), ("memory", ["1.5 GiB"]), ("cpus", ["0.5"])):
        properties[name] = text | {
            "title": words.say(f"pod.{name}", language),
            "description": words.say(f"pod.{name}_help", language),
            "examples": examples,
        }
    return {"type": "object", "properties": properties}


def _box_of(pod: PodRecord, kind: AgentAdapter[Any]) -> dict[str, Any]:
    spec = pod.spec
    values = {
        "size": spec.size or _default("size", kind),
        "subdomain": pod.subdomain,
        "image": spec.image,
        "memory": None if spec.memory is None else _exact_bytes(spec.memory),
        "cpus": None if spec.cpus is None else f"{spec.cpus / 1000:g}",
    }
    return {name: value for name, value in values.items() if value}


def _default(name: str, kind: AgentAdapter[Any]) -> str:
    return next(iter(kind.sizes), "") if name == "size" else ""


def _exact_bytes(amount: int) -> str:
    """Write an amount so that it reads back the same."""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if amount % 1024**power == 0:
            return f"{amount // 1024**power} {unit}"
    return str(amount)
