"""Plugins made in a test: modules with hooks, their entry points, and distributions with metadata."""

from __future__ import annotations

import sys
import types
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec import Struct

from agentpod_core import AgentAdapter, HealthProbe, ProbeResult, Workload, hookimpl
from agentpod_core.host import GROUP, Host
from agentpod_core.testing import FakeClock


class Nothing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Agent(AgentAdapter[Nothing]):
    name: ClassVar[str] = "one"
    title: ClassVar[str] = "One"
    config_type: ClassVar[type[Struct]] = Nothing

    def workload(self, config, pod, package):
        return Workload(image="x:1")


class Probe(HealthProbe):
    name: ClassVar[str] = "ping"
    title: ClassVar[str] = "Ping"

    async def check(self, link, settings, *, timeout):  # noqa: ASYNC109 - part of the contract
        return ProbeResult(alive=True, ready=True, reason="Answering")


class Stage:
    """What tests of the host need."""

    Agent = Agent
    Probe = Probe

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self._patch = patch
        self._folder = folder

    def agent(self, name: Any = "one", **parts: Any) -> Agent:
        """Give an adapter of that name, with these parts in place of its own."""
        return type("Agent", (Agent,), {"name": name, **parts})()

    def probe(self, check: Any) -> Probe:
        """Give a probe that checks so."""
        return type("Probe", (Probe,), {"check": check})()

    def plugin(self, name: str, value: str | None = None, **functions: Any) -> metadata.EntryPoint:
        """Install a module with these functions as hooks, and give its entry point."""
        module = types.ModuleType(f"plugin_{name.replace('-', '_')}")
        for hook, function in functions.items():
            setattr(module, hook, hookimpl(function))
        self._patch.setitem(sys.modules, module.__name__, module)
        return metadata.EntryPoint(name=name, value=value or module.__name__, group=GROUP)

    def distribution(
        self, name: str, code: str, *, version: str = "1.0", requires: tuple[str, ...] = (), point: str = ""
    ) -> metadata.EntryPoint:
        """Install a distribution with a module of that code, and give its entry point."""
        module = name.replace("-", "_")
        folder = self._folder / name
        info = folder / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (folder / f"{module}.py").write_text(code)
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {one}" for one in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{point or name} = {module}\n")
        self._patch.delitem(sys.modules, module, raising=False)
        self._patch.syspath_prepend(str(folder))
        (found,) = metadata.distributions(path=[str(folder)])
        (entry,) = found.entry_points
        return entry

    def errors(self, host: Host, name: str) -> list[tuple[str, dict[str, Any]]]:
        """Give what went wrong with a plugin, with its facts."""
        (info,) = [one for one in host.plugins() if one.name == name]
        return [(error.reason, error.params) for error in info.errors]

    def reasons(self, host: Host, name: str) -> list[str]:
        """Give the reasons of what went wrong with a plugin."""
        return [reason for reason, _ in self.errors(host, name)]

    async def opened(self, host: Host, settings: dict[str, Any] | None = None, **more: Any) -> list[str]:
        """Open everything and give the reasons of what went wrong."""
        found = await host.open(
            folder=self._folder,
            instance="abcdefgh",
            settings=lambda kind, name: (settings or {}).get(f"{kind}:{name}", {}),
            clock=FakeClock(),
            **more,
        )
        return [error.reason for error in found]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stage:
    """Give the means to make plugins; what was installed goes with the test."""
    return Stage(monkeypatch, tmp_path)
