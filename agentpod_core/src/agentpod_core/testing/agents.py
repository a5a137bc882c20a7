"""What every agent adapter must do. Subclass ``AgentAdapterContract`` in a test module and define its fixtures.

The whole of what an author writes::

    class TestEchoAdapter(AgentAdapterContract):
        @pytest.fixture
        def adapter(self):
            return EchoAdapter()

        @pytest.fixture
        def configs(self):
            return [EchoConfig(model="sonnet", api_key=SecretRef(key="echo"))]
"""

from __future__ import annotations

import builtins
import os
import random
import socket
import time
from typing import Any, ClassVar

import jsonschema
import msgspec
import pytest
from msgspec import Struct

from agentpod_core import schema
from agentpod_core.desired import workload_problems
from agentpod_core.errors import ConfigError
from agentpod_core.host import Host
from agentpod_core.plugpoints.agents import AgentAdapter
from agentpod_core.testing.intact import IntactContract
from agentpod_core.values.names import SLUG
from agentpod_core.values.pods import Package, Pod
from agentpod_core.values.resources import Resources
from agentpod_core.values.workload import File, OnChange, SecretRef, Workload

_WRONG: tuple[Any, ...] = (["wrong"], {"wrong": "wrong"}, "\x00 wrong", -1.5, True)


def sample_pod(adapter: AgentAdapter[Any], **changes: Any) -> Pod:
    """Give a pod as AgentPod would give it to that adapter: its generated secrets, its first size."""
    size = next(iter(adapter.sizes), None)
    facts: dict[str, Any] = {
        "id": "01900000-0000-7000-8000-000000000001",
        "name": "support",
        "tenant": "acme",
        "tenant_name": "Acme Ltd",
        "host": "support-acme.example.com",
        "origins": ("https://support-acme.example.com",),
        "address": "10.214.0.2",
        "gateway": "10.214.0.1",
        "hostname": "support-acme",
        "size": size,
        "resources": adapter.sizes[size] if size else Resources(),
        "secrets": {name: SecretRef(key=f"support/{name}") for name in adapter.generated_secrets},
    }
    return Pod(**(facts | changes))


class AgentAdapterContract(IntactContract):
    """The facts that hold for every agent adapter.

    Define ``adapter`` and ``configs``; ``pod`` and ``package`` have defaults. ``is_installed``
    False is for an adapter that no entry point offers, ``has_installed_probe`` False for one whose
    probe is offered by a plugin that is not installed with the tests.
    """

    is_installed: ClassVar[bool] = True
    has_installed_probe: ClassVar[bool] = True

    @pytest.fixture
    def adapter(self) -> AgentAdapter[Any]:
        """The adapter."""
        return pytest.fail("the contract's subclass must define the fixture `adapter`")

    @pytest.fixture
    def configs(self) -> list[Struct]:
        """Configs that work, at least one; the more they differ, the more the contract finds."""
        return pytest.fail("the contract's subclass must define the fixture `configs`")

    @pytest.fixture
    def pod(self, adapter: AgentAdapter[Any]) -> Pod:
        """The pod for which workloads are rendered."""
        return sample_pod(adapter)

    @pytest.fixture
    def package(self) -> Package | None:
        """The package that the pod is made from."""
        return None

    @pytest.fixture
    def workloads(
        self, adapter: AgentAdapter[Any], configs: list[Struct], pod: Pod, package: Package | None
    ) -> list[Workload]:
        """What the adapter makes of each config."""
        return [adapter.workload(config, pod, package) for config in configs]

    def test_has_examples(self, configs: list[Struct]) -> None:
        """There is at least one config to try; without, every other test would pass on nothing."""
        assert configs, "`configs` must give at least one config"

    def test_name_is_a_slug(self, adapter: AgentAdapter[Any]) -> None:
        """It has a slug for specs and a title for people."""
        assert SLUG.fullmatch(adapter.name)
        assert adapter.title

    def test_is_offered_by_an_installed_plugin(self, adapter: AgentAdapter[Any]) -> None:
        """The host finds the adapter by its entry point."""
        if not self.is_installed:
            pytest.skip("not installed by an entry point")
        assert type(Host().agent(adapter.name)) is type(adapter)

    def test_config_type_is_strict(self, adapter: AgentAdapter[Any]) -> None:
        """A config cannot be changed in place, and a field that it does not know is an error."""
        for kind in _structs(adapter.config_type):
            assert kind.__struct_config__.frozen, f"{kind.__name__} must be frozen=True"
            assert kind.__struct_config__.forbid_unknown_fields, f"{kind.__name__} must forbid unknown fields"

    def test_schema_is_valid_and_every_field_has_a_title(self, adapter: AgentAdapter[Any]) -> None:
        """The published schema is JSON Schema 2020-12, and a form has a title for every field."""
        published = schema.json_schema(adapter.config_type)
        jsonschema.Draft202012Validator.check_schema(published)
        described = list(schema.walk(schema.fields(published)))
        assert [field.path for field in described if not field.title] == []

    def test_examples_and_defaults_are_valid(self, adapter: AgentAdapter[Any]) -> None:
        """What a form shows as an example or as default is accepted."""
        published = schema.json_schema(adapter.config_type)
        for name, field in published["properties"].items():
            alone = {**published, "properties": {name: field}, "required": []}
            shown = [*field.get("examples", ()), *([field["default"]] if "default" in field else [])]
            for value in shown:
                assert schema.problems(alone, {name: value}) == [], f"{name}: {value!r}"

    def test_config_survives_storage(self, adapter: AgentAdapter[Any], configs: list[Struct]) -> None:
        """A config that was stored as JSON and read again is the same."""
        published = schema.json_schema(adapter.config_type)
        for config in configs:
            stored = _stored(config)
            assert schema.problems(published, stored) == []
            assert schema.build(adapter.config_type, stored) == config

    def test_config_survives_a_form(self, adapter: AgentAdapter[Any], configs: list[Struct]) -> None:
        """A config that was shown in a form and sent back unchanged is the same."""
        published = schema.json_schema(adapter.config_type)
        for config in configs:
            stored = _stored(config)
            texts = schema.render(published, stored)
            plain = {path: text for path, text in texts.items() if not schema.is_secret(published, path)}
            blank = {path: text for path, text in texts.items() if path not in plain}
            accepted = schema.accept(published, texts=plain, secret_texts=blank, stored=stored)
            assert accepted.problems == []
            assert schema.build(adapter.config_type, accepted.value) == config

    def test_wrong_values_are_refused_with_their_path(self, adapter: AgentAdapter[Any], configs: list[Struct]) -> None:
        """Every field refuses some wrong value, and the problem names the field."""
        published = schema.json_schema(adapter.config_type)
        for config in configs:
            stored = _stored(config)
            for field in schema.fields(published):
                if field.kind in {schema.Kind.JSON, schema.Kind.TEXT}:
                    continue
                found = [schema.problems(published, {**stored, field.name: wrong}) for wrong in _WRONG]
                assert any(found), f"{field.path} takes anything"
                assert all(problem.path.startswith(f"$.{field.name}") for some in found for problem in some)

    def test_unknown_fields_are_refused_with_their_path(
        self, adapter: AgentAdapter[Any], configs: list[Struct]
    ) -> None:
        """A field that does not exist is refused by name, with the schema and without."""
        published = schema.json_schema(adapter.config_type)
        for config in configs:
            wrong = {**_stored(config), "no_such_field": 1}
            assert [problem.path for problem in schema.problems(published, wrong)] == ["$.no_such_field"]
            with pytest.raises(ConfigError):
                schema.build(adapter.config_type, wrong)

    def test_present_config_needs_no_upgrade(self, adapter: AgentAdapter[Any], configs: list[Struct]) -> None:
        """A config of the present version is left as it is by ``upgrade``."""
        assert adapter.config_version >= 1
        for config in configs:
            assert adapter.upgrade(adapter.config_version, _stored(config)) == _stored(config)

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
        copies = [schema.build(adapter.config_type, _stored(config)) for config in configs]
        with monkeypatch.context() as patch:
            for module, name in _FORBIDDEN:
                patch.setattr(module, name, _forbidden(name))
            again = [adapter.workload(config, pod, package) for config in copies]
        assert again == first
        assert copies == configs

    def test_workload_names_only_known_secrets(
        self, configs: list[Struct], pod: Pod, workloads: list[Workload]
    ) -> None:
        """A workload refers to the config's and the pod's secrets and to no others."""
        for config, workload in zip(configs, workloads, strict=True):
            known = set(_references(_stored(config))) | set(pod.secrets.values())
            assert set(_references(_stored(workload))) <= known

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

    def test_recipe_builds_the_image_of_the_workload(
        self, adapter: AgentAdapter[Any], workloads: list[Workload]
    ) -> None:
        """What the recipe builds is what the workloads run."""
        recipe = adapter.recipe()
        if recipe is not None:
            assert {workload.image for workload in workloads} == {recipe.image}

    def test_probe_is_named_and_bounded(self, workloads: list[Workload]) -> None:
        """A probe is one that some plugin offers, and every time of it is positive."""
        for workload in workloads:
            probe = workload.probe
            if probe is None:
                continue
            assert SLUG.fullmatch(probe.probe)
            times = (probe.interval, probe.start_interval, probe.timeout, probe.start_deadline, probe.failures)
            assert min(times) > 0
            if self.has_installed_probe:
                assert probe.probe in Host().names("probe"), "install the plugin that offers this probe"

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

    def test_merging_what_is_there_changes_nothing(self, adapter: AgentAdapter[Any], workloads: list[Workload]) -> None:
        """A file that the agent left as it was written is no drift, and merging twice is merging once."""
        for file in (file for workload in workloads for file in workload.files if _is_merged(file)):
            wanted = "".join(part for part in file.parts if isinstance(part, str)).encode()
            merged = adapter.merge(file, wanted, wanted)
            assert merged == wanted
            assert adapter.merge(file, merged, wanted) == merged


_FORBIDDEN: tuple[tuple[Any, str], ...] = (
    (builtins, "open"),
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


def _is_merged(file: File) -> bool:
    return file.on_change is OnChange.MERGED and not any(isinstance(part, SecretRef) for part in file.parts)


def _stored(value: Struct) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def _references(value: Any) -> list[SecretRef]:
    if isinstance(value, dict):
        if value.keys() == {"key", "store", "version"}:
            return [msgspec.convert(value, SecretRef)]
        return [ref for item in value.values() for ref in _references(item)]
    return [ref for item in value for ref in _references(item)] if isinstance(value, list) else []


def _structs(kind: type[Struct]) -> list[type[Struct]]:
    """List a Struct and every Struct below it, references to secrets left out."""
    found: dict[type[Struct], None] = {}

    def visit(one: msgspec.inspect.Type) -> None:
        if isinstance(one, msgspec.inspect.StructType):
            if one.cls in found or one.cls is SecretRef:
                return
            found[one.cls] = None
            for field in one.fields:
                visit(field.type)
            return
        for name in ("type", "item_type", "value_type"):
            inner = getattr(one, name, None)
            if isinstance(inner, msgspec.inspect.Type):
                visit(inner)
        for name in ("types", "item_types"):
            for inner in getattr(one, name, ()):
                visit(inner)

    visit(msgspec.inspect.type_info(kind))
    return list(found)
