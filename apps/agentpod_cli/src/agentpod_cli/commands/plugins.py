"""``agentpod plugin …``: what is installed, what it offers, and what is wrong with it; also without a server."""

from __future__ import annotations

import click

from agentpod_cli import installed
from agentpod_cli.app import App
from agentpod_cli.errors import CliError
from agentpod_cli.options import Noun, output_option, pass_app, server_options
from agentpod_cli.render import views
from agentpod_cli.render.formats import Output, listing
from agentpod_client import shapes
from agentpod_client.errors import UnreachableError


@click.group(cls=Noun)
def plugin() -> None:
    """Look at the installed plugins."""


@plugin.command(name="list")
@output_option
@server_options
@pass_app
def list_plugins(app: App, output: Output) -> None:
    """List plugins: what each offers, and what is wrong with it.

    Where no server runs on this machine, the plugins are loaded here for a look.

    Examples:
      agentpod plugin list
      agentpod plugin list -o json
    """
    found = _of_server(app)
    if found is None:
        app.note(app.texts("plugin.local"))
        found = installed.plugins(app.environ, app.texts.language)
    if text := listing(views.plugins(app.texts), found, output, app.texts, coloured=app.coloured):
        app.say(text)
    else:
        app.note(app.texts("plugin.none"))


def _of_server(app: App) -> list[shapes.Plugin] | None:
    """Ask the server; None where none is to be found and none was named."""
    is_named = app.server is not None or bool(app.environ.get("AGENTPOD_SERVER"))
    try:
        return list(app.client.list_plugins())
    except CliError as error:
        if error.reason != "NoServer":
            raise
    except UnreachableError:
        if is_named:
            raise
    return None
