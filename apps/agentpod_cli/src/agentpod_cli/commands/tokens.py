"""``agentpod token …``: what programs prove themselves with."""

from __future__ import annotations

from datetime import timedelta
from typing import get_args

import click

from agentpod_cli.app import App
from agentpod_cli.inputs import SPAN
from agentpod_cli.options import Noun, complete_tenants, output_option, pass_app, server_options, yes_option
from agentpod_cli.render import views
from agentpod_cli.render.formats import Output, document, listing
from agentpod_client.bodies import Role, TokenCreate


@click.group(cls=Noun)
def token() -> None:
    """Manage API tokens, which programs talk to the server with."""


@token.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--role", type=click.Choice(get_args(Role)), default="operator", show_default=True, help="What it may do."
)
@click.option("--tenant", metavar="TENANT", shell_complete=complete_tenants, help="Only this tenant's.")
@click.option("--expires-in", type=SPAN, metavar="TIME", help="How long it is good for (12h, 90d); for ever otherwise.")
@output_option
@server_options
@pass_app
def create(app: App, name: str, role: Role, tenant: str | None, expires_in: float | None, output: Output) -> None:  # noqa: PLR0913 - click's options
    """Create an API token and print it. It is shown this once.

    Examples:
      agentpod token create backup-job --role viewer
      agentpod token create acme-bot --tenant acme --expires-in 90d > token.txt
    """
    body: TokenCreate = {"name": name, "role": role, "tenant": tenant}
    if expires_in is not None:
        body["expires_at"] = (app.now() + timedelta(seconds=expires_in)).isoformat()
    made = app.client.create_token(**body)
    if output in ("json", "yaml"):
        app.say(document(made, output))
    elif output == "name":
        app.say(made["id"])
    else:
        app.say(made.get("token") or "")
        app.note(app.texts("token.once", id=made["id"]))


@token.command(name="list")
@output_option
@server_options
@pass_app
def list_tokens(app: App, output: Output) -> None:
    """List the API tokens, without their values.

    Examples:
      agentpod token list
    """
    found = list(app.client.list_tokens())
    if text := listing(views.tokens(app.now()), found, output, app.texts, coloured=app.coloured):
        app.say(text)
    else:
        app.note(app.texts("token.none"))


@token.command()
@click.argument("token_id", metavar="ID")
@yes_option
@server_options
@pass_app
def revoke(app: App, token_id: str, yes: bool) -> None:  # noqa: FBT001 - click's flags
    """Make an API token worthless at once.

    Examples:
      agentpod token revoke 0192f3a4-5b6c-7d8e-9f00-112233445566
      agentpod token revoke 0192f3a4-5b6c-7d8e-9f00-112233445566 --yes
    """
    app.confirm(app.texts("ask.revoke_token", id=token_id), yes=yes)
    app.client.revoke_token(token_id)
    app.say(app.texts("token.revoked", id=token_id))
