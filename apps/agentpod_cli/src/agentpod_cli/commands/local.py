"""The verbs that need no server: ``up`` and its halves, ``down``, ``db``, ``version``, ``completion``."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from importlib.util import find_spec
from typing import Any, NoReturn

import click
from click.shell_completion import get_completion_class

from agentpod_cli.app import App
from agentpod_cli.errors import CliError
from agentpod_cli.exits import Exit
from agentpod_cli.options import Noun, Verb, pass_app, server_options
from agentpod_cli.render.formats import document
from agentpod_client.errors import ClientError

_PASS_ON: dict[str, Any] = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""What follows these verbs belongs to the server's own command line, which knows its options."""

COMPLETING = "_AGENTPOD_COMPLETE"
"""The variable by which a shell asks for completions; click makes it of the program's name."""


@click.command(cls=Verb, context_settings=_PASS_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTION]...")
@pass_app
def up(app: App, arguments: tuple[str, ...]) -> None:
    """Start the platform on this machine and stay in the foreground.

    Ctrl-C stops the server; pods and their routes stay until "agentpod down". Settings are
    AGENTPOD_* variables or lines of agentpod.toml in the state folder.

    Examples:
      agentpod up
      AGENTPOD_DOMAIN=pods.example.com agentpod up
      AGENTPOD_STATE_DIR=/srv/agentpod agentpod up
    """
    _become_server(app, "up", *arguments)


@click.command(cls=Verb, context_settings=_PASS_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTION]...")
@pass_app
def server(app: App, arguments: tuple[str, ...]) -> None:
    """Run the half of "up" that answers: API and dashboard, without the controller.

    It shows and changes everything; a controller elsewhere acts on it.

    Examples:
      agentpod server
      AGENTPOD_NAME=b AGENTPOD_PORT=8701 agentpod server
    """
    _become_server(app, "server", *arguments)


@click.command(cls=Verb, context_settings=_PASS_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTION]...")
@pass_app
def controller(app: App, arguments: tuple[str, ...]) -> None:
    """Run the half of "up" that acts: the controller, without API and dashboard.

    Of several controllers one leads; another takes over when it is gone.

    Examples:
      agentpod controller
      AGENTPOD_NAME=b agentpod controller
    """
    _become_server(app, "controller", *arguments)


@click.command(cls=Verb, context_settings=_PASS_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTION]...")
@pass_app
def down(app: App, arguments: tuple[str, ...]) -> None:
    """Stop what "up" started on this machine; pods go on running.

    Server, router and embedded database end; the agents' containers are left alone.

    Examples:
      agentpod down
      AGENTPOD_STATE_DIR=/srv/agentpod agentpod down
    """
    _become_server(app, "down", *arguments)


@click.group(cls=Noun)
def db() -> None:
    """Look after the database of this machine's server."""


@db.command(context_settings=_PASS_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTION]...")
@pass_app
def migrate(app: App, arguments: tuple[str, ...]) -> None:
    """Bring the database to the shape that this version needs.

    Forward only; a second run changes nothing. "agentpod up" does it by itself.

    Examples:
      agentpod db migrate
      AGENTPOD_DATABASE_URL=postgresql://… agentpod db migrate
    """
    _become_server(app, "migrate", *arguments)


@click.command(cls=Verb)
@click.option(
    "-o", "--output", type=click.Choice(("table", "json", "yaml")), default="table", help="Format of the answer."
)
@server_options
@pass_app
def version(app: App, output: str) -> None:
    """Show the versions of the command line and of the server.

    Examples:
      agentpod version
      agentpod version -o json
    """
    server: dict[str, Any] | None = None
    try:
        server = dict(app.connect(timeout=2.0).get_version())
    except ClientError:
        server = None
    except CliError as error:
        if error.exit_code == Exit.USAGE:
            raise
    facts: dict[str, Any] = {"cli": version_of("agentpod-cli"), "server": server}
    if output != "table":
        app.say(document(facts, "yaml" if output == "yaml" else "json"))
        return
    app.say(f"agentpod-cli {facts['cli']}")
    app.say(f"agentpod-server {server['version']}" if server else app.texts("note.no_server"))


@click.command(cls=Verb)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@pass_app
def completion(app: App, shell: str) -> None:
    """Print the completion script of a shell.

    Examples:
      source <(agentpod completion bash)
      agentpod completion zsh > "${fpath[1]}/_agentpod"
      agentpod completion fish > ~/.config/fish/completions/agentpod.fish
    """
    kind = get_completion_class(shell)
    if kind is None:  # the choice above names only shells that click knows
        raise AssertionError(shell)
    root = click.get_current_context().find_root().command
    script = kind(root, {}, "agentpod", COMPLETING)
    app.say(script.source_template % script.source_vars())


def _become_server(app: App, *arguments: str) -> NoReturn:
    """Run the server package in this very process: same terminal, same signals, its own exit code."""
    if find_spec("agentpod_server") is None:
        raise CliError("NoServerPackage", Exit.FAILED)
    sys.stdout.flush()
    app.replace_process(sys.executable, [sys.executable, "-m", "agentpod_server", *arguments])
