"""Availability by day or month, of a tenant or of a pod: what both ``status`` verbs show with ``--by``."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from agentpod_cli.app import App
from agentpod_cli.errors import misused
from agentpod_cli.inputs import Reference
from agentpod_cli.render import availability
from agentpod_cli.render.formats import Output, listing

By = Literal["day", "month"]


def demand_by(*, since: float | None, as_csv: bool) -> None:
    """Refuse what means nothing without ``--by``."""
    if since is not None or as_csv:
        raise misused("needs_by")


def show_course(app: App, about: Reference | str, *, by: By, since: float | None, as_csv: bool, output: Output) -> None:  # noqa: PLR0913 - how it may be asked for
    """Write how available a pod, or all pods of a tenant, were."""
    begin = None if since is None else (app.now() - timedelta(seconds=since)).strftime("%Y-%m-%dT%H:%M:%SZ")
    client = app.client
    if as_csv:
        text = (
            client.get_pod_availability_csv(about.tenant, about.pod, by=by, since=begin)
            if isinstance(about, Reference)
            else client.get_tenant_availability_csv(about, by=by, since=begin)
        )
        app.say(text.replace("\r\n", "\n").rstrip("\n"))
        return
    found = list(
        client.get_pod_availability(about.tenant, about.pod, by=by, since=begin)
        if isinstance(about, Reference)
        else client.get_tenant_availability(about, by=by, since=begin)
    )
    app.say(listing(availability.spans(), found, output, app.texts, coloured=app.coloured))
