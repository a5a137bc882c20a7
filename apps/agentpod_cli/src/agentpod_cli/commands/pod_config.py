"""``agentpod pod config get|set|edit``: what an agent is configured with."""

from __future__ import annotations

from typing import Any

import click

from agentpod_cli import specfile
from agentpod_cli.app import App
from agentpod_cli.commands.creating import value_options
from agentpod_cli.errors import CliError, misused, told
from agentpod_cli.exits import Exit
from agentpod_cli.inputs import Reference, assignments, secrets
from agentpod_cli.options import Noun, pass_app, pod_argument, server_options
from agentpod_cli.render.formats import document
from agentpod_client.bodies import ConfigWrite
from agentpod_client.errors import ApiError

_INVALID = 422


@click.group(cls=Noun)
def config() -> None:
    """Read and change a pod's configuration."""


@config.command()
@pod_argument
@click.argument("path", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Choice(("yaml", "json")),
    default="yaml",
    show_default=True,
    help="Format of the answer.",
)
@server_options
@pass_app
def get(app: App, reference: Reference, path: str | None, output: str) -> None:
    """Show a pod's configuration, or one field of it.

    Secrets are never shown: one that is set reads {"$secret": true}.

    Examples:
      agentpod pod config get acme/support
      agentpod pod config get acme/support model.name
    """
    value: Any = app.client.get_pod_config(reference.tenant, reference.pod)["config"]
    for part in path.split(".") if path else ():
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise CliError("NoSuchField", Exit.NOT_FOUND, pod=reference, path=path) from None
    if isinstance(value, str) and output == "yaml":
        app.say(value)
    else:
        app.say(document(value, "json" if output == "json" else "yaml"))


@config.command(name="set")
@pod_argument
@click.argument("values", nargs=-1, metavar="[PATH=VALUE]...")
@value_options
@server_options
@pass_app
def set_fields(
    app: App, reference: Reference, values: tuple[str, ...], set_texts: tuple[str, ...], secret_texts: tuple[str, ...]
) -> None:
    """Change fields of a pod's configuration; the others stay.

    Examples:
      agentpod pod config set acme/support greeting=Hello
      agentpod pod config set acme/support --secret provider.key=env:KEY
    """
    plain = assignments((*values, *set_texts), "PATH=VALUE" if values else "--set")
    hidden = secrets(secret_texts, app.environ)
    if not plain and not hidden:
        raise misused("say_what", options="PATH=VALUE, --secret PATH=SOURCE")
    body: ConfigWrite = {}
    if plain:
        body["set"] = plain
    if hidden:
        body["secrets"] = hidden
    changed = app.client.update_pod_config(reference.tenant, reference.pod, **body)
    _tell(app, reference, changed["generation"])


@config.command()
@pod_argument
@server_options
@pass_app
def edit(app: App, reference: Reference) -> None:
    """Change a pod's configuration in your editor ($VISUAL, $EDITOR).

    What is refused comes back into the editor with the reasons; an unchanged or empty file changes
    nothing. A secret that reads {"$secret": true} keeps its value.

    Examples:
      agentpod pod config edit acme/support
    """
    if not app.asks:
        raise CliError("NobodyToEdit", Exit.USAGE)
    current = app.client.get_pod_config(reference.tenant, reference.pod)
    text = original = document(current["config"], "yaml") + "\n"
    notes = app.texts("config.head", pod=reference).splitlines()
    while True:
        edited = click.edit(_commented(notes) + text, extension=".yaml")
        body = "" if edited is None else _uncommented(edited)
        if not body.strip() or body == original or edited == _commented(notes) + text:
            app.note(app.texts("config.unchanged"))
            return
        text = body
        try:
            value = specfile.read_object(body, "config")
            changed = app.client.replace_pod_config(
                reference.tenant, reference.pod, config=value, generation=current["generation"]
            )
        except CliError as error:
            notes = error.lines(app.texts)
            continue
        except ApiError as error:
            if error.status != _INVALID:
                raise
            notes = told(error, source="").lines(app.texts)
            continue
        _tell(app, reference, changed["generation"])
        return


def _tell(app: App, reference: Reference, generation: int) -> None:
    app.say(app.texts("config.changed", pod=reference, generation=generation))


def _commented(notes: list[str]) -> str:
    return "".join(f"# {line}\n" for line in notes)


def _uncommented(text: str) -> str:
    lines = text.splitlines(keepends=True)
    while lines and lines[0].startswith("#"):
        lines.pop(0)
    return "".join(lines)
