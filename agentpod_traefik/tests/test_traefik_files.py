"""What is written for Traefik, and what of it is recognised again; no process runs here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agentpod_core import Endpoint, Route, route_problems
from agentpod_traefik.dynamic import Serving, file_name, file_text, is_ours, read, refusal, rule
from agentpod_traefik.settings import TraefikSettings, settings_problems
from agentpod_traefik.static import static_text

VERSION = (3, 7, 15)
BOTH = Serving(plain=True, secure=True)
ROUTE = Route(
    key="018f-pod",
    hosts=("acme.example.com", "www.example.com"),
    target=Endpoint(host="10.214.0.2", port=18789),
    refuse=("/api/v1/admin",),
    attribute_loopback=True,
)


def body(route: Route, serving: Serving = BOTH) -> dict[str, Any]:
    """Give a file's content without its first line."""
    parsed: dict[str, Any] = msgspec.json.decode(file_text(route, serving).partition("\n")[2])["http"]
    return parsed


def static(settings: TraefikSettings, version: tuple[int, int, int] = VERSION) -> dict[str, Any]:
    """Give the static configuration."""
    parsed: dict[str, Any] = msgspec.json.decode(static_text(settings, Path("/x/routes"), version))
    return parsed


def test_a_file_gives_back_its_route() -> None:
    """What was written is read, field by field."""
    assert read(file_text(ROUTE, BOTH), BOTH) == ROUTE


def test_a_file_is_written_the_same_way_every_time() -> None:
    """Equal routes give equal texts, so that nothing is written without a reason."""
    again = msgspec.json.decode(msgspec.json.encode(ROUTE), type=Route)
    assert file_text(again, BOTH) == file_text(ROUTE, BOTH)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("10.214.0.2:18789", "10.214.0.9:18789"),
        lambda text: text[: len(text) // 2],
        lambda text: text + "\n",
        lambda _: "",
        lambda text: text.partition("\n")[2],
        lambda _: "# Written by AgentPod, which undoes changes made here. Route: {}\n",
    ],
    ids=["target", "cut", "longer", "empty", "no header", "no route"],
)
def test_a_file_that_was_changed_sets_no_route(change: Any) -> None:
    """Observation claims a route only when the whole file is as it should be."""
    assert read(change(file_text(ROUTE, BOTH)), BOTH) is None


def test_a_file_written_under_other_settings_sets_no_route() -> None:
    """After a change of settings every file is written anew."""
    assert read(file_text(ROUTE, BOTH), Serving(plain=True, secure=False)) is None


def test_names_tell_whose_a_file_is() -> None:
    """Only names with our prefix and suffix are ours."""
    assert is_ours(file_name("one"))
    assert not any(
        is_ours(name) for name in ("agentpod.yml", "theirs.yml", "agentpod-one.yml.bak", "agentpod-one.toml")
    )


def test_no_two_keys_share_a_name_inside_traefik() -> None:
    """Keys that contain the words of our own names don't collide with them."""
    keys = ["a", "web-a", "websecure-a", "weblocal-a", "websecurelocal-a", "attributed-a", "unclaimed-a"]
    bodies = [body(msgspec.structs.replace(ROUTE, key=key)) for key in keys]
    for kind in ("routers", "services", "middlewares", "serversTransports"):
        names = [name for one in bodies for name in one[kind]]
        assert len(names) == len(set(names))


def test_every_router_names_its_entry_point_and_only_the_secure_ones_have_tls() -> None:
    """Routers are attached explicitly; plain HTTP and HTTPS each have their own."""
    routers = body(ROUTE)["routers"]
    assert sorted(name for name in routers) == [
        "agentpod-web-018f-pod",
        "agentpod-weblocal-018f-pod",
        "agentpod-websecure-018f-pod",
        "agentpod-websecurelocal-018f-pod",
    ]
    assert {name: router["entryPoints"] for name, router in routers.items() if "tls" in router} == {
        "agentpod-websecure-018f-pod": ["websecure"],
        "agentpod-websecurelocal-018f-pod": ["websecure"],
    }
    assert list(body(ROUTE, Serving(plain=True))["routers"]) == ["agentpod-web-018f-pod", "agentpod-weblocal-018f-pod"]


def test_an_ipv6_target_stands_in_brackets() -> None:
    """A URL needs them."""
    six = msgspec.structs.replace(ROUTE, target=Endpoint(host="fd00::2", port=80))
    assert body(six)["services"]["agentpod-018f-pod"]["loadBalancer"]["servers"] == [{"url": "http://[fd00::2]:80"}]


def test_nothing_stands_in_the_way_of_a_stream() -> None:
    """Routes have no compression, buffering or retries; headers are all that is touched."""
    assert {kind for middleware in body(ROUTE)["middlewares"].values() for kind in middleware} == {"headers"}


@pytest.mark.parametrize(("seconds", "written"), [(0.5, "500ms"), (600.0, "600000ms"), (1_234_567.5, "1234567500ms")])
def test_any_patience_is_a_duration_that_traefik_reads(seconds: float, written: str) -> None:
    """Neither fractions nor large numbers turn into a notation that Go does not know."""
    transport = body(ROUTE, Serving(response_header_timeout=seconds))["serversTransports"]["agentpod-018f-pod"]
    assert transport["forwardingTimeouts"]["responseHeaderTimeout"] == written


def test_a_rule_can_hold_no_template() -> None:
    """Traefik runs files through a template engine first; what we write never contains its opening."""
    assert "{{" not in file_text(ROUTE, BOTH)
    assert route_problems([msgspec.structs.replace(ROUTE, refuse=("/{{x}}",))])


def test_a_route_without_refusals_has_a_rule_of_hosts_alone() -> None:
    """What is not asked for costs nothing."""
    plain = msgspec.structs.replace(ROUTE, refuse=())
    assert rule(plain) == "(Host(`acme.example.com`) || Host(`www.example.com`))"


def test_dots_in_a_prefix_are_dots() -> None:
    """A prefix is text, not an expression."""
    pattern = re.compile(refusal(("/.well-known/a.b",)).replace("(?i)", ""), re.IGNORECASE)
    assert pattern.search("/.well-known/a.b/c")
    assert not pattern.search("/xwell-known/a.b")
    assert not pattern.search("/.well-known/aXb")


def test_the_static_configuration_trusts_and_exposes_nothing() -> None:
    """No API, no dashboard, no logs of requests, no reports home, no forwarded headers from clients."""
    config = static(TraefikSettings(bind="203.0.113.7"))
    assert set(config) == {"global", "log", "entryPoints", "providers", "ping"}
    assert config["global"] == {"checkNewVersion": False, "sendAnonymousUsage": False}
    assert config["entryPoints"]["ping"]["address"] == "127.0.0.1:8701"
    for name, port in (("web", 80), ("websecure", 443)):
        entrypoint = config["entryPoints"][name]
        assert entrypoint["address"] == f"203.0.113.7:{port}"
        assert entrypoint["forwardedHeaders"] == {"insecure": False}
        assert entrypoint["transport"]["respondingTimeouts"] == {
            "readTimeout": "0s",
            "writeTimeout": "0s",
            "idleTimeout": "180s",
        }


def test_without_an_https_port_there_is_no_secure_entry_point() -> None:
    """Plain HTTP only, where that is what was set."""
    assert set(static(TraefikSettings(https=None))["entryPoints"]) == {"web", "ping"}


def test_an_ipv6_address_to_bind_stands_in_brackets() -> None:
    """So does the address of an entry point."""
    assert static(TraefikSettings(bind="::1"))["entryPoints"]["web"]["address"] == "[::1]:80"


def test_an_older_traefik_gets_no_key_that_it_does_not_know() -> None:
    """It would refuse to start."""
    assert "aliasHeadersStrategy" in static_text(TraefikSettings(), Path("/x"), (3, 7, 12))
    assert "aliasHeadersStrategy" not in static_text(TraefikSettings(), Path("/x"), (3, 7, 11))


def test_all_that_is_wrong_with_settings_is_told_at_once() -> None:
    """Each problem with its field."""
    wrong = TraefikSettings(
        http=0, https=8701, bind="eth0", certificate="/c.pem", redirect=True, response_header_timeout=0
    )
    assert {(problem.path, problem.reason) for problem in settings_problems(wrong)} == {
        ("$.http", "InvalidPort"),
        ("$.ping", "PortTakenTwice"),
        ("$.bind", "InvalidAddress"),
        ("$.key", "CertificateNeedsKey"),
        ("$.response_header_timeout", "InvalidTimeout"),
    }
    no_https = settings_problems(TraefikSettings(https=None, redirect=True))
    assert [problem.reason for problem in no_https] == ["RedirectNeedsHttps"]
    assert settings_problems(TraefikSettings()) == []
