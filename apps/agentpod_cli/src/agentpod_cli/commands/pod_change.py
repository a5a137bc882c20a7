"""``agentpod pod update`` and ``agentpod pod token``: changes of a pod beside its config."""

from __future__ import annotations

import click

from agentpod_cli.app import App
from agentpod_cli.commands.creating import pod_options
from agentpod_cli.errors import misused
from agentpod_cli.inputs import Reference
from agentpod_cli.options import Noun, Verb, pass_app, pod_argument, server_options, wait_options, yes_option
from agentpod_cli.progress import steps
from agentpod_cli.wait import Waiter
from agentpod_client.bodies import PodPatch
from agentpod_client.shapes import Pod


@click.command(cls=Verb)
@pod_argument
@pod_options
@wait_options("the pod is ready again")
@server_options
@pass_app
def update(  # noqa: PLR0913 - click's options
    app: App,
    reference: Reference,
    subdomain: str | None,
    image: str | None,
    size: str | None,
    cpus: str | None,
    memory: str | None,
    wait: bool,  # noqa: FBT001
    timeout: float,
) -> None:
    """Change what a pod is made from, beside its configuration. An empty value goes back to the default.

    Examples:
      agentpod pod update acme/support --memory 2GiB --cpus 1
      agentpod pod update acme/support --size ""
    """
    asked = {"subdomain": subdomain, "image": image, "size": size, "cpus": cpus, "memory": memory}
    given = {name: value or None for name, value in asked.items() if value is not None}
    if not given:
        raise misused("say_what", options="--subdomain, --image, --size, --cpus, --memory")
    patch: PodPatch = {**given}  # type: ignore[typeddict-item]  # the names above are those of the patch
    with steps(app) as shown:
        waiter = Waiter(app.client, app.texts, shown, timeout=timeout)
        changed = app.client.update_pod(reference.tenant, reference.pod, **patch)
        _settle(app, waiter, changed, wait=wait)


@click.group(cls=Noun)
def token() -> None:
    """Look after the secret by which a pod's agent knows its users."""


@token.command()
@pod_argument
@wait_options("the pod is ready again")
@yes_option
@server_options
@pass_app
def rotate(app: App, reference: Reference, wait: bool, timeout: float, yes: bool) -> None:  # noqa: FBT001 - click's flags
    """Give a pod new values for the secrets that AgentPod made for it. The old ones stop working.

    Examples:
      agentpod pod token rotate acme/support
      agentpod pod token rotate acme/support --yes --no-wait
    """
    app.confirm(app.texts("ask.rotate_token", pod=reference), yes=yes)
    with steps(app) as shown:
        waiter = Waiter(app.client, app.texts, shown, timeout=timeout)
        changed = app.client.rotate_pod_token(reference.tenant, reference.pod)
        _settle(app, waiter, changed, wait=wait)


def _settle(app: App, waiter: Waiter, changed: Pod, *, wait: bool) -> None:
    """Wait for a pod that is meant to run, and say how it went."""
    reference = Reference(changed["tenant"], changed["name"])
    if wait and changed["spec"]["wanted"] == "running":
        waiter.ready(reference, changed["spec"]["generation"])
        app.say(app.texts("pod.ready", pod=reference, span=waiter.passed))
    else:
        app.say(app.texts("pod.accepted", pod=reference))
