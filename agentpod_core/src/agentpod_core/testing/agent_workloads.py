"""Facts of the adapter contract about workloads, and about what an adapter knows of containers and their files."""

from __future__ import annotations

import builtins
import io
import os
import random
import re
import socket
import time
from typing import Any, ClassVar

import msgspec
import pytest
from msgspec import Struct

from agentpod_core import schema
from agentpod_core.desired import workload_problems
from agentpod_core.host import Host
from agentpod_core.plugpoints.agents import AgentAdapter
from agentpod_core.testing.agent_configs import stored_form
from agentpod_core.testing.offers import OfferContract
from agentpod_core.testing.parts import Part, needs, overrides
from agentpod_core.values.names import SLUG
from agentpod_core.values.pods import Package, Pod
from agentpod_core.values.workload import File, OnChange, SecretRef, Workload

REASON = re.compile(r"[A-Z][A-Za-z0-9]*")


def _merges(request: pytest.FixtureRequest) -> bool:
    files = (file for workload in request.getfixturevalue("workloads") for file in workload.files)
    return overrides(request.getfixturevalue("adapter"), AgentAdapter, "merge") or any(map(_is_merged, files))


def _has_installed_probe(request: pytest.FixtureRequest) -> bool:
    probes = {workload.probe.probe for workload in request.getfixturevalue("workloads") if workload.probe}
    return bool(probes) and probes <= set(request.getfixturevalue("host").names("probe"))


class WorkloadFacts(OfferContract):
    """What holds for workloads."""

    has_installed_probe: ClassVar[bool] = True
    merges: ClassVar[bool | None] = None
    recognises: ClassVar[bool | None] = None
    repairs: ClassVar[bool | None] = None
    has_recipe: ClassVar[bool | None] = None

    parts: ClassVar[tuple[Part, ...]] = (
        Part(
            flag="has_installed_probe",
            uncovered="that some plugin offers the probe that workloads name",
            shown_by=_has_installed_probe,
        ),
        Part(flag="merges", uncovered="what becomes of files that the agent rewrites", shown_by=_merges),
        Part(
            flag="recognises",
            uncovered="that it tells its own containers from others",
            shown_by=lambda request: overrides(request.getfixturevalue("adapter"), AgentAdapter, "recognise"),
        ),
        Part(
            flag="repairs",
            uncovered="what it says about exit codes",
            shown_by=lambda request: overrides(request.getfixturevalue("adapter"), AgentAdapter, "repair"),
        ),
        Part(
            flag="has_recipe",
            uncovered="that its image can be built",
            shown_by=lambda request: overrides(request.getfixturevalue("adapter"), AgentAdapter, "recipe"),
        ),
    )

    def test_workload_is_pure(
        self,
        adapter: AgentAdapter[Any],
        configs: list[Struct],
        pod: Pod,
        package: Package | None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The same config gives the same workload, without network, files, clock or chance."""
        first = [adapter.workload(config, pod, package) for config in configs]
        copies = [schema.build(adapter.config_type, stored_form(config)) for config in configs]
        before = [stored_form(config) for config in copies]
        with monkeypatch.context() as patch:
            for module, name in _FORBIDDEN:
                patch.setattr(module, name, _forbidden(name))
            again = [adapter.workload(config, pod, package) for config in copies]
        assert again == first
        assert [stored_form(config) for config in copies] == before

    def test_workload_names_only_known_secrets(
        self, configs: list[Struct], pod: Pod, workloads: list[Workload]
    ) -> None:
        """A workload refers to the config's and the pod's secrets and to no others."""
        for config, workload in zip(configs, workloads, strict=True):
            known = set(_references(stored_form(config))) | set(pod.secrets.values())
            assert set(_references(stored_form(workload))) <= known

    def test_secrets_stay_references(self, workloads: list[Workload]) -> None:
        """A secret is a part of its own; written into a text, the agent would read the reference and not the value."""
        for workload in workloads:
            assert "SecretRef(" not in msgspec.json.encode(workload).decode(), "give the SecretRef itself as a part"

    def test_workload_fits_together(self, workloads: list[Workload]) -> None:
        """Names are unique, files lie in volumes, secret files in theirs, and the routed port exists."""
        for workload in workloads:
            assert [f"{problem.path}: {problem.message}" for problem in workload_problems(workload)] == []
            assert all(volume.path.startswith("/") and SLUG.fullmatch(volume.name) for volume in workload.volumes)
            assert all(0 < port.number < 65536 for port in workload.ports)
            assert workload.stop_timeout >= 0

    def test_image_is_pinned(self, workloads: list[Workload]) -> None:
        """The image has a digest or a tag that says which one it is."""
        for workload in workloads:
            tag = workload.image.rpartition("/")[2].partition(":")[2]
            assert "@sha256:" in workload.image or tag not in {"", "latest"}, workload.image

    @needs("has_recipe")
    def test_recipe_builds_the_image_of_the_workload(
        self, adapter: AgentAdapter[Any], workloads: list[Workload]
    ) -> None:
        """What the recipe builds is what the workloads run."""
        recipe = adapter.recipe()
        assert recipe is not None
        assert [workload.image for workload in workloads if workload.image != recipe.image] == []

    def test_probe_is_named(self, workloads: list[Workload]) -> None:
        """A probe has the name of one."""
        for probe in (workload.probe for workload in workloads if workload.probe):
            assert SLUG.fullmatch(probe.probe)

    @needs("has_installed_probe")
    def test_probe_is_installed(self, workloads: list[Workload], host: Host) -> None:
        """The probe is one that some plugin offers: without it a pod would never be ready."""
        for probe in (workload.probe for workload in workloads if workload.probe):
            assert probe.probe in host.names("probe"), "install the plugin that offers this probe"

    def test_secrets_and_sizes_make_sense(self, adapter: AgentAdapter[Any]) -> None:
        """The credential is one of the generated secrets, and every size has room for an idle agent."""
        assert all(SLUG.fullmatch(name) for name in (*adapter.generated_secrets, *adapter.sizes))
        assert adapter.credential is None or adapter.credential in adapter.generated_secrets
        for name, size in adapter.sizes.items():
            assert size.memory is None or size.memory >= adapter.request, f"size {name} is too small"

    def test_permanent_exits_are_explained(self, adapter: AgentAdapter[Any], workloads: list[Workload]) -> None:
        """Who says that no restart mends an exit code also says what does."""
        for code in {code for workload in workloads for code in workload.permanent_exits}:
            assert adapter.repair(code) is not None, f"exit code {code} has no repair"

    @needs("repairs")
    def test_repairs_are_for_failures_and_give_reasons(self, adapter: AgentAdapter[Any]) -> None:
        """Some exit codes have a repair with a reason that can be looked up; a clean end has none."""
        repairs = [repair for code in range(256) if (repair := adapter.repair(code))]
        assert repairs
        assert adapter.repair(0) is None
        assert [repair.reason for repair in repairs if not REASON.fullmatch(repair.reason)] == []
        assert [repair for repair in repairs if repair.command == ()] == []

    @needs("recognises")
    def test_recognises_its_own_containers_only(self, adapter: AgentAdapter[Any], workloads: list[Workload]) -> None:
        """A container with a workload of its own is recognised, somebody else's is not."""
        for workload in workloads:
            env = {name: value if isinstance(value, str) else "" for name, value in workload.env.items()}
            assert adapter.recognise(workload.image, workload.command or (), env) is True
        assert adapter.recognise("debian:13", ("sleep", "infinity"), {"PATH": "/usr/bin"}) is False

    @needs("merges")
    def test_merging_what_is_there_changes_nothing(self, adapter: AgentAdapter[Any], workloads: list[Workload]) -> None:
        """A file that the agent left as it was written is no drift."""
        for file, wanted in _merged_files(workloads):
            assert adapter.merge(file, wanted, wanted) == wanted

    @needs("merges")
    def test_merging_twice_is_merging_once(self, adapter: AgentAdapter[Any], workloads: list[Workload]) -> None:
        """Whatever the agent made of a file, emptied, cut or garbled, a merge settles it for good."""
        for file, wanted in _merged_files(workloads):
            for current in (b"", b"\xff\x00 garbled", wanted[: len(wanted) // 2], wanted + wanted, b"{}", b"[]"):
                merged = adapter.merge(file, current, wanted)
                assert adapter.merge(file, merged, wanted) == merged, current


_FORBIDDEN: tuple[tuple[Any, str], ...] = (
    (builtins, "open"),
    (io, "open"),
    (socket, "socket"),
    (time, "time"),
    (time, "monotonic"),
    (os, "urandom"),
    (random, "random"),
)


def _forbidden(name: str) -> Any:
    def refuse(*_: object, **__: object) -> Any:
        msg = f"workload() must be pure, and called {name}()"
        raise AssertionError(msg)

    return refuse


def _merged_files(workloads: list[Workload]) -> list[tuple[File, bytes]]:
    files = [file for workload in workloads for file in workload.files if _is_merged(file)]
    assert files or not workloads, "none of `configs` gives a file that is merged"
    texts = ("".join(part if isinstance(part, str) else "a-secret" for part in file.parts) for file in files)
    return [(file, text.encode()) for file, text in zip(files, texts, strict=True)]


def _is_merged(file: File) -> bool:
    return file.on_change is OnChange.MERGED


def _references(value: Any) -> list[SecretRef]:
    if isinstance(value, dict):
        if value.keys() == {"key", "store", "version"}:
            return [msgspec.convert(value, SecretRef)]
        return [ref for item in value.values() for ref in _references(item)]
    return [ref for item in value for ref in _references(item)] if isinstance(value, list) else []
