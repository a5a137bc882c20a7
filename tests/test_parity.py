"""Who brings which verb: the command line against the product's list, and against everything that can be changed.

Three tables, each compared in both directions. A verb that is written moves out of ``COMING``; a route
that changes something and has no verb fails, and so does a text that proposes a command which is none.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from litestar import Litestar
from litestar.di import Provide

from agentpod_cli.cli import cli
from agentpod_server import dashboard

ROOT = Path(__file__).parents[1]

PRODUCT = """
up | down | doctor | version | login | completion
create
tenant create|list|get|status|update|stop|start|delete
pod create|list|get|status|start|stop|restart|delete|logs|events|stats|open|upgrade
pod config get|set|edit
pod token show|rotate
pod device list|approve|revoke
pod files list|get|put
adapter list|get|schema
plugin list|new|check
image build|list
package build|list|get|delete
health | reconcile
migrate discover|adopt
backup create|list|restore|delete|schedule
rollout list|get|pause|resume|abort
capacity
domain list|add|remove
notifier list|add|test|remove
alert list|silence
budget get|set
quota get|set
apply | diff | export
events | audit | usage | support-bundle
settings get|set
token create|list|revoke
user create|list|update|delete|passwd
secrets list|rotate-key
db migrate|dump|restore
controller | server
"""
"""Every verb that the product promises; words after ``|`` share the words before the first verb."""

COMING = {
    "identity": """
        pod token show
        audit
        user create|list|update|delete|passwd
        secrets list|rotate-key
    """,
    "dashboard": "settings get|set",
    "plugin kit": """
        plugin new|check
        package build|list|get|delete
    """,
    "agent-aware": """
        pod device list|approve|revoke
        pod files list|get|put
        usage
        budget get|set
    """,
    "backups and rollouts": """
        pod upgrade
        backup create|list|restore|delete|schedule
        rollout list|get|pause|resume|abort
    """,
    "fleet and adoption": """
        migrate discover|adopt
        apply | diff | export
        capacity
        quota get|set
        domain list|add|remove
    """,
    "shipping": """
        doctor | support-bundle
        db dump|restore
    """,
}
"""The verbs that are not there yet, by the area of work that brings them."""

MORE = {
    "pod update": "what a pod is made from beside its config: the API and the dashboard can change it",
    "alert get": "one alert with all that is known of it, and who was told",
    "notifier get": "one notifier with its settings, and what it was told last",
    "notifier set": "another address, key or filter, and a pause, without losing what waits",
    "operation list": "long work that nobody waited for",
    "operation get": "the same, one by one",
}
"""Verbs beside the product's, and what they are for."""

VERB_OF_OPERATION = {
    "create_tenant": "tenant create",
    "update_tenant": "tenant update",
    "delete_tenant": "tenant delete",
    "start_tenant": "tenant start",
    "stop_tenant": "tenant stop",
    "create_pod": "pod create",
    "update_pod": "pod update",
    "delete_pod": "pod delete",
    "start_pod": "pod start",
    "stop_pod": "pod stop",
    "restart_pod": "pod restart",
    "rotate_pod_token": "pod token rotate",
    "replace_pod_config": "pod config edit",
    "update_pod_config": "pod config set",
    "open_pod": "pod open",
    "reconcile": "reconcile",
    "build_image": "image build",
    "create_silence": "alert silence",
    "end_silence": "alert silence",
    "create_notifier": "notifier add",
    "update_notifier": "notifier set",
    "delete_notifier": "notifier remove",
    "test_notifier": "notifier test",
    "login": "login",
    "create_token": "token create",
    "revoke_token": "token revoke",
}
VERB_OF_PAGE = {
    "/login": "login",
    "/dashboard/tenants": "tenant create",
    "/dashboard/tenants/{slug}": "tenant update",
    "/dashboard/tenants/{slug}/start": "tenant start",
    "/dashboard/tenants/{slug}/stop": "tenant stop",
    "/dashboard/tenants/{slug}/delete": "tenant delete",
    "/dashboard/pods/new": "pod create",
    "/dashboard/pods/{ref}/config": "pod update",
    "/dashboard/pods/{ref}/restart": "pod restart",
    "/dashboard/pods/{ref}/start": "pod start",
    "/dashboard/pods/{ref}/stop": "pod stop",
    "/dashboard/pods/{ref}/delete": "pod delete",
    "/dashboard/pods/{ref}/open": "pod open",
}
OF_BROWSERS = {
    "logout": "ends a session's cookie, which the command line never has",
    "/logout": "the same",
    "/language": "is the terminal's locale",
}
"""What only a browser needs, and why."""


def spelled(text: str) -> set[str]:
    """Spell a list of verbs out: ``pod config get|set`` are two."""
    found = set()
    for line in filter(None, map(str.strip, text.splitlines())):
        if " | " in line:
            found |= {verb.strip() for verb in line.split("|")}
            continue
        *noun, verbs = line.split()
        found |= {" ".join([*noun, verb]) for verb in verbs.split("|")}
    return found


def leaves(command: click.Command, path: str = "") -> set[str]:
    """Name every verb below a command."""
    if not isinstance(command, click.Group):
        return {path}
    return {verb for name, one in command.commands.items() for verb in leaves(one, f"{path} {name}".strip())}


def texts(value: Any) -> Iterator[str]:
    """Give every line of every text in a catalogue."""
    if isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, str):
        yield from value.splitlines()


def wrong_commands(text: str) -> list[str]:
    """Find the ``agentpod …`` in a line that the command line does not know, by verb or by option."""
    wrong = []
    for match in re.finditer(r"agentpod((?: [a-z][a-z-]*)+)([^.,;；，。]*)", text):
        command: click.Command | None = cli
        for word in match[1].split():
            command = command.commands.get(word) if isinstance(command, click.Group) else command
        known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} if command else set()
        if command is None or set(re.findall(r"--[a-z-]+", match[2])) - known:
            wrong.append(match[0])
    return wrong


def pages() -> set[str]:
    """Name every address of the dashboard at which something can be changed."""

    def provider() -> Provide:
        # Only looked at, never asked; Litestar wants one of its own for each name.
        async def nobody() -> Any:
            raise AssertionError

        return Provide(nobody)

    app = Litestar(
        route_handlers=dashboard.handlers(lambda: None),  # type: ignore[arg-type, return-value]
        dependencies={name: provider() for name in ("services", "asking", "caller")},
        openapi_config=None,
    )
    return {
        route.path_format
        for route in app.routes
        if (methods := getattr(route, "methods", ())) and set(methods) - {"GET", "HEAD", "OPTIONS"}
    }


def operations() -> set[str]:
    """Name every operation of the API that changes something."""
    document = json.loads((ROOT / "docs" / "reference" / "openapi.json").read_text(encoding="utf-8"))
    return {
        operation["operationId"]
        for path in document["paths"].values()
        for method, operation in path.items()
        if method in ("post", "put", "patch", "delete")
    }


VERBS = leaves(cli)
CATALOGUES = sorted(path for path in ROOT.glob("**/src/**/messages/*.toml") if ".venv" not in path.parts)
WAITED_FOR = {verb: area for area, text in COMING.items() for verb in spelled(text)}


def test_every_verb_of_the_product_is_there_or_has_somebody_who_brings_it() -> None:
    """No promise is forgotten."""
    assert spelled(PRODUCT) - VERBS == set(WAITED_FOR)


def test_what_is_there_is_not_waited_for() -> None:
    """Whoever writes a verb takes it out of the table."""
    assert VERBS & set(WAITED_FOR) == set()


def test_no_verb_is_waited_for_from_two_areas() -> None:
    """One owner for each."""
    assert sum(len(spelled(text)) for text in COMING.values()) == len(WAITED_FOR)


def test_verbs_beside_the_products_say_what_they_are_for() -> None:
    """The command line does not grow by accident."""
    assert VERBS - spelled(PRODUCT) == set(MORE)


def test_every_write_of_the_api_has_a_verb() -> None:
    """What a program can do, a person at a terminal can."""
    assert operations() == set(VERB_OF_OPERATION) | {name for name in OF_BROWSERS if not name.startswith("/")}


def test_every_write_of_the_dashboard_has_a_verb() -> None:
    """What a browser can do, a terminal can."""
    assert pages() == set(VERB_OF_PAGE) | {name for name in OF_BROWSERS if name.startswith("/")}


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_a_text_proposes_exists(path: Path) -> None:
    """What to do next can be typed as it stands."""
    catalogue = tomllib.loads(path.read_text(encoding="utf-8"))
    assert [wrong for line in texts(catalogue) for wrong in wrong_commands(line)] == []


def test_a_command_that_does_not_exist_is_found() -> None:
    """By its verb, and by its option."""
    assert wrong_commands("Repair it with: agentpod pod mend TENANT/POD") == ["agentpod pod mend TENANT/POD"]
    assert wrong_commands("See: agentpod pod list --colour red") == ["agentpod pod list --colour red"]
    assert wrong_commands("See: agentpod pod list --tenant acme, or ask.") == []


@pytest.mark.parametrize("table", [VERB_OF_OPERATION, VERB_OF_PAGE], ids=["api", "dashboard"])
def test_the_verbs_of_the_writes_exist(table: dict[str, str]) -> None:
    """A table cannot name what is not there."""
    assert set(table.values()) - VERBS == set()
