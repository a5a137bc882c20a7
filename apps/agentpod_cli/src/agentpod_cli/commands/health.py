"""``agentpod health``: how the server and its agents are."""

from __future__ import annotations

import click

from agentpod_cli.app import App
from agentpod_cli.exits import Exit
from agentpod_cli.inputs import REFERENCE, Reference
from agentpod_cli.options import Verb, complete_pods, output_option, pass_app, server_options
from agentpod_cli.render import views
from agentpod_cli.render.formats import Output, document, listing
from agentpod_cli.render.health import describe, healths, trouble_first


@click.command(cls=Verb)
@click.argument("reference", metavar="[TENANT/POD]", type=REFERENCE, required=False, shell_complete=complete_pods)
@output_option
@server_options
@pass_app
def health(app: App, reference: Reference | None, output: Output) -> None:
    """Say how an agent is, or the server and all agents, trouble first.

    The exit code is 1 where something is not well. A pod that is not to run is neither well nor ill.

    Examples:
      agentpod health
      agentpod health acme/support
      agentpod health acme/support -o json || page-somebody
    """
    is_well = _of_all(app, output) if reference is None else _of_pod(app, reference, output)
    if not is_well:
        raise click.exceptions.Exit(Exit.FAILED)


def _of_all(app: App, output: Output) -> bool:
    server = app.client.get_readiness()
    found = trouble_first(app.client.list_health()) if server["ready"] else []
    if output in ("json", "yaml"):
        app.say(document({"server": server, "pods": found}, output))
    else:
        checks = sorted(server["checks"].items())
        parts = [listing(healths(app.texts, app.now()), found, output, app.texts, coloured=app.coloured)]
        if output != "name":
            parts.insert(0, listing(views.checks(app.texts), checks, output, app.texts, coloured=app.coloured))
        app.say("\n\n".join(part for part in parts if part))
    return server["ready"] and all(one["well"] is not False for one in found)


def _of_pod(app: App, reference: Reference, output: Output) -> bool:
    seen = app.client.get_pod_health(reference.tenant, reference.pod)
    if output in ("json", "yaml"):
        app.say(document(seen, output))
    elif output == "name":
        app.say(str(reference))
    else:
        app.say(describe(seen, app.texts, app.now(), coloured=app.coloured))
    return seen["well"] is not False
