"""``agentpod operation …``: long work, also that which nobody waits for."""

from __future__ import annotations

import click

from agentpod_cli.app import App
from agentpod_cli.options import Noun, output_option, pass_app, server_options
from agentpod_cli.render import views
from agentpod_cli.render.formats import Output, listing, single


@click.group(cls=Noun)
def operation() -> None:
    """Look at long work, such as the building of an image."""


@operation.command(name="list")
@click.option("--kind", metavar="KIND", help="Only those of this kind.")
@click.option(
    "--status", type=click.Choice(("pending", "running", "succeeded", "failed")), help="Only those that are so far."
)
@output_option
@server_options
@pass_app
def list_operations(app: App, kind: str | None, status: str | None, output: Output) -> None:
    """List operations, the newest first.

    Examples:
      agentpod operation list
      agentpod operation list --status failed -o wide
    """
    found = list(app.client.list_operations(kind=kind, status=status))
    if text := listing(views.operations(app.now()), found, output, app.texts, coloured=app.coloured):
        app.say(text)
    else:
        app.note(app.texts("operation.none"))


@operation.command()
@click.argument("operation_id", metavar="ID")
@output_option
@server_options
@pass_app
def get(app: App, operation_id: str, output: Output) -> None:
    """Show how far an operation is, and why it failed if it did.

    Examples:
      agentpod operation get 0192f3a4-5b6c-7d8e-9f00-112233445566
    """
    seen = app.client.get_operation(operation_id)
    app.say(single(views.operations(app.now()), seen, output, app.texts, coloured=app.coloured))
