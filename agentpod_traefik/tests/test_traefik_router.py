"""The router around its files: what it does to the folder, to its settings, and beside a running Traefik."""

from __future__ import annotations

import logging
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agentpod_core import Clock, ConfigError, Endpoint, Entrypoints, Route, TemporaryError
from agentpod_traefik import TraefikRouter, TraefikSettings, agentpod_routers
from agentpod_traefik.certificates import make_self_signed
from agentpod_traefik.settings import settled

Opened = Callable[..., Awaitable[TraefikRouter]]
Change = Callable[..., TraefikSettings]


def to(key: str, port: int = 18789) -> Route:
    """Give a route to a port of loopback."""
    return Route(key=key, hosts=(f"{key}.contract.test",), target=Endpoint(host="127.0.0.1", port=port))


def modes_in(folder: Path) -> dict[str, str]:
    """Give the permissions of what is in a folder."""
    return {path.name: f"{stat.S_IMODE(path.stat().st_mode):o}" for path in folder.iterdir()}


def test_the_plugin_offers_the_router_by_name() -> None:
    """A spec picks it as ``traefik``."""
    assert [(router.name, router.settings_type) for router in agentpod_routers()] == [("traefik", TraefikSettings)]


async def test_wrong_settings_are_refused_before_anything_is_written(tmp_path: Path, opened: Opened) -> None:
    """All problems at once, and an untouched folder."""
    with pytest.raises(ConfigError) as refusal:
        await opened(tmp_path, TraefikSettings(http=0, bind="nowhere"))
    assert refusal.value.reason == "InvalidSettings"
    assert len(refusal.value.problems) == 2
    assert modes_in(tmp_path) == {}


async def test_the_engine_may_put_the_dashboard_among_the_routes(tmp_path: Path, opened: Opened, but: Change) -> None:
    """Its address is a route like any other, to a port of loopback."""
    router = await opened(tmp_path, but())
    dashboard = Route(key="agentpod", hosts=("agentpod.contract.test",), target=Endpoint(host="127.0.0.1", port=8700))
    assert await router.apply([dashboard]) is True
    assert await router.observe() == [dashboard]


async def test_a_file_changed_by_hand_is_put_right(tmp_path: Path, opened: Opened, but: Change) -> None:
    """It counts as not set, so that the next apply writes it again."""
    router = await opened(tmp_path, but())
    await router.apply([to("one"), to("two")])
    path = tmp_path / "routes" / "agentpod-one.yml"
    meant = path.read_text()
    path.write_text(meant.replace("http://127.0.0.1:18789", "http://127.0.0.1:1"))
    assert await router.observe() == [to("two")]
    assert await router.apply([to("one"), to("two")]) is True
    assert path.read_text() == meant


async def test_a_copy_under_another_name_is_removed(tmp_path: Path, opened: Opened, but: Change) -> None:
    """A file of ours that stands for no route of ours would serve a host twice."""
    router = await opened(tmp_path, but())
    await router.apply([to("one")])
    routes = tmp_path / "routes"
    (routes / "agentpod-copy.yml").write_text((routes / "agentpod-one.yml").read_text())
    assert await router.observe() == [to("one")]
    assert await router.apply([to("one")]) is True
    assert sorted(path.name for path in routes.iterdir()) == ["agentpod-one.yml", "agentpod.yml"]


async def test_only_what_changed_is_written(tmp_path: Path, opened: Opened, but: Change) -> None:
    """A change of one route among many costs Traefik one file."""
    router = await opened(tmp_path, but())
    routes = [to(f"pod-{number}") for number in range(20)]
    await router.apply(routes)
    before = {path.name: path.stat().st_ino for path in (tmp_path / "routes").iterdir()}
    await router.apply([*routes[:-1], to("pod-19", port=1)])
    after = {path.name: path.stat().st_ino for path in (tmp_path / "routes").iterdir()}
    assert [name for name in before if before[name] != after[name]] == ["agentpod-pod-19.yml"]


async def test_nothing_half_written_is_left_or_seen(tmp_path: Path, opened: Opened, but: Change) -> None:
    """The watched folder holds whole files only; what a killed process left beside it is cleared away."""
    router = await opened(tmp_path, but())
    (tmp_path / "staging" / "agentpod-one.yml").write_text("half a fi")
    successor = await opened(tmp_path, but())
    assert list((tmp_path / "staging").iterdir()) == []
    await router.apply([to("one")])
    assert await successor.observe() == [to("one")]


async def test_others_may_read_the_routes_and_nothing_else(tmp_path: Path, opened: Opened, but: Change) -> None:
    """Traefik is another user: it passes through the folder, lists the routes, and gets the certificate as its own."""
    router = await opened(tmp_path, but())
    await router.apply([to("one")])
    assert modes_in(tmp_path.parent)[tmp_path.name] == "711"
    assert modes_in(tmp_path) == {"routes": "755", "staging": "700", "tls": "700"}
    assert modes_in(tmp_path / "routes") == {"agentpod-one.yml": "644", "agentpod.yml": "644"}
    assert router.daemon().owned == (str(tmp_path / "tls"),)


async def test_a_folder_that_cannot_be_used_is_a_temporary_error(tmp_path: Path, opened: Opened, but: Change) -> None:
    """A full disk or a lost mount may come right again; it is told with the path."""
    router = await opened(tmp_path, but())
    routes = tmp_path / "routes"
    routes.rename(tmp_path / "gone")
    with pytest.raises(TemporaryError, match="RoutesUnreadable"):
        await router.observe()
    with pytest.raises(TemporaryError, match="RoutesNotWritten"):
        await router.apply([to("one")])


async def test_the_daemon_asks_for_low_ports_only_when_it_needs_them(
    tmp_path: Path, opened: Opened, but: Change
) -> None:
    """Above 1023 it runs without any capability."""
    assert (await opened(tmp_path, but(http=80))).daemon().capabilities == ("net_bind_service",)
    assert (await opened(tmp_path, but(https=443))).daemon().capabilities == ("net_bind_service",)
    assert (await opened(tmp_path, but(https=None))).daemon().capabilities == ()


async def test_the_daemon_is_another_one_when_what_it_read_at_its_start_changes(
    tmp_path: Path, opened: Opened, but: Change
) -> None:
    """Ports and entry points need a new process; routes, patience and certificates don't."""
    identity = (await opened(tmp_path, but())).daemon().identity
    assert (await opened(tmp_path, but())).daemon().identity == identity
    for same in ({"response_header_timeout": 5.0}, {"self_signed_domain": "example.com"}):
        assert (await opened(tmp_path, but(**same))).daemon().identity == identity
    for other in ({"https": None}, {"bind": "127.0.0.1"}, {"redirect": True}):
        assert (await opened(tmp_path, but(**other))).daemon().identity != identity


async def test_entry_points_are_the_settings(tmp_path: Path, opened: Opened, but: Change) -> None:
    """What the platform prints as addresses is where Traefik listens."""
    settings = but(bind="127.0.0.1")
    expected = Entrypoints(http=settings.http, https=settings.https, bind="127.0.0.1")
    assert (await opened(tmp_path, settings)).entrypoints() == expected


async def test_all_ports_that_traefik_opens_are_told(tmp_path: Path, opened: Opened, but: Change) -> None:
    """Whoever starts it can see before that each is free, and name the setting that chooses another."""
    settings = but(bind="127.0.0.1", http=8080, https=8443, ping=8701)
    expected = {"http": ("127.0.0.1", 8080), "https": ("127.0.0.1", 8443), "ping": ("127.0.0.1", 8701)}
    assert (await opened(tmp_path, settings)).daemon().ports == expected
    assert set((await opened(tmp_path, but(https=None))).daemon().ports) == {"http", "ping"}


async def test_a_router_without_its_traefik_is_not_ready(tmp_path: Path, opened: Opened, but: Change) -> None:
    """Nobody answers the ping."""
    assert await (await opened(tmp_path, but())).ready() is False


async def test_a_renewal_under_way_serves_the_old_pair(
    tmp_path: Path, opened: Opened, but: Change, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A new certificate beside an old key changes nothing yet, and is told in the log."""
    folder = tmp_path / "folder"
    folder.mkdir()
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    now = clock.now()
    for path, content in zip((certificate, key), make_self_signed("contract.test", now), strict=True):
        path.write_bytes(content)
    router = await opened(folder, but(self_signed_domain=None, certificate=str(certificate), key=str(key)))
    platform = (folder / "routes" / "agentpod.yml").read_text()
    certificate.write_bytes(make_self_signed("contract.test", now)[0])
    with caplog.at_level(logging.WARNING):
        await router.apply([])
    assert (folder / "routes" / "agentpod.yml").read_text() == platform
    assert f"{key} does not belong to the certificate" in caplog.text
    served, wrong = await router.certificates()
    assert (served.hosts[0], served.reason) == ("contract.test", "")
    assert (wrong.reason, wrong.params) == ("CertificateMismatch", {"path": str(key)})


@pytest.mark.parametrize(
    ("domain", "tls", "expected"),
    [
        ("localhost", None, (None, "127.0.0.1", None)),
        ("dev.localhost", None, (None, "127.0.0.1", None)),
        ("agents.example", None, (443, "", "agents.example")),
        ("localhost", True, (443, "127.0.0.1", "localhost")),
        ("agents.example", False, (None, "", None)),
    ],
)
def test_what_is_left_to_the_domain(
    domain: str, tls: bool | None, expected: tuple[int | None, str, str | None]
) -> None:
    """``localhost`` is served on loopback without TLS, any other domain on all addresses with a certificate."""
    found = settled(TraefikSettings(tls=tls), domain)
    assert (found.https, found.bind, found.self_signed_domain) == expected
