"""``agentpod events``: what happened, everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from agentpod_cli.app import App
from agentpod_cli.errors import misused
from agentpod_cli.options import Verb, complete_tenants, output_option, pass_app, server_options
from agentpod_cli.render.amounts import clean, local
from agentpod_cli.render.formats import Output, document, listing
from agentpod_cli.render.views import about
from agentpod_cli.render.views import events as events_view
from agentpod_client.shapes import Event

NEWEST = 100
"""How many events are shown where nobody says from where."""


def watch_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``-f``, ``--after`` and ``-o``."""
    function = output_option(function)
    function = click.option("--after", type=click.IntRange(min=0), metavar="SEQ", help="Only those after this number.")(
        function
    )
    return click.option(
        "-f", "--follow", "following", is_flag=True, help="Go on with what comes; JSON is one object a line then."
    )(function)


@click.command(cls=Verb)
@click.option("--tenant", metavar="TENANT", shell_complete=complete_tenants, help="Only this tenant's.")
@click.option("--pod", metavar="POD", help="Only this pod's; needs --tenant.")
@watch_options
@server_options
@pass_app
def events(  # noqa: PLR0913 - click's options
    app: App,
    tenant: str | None,
    pod: str | None,
    following: bool,  # noqa: FBT001
    after: int | None,
    output: Output,
) -> None:
    """Show what happened on the whole platform.

    Examples:
      agentpod events
      agentpod events -f
      agentpod events --tenant acme -o json
    """
    if pod is not None and tenant is None:
        raise misused("pod_needs_tenant")
    show_events(app, tenant, pod, following=following, after=after, output=output)


def show_events(  # noqa: PLR0913 - the filters
    app: App, tenant: str | None, pod: str | None, *, following: bool, after: int | None, output: Output
) -> None:
    """Write the events so far; when ``following``, those that come too, for ever."""
    seen = list(
        app.client.list_events(tenant=tenant, pod=pod, after=after, limit=NEWEST)
        if after is None
        else app.client.list_events(tenant=tenant, pod=pod, after=after)
    )
    if not following:
        if text := listing(events_view(), seen, output, app.texts, coloured=app.coloured):
            app.say(text)
        else:
            app.note(app.texts("event.none"))
        return
    for event in seen:
        _show(app, event, output)
    last = seen[-1]["seq"] if seen else after or 0
    lost = lambda: app.note(app.texts("note.lost"))  # noqa: E731 - shorter than a function
    missed = lambda: app.note(app.texts("note.missed"))  # noqa: E731 - shorter than a function
    for event in app.client.follow_events(tenant=tenant, pod=pod, after=last, lost=lost, missed=missed):
        _show(app, event, output)


def _show(app: App, event: Event, output: Output) -> None:
    match output:
        case "json":
            app.say(json.dumps(event, ensure_ascii=False))
        case "yaml":
            app.say(f"---\n{document(event, output)}")
        case "name":
            app.say(str(event["seq"]))
        case "table" | "wide":
            parts = [local(event["at"]), event["severity"], about(event), event["reason"], clean(event["message"])]
            app.say("  ".join(part for part in parts if part))
