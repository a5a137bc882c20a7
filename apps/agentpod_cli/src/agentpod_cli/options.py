"""Options that many verbs share, each with one meaning everywhere, and how nouns list their verbs."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from inspect import cleandoc
from typing import Any, TypeVar

import click

from agentpod_cli.app import App, open_app
from agentpod_cli.inputs import REFERENCE, SPAN
from agentpod_cli.render.formats import OUTPUTS
from agentpod_client.errors import ClientError

KEPT = "\b\n"
"""What click wants before a paragraph whose lines are to be kept."""

FuncT = TypeVar("FuncT", bound=Callable[..., Any])


def _with_kept_examples(text: str | None) -> str | None:
    # click fills paragraphs, but for those behind a backspace character.
    return None if text is None else cleandoc(text).replace("Examples:\n", f"{KEPT}Examples:\n")


def _remember(name: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    def store(context: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is not None:
            setattr(open_app(context), name, value)

    return store


class Verb(click.Command):
    """A command whose help ends in examples, which keep their lines."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.help = _with_kept_examples(self.help)


class Noun(click.Group):
    """A group of verbs, listed in the order in which they are told about rather than by the alphabet."""

    command_class = Verb

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.help = _with_kept_examples(self.help)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names in the order in which they were added."""
        del ctx
        return list(self.commands)


def pass_app(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give the App as first argument."""

    @click.pass_context
    def call(context: click.Context, *args: Any, **kwargs: Any) -> Any:
        return function(open_app(context), *args, **kwargs)

    return update_wrapper(call, function)


def server_options(function: FuncT) -> FuncT:
    """Add ``--server`` and ``--ca``, which may stand before the verb as well as after it."""
    for option in (
        click.option(
            "--ca",
            metavar="FILE",
            expose_value=False,
            callback=_remember("ca"),
            help="Certificate authority that vouches for the server.",
        ),
        click.option(
            "--server",
            metavar="URL",
            expose_value=False,
            callback=_remember("server"),
            help="Server to talk to; else AGENTPOD_SERVER, then the last login, then this machine's.",
        ),
    ):
        function = option(function)
    return function


def output_option(function: FuncT) -> FuncT:
    """Add ``-o``."""
    return click.option(
        "-o", "--output", type=click.Choice(OUTPUTS), default="table", show_default=True, help="Format of the answer."
    )(function)


def yes_option(function: FuncT) -> FuncT:
    """Add ``--yes``."""
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(function)


def wait_options(what: str, timeout: str = "5m") -> Callable[[FuncT], FuncT]:
    """Add ``--wait`` and ``--timeout``; ``what`` ends the sentence "Wait until …"."""

    def add(function: FuncT) -> FuncT:
        function = click.option(
            "--timeout", type=SPAN, default=timeout, show_default=True, help="Longest time to wait (90s, 5m, 1h)."
        )(function)
        return click.option("--wait/--no-wait", default=True, show_default=True, help=f"Wait until {what}.")(function)

    return add


def availability_options(function: FuncT) -> FuncT:
    """Add ``--by``, ``--since`` and ``--csv``: availability in its course."""
    for option in (
        click.option("--csv", "as_csv", is_flag=True, help="With --by: as CSV, for spreadsheets."),
        click.option("--since", type=SPAN, metavar="SPAN", help="With --by: for so long, at most 400d."),
        click.option("--by", type=click.Choice(("day", "month")), help="Show availability by day or month (UTC)."),
    ):
        function = option(function)
    return function


def pod_argument(function: FuncT) -> FuncT:
    """Add the argument ``TENANT/POD``."""
    return click.argument("reference", metavar="TENANT/POD", type=REFERENCE, shell_complete=complete_pods)(function)


def tenant_argument(function: FuncT) -> FuncT:
    """Add the argument ``TENANT``."""
    return click.argument("tenant", metavar="TENANT", shell_complete=complete_tenants)(function)


def complete_pods(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Complete ``TENANT/POD`` from the server; nothing when it does not answer at once."""
    return _begun(context, begun, lambda app: [f"{pod['tenant']}/{pod['name']}" for pod in _quick(app).list_pods()])


def complete_tenants(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Complete a tenant's name."""
    return _begun(context, begun, lambda app: [tenant["slug"] for tenant in _quick(app).list_tenants()])


def complete_adapters(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Complete an adapter's name."""
    return _begun(context, begun, lambda app: [adapter["id"] for adapter in _quick(app).list_adapters()])


def _quick(app: App) -> Any:
    return app.connect(timeout=1.0)


def _begun(context: click.Context, begun: str, names: Callable[[App], list[str]]) -> list[str]:
    try:
        return [name for name in names(open_app(context)) if name.startswith(begun)]
    except (click.ClickException, ClientError):
        # A completion that fails offers nothing: a message would land in the line being typed.
        return []
