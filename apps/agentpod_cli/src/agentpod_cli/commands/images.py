"""``agentpod image …``: the images that agents run from."""

from __future__ import annotations

import click

from agentpod_cli.app import App
from agentpod_cli.options import (
    Noun,
    complete_adapters,
    output_option,
    pass_app,
    server_options,
    wait_options,
)
from agentpod_cli.progress import steps
from agentpod_cli.render import views
from agentpod_cli.render.formats import Output, document, listing
from agentpod_cli.wait import Waiter


@click.group(cls=Noun)
def image() -> None:
    """Build and list agents' images."""


@image.command()
@click.argument("adapter", metavar="ADAPTER", shell_complete=complete_adapters)
@wait_options("the image is built", timeout="30m")
@output_option
@server_options
@pass_app
def build(app: App, adapter: str, wait: bool, timeout: float, output: Output) -> None:  # noqa: FBT001 - click's flags
    """Build an agent's image on this server, for where no registry has it.

    Examples:
      agentpod image build echo
      agentpod image build openclaw --timeout 1h
    """
    with steps(app) as shown:
        waiter = Waiter(app.client, app.texts, shown, timeout=timeout)
        operation = app.client.build_image(adapter=adapter)
        if wait:
            operation = waiter.finished(operation)
        passed = waiter.passed
    if output in ("json", "yaml"):
        app.say(document(operation, output))
    elif output == "name":
        app.say(operation["id"])
    elif wait:
        app.say(app.texts("image.built", adapter=adapter, span=passed))
    else:
        app.say(app.texts("image.building", adapter=adapter, id=operation["id"]))


@image.command(name="list")
@output_option
@server_options
@pass_app
def list_images(app: App, output: Output) -> None:
    """List the images that the server's engine has.

    Examples:
      agentpod image list
    """
    found = list(app.client.list_images())
    if text := listing(views.images(), found, output, app.texts, coloured=app.coloured):
        app.say(text)
    else:
        app.note(app.texts("image.none"))
