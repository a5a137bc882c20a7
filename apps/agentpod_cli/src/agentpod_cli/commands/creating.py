"""``create`` and ``pod create``: from options and files to a pod that is ready."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from agentpod_cli import specfile
from agentpod_cli.app import App
from agentpod_cli.errors import CliError, misused
from agentpod_cli.exits import Exit
from agentpod_cli.inputs import Reference, ReferenceType, assignments, secrets
from agentpod_cli.options import (
    Verb,
    complete_adapters,
    complete_tenants,
    output_option,
    pass_app,
    server_options,
    wait_options,
)
from agentpod_cli.progress import steps
from agentpod_cli.render.formats import Output, document
from agentpod_cli.wait import Waiter
from agentpod_client.errors import ApiError, ClientError
from agentpod_client.shapes import Pod

_CHANNEL_MARK = "x-agentpod-channel"


def value_options(function: Any) -> Any:
    """Add ``--set`` and ``--secret``."""
    function = click.option(
        "--secret",
        "secret_texts",
        multiple=True,
        metavar="PATH=SOURCE",
        help="Secret field of the config, read from @FILE, - (standard input) or env:NAME. Repeatable.",
    )(function)
    return click.option(
        "--set", "set_texts", multiple=True, metavar="PATH=VALUE", help="Field of the config (dotted path). Repeatable."
    )(function)


def pod_options(function: Any) -> Any:
    """Add what a pod is made from, beside its config."""
    for option in (
        click.option("--memory", metavar="M", help="Most memory it may use, for example 2GiB."),
        click.option("--cpus", metavar="N", help="Most processors it may use, for example 0.5."),
        click.option("--size", metavar="S", help="One of the adapter's sizes."),
        click.option("--image", metavar="I", help="Another image than the adapter's own."),
        click.option("--subdomain", metavar="S", help="Label of its address; by default POD-TENANT."),
    ):
        function = option(function)
    return function


@click.command(cls=Verb)
@click.argument("tenant", metavar="TENANT", shell_complete=complete_tenants)
@click.option(
    "--type",
    "adapter",
    default="openclaw",
    show_default=True,
    metavar="A",
    shell_complete=complete_adapters,
    help="Kind of agent: one of the adapters.",
)
@click.option(
    "--channel", metavar="C", help="Channel by which the agent talks, where its kind of agent knows channels."
)
@value_options
@pod_options
@wait_options("the pod is ready")
@output_option
@server_options
@pass_app
def create(app: App, tenant: str, adapter: str, channel: str | None, **options: Any) -> None:
    """Create a tenant and its pod "main" in one line.

    What exists already stays as it is.

    Examples:
      agentpod create acme
      agentpod create acme --type echo --set greeting=Hello
      agentpod create acme --channel telegram --secret telegram.token=@token.txt
    """
    values = assignments(options["set_texts"], "--set")
    hidden = secrets(options["secret_texts"], app.environ)
    if channel is not None:
        path = channel_field(app.client.get_adapter_schema(adapter))
        if path is None:
            raise CliError("NoChannels", Exit.USAGE, adapter=adapter)
        if path in values:
            raise misused("channel_twice", path=path)
        values[path] = channel
    body = {"name": "main", "adapter": adapter} | _overrides(options) | {"set": values, "secrets": hidden}
    with _tenant(app, tenant):
        made, _ = app.client.create_pod(tenant, **body)
    _follow(app, made, options)


@click.command(cls=Verb, name="create")
@click.argument("reference", metavar="TENANT/POD", type=ReferenceType(), required=False)
@click.option("--adapter", metavar="A", shell_complete=complete_adapters, help="Kind of agent: one of the adapters.")
@value_options
@click.option(
    "-f", "--file", "source", metavar="FILE", help="Spec as YAML or JSON (- is standard input); options win over it."
)
@pod_options
@wait_options("the pod is ready")
@output_option
@server_options
@pass_app
def create_pod(app: App, reference: Reference | None, adapter: str | None, source: str | None, **options: Any) -> None:
    """Create a pod and wait until it is ready. The same again changes nothing.

    Every field that is wrong is told at once, with its place. The spec file holds the members
    adapter, config, subdomain, image, size, memory, cpus, and tenant and name; what
    "agentpod pod get -o yaml" writes is such a file (secrets have to be given anew).

    Examples:
      agentpod pod create acme/support --adapter echo --set greeting=Hello
      agentpod pod create acme/support --adapter openclaw --secret provider.key=env:KEY
      agentpod pod create acme/support -f support.yaml --size small --no-wait
    """
    values = assignments(options["set_texts"], "--set")
    if source == "-" and any(text.endswith("=-") for text in options["secret_texts"]):
        raise misused("file_and_secret_from_input")
    hidden = secrets(options["secret_texts"], app.environ)
    body = specfile.read_spec(source) if source else {}
    reference = _named(reference, body)
    body |= {"name": reference.pod} | ({"adapter": adapter} if adapter else {}) | _overrides(options)
    if "adapter" not in body:
        raise misused("say_adapter")
    body["set"] = dict(body.get("set") or {}) | values
    body["secrets"] = dict(body.get("secrets") or {}) | hidden
    made, _ = app.client.create_pod(reference.tenant, **body)
    _follow(app, made, options)


def channel_field(schema: dict[str, Any]) -> str | None:
    """Find the dotted path of the field that a schema marks as the channel; None where there is none."""
    return _marked(schema, schema, "", frozenset())


def _marked(node: Any, root: dict[str, Any], path: str, seen: frozenset[str]) -> str | None:
    if not isinstance(node, dict):
        return None
    target = str(node.get("$ref", ""))
    if target.startswith("#/$defs/") and target not in seen:
        found = _marked(root.get("$defs", {}).get(target.removeprefix("#/$defs/")), root, path, seen | {target})
        if found is not None:
            return found
    if node.get(_CHANNEL_MARK) and path:
        return path
    branches = [part for key in ("anyOf", "oneOf", "allOf") for part in node.get(key) or []]
    places = [(part, path) for part in branches]
    places += [(part, f"{path}.{name}" if path else name) for name, part in (node.get("properties") or {}).items()]
    found_places = (_marked(part, root, place, seen) for part, place in places)
    return next((place for place in found_places if place is not None), None)


def _named(reference: Reference | None, body: dict[str, Any]) -> Reference:
    tenant, name = str(body.pop("tenant", "") or ""), str(body.pop("name", "") or "")
    if reference is not None:
        return reference
    if tenant and name:
        return Reference(tenant, name)
    raise misused("name_the_pod")


def _overrides(options: dict[str, Any]) -> dict[str, Any]:
    names = ("subdomain", "image", "size", "memory", "cpus")
    return {name: options[name] for name in names if options[name] is not None}


_TAKING_BACK = 10.0


@contextmanager
def _tenant(app: App, slug: str) -> Iterator[None]:
    """Have a tenant, and take a new one back when its pod is refused: nothing half-made stays behind."""
    is_new = False
    try:
        _, is_new = app.client.create_tenant(slug=slug)
    except ApiError as error:
        # A tenant that was given a name or an address before is that tenant all the same.
        if error.reason != "TenantExists":
            raise
    try:
        yield
    except ApiError:
        if is_new:
            # Should this fail too, the refusal is still what the user has to hear of.
            with suppress(CliError, ClientError), steps(app) as shown:
                app.client.delete_tenant(slug, cascade=False)
                # The next attempt may come at once, and must not meet what is left of this one.
                Waiter(app.client, app.texts, shown, timeout=_TAKING_BACK).tenant_gone(slug)
        raise


def _follow(app: App, made: Pod, options: dict[str, Any]) -> None:
    output: Output = options["output"]
    reference = Reference(made["tenant"], made["name"])
    with steps(app) as shown:
        waiter = Waiter(app.client, app.texts, shown, timeout=options["timeout"])
        is_started = made["spec"]["wanted"] == "running"
        if options["wait"] and is_started:
            made = waiter.ready(reference, made["spec"]["generation"])
        passed = waiter.passed
    if output == "name":
        app.say(str(reference))
    elif output in ("json", "yaml"):
        app.say(document(made, output))
    elif not options["wait"] or not is_started:
        app.say(app.texts("pod.accepted", pod=reference))
        app.note(app.texts("pod.follow", pod=reference))
    else:
        app.say(app.texts("pod.ready", pod=reference, span=passed))
        for url in made.get("urls") or []:
            app.say(url)
