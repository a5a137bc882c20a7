"""Where Docker is looked for, and what is refused before anything is served from labels."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agentpod_core import ConfigError, PermanentError, TemporaryError
from agentpod_traefik import TraefikRouter, TraefikSettings
from agentpod_traefik.endpoint import groups_to_reach
from agentpod_traefik.settings import settled

Opened = Callable[..., Awaitable[TraefikRouter]]
Change = Callable[..., TraefikSettings]


async def test_an_endpoint_is_checked(tmp_path: Path, opened: Opened, but: Change) -> None:
    """What no client of ours and Traefik's could use is refused; where nobody listens, that may pass."""
    with pytest.raises(ConfigError) as refusal:
        await opened(tmp_path, but(provider="docker", docker_endpoint="ssh://host", docker_watch_endpoint="docker"))
    assert {problem.path for problem in refusal.value.problems} == {"$.docker_endpoint", "$.docker_watch_endpoint"}
    with pytest.raises(TemporaryError, match="EngineUnreachable"):
        await opened(tmp_path, but(provider="docker", docker_endpoint=f"unix://{tmp_path}/none.sock"))


def test_the_endpoint_is_where_other_clients_look() -> None:
    """The setting goes before DOCKER_HOST, that before the local socket; Traefik looks there if not told otherwise."""
    tcp = "tcp://10.0.0.1:2375"

    def found(settings: TraefikSettings, docker_host: str | None) -> tuple[str | None, str | None]:
        result = settled(settings, "localhost", docker_host)
        return result.docker_endpoint, result.docker_watch_endpoint

    assert found(TraefikSettings(), None) == ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock")
    assert found(TraefikSettings(), tcp) == (tcp, tcp)
    assert found(TraefikSettings(docker_endpoint="unix:///x"), tcp) == ("unix:///x", "unix:///x")
    assert found(TraefikSettings(docker_watch_endpoint="unix:///x"), tcp) == (tcp, "unix:///x")


async def test_an_old_traefik_is_refused_for_labels_only(tmp_path: Path, opened: Opened, but: Change) -> None:
    """Before 3.6.1 it reads no labels of containers that don't run."""
    binary = tmp_path / "traefik"
    binary.write_text("#!/bin/sh\necho Version: 3.6.0\n")
    binary.chmod(0o755)
    assert await opened(tmp_path, but(binary=str(binary)))
    with pytest.raises(PermanentError, match="TraefikUnsupported") as refusal:
        await opened(tmp_path, but(binary=str(binary), provider="docker"))
    assert refusal.value.params["wanted"] == ">= 3.6.1, < 4"


@pytest.mark.parametrize(
    ("mode", "group", "expected"),
    [(0o660, 4711, (4711,)), (0o666, 4711, ()), (0o666, 0, ())],
    ids=["group", "open", "open to root's group"],
)
def test_traefik_joins_the_group_that_opens_the_socket(
    tmp_path: Path, mode: int, group: int, expected: tuple[int, ...]
) -> None:
    """And no other one."""
    assert groups_to_reach(_socket(tmp_path, mode, group)) == expected


@pytest.mark.parametrize(("mode", "group"), [(0o660, 0), (0o600, 4711)], ids=["root's group", "no group"])
def test_traefik_never_joins_the_group_of_root(tmp_path: Path, mode: int, group: int) -> None:
    """Where nothing else would open the socket, that is an error with its repair."""
    with pytest.raises(PermanentError, match="DockerSocketClosed"):
        groups_to_reach(_socket(tmp_path, mode, group))


def _socket(folder: Path, mode: int, group: int) -> str:
    if os.geteuid() != 0:
        pytest.skip("only root starts Traefik as somebody else")
    path = folder / "docker.sock"
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
    path.chmod(mode)
    os.chown(path, 0, group)
    return f"unix://{path}"
