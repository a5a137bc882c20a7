"""``login``: proves a name and password or a token to a server, and remembers the server."""

from __future__ import annotations

import socket

import click

from agentpod_cli.app import App
from agentpod_cli.errors import CliError, misused
from agentpod_cli.exits import Exit
from agentpod_cli.inputs import secret_from
from agentpod_cli.options import Verb, pass_app, server_options
from agentpod_cli.target import Target, remember


@click.command(cls=Verb)
@click.argument("url", required=False)
@click.option("--user", metavar="NAME", help="User to log in as; without it you are asked.")
@click.option("--password", metavar="SOURCE", help="Where the password is: @FILE, - (standard input) or env:NAME.")
@click.option("--token", metavar="SOURCE", help="Where an API token is, instead of a password: @FILE, - or env:NAME.")
@server_options
@pass_app
def login(app: App, url: str | None, user: str | None, password: str | None, token: str | None) -> None:
    """Log in to a server and remember it.

    A password is exchanged for an API token; only that is stored, in a file that you alone can
    read. Password and token are never given on the command line, where others could see them.

    Examples:
      agentpod login https://agentpod.example.com
      agentpod login https://agentpod.example.com --user admin --password @pw.txt
      agentpod login https://agentpod.example.com --token env:MY_TOKEN
    """
    if token is not None and (user is not None or password is not None):
        raise misused("token_or_password")
    app.server = url or app.server
    if token is not None:
        given = secret_from(token, app.environ, what="token", option="--token ")
    else:
        user, secret = _credentials(app, user, password)
        given = _made_token(app, user, secret)
    client, target = app.connect(token=given), app.target()
    who = client.whoami()
    path = remember(app.environ, Target(server=target.server, token=given, ca=target.ca))
    app.say(app.texts("login.done", actor=who["actor"], server=target.server))
    app.note(app.texts("login.where", path=path))
    if target.server.startswith("http://") and not client.is_local:
        app.note(app.texts("login.plain"))


def _made_token(app: App, user: str, password: str) -> str:
    answer = app.connect(token="").login(user=user, password=password, token_name=f"cli {socket.gethostname()}")
    return answer.get("token") or ""


def _credentials(app: App, user: str | None, password: str | None) -> tuple[str, str]:
    if password is not None:
        if user is None:
            raise misused("password_needs_user")
        return user, secret_from(password, app.environ, what="password", option="--password ")
    if not app.asks:
        raise CliError("NobodyToLogIn", Exit.USAGE)
    user = user or click.prompt(app.texts("login.user"), default="admin", err=True)
    return user, click.prompt(app.texts("login.password"), hide_input=True, err=True)
