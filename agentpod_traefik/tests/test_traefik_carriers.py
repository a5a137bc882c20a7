"""What a carrier says, and what of it is recognised again; no engine is asked here."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agentpod_core import Endpoint, Route
from agentpod_traefik.carriers import bell, carrier, constraint, is_ours, read, token_path
from agentpod_traefik.dynamic import Serving, http

INSTANCE = "abcdefgh"
BOTH = Serving(plain=True, secure=True)
ROUTE = Route(
    key="018f-pod",
    hosts=("acme.example.com", "www.example.com"),
    target=Endpoint(host="10.214.0.2", port=18789),
    refuse=("/api/v1/admin",),
    attribute_loopback=True,
)


def said(route: Route, serving: Serving = BOTH) -> dict[str, str]:
    """Give the labels that are for Traefik."""
    labels = carrier(route, serving, INSTANCE).labels
    return {
        name.removeprefix("traefik.http."): text for name, text in labels.items() if name.startswith("traefik.http.")
    }


def test_a_carrier_gives_back_its_route() -> None:
    """What was said is read, field by field."""
    one = carrier(ROUTE, BOTH, INSTANCE)
    assert read(one.name, one.labels, BOTH, INSTANCE) == ROUTE


@pytest.mark.parametrize(
    "change",
    [
        lambda labels: {**labels, "agentpod.route-spec": "{}"},
        lambda labels: {name: text for name, text in labels.items() if name != "agentpod.route-spec"},
        lambda labels: {name: text.replace("10.214.0.2", "10.214.0.9") for name, text in labels.items()},
        lambda labels: {**labels, "traefik.http.routers.more.rule": "Host(`more.test`)"},
    ],
    ids=["no route", "none", "other target", "more"],
)
def test_a_carrier_that_says_something_else_sets_no_route(change: Any) -> None:
    """A route is claimed only where every label is as it would be made, under its own name."""
    one = carrier(ROUTE, BOTH, INSTANCE)
    assert read(one.name, change(one.labels), BOTH, INSTANCE) is None
    assert read(f"{one.name}x", one.labels, BOTH, INSTANCE) is None


def test_a_carrier_made_under_other_settings_sets_no_route() -> None:
    """After a change of settings every carrier is made anew."""
    one = carrier(ROUTE, BOTH, INSTANCE)
    assert read(one.name, one.labels, Serving(plain=True), INSTANCE) is None


def test_labels_say_what_a_file_says() -> None:
    """Both come from one description; names carry a hash, and the transport is one that a file defines."""
    variant = carrier(ROUTE, BOTH, INSTANCE).name.removeprefix(f"agentpod-{INSTANCE}-route-")
    file = http(msgspec.structs.replace(ROUTE, key=variant), BOTH)
    labels = said(ROUTE)
    for name, router in file["routers"].items():
        assert labels[f"routers.{name}.rule"] == router["rule"]
        assert labels[f"routers.{name}.entryPoints"] == ",".join(router["entryPoints"])
        assert labels[f"routers.{name}.priority"] == str(router["priority"])
        assert labels[f"routers.{name}.middlewares"] == ",".join(router["middlewares"])
        assert labels[f"routers.{name}.service"] == router["service"]
        assert (f"routers.{name}.tls" in labels) == ("tls" in router)
    for name, middleware in file["middlewares"].items():
        for header, value in middleware["headers"]["customRequestHeaders"].items():
            assert labels[f"middlewares.{name}.headers.customRequestHeaders.{header}"] == value
    assert {name: text for name, text in labels.items() if name.startswith("services.")} == {
        f"services.agentpod-{variant}.loadBalancer.server.url": "http://10.214.0.2:18789",
        f"services.agentpod-{variant}.loadBalancer.passHostHeader": "true",
        f"services.agentpod-{variant}.loadBalancer.serversTransport": "agentpod@file",
    }
    headers = [value["headers"]["customRequestHeaders"] for value in file["middlewares"].values()]
    fields = 5 * len(file["routers"]) + 2 + sum(map(len, headers)) + 3
    assert len(labels) == fields


@pytest.mark.parametrize(
    "change",
    [{"hosts": ("other.test",)}, {"target": Endpoint(host="10.214.0.2", port=1)}, {"refuse": ()}],
    ids=["hosts", "target", "refuse"],
)
def test_old_and_new_never_share_a_name_inside_traefik(change: dict[str, Any]) -> None:
    """Traefik drops what two containers define differently; a change of anything is a change of all names."""

    def names(labels: dict[str, str]) -> set[tuple[str, ...]]:
        return {tuple(label.split(".")[:2]) for label in labels}

    assert names(said(ROUTE)) & names(said(msgspec.structs.replace(ROUTE, **change))) == set()
    assert names(said(ROUTE)) & names(said(ROUTE, Serving(plain=True))) == set()


def test_one_platform_never_reads_the_carriers_of_another() -> None:
    """Traefik's constraint and our own look agree on whose a carrier is."""
    assert constraint(INSTANCE) == (
        "Label(`agentpod.instance`, `abcdefgh`) && Label(`agentpod.router`, `traefik`)"
        " && !LabelRegex(`agentpod.pod-id`, `.`)"
    )
    labels = carrier(ROUTE, BOTH, INSTANCE).labels
    assert is_ours(labels, INSTANCE)
    assert not is_ours(labels, "hgfedcba")
    assert not is_ours({**labels, "agentpod.pod-id": "018f"}, INSTANCE)


def test_a_bell_answers_on_the_ping_port_and_runs_nothing_of_ours() -> None:
    """The public cannot ask it; what runs is the engine's own init, without rights."""
    one = bell(INSTANCE, "told", "token")
    assert one.labels["traefik.http.routers.agentpod-bell-token.entryPoints"] == "ping"
    assert one.labels["traefik.http.routers.agentpod-bell-token.rule"] == f"Path(`{token_path('token')}`)"
    assert one.body["Entrypoint"] == ["/sbin/docker-init", "--version"]
    assert one.body["HostConfig"]["CapDrop"] == ["ALL"]
