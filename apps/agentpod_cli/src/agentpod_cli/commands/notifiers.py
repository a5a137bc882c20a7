"""``agentpod notifier …``: whom alerts are told."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final, get_args

import click

from agentpod_cli.app import App
from agentpod_cli.commands.creating import value_options
from agentpod_cli.errors import CliError, misused
from agentpod_cli.exits import Exit
from agentpod_cli.inputs import assignments, secrets
from agentpod_cli.options import FuncT, Noun, complete_tenants, output_option, pass_app, server_options, yes_option
from agentpod_cli.render import alerts as views
from agentpod_cli.render.formats import Output, document, listing, single
from agentpod_client.bodies import NotifierCreate, NotifierPatch, Severity

LAST: Final = 10
"""So many of a notifier's last messages are shown with it."""


def _of_tenant(function: FuncT) -> FuncT:
    return click.option(
        "--tenant", metavar="TENANT", shell_complete=complete_tenants, help="This tenant's own; else the platform's."
    )(function)


@click.group(cls=Noun)
def notifier() -> None:
    """Say who is told of alerts, and how."""


@notifier.command(name="list")
@click.option("--tenant", metavar="TENANT", shell_complete=complete_tenants, help="Only this tenant's.")
@click.option("--kinds", "is_kinds", is_flag=True, help="List the kinds that are installed instead.")
@output_option
@server_options
@pass_app
def list_notifiers(app: App, tenant: str | None, is_kinds: bool, output: Output) -> None:  # noqa: FBT001
    """List notifiers, and what went wrong with them last.

    Examples:
      agentpod notifier list
      agentpod notifier list --kinds
      agentpod notifier list --tenant acme -o json
    """
    if is_kinds:
        app.say(listing(views.kinds(), list(app.client.list_notifier_kinds()), output, app.texts))
        return
    found = list(app.client.list_notifiers(tenant=tenant))
    if text := listing(views.notifiers(app.texts, app.now()), found, output, app.texts, coloured=app.coloured):
        app.say(text)
    else:
        app.note(app.texts("notifier.none"))


@notifier.command()
@click.argument("name", metavar="NAME")
@click.option("--kind", required=True, metavar="KIND", help="Kind of notifier; agentpod notifier list --kinds.")
@value_options
@_of_tenant
@click.option(
    "--min-severity",
    type=click.Choice(get_args(Severity)),
    default="warning",
    show_default=True,
    help="Only alerts this severe or more.",
)
@click.option("--reason", "reasons", multiple=True, metavar="REASON", help="Only alerts of this reason. Repeatable.")
@output_option
@server_options
@pass_app
def add(  # noqa: PLR0913 - click's options
    app: App,
    name: str,
    kind: str,
    set_texts: tuple[str, ...],
    secret_texts: tuple[str, ...],
    tenant: str | None,
    min_severity: Severity,
    reasons: tuple[str, ...],
    output: Output,
) -> None:
    """Have alerts told to somebody. What is open at the moment is told at once.

    Examples:
      agentpod notifier add ops --kind webhook --secret url=@url.txt --secret key=@key.txt
      agentpod notifier add acme-mail --kind apprise --secret url=env:MAIL_URL --tenant acme --min-severity error
    """
    body: NotifierCreate = {
        "name": name,
        "kind": kind,
        "tenant": tenant,
        "set": assignments(set_texts, "--set"),
        "secrets": secrets(secret_texts, app.environ),
        "min_severity": min_severity,
        "reasons": list(reasons),
    }
    made = app.client.create_notifier(**body)
    if output == "table":
        app.say(app.texts("notifier.added", name=made["name"]))
        app.note(app.texts("notifier.next", name=made["name"]))
    else:
        app.say(single(views.notifiers(app.texts, app.now()), made, output, app.texts))


@notifier.command()
@click.argument("name", metavar="NAME")
@_of_tenant
@output_option
@server_options
@pass_app
def get(app: App, name: str, tenant: str | None, output: Output) -> None:
    """Show one notifier: its settings, what went wrong, and what it was told last.

    Examples:
      agentpod notifier get ops
      agentpod notifier get acme-mail --tenant acme -o yaml
    """
    seen = app.client.get_notifier(name, tenant=tenant)
    view = views.notifiers(app.texts, app.now())
    if output in ("wide", "name"):
        app.say(single(view, seen, output, app.texts, coloured=app.coloured))
        return
    told = list(islice(app.client.list_notifier_deliveries(name, tenant=tenant, limit=LAST), LAST))
    if output == "table":
        app.say(views.notifier(app.texts, app.now(), seen, told, coloured=app.coloured))
    else:
        app.say(document({**seen, "deliveries": told}, output))


@notifier.command(name="set")
@click.argument("name", metavar="NAME")
@value_options
@click.option("--unset", "unset", multiple=True, metavar="PATH", help="Field to take away (dotted path). Repeatable.")
@click.option("--min-severity", type=click.Choice(get_args(Severity)), help="Only alerts this severe or more.")
@click.option("--reason", "reasons", multiple=True, metavar="REASON", help="Only alerts of this reason. Repeatable.")
@click.option("--all-reasons", is_flag=True, help="Alerts of every reason again.")
@click.option("--pause/--resume", "is_paused", default=None, help="Keep back what it is to be told, or send it.")
@_of_tenant
@output_option
@server_options
@pass_app
def change(  # noqa: PLR0913 - click's options
    app: App,
    name: str,
    set_texts: tuple[str, ...],
    secret_texts: tuple[str, ...],
    unset: tuple[str, ...],
    min_severity: Severity | None,
    reasons: tuple[str, ...],
    all_reasons: bool,  # noqa: FBT001
    is_paused: bool | None,  # noqa: FBT001
    tenant: str | None,
    output: Output,
) -> None:
    """Change a notifier. What is not named stays, and nothing that it is still to be told is lost.

    Examples:
      agentpod notifier set ops --secret url=@url.txt
      agentpod notifier set ops --secret key=@new-key.txt --unset next_key
      agentpod notifier set ops --min-severity error --all-reasons
      agentpod notifier set acme-mail --tenant acme --pause
    """
    patch = _patch(assignments(set_texts, "--set"), secrets(secret_texts, app.environ), unset)
    if min_severity is not None:
        patch["min_severity"] = min_severity
    if reasons and all_reasons:
        raise misused("reason_or_all")
    if reasons or all_reasons:
        patch["reasons"] = list(reasons)
    if is_paused is not None:
        patch["paused"] = is_paused
    if not patch:
        raise misused("say_what", options="--set, --secret, --unset, --min-severity, --reason, --pause, --resume")
    changed = app.client.update_notifier(name, tenant=tenant, **patch)
    if output == "table":
        app.say(app.texts("notifier.kept_back" if changed["paused"] else "notifier.changed", name=changed["name"]))
        if not changed["paused"]:
            app.note(app.texts("notifier.next", name=changed["name"]))
    else:
        app.say(single(views.notifiers(app.texts, app.now()), changed, output, app.texts))


@notifier.command()
@click.argument("name", metavar="NAME")
@_of_tenant
@server_options
@pass_app
def test(app: App, name: str, tenant: str | None) -> None:
    """Send a test message now, and say what came of it.

    Examples:
      agentpod notifier test ops
    """
    found = app.client.test_notifier(name, tenant=tenant)
    if trouble := found["trouble"]:
        raise CliError("NotifierFailed", Exit.FAILED, repair=trouble["repair"], name=name, message=trouble["message"])
    app.say(app.texts("notifier.tested", name=name, seconds=f"{found['seconds']:.1f}"))


@notifier.command()
@click.argument("name", metavar="NAME")
@_of_tenant
@yes_option
@server_options
@pass_app
def remove(app: App, name: str, tenant: str | None, yes: bool) -> None:  # noqa: FBT001
    """Have nobody told any more this way; what was still to be told is dropped.

    Examples:
      agentpod notifier remove ops
      agentpod notifier remove acme-mail --tenant acme --yes
    """
    app.confirm(app.texts("ask.remove_notifier", name=name), yes=yes)
    app.client.delete_notifier(name, tenant=tenant)
    app.say(app.texts("notifier.removed", name=name))


def _patch(values: dict[str, str], hidden: dict[str, str], unset: Sequence[str]) -> NotifierPatch:
    patch: NotifierPatch = {}
    if values:
        patch["set"] = values
    if hidden:
        patch["secrets"] = hidden
    named = [*values, *hidden]
    for path in unset:
        _demand_apart(path, named)
        named.append(path)
        place = patch.setdefault("config", {})
        *parents, last = path.split(".")
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = None
    return patch


def _demand_apart(path: str, others: Sequence[str]) -> None:
    """Refuse to take away what is named besides, what lies within that, or what that lies within."""
    parts = path.split(".")
    for other in others:
        whole, within = sorted((parts, other.split(".")), key=len)
        if whole == within:
            raise misused("given_twice", option="--unset", path=path)
        if whole == within[: len(whole)]:
            raise misused("overlapping", path=".".join(within), other=".".join(whole))
