"""The tree of commands, and nothing else."""

from __future__ import annotations

import click

from agentpod_cli.commands.adapters import adapter
from agentpod_cli.commands.alerts import alert
from agentpod_cli.commands.creating import create
from agentpod_cli.commands.engine import reconcile
from agentpod_cli.commands.events import events
from agentpod_cli.commands.health import health
from agentpod_cli.commands.images import image
from agentpod_cli.commands.local import completion, controller, db, down, server, up, version
from agentpod_cli.commands.login import login
from agentpod_cli.commands.notifiers import notifier
from agentpod_cli.commands.operations import operation
from agentpod_cli.commands.plugins import plugin
from agentpod_cli.commands.pods import pod
from agentpod_cli.commands.tenants import tenant
from agentpod_cli.commands.tokens import token
from agentpod_cli.options import Noun, server_options


@click.group(cls=Noun, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@server_options
def cli() -> None:
    """Run AI agents for many customers, each in its own container.

    Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 not ready in time, 6 not
    allowed, 7 server unreachable.

    Examples:
      agentpod up
      agentpod create acme --type echo
      agentpod pod list
    """


for _command in (
    up,
    server,
    controller,
    down,
    create,
    tenant,
    pod,
    adapter,
    image,
    plugin,
    health,
    reconcile,
    alert,
    notifier,
    events,
    operation,
    token,
    login,
    version,
    completion,
    db,
):
    cli.add_command(_command)
