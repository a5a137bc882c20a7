"""``agentpod pod logs|events|stats|open``: what a pod does right now."""

from __future__ import annotations

import webbrowser

import click

from agentpod_cli.app import App
from agentpod_cli.commands.events import show_events, watch_options
from agentpod_cli.inputs import Reference
from agentpod_cli.options import Verb, output_option, pass_app, pod_argument, server_options
from agentpod_cli.render.amounts import cpus, local, memory
from agentpod_cli.render.formats import Output, document
from agentpod_cli.render.tables import Column, View, table
from agentpod_cli.render.usage import used, with_gaps
from agentpod_client import shapes


@click.command(cls=Verb)
@pod_argument
@click.option("-f", "--follow", "following", is_flag=True, help="Go on with what comes, over restarts too.")
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@server_options
@pass_app
def logs(app: App, reference: Reference, following: bool, tail: int | None) -> None:  # noqa: FBT001 - click's flags
    """Print what a pod's agent writes.

    Examples:
      agentpod pod logs acme/support --tail 100
      agentpod pod logs -f acme/support
    """
    tenant, pod = reference.tenant, reference.pod
    lost = lambda: app.note(app.texts("note.lost"))  # noqa: E731 - shorter than a function
    follow, read = app.client.follow_pod_logs, app.client.get_pod_logs
    for line in follow(tenant, pod, tail=tail, lost=lost) if following else read(tenant, pod, tail=tail):
        click.echo(line)


@click.command(cls=Verb)
@pod_argument
@watch_options
@server_options
@pass_app
def events(app: App, reference: Reference, following: bool, after: int | None, output: Output) -> None:  # noqa: FBT001
    """Show what happened to a pod.

    Examples:
      agentpod pod events acme/support
      agentpod pod events -f acme/support -o json
    """
    app.client.get_pod(reference.tenant, reference.pod)
    show_events(app, reference.tenant, reference.pod, following=following, after=after, output=output)


@click.command(cls=Verb)
@pod_argument
@click.option("--since", metavar="SPAN", help="What it used for so long: 45m, 24h, 30d.")
@output_option
@server_options
@pass_app
def stats(app: App, reference: Reference, since: str | None, output: Output) -> None:
    """Show what a pod uses right now, or what it used.

    Minutes are kept for a day, tens of minutes for a week, hours for a month. A line of dashes stands for a
    time in which nothing was measured: the pod did not run, or nobody watched.

    Examples:
      agentpod pod stats acme/support
      agentpod pod stats acme/support --since 24h
      agentpod pod stats acme/support --since 30d -o json
    """
    seen = app.client.get_pod_stats(reference.tenant, reference.pod, since=since)
    if output in ("json", "yaml"):
        app.say(document(seen, output))
    elif output == "name":
        app.say(str(reference))
    elif since is not None:
        points = with_gaps(seen)
        if points:
            app.say(table(used(), points, app.texts, wide=output == "wide", coloured=app.coloured))
        else:
            app.note(app.texts("pod.nothing_measured", pod=reference))
    elif not seen["running"]:
        app.say(app.texts("pod.not_running", pod=reference))
    else:
        app.say(table(_usage(), [seen], app.texts, wide=output == "wide", coloured=app.coloured))


@click.command(cls=Verb, name="open")
@pod_argument
@click.option("--print", "only_print", is_flag=True, help="Print the address, start no browser.")
@server_options
@pass_app
def open_pod(app: App, reference: Reference, only_print: bool) -> None:  # noqa: FBT001 - click's flags
    """Open a pod in the browser; where there is none, print the address.

    An agent that wants its browsers paired gets a link that works once and for a short time.

    Examples:
      agentpod pod open acme/support
      agentpod pod open acme/support --print
    """
    door = app.client.open_pod(reference.tenant, reference.pod)
    app.say(door["url"])
    if door["expires_at"]:
        app.note(app.texts("pod.open_until", time=local(door["expires_at"])))
    if app.terminal and not only_print and _has_display(app):
        webbrowser.open(door["url"])


def _usage() -> View[shapes.Stats]:
    return View(
        columns=(
            Column(heading="cpu", cell=lambda seen: cpus(seen.get("cpu"))),
            Column(heading="memory", cell=lambda seen: memory(seen.get("memory"))),
            Column(heading="limit", cell=lambda seen: memory(seen.get("memory_limit"))),
            Column(heading="processes", cell=lambda seen: str(seen.get("pids") or "")),
            Column(heading="received", cell=lambda seen: memory(seen.get("rx"))),
            Column(heading="sent", cell=lambda seen: memory(seen.get("tx"))),
            Column(heading="storage", cell=lambda seen: memory(seen.get("storage")), wide=True),
        ),
        name=lambda _: "",
    )


def _has_display(app: App) -> bool:
    return any(app.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
