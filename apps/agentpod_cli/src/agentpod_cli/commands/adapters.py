"""``agentpod adapter …``: what can be run."""

from __future__ import annotations

from typing import Any

import click

from agentpod_cli.app import App
from agentpod_cli.options import Noun, complete_adapters, output_option, pass_app, server_options
from agentpod_cli.render import views
from agentpod_cli.render.formats import Output, document, listing, single


@click.group(cls=Noun)
def adapter() -> None:
    """Look at the kinds of agents that can be run."""


def _adapter_argument(function: Any) -> Any:
    return click.argument("name", metavar="ADAPTER", shell_complete=complete_adapters)(function)


@adapter.command(name="list")
@output_option
@server_options
@pass_app
def list_adapters(app: App, output: Output) -> None:
    """List the kinds of agents.

    Examples:
      agentpod adapter list
    """
    found = list(app.client.list_adapters())
    if text := listing(views.adapters(), found, output, app.texts, coloured=app.coloured):
        app.say(text)
    else:
        app.note(app.texts("adapter.none"))


@adapter.command()
@_adapter_argument
@output_option
@server_options
@pass_app
def get(app: App, name: str, output: Output) -> None:
    """Show one kind of agent.

    Examples:
      agentpod adapter get echo -o yaml
    """
    app.say(single(views.adapters(), app.client.get_adapter(name), output, app.texts, coloured=app.coloured))


@adapter.command()
@_adapter_argument
@click.option(
    "-o",
    "--output",
    type=click.Choice(("json", "yaml")),
    default="json",
    show_default=True,
    help="Format of the answer.",
)
@server_options
@pass_app
def schema(app: App, name: str, output: str) -> None:
    """Print the JSON Schema of an agent's configuration.

    Examples:
      agentpod adapter schema echo
      agentpod adapter schema openclaw -o yaml
    """
    app.say(document(app.client.get_adapter_schema(name), "yaml" if output == "yaml" else "json"))
