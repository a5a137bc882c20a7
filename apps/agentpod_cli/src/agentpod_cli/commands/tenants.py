"""``agentpod tenant …``: the customers."""

from __future__ import annotations

from typing import Any

import click

from agentpod_cli.app import App
from agentpod_cli.commands.availability import By, demand_by, show_course
from agentpod_cli.errors import misused
from agentpod_cli.options import (
    Noun,
    availability_options,
    output_option,
    pass_app,
    server_options,
    tenant_argument,
    wait_options,
    yes_option,
)
from agentpod_cli.progress import steps
from agentpod_cli.render import pods, views
from agentpod_cli.render.availability import glance
from agentpod_cli.render.formats import Output, document, listing, single
from agentpod_cli.wait import Waiter


@click.group(cls=Noun)
def tenant() -> None:
    """Manage tenants, your customers."""


@tenant.command()
@tenant_argument
@click.option("--name", metavar="TEXT", help="Name for people; the tenant's own otherwise.")
@click.option("--email", metavar="ADDRESS", help="Whom to write to.")
@output_option
@server_options
@pass_app
def create(app: App, tenant: str, name: str | None, email: str | None, output: Output) -> None:
    """Create a tenant. The same again changes nothing.

    Examples:
      agentpod tenant create acme
      agentpod tenant create acme --name "Acme Ltd." --email ops@acme.example
    """
    made, _ = app.client.create_tenant(slug=tenant, **_given(name=name, email=email))
    if output in ("table", "wide"):
        app.say(app.texts("tenant.created", tenant=made["slug"]))
        app.note(app.texts("tenant.next", tenant=made["slug"]))
    else:
        _show(app, made, output)


@tenant.command(name="list")
@output_option
@server_options
@pass_app
def list_tenants(app: App, output: Output) -> None:
    """List the tenants.

    Examples:
      agentpod tenant list
      agentpod tenant list -o name
    """
    found = sorted(app.client.list_tenants(), key=lambda one: one["slug"])
    if text := listing(views.tenants(app.now()), found, output, app.texts, coloured=app.coloured):
        app.say(text)
    else:
        app.note(app.texts("tenant.none"))


@tenant.command()
@tenant_argument
@output_option
@server_options
@pass_app
def get(app: App, tenant: str, output: Output) -> None:
    """Show one tenant.

    Examples:
      agentpod tenant get acme -o yaml
    """
    _show(app, app.client.get_tenant(tenant), output)


@tenant.command()
@tenant_argument
@availability_options
@output_option
@server_options
@pass_app
def status(  # noqa: PLR0913 - click's options
    app: App,
    tenant: str,
    by: By | None,
    since: float | None,
    as_csv: bool,  # noqa: FBT001
    output: Output,
) -> None:
    """Say how a tenant's pods are, and how available they were.

    Examples:
      agentpod tenant status acme
      agentpod tenant status acme --by day --since 30d
      agentpod tenant status acme --by month --csv
    """
    if by is not None:
        show_course(app, tenant, by=by, since=since, as_csv=as_csv, output=output)
        return
    demand_by(since=since, as_csv=as_csv)
    seen = app.client.get_tenant_status(tenant)
    if output in ("json", "yaml"):
        app.say(document(seen, output))
        return
    if output != "name":
        app.say(
            app.texts(
                "tenant.verdict", tenant=seen["slug"], ready=seen["ready"], total=seen["total"], wanted=seen["wanted"]
            )
        )
        if known := glance(seen.get("availability"), app.texts):
            app.say(f"{app.texts('fact.availability')}: {known}")
        if count := seen.get("open_alerts"):
            app.say(app.texts("alert.count", count=count, tenant=seen["slug"]))
    if text := listing(pods.summaries(app.texts), seen["pods"], output, app.texts, coloured=app.coloured):
        app.say(text if output == "name" else f"\n{text}")


@tenant.command()
@tenant_argument
@click.option("--name", metavar="TEXT", help="Name for people.")
@click.option("--email", metavar="ADDRESS", help="Whom to write to.")
@output_option
@server_options
@pass_app
def update(app: App, tenant: str, name: str | None, email: str | None, output: Output) -> None:
    """Change a tenant's name or e-mail address.

    Examples:
      agentpod tenant update acme --email ops@acme.example
    """
    patch = _given(name=name, email=email)
    if not patch:
        raise misused("say_what", options="--name, --email")
    _show(app, app.client.update_tenant(tenant, **patch), output)


@tenant.command()
@tenant_argument
@server_options
@pass_app
def stop(app: App, tenant: str) -> None:
    """Stop all pods of a tenant; nothing is lost.

    Examples:
      agentpod tenant stop acme
    """
    app.client.stop_tenant(tenant)
    app.say(app.texts("tenant.stopped", tenant=tenant))


@tenant.command()
@tenant_argument
@server_options
@pass_app
def start(app: App, tenant: str) -> None:
    """Start a tenant's pods again, those that are meant to run.

    Examples:
      agentpod tenant start acme
    """
    app.client.start_tenant(tenant)
    app.say(app.texts("tenant.started", tenant=tenant))


@tenant.command()
@tenant_argument
@click.option("--cascade", is_flag=True, help="Delete its pods and all their data too.")
@wait_options("nothing of it is left")
@yes_option
@server_options
@pass_app
def delete(app: App, tenant: str, cascade: bool, wait: bool, timeout: float, yes: bool) -> None:  # noqa: FBT001, PLR0913
    """Delete a tenant. One that has pods is refused without --cascade.

    Examples:
      agentpod tenant delete acme
      agentpod tenant delete acme --cascade --yes
    """
    seen = app.client.get_tenant(tenant)
    key = "ask.delete_tenant_with_pods" if cascade and seen["pods"] else "ask.delete_tenant"
    app.confirm(app.texts(key, tenant=tenant, pods=seen["pods"]), yes=yes)
    with steps(app) as shown:
        waiter = Waiter(app.client, app.texts, shown, timeout=timeout)
        app.client.delete_tenant(tenant, cascade=cascade)
        if wait:
            waiter.tenant_gone(tenant)
    app.say(app.texts("done.deleted" if wait else "done.deleting", name=tenant))


def _show(app: App, seen: Any, output: Output) -> None:
    app.say(single(views.tenants(app.now()), seen, output, app.texts, coloured=app.coloured))


def _given(**values: str | None) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
