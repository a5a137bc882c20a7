"""``agentpod health`` and ``agentpod reconcile``: how things are, and making them right now."""

from __future__ import annotations

import click

from agentpod_cli.app import App
from agentpod_cli.exits import Exit
from agentpod_cli.inputs import REFERENCE, Reference
from agentpod_cli.options import Verb, complete_pods, output_option, pass_app, server_options
from agentpod_cli.render import plans, views
from agentpod_cli.render.amounts import age, seconds
from agentpod_cli.render.formats import Output, document, listing
from agentpod_cli.render.tables import facts
from agentpod_client.bodies import ReconcileRequest


@click.command(cls=Verb)
@click.argument("reference", metavar="[TENANT/POD]", type=REFERENCE, required=False, shell_complete=complete_pods)
@output_option
@server_options
@pass_app
def health(app: App, reference: Reference | None, output: Output) -> None:
    """Say whether a pod or the server itself is well.

    The exit code is 1 where it is not.

    Examples:
      agentpod health
      agentpod health acme/support
      agentpod health acme/support -o json || page-somebody
    """
    is_well = _server_health(app, output) if reference is None else _pod_health(app, reference, output)
    if not is_well:
        raise click.exceptions.Exit(Exit.FAILED)


@click.command(cls=Verb)
@click.argument("reference", metavar="[TENANT/POD]", type=REFERENCE, required=False, shell_complete=complete_pods)
@click.option("--dry-run", is_flag=True, help="Only print the plan, with the reason for each change.")
@output_option
@server_options
@pass_app
def reconcile(app: App, reference: Reference | None, dry_run: bool, output: Output) -> None:  # noqa: FBT001
    """Make pods what they should be, at once.

    The server looks at them by itself all the time; this is for the impatient and, with --dry-run, for
    the curious.

    Examples:
      agentpod reconcile --dry-run
      agentpod reconcile acme/support
    """
    body: ReconcileRequest = {"dry_run": dry_run}
    if reference is not None:
        body |= {"tenant": reference.tenant, "pod": reference.pod}
    answer = app.client.reconcile(**body)
    if output in ("json", "yaml"):
        app.say(document(answer, output))
    elif output == "name":
        for plan in answer["items"]:
            app.say(plan["key"])
    elif dry_run:
        app.say(plans.describe(answer["items"], app.texts) or app.texts("plan.nothing_at_all"))
    else:
        app.say(app.texts("plan.asked", count=answer["passes"]))


def _server_health(app: App, output: Output) -> bool:
    seen = app.client.get_readiness()
    if output in ("json", "yaml"):
        app.say(document(seen, output))
    else:
        app.say(
            listing(views.checks(app.texts), sorted(seen["checks"].items()), output, app.texts, coloured=app.coloured)
        )
    return seen["ready"]


def _pod_health(app: App, reference: Reference, output: Output) -> bool:
    seen = app.client.get_pod_health(reference.tenant, reference.pod)
    if output in ("json", "yaml"):
        app.say(document(seen, output))
    elif output == "name":
        app.say(str(reference))
    else:
        span = seen.get("seconds")
        pairs = [
            (app.texts("fact.phase"), seen["phase"]),
            (app.texts("fact.alive"), views.yes_no(app.texts, seen["alive"])),
            (app.texts("fact.ready"), views.yes_no(app.texts, seen["ready"])),
            (app.texts("fact.answered"), "" if span is None else seconds(span)),
            (app.texts("fact.checked"), age(seen["checked_at"], app.now()) if seen["checked_at"] else ""),
        ]
        app.say(f"{seen.get('message') or seen['reason']}\n\n{facts(pairs, coloured=app.coloured)}")
    return seen["ready"] is True
