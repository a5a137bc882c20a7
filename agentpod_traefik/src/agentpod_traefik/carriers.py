"""Says a route in labels of a *carrier*: a container that is made to be read by Traefik, and never run.

Labels of a container cannot change, so a changed route is another carrier. All names that a carrier
gives to Traefik end with a hash of what it says: the old and the new one can be there together, and
never contradict each other. A *bell* is a container that is started once and ends at once; that event is
what makes Traefik look at all carriers again. Nothing here asks an engine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from agentpod_core import Route
from agentpod_traefik.dynamic import Serving, http
from agentpod_traefik.static import PING

IMAGE = "agentpod-carrier:1"
"""An image with nothing in it, made on the spot."""

TRANSPORT = "agentpod"
"""The one that carriers refer to. Labels cannot define any, so a file does."""

INSTANCE, ROUTER, POD = "agentpod.instance", "agentpod.router", "agentpod.pod-id"
ROUTE, WHOLE_ROUTE = "agentpod.route", "agentpod.route-spec"
BELL, TOKEN = "agentpod.bell", "agentpod.bell-token"
NAME = "traefik"

_AS_LABELS = {"servers": "server"}
"""Traefik's labels have one server where its files have a list."""


class Labelled(Struct, frozen=True, kw_only=True):
    """A container to be made of ``IMAGE``: its name, its labels, and what else the engine has to know."""

    name: str
    labels: dict[str, str]
    body: dict[str, Any]


def carrier(route: Route, serving: Serving, instance: str) -> Labelled:
    """Say what carries a route. Equal routes give equal carriers."""
    said = dict(_flat("traefik.http", http(route, serving, transport=f"{TRANSPORT}@file")))
    variant = f"{route.key}-{_digest(said)}"
    renamed = msgspec.structs.replace(route, key=variant)
    labels = {
        **_own(instance),
        ROUTE: route.key,
        WHOLE_ROUTE: msgspec.json.encode(route).decode(),
        **dict(_flat("traefik.http", http(renamed, serving, transport=f"{TRANSPORT}@file"))),
    }
    body = {"Cmd": ["-"], "HostConfig": {"NetworkMode": "none"}}
    return Labelled(name=f"agentpod-{instance}-route-{variant}", labels=labels, body=body)


def read(name: str, labels: Mapping[str, str], serving: Serving, instance: str) -> Route | None:
    """Give the route that a carrier sets; None unless it is exactly the carrier that would be made for it."""
    try:
        route = msgspec.json.decode(labels.get(WHOLE_ROUTE, ""), type=Route)
    except msgspec.DecodeError:
        return None
    meant = carrier(route, serving, instance)
    return route if (meant.name, meant.labels) == (name, labels) else None


def bell(instance: str, told: str, token: str) -> Labelled:
    """Say what tells Traefik to look, and lets it say that it has: a path on the ping port.

    ``told`` stands for the carriers that were there when it was made. What is started is the engine's own
    init, which prints its version: the image is empty.
    """
    router = f"agentpod-bell-{token}"
    answer = {"entryPoints": [PING], "rule": f"Path(`{token_path(token)}`)", "service": "ping@internal"}
    said = _flat("traefik.http", {"routers": {router: answer}})
    labels = {**_own(instance), BELL: told, TOKEN: token, **dict(said)}
    body = {
        "Entrypoint": ["/sbin/docker-init", "--version"],
        "User": "65534:65534",
        # A network namespace of its own would take as long as all the rest together.
        "HostConfig": {
            "Init": True,
            "NetworkMode": "host",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": {"Type": "none"},
        },
    }
    return Labelled(name=f"agentpod-{instance}-bell-{token}", labels=labels, body=body)


def token_path(token: str) -> str:
    """Give the path at which Traefik answers once it has seen the bell of that token."""
    return f"/agentpod/{token}"


def digest_of(names: Iterable[str]) -> str:
    """Give a short text that stands for these carriers and no others."""
    return _digest(sorted(names))


def constraint(instance: str) -> str:
    """Say which containers Traefik may read labels of.

    Images have labels too, and an agent's container takes on those of its image: agents' containers are
    never read.
    """
    return f"Label(`{INSTANCE}`, `{instance}`) && Label(`{ROUTER}`, `{NAME}`) && !LabelRegex(`{POD}`, `.`)"


def is_ours(labels: Mapping[str, str], instance: str) -> bool:
    """Say whether a container of those labels is a carrier or a bell of ours, for the same reason."""
    return labels.get(INSTANCE) == instance and labels.get(ROUTER) == NAME and POD not in labels


def _own(instance: str) -> dict[str, str]:
    return {
        "agentpod.managed": "true",
        INSTANCE: instance,
        ROUTER: NAME,
        "traefik.enable": "true",
        "traefik.docker.allownonrunning": "true",
    }


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    match value:
        case dict() if value:
            for name, inner in value.items():
                yield from _flat(f"{path}.{_AS_LABELS.get(name, name)}", inner)
        case [dict() as only]:
            yield from _flat(path, only)
        case list():
            yield path, ",".join(value)
        case {} | True:
            yield path, "true"
        case _:
            yield path, str(value)


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:10]
