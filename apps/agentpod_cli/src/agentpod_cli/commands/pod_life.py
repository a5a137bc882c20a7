"""``agentpod pod start|stop|restart|delete``."""

from __future__ import annotations

import click

from agentpod_cli.app import App
from agentpod_cli.inputs import Reference
from agentpod_cli.options import Verb, pass_app, pod_argument, server_options, wait_options, yes_option
from agentpod_cli.progress import steps
from agentpod_cli.wait import Waiter


@click.command(cls=Verb)
@pod_argument
@wait_options("the pod is ready")
@server_options
@pass_app
def start(app: App, reference: Reference, wait: bool, timeout: float) -> None:  # noqa: FBT001 - click's flags
    """Start a stopped pod.

    Examples:
      agentpod pod start acme/support
    """
    _act(app, reference, "start", wait=wait, timeout=timeout)


@click.command(cls=Verb)
@pod_argument
@wait_options("the pod is stopped")
@server_options
@pass_app
def stop(app: App, reference: Reference, wait: bool, timeout: float) -> None:  # noqa: FBT001 - click's flags
    """Stop a pod; its data stays and "start" brings it back.

    Examples:
      agentpod pod stop acme/support
    """
    _act(app, reference, "stop", wait=wait, timeout=timeout)


@click.command(cls=Verb)
@pod_argument
@wait_options("the pod is ready again")
@server_options
@pass_app
def restart(app: App, reference: Reference, wait: bool, timeout: float) -> None:  # noqa: FBT001 - click's flags
    """Restart a pod's agent.

    Examples:
      agentpod pod restart acme/support
    """
    _act(app, reference, "restart", wait=wait, timeout=timeout)


@click.command(cls=Verb)
@pod_argument
@click.option("--keep-data", is_flag=True, help="Keep its volumes.")
@wait_options("nothing of it is left")
@yes_option
@server_options
@pass_app
def delete(  # noqa: PLR0913 - click's options
    app: App,
    reference: Reference,
    keep_data: bool,  # noqa: FBT001
    wait: bool,  # noqa: FBT001
    timeout: float,
    yes: bool,  # noqa: FBT001
) -> None:
    """Delete a pod: container, route, secrets and, without --keep-data, everything it has stored.

    Examples:
      agentpod pod delete acme/support
      agentpod pod delete acme/support --keep-data --yes
    """
    app.client.get_pod(reference.tenant, reference.pod)
    key = "ask.delete_pod_keep" if keep_data else "ask.delete_pod"
    app.confirm(app.texts(key, pod=reference), yes=yes)
    with steps(app) as shown:
        waiter = Waiter(app.client, app.texts, shown, timeout=timeout)
        app.client.delete_pod(reference.tenant, reference.pod, keep_data=keep_data)
        if wait:
            waiter.pod_gone(reference)
    app.say(app.texts("done.deleted" if wait else "done.deleting", name=reference))


def _act(app: App, reference: Reference, verb: str, *, wait: bool, timeout: float) -> None:
    with steps(app) as shown:
        waiter = Waiter(app.client, app.texts, shown, timeout=timeout)
        act = {"start": app.client.start_pod, "stop": app.client.stop_pod, "restart": app.client.restart_pod}[verb]
        asked = act(reference.tenant, reference.pod)
        if wait and verb == "stop":
            waiter.stopped(reference, asked["spec"]["generation"])
        elif wait:
            waiter.ready(reference, asked["spec"]["generation"])
        passed = waiter.passed
    if wait:
        key = "pod.stopped" if verb == "stop" else "pod.ready"
        app.say(app.texts(key, pod=reference, span=passed))
    else:
        app.say(app.texts("pod.accepted", pod=reference))
