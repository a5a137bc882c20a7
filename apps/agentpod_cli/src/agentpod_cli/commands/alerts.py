"""``agentpod alert …``: what a person should know, and when nobody is to be told."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, get_args

import click

from agentpod_cli.app import App
from agentpod_cli.errors import misused
from agentpod_cli.inputs import REFERENCE, SPAN, Reference
from agentpod_cli.options import Noun, complete_pods, complete_tenants, output_option, pass_app, server_options
from agentpod_cli.render import alerts as views
from agentpod_cli.render.amounts import local
from agentpod_cli.render.formats import Output, listing, single
from agentpod_client.bodies import Severity, SilenceCreate


@click.group(cls=Noun)
def alert() -> None:
    """See what somebody should look after, and keep it quiet for a while."""


@alert.command(name="list")
@click.option("--open/--all", "is_open", default=True, show_default=True, help="Those that are open, or all.")
@click.option("--severity", type=click.Choice(get_args(Severity)), help="Only these and more severe ones.")
@click.option("--tenant", metavar="TENANT", shell_complete=complete_tenants, help="Only this tenant's.")
@click.option("--pod", metavar="POD", help="Only this pod of the tenant.")
@output_option
@server_options
@pass_app
def list_alerts(  # noqa: PLR0913 - click's options
    app: App,
    is_open: bool,  # noqa: FBT001
    severity: Severity | None,
    tenant: str | None,
    pod: str | None,
    output: Output,
) -> None:
    """List alerts, the newest first, and who was told of them.

    Examples:
      agentpod alert list
      agentpod alert list --all --tenant acme --pod support
      agentpod alert list --severity error -o wide
    """
    if pod is not None and tenant is None:
        raise misused("pod_needs_tenant")
    status: Literal["open"] | None = "open" if is_open else None
    found = list(app.client.list_alerts(status=status, severity=severity, tenant=tenant, pod=pod))
    if text := listing(views.alerts(app.texts, app.now()), found, output, app.texts, coloured=app.coloured):
        app.say(text)
    else:
        app.note(app.texts("alert.none"))


@alert.command()
@click.argument("alert_id", metavar="ID")
@output_option
@server_options
@pass_app
def get(app: App, alert_id: str, output: Output) -> None:
    """Show one alert: what is wrong, what to do, and who was told of it.

    Examples:
      agentpod alert get 0192f3a4-5b6c-7d8e-9f00-112233445566
    """
    seen = app.client.get_alert(alert_id)
    if output == "table":
        app.say(views.alert(app.texts, seen, coloured=app.coloured))
    else:
        app.say(single(views.alerts(app.texts, app.now()), seen, output, app.texts, coloured=app.coloured))


@alert.command()
@click.argument("reference", metavar="[TENANT/POD]", required=False, type=REFERENCE, shell_complete=complete_pods)
@click.option("--tenant", metavar="TENANT", shell_complete=complete_tenants, help="All of this tenant's.")
@click.option("--reason", metavar="REASON", help="Only those of this reason, for example CrashLoop.")
@click.option("--for", "span", type=SPAN, metavar="TIME", help="For how long (2h, 3d).")
@click.option("--comment", metavar="TEXT", default="", help="Why.")
@click.option("--list", "is_list", is_flag=True, help="List what is silenced instead.")
@click.option("--end", "ends", metavar="ID", help="End this silence instead.")
@output_option
@server_options
@pass_app
def silence(  # noqa: PLR0913 - click's options
    app: App,
    reference: Reference | None,
    tenant: str | None,
    reason: str | None,
    span: float | None,
    comment: str,
    is_list: bool,  # noqa: FBT001
    ends: str | None,
    output: Output,
) -> None:
    """Have nobody told of a pod, a tenant or a reason for a while.

    Alerts are kept and listed meanwhile; one that is still open at the end is told then.

    Examples:
      agentpod alert silence acme/support --for 2h --comment "new model"
      agentpod alert silence --tenant acme --reason MemoryGrowing --for 3d
      agentpod alert silence --list
      agentpod alert silence --end 0192f3a4-5b6c-7d8e-9f00-112233445566
    """
    if (is_list or ends is not None) and (reference or tenant or reason or span is not None or comment):
        raise misused("stands_alone", option="--list" if is_list else "--end")
    if is_list and ends is not None:
        raise misused("stands_alone", option="--list")
    if is_list:
        if text := listing(views.silences(), list(app.client.list_silences()), output, app.texts):
            app.say(text)
        else:
            app.note(app.texts("alert.no_silence"))
        return
    if ends is not None:
        app.client.end_silence(ends)
        app.say(app.texts("alert.silence_ended", id=ends))
        return
    if span is None:
        raise misused("say_how_long")
    if reference and tenant:
        raise misused("pod_or_tenant")
    body: SilenceCreate = {
        "ends_at": (app.now() + timedelta(seconds=span)).isoformat(),
        "tenant": reference.tenant if reference else tenant,
        "pod": reference.pod if reference else None,
        "reason": reason,
        "comment": comment,
    }
    made = app.client.create_silence(**body)
    if output == "table":
        app.say(app.texts("alert.silence_made", until=local(made["ends_at"]), id=made["id"]))
    else:
        app.say(single(views.silences(), made, output, app.texts))
