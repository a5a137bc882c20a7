"""``agentpod pod …``: look at pods."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress

import click

from agentpod_cli.app import App
from agentpod_cli.commands.availability import By, demand_by, show_course
from agentpod_cli.commands.creating import create_pod
from agentpod_cli.commands.pod_change import token, update
from agentpod_cli.commands.pod_config import config
from agentpod_cli.commands.pod_life import delete, restart, start, stop
from agentpod_cli.commands.pod_watch import events, logs, open_pod, stats
from agentpod_cli.inputs import Reference
from agentpod_cli.options import (
    Noun,
    Verb,
    availability_options,
    complete_tenants,
    output_option,
    pass_app,
    pod_argument,
    server_options,
)
from agentpod_cli.render import colours
from agentpod_cli.render.alerts import alerts as open_alerts
from agentpod_cli.render.formats import Output, document, listing, single
from agentpod_cli.render.pods import Row, describe, pods
from agentpod_client import shapes
from agentpod_client.errors import ClientError

_STATS_TIME = 3.0
_STATS_AT_ONCE = 8


@click.group(cls=Noun)
def pod() -> None:
    """Manage pods, your tenants' agents."""


@click.command(cls=Verb, name="list")
@click.option("--tenant", metavar="TENANT", shell_complete=complete_tenants, help="Only this tenant's.")
@click.option("--phase", type=click.Choice(tuple(colours.PHASES)), help="Only those in this phase.")
@output_option
@server_options
@pass_app
def list_pods(app: App, tenant: str | None, phase: str | None, output: Output) -> None:
    """List pods, grouped by tenant.

    Examples:
      agentpod pod list
      agentpod pod list --tenant acme -o wide
      agentpod pod list --phase crash-loop -o name
    """
    found = list(app.client.list_pods(tenant=tenant, phase=phase))
    found.sort(key=lambda one: (one["tenant"], one["name"]))
    rows = _with_stats(app, found) if output in ("table", "wide") else [Row(pod=one) for one in found]
    view = pods(app.texts, app.now())
    text = listing(view, rows, output, app.texts, raw=found, coloured=app.coloured, parted=app.terminal)
    if text:
        app.say(text)
    else:
        app.note(app.texts("pod.none"))


@click.command(cls=Verb)
@pod_argument
@output_option
@server_options
@pass_app
def get(app: App, reference: Reference, output: Output) -> None:
    """Show one pod: what was asked of it and what is seen.

    Examples:
      agentpod pod get acme/support
      agentpod pod get acme/support -o yaml
    """
    seen = app.client.get_pod(reference.tenant, reference.pod)
    row = _with_stats(app, [seen])[0] if output in ("table", "wide") else Row(pod=seen)
    view = pods(app.texts, app.now())
    app.say(single(view, row, output, app.texts, raw=seen, coloured=app.coloured))


@click.command(cls=Verb)
@pod_argument
@availability_options
@output_option
@server_options
@pass_app
def status(  # noqa: PLR0913 - click's options
    app: App,
    reference: Reference,
    by: By | None,
    since: float | None,
    as_csv: bool,  # noqa: FBT001
    output: Output,
) -> None:
    """Say how a pod is: in one sentence, then in detail.

    Examples:
      agentpod pod status acme/support
      agentpod pod status acme/support --by day --since 30d
      agentpod pod status acme/support -o json
    """
    if by is not None:
        show_course(app, reference, by=by, since=since, as_csv=as_csv, output=output)
        return
    demand_by(since=since, as_csv=as_csv)
    seen = app.client.get_pod_status(reference.tenant, reference.pod)
    if output in ("json", "yaml"):
        app.say(document(seen, output))
    elif output == "name":
        app.say(str(reference))
    else:
        found = app.client.get_pod(reference.tenant, reference.pod)
        whole: shapes.Pod = {**found, "status": seen}
        app.say(describe(whole, app.texts, app.now(), coloured=app.coloured))
        alerts = list(app.client.list_alerts(status="open", tenant=reference.tenant, pod=reference.pod))
        if text := listing(open_alerts(app.texts, app.now()), alerts, output, app.texts, coloured=app.coloured):
            app.say(f"\n{text}")


def _with_stats(app: App, found: list[shapes.Pod]) -> list[Row]:
    """Ask for what the pods use, all at once and for a short time: a list must not wait for one slow pod."""
    asked = [one for one in found if one["status"]["phase"] in ("running", "degraded", "starting")]
    if not asked:
        return [Row(pod=one) for one in found]
    seen: dict[str, shapes.Stats] = {}
    quick = app.connect(timeout=_STATS_TIME)

    def ask(one: shapes.Pod) -> None:
        # A pod without numbers is still listed; its own verbs say what is wrong with it.
        with suppress(ClientError):
            seen[one["id"]] = quick.get_pod_stats(one["tenant"], one["name"])

    pool = ThreadPoolExecutor(max_workers=_STATS_AT_ONCE)
    try:
        wait([pool.submit(ask, one) for one in asked], timeout=_STATS_TIME)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return [Row(pod=one, stats=seen.get(one["id"])) for one in found]


for _verb in (create_pod, list_pods, get, status, update, start, stop, restart, delete):
    pod.add_command(_verb)
for _more in (logs, events, stats, open_pod, config, token):
    pod.add_command(_more)
