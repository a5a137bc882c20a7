"""``agentpod reconcile``: making things right, now."""

from __future__ import annotations

from typing import Any

import click

from agentpod_cli.app import App
from agentpod_cli.errors import CliError
from agentpod_cli.exits import Exit
from agentpod_cli.inputs import REFERENCE, Reference
from agentpod_cli.options import Verb, complete_pods, output_option, pass_app, server_options, wait_options
from agentpod_cli.progress import steps
from agentpod_cli.render import plans
from agentpod_cli.render.amounts import clean
from agentpod_cli.render.formats import Output, document
from agentpod_cli.wait import Waiter
from agentpod_client.bodies import ReconcileRequest
from agentpod_client.shapes import Operation


@click.command(cls=Verb)
@click.argument("reference", metavar="[TENANT/POD]", type=REFERENCE, required=False, shell_complete=complete_pods)
@click.option("--dry-run", is_flag=True, help="Only print the plan, with the reason for each change.")
@wait_options("they were looked at", "1m")
@output_option
@server_options
@pass_app
def reconcile(  # noqa: PLR0913 - click's options
    app: App,
    reference: Reference | None,
    dry_run: bool,  # noqa: FBT001
    wait: bool,  # noqa: FBT001
    timeout: float,
    output: Output,
) -> None:
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
    operation = answer.get("operation")
    if operation and wait:
        with steps(app) as shown:
            operation = Waiter(app.client, app.texts, shown, timeout=timeout).finished(operation)
    if output in ("json", "yaml"):
        app.say(document(operation or answer, output))
    elif output == "name":
        for name in [operation["id"]] if operation else [plan["key"] for plan in answer["items"]]:
            app.say(name)
    elif dry_run:
        app.say(plans.describe(answer["items"], app.texts) or app.texts("plan.nothing_at_all"))
    elif operation and wait:
        app.say(app.texts("plan.looked", count=_result(operation).get("ended", answer["passes"])))
    else:
        app.say(app.texts("plan.asked", count=answer["passes"]))
    if operation and wait:
        _demand_all(operation)


def _result(operation: Operation) -> dict[str, Any]:
    """Give what came of it; earlier servers do not say."""
    return operation.get("result", {})


def _demand_all(operation: Operation) -> None:
    """Refuse to call it done while the engine is still at something: the operation itself does not wait for that."""
    if unfinished := _result(operation).get("unfinished"):
        raise CliError("StillAtIt", Exit.NOT_READY, names=clean(", ".join(map(str, unfinished))))
