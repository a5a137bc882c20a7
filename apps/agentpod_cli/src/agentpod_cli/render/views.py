"""How tenants, adapters, plugins, images, events, operations, tokens and checks are listed."""

from __future__ import annotations

from datetime import datetime, tzinfo

from agentpod_cli.render import colours
from agentpod_cli.render.amounts import age, cpus, local, memory
from agentpod_cli.render.tables import Column, View
from agentpod_cli.texts import Texts
from agentpod_client import shapes

_STATES = {"ok": True, "partly": None, "failed": False, "disabled": None, "missing": False}
"""What the state of a plugin means: good, bad, or neither."""


def yes_no(texts: Texts, answer: bool | None) -> str:  # noqa: FBT001 - the value to be shown
    """Write true, false and unknown."""
    return texts({True: "value.yes", False: "value.no", None: "value.unknown"}[answer])


def tenants(now: datetime) -> View[shapes.Tenant]:
    """List tenants."""
    return View(
        columns=(
            Column(heading="tenant", cell=lambda tenant: tenant["slug"]),
            Column(heading="name", cell=lambda tenant: tenant.get("name") or ""),
            Column(heading="wanted", cell=lambda tenant: tenant.get("wanted") or ""),
            Column(heading="pods", cell=lambda tenant: str(tenant.get("pods", ""))),
            Column(heading="age", cell=lambda tenant: age(tenant.get("created_at"), now)),
            Column(heading="email", cell=lambda tenant: tenant.get("email") or "", wide=True),
            Column(heading="generation", cell=lambda tenant: str(tenant.get("generation", "")), wide=True),
        ),
        name=lambda tenant: tenant["slug"],
    )


def adapters() -> View[shapes.Adapter]:
    """List kinds of agents."""
    return View(
        columns=(
            Column(heading="adapter", cell=lambda adapter: adapter["id"]),
            Column(heading="title", cell=lambda adapter: adapter.get("title") or ""),
            Column(heading="sizes", cell=_sizes),
            Column(heading="plugin", cell=lambda adapter: adapter.get("plugin") or ""),
            Column(heading="version", cell=lambda adapter: adapter.get("version") or ""),
            Column(heading="image", cell=lambda adapter: adapter.get("image") or "", wide=True),
        ),
        name=lambda adapter: adapter["id"],
    )


def plugins(texts: Texts) -> View[shapes.Plugin]:
    """List plugins, those that failed too."""
    return View(
        columns=(
            Column(heading="plugin", cell=lambda plugin: plugin["name"]),
            Column(heading="distribution", cell=lambda plugin: plugin.get("distribution") or ""),
            Column(heading="version", cell=lambda plugin: plugin.get("version") or ""),
            Column(heading="offers", cell=_offers),
            Column(
                heading="state",
                cell=lambda plugin: texts(f"plugin.{plugin['state']}"),
                colour=lambda plugin: colours.of_answer(answer=_STATES[plugin["state"]]),
            ),
            Column(heading="error", cell=lambda plugin: plugin.get("error") or ""),
        ),
        name=lambda plugin: plugin["name"],
    )


def images() -> View[shapes.Image]:
    """List images."""
    return View(
        columns=(
            Column(heading="image", cell=lambda image: image["name"]),
            Column(heading="adapters", cell=lambda image: ", ".join(image.get("adapters") or [])),
        ),
        name=lambda image: image["name"],
    )


def events(zone: tzinfo | None = None) -> View[shapes.Event]:
    """List events, in the reader's time zone."""
    return View(
        columns=(
            Column(heading="time", cell=lambda event: local(event.get("at"), zone)),
            Column(
                heading="severity",
                cell=lambda event: event.get("severity") or "",
                colour=lambda event: colours.SEVERITIES.get(event.get("severity") or ""),
            ),
            Column(heading="about", cell=about),
            Column(heading="reason", cell=lambda event: event.get("reason") or ""),
            Column(heading="actor", cell=lambda event: event.get("actor") or "", wide=True),
            Column(heading="request", cell=lambda event: event.get("request_id") or "", wide=True),
            Column(heading="message", cell=lambda event: event.get("message") or ""),
        ),
        name=lambda event: str(event.get("seq", "")),
    )


def about(event: shapes.Event) -> str:
    """Name what an event is about: ``tenant/pod``, a tenant, or nothing."""
    return "/".join(part for part in (event.get("tenant"), event.get("pod")) if part)


def operations(now: datetime) -> View[shapes.Operation]:
    """List long work."""
    return View(
        columns=(
            Column(heading="operation", cell=lambda one: one["id"]),
            Column(heading="kind", cell=lambda one: one["kind"]),
            Column(heading="target", cell=lambda one: one["target"]),
            Column(
                heading="status",
                cell=lambda one: one["status"],
                colour=lambda one: colours.OPERATIONS.get(one["status"]),
            ),
            Column(heading="progress", cell=_progress),
            Column(heading="age", cell=lambda one: age(one["created_at"], now)),
            Column(heading="actor", cell=lambda one: one["created_by"], wide=True),
            Column(heading="error", cell=lambda one: one["error"]["message"] if one["error"] else "", wide=True),
        ),
        name=lambda one: one["id"],
    )


def tokens(now: datetime) -> View[shapes.Token]:
    """List API tokens."""
    return View(
        columns=(
            Column(heading="id", cell=lambda token: token["id"]),
            Column(heading="name", cell=lambda token: token["name"]),
            Column(heading="role", cell=lambda token: token["role"]),
            Column(heading="tenant", cell=lambda token: token["tenant"] or ""),
            Column(heading="age", cell=lambda token: age(token["created_at"], now)),
            Column(heading="expires", cell=lambda token: local(token["expires_at"])),
            Column(heading="used", cell=lambda token: age(token["last_used_at"], now)),
            Column(heading="prefix", cell=lambda token: token["prefix"], wide=True),
        ),
        name=lambda token: token["id"],
    )


def checks(texts: Texts) -> View[tuple[str, str]]:
    """List the parts of the server and how they are."""
    return View(
        columns=(
            Column(heading="part", cell=lambda check: check[0]),
            Column(
                heading="health",
                cell=lambda check: texts("value.ok") if check[1] == "ok" else check[1],
                colour=lambda check: colours.of_answer(answer=check[1] == "ok"),
            ),
        ),
        name=lambda check: check[0],
    )


def _progress(operation: shapes.Operation) -> str:
    percent, line = operation["progress"]["percent"], operation["progress"]["line"]
    return " ".join(part for part in ("" if percent is None else f"{percent:.0f} %", line) if part)


def _sizes(adapter: shapes.Adapter) -> str:
    return ", ".join(
        f"{size['name']} ({_limits(size)})" if _limits(size) else size["name"] for size in adapter.get("sizes") or []
    )


def _limits(size: shapes.Size) -> str:
    parts = (
        memory(size["memory"]) if size.get("memory") else "",
        f"{cpus(size['cpus'])} CPU" if size.get("cpus") else "",
    )
    return " ".join(part for part in parts if part)


def _offers(plugin: shapes.Plugin) -> str:
    return ", ".join(f"{kind}: {' '.join(names)}" for kind, names in (plugin.get("offers") or {}).items() if names)
