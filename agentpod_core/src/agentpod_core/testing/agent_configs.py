"""Facts of the adapter contract about configs: their schema, their forms, and what became of older ones."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import jsonschema
import msgspec
import pytest
from msgspec import Struct

from agentpod_core import schema
from agentpod_core.errors import ConfigError
from agentpod_core.plugpoints.agents import AgentAdapter
from agentpod_core.testing.offers import OfferContract
from agentpod_core.testing.parts import Part, needs, overrides, to_define
from agentpod_core.values.workload import SecretRef

_WRONG: tuple[Any, ...] = (["wrong"], {"wrong": "wrong"}, "\x00 wrong", -1.5, True)


def _has_old_configs(request: pytest.FixtureRequest) -> bool:
    adapter = request.getfixturevalue("adapter")
    return overrides(adapter, AgentAdapter, "upgrade") or adapter.config_version > 1


class ConfigFacts(OfferContract):
    """What holds for configs."""

    upgrades: ClassVar[bool | None] = None

    parts: ClassVar[tuple[Part, ...]] = (
        Part(
            flag="upgrades",
            uncovered="that configs of older versions still work",
            fixtures=("old_configs",),
            shown_by=_has_old_configs,
        ),
    )

    @to_define
    def old_configs(self) -> list[tuple[int, dict[str, Any]]]:
        """Configs as older versions stored them, each with its version; at least one."""
        raise NotImplementedError

    def test_has_examples(self, configs: list[Struct]) -> None:
        """There is at least one config to try; without, every other test would pass on nothing."""
        assert configs, "`configs` must give at least one config"

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
        assert [field.path for field in described if not field.title.strip()] == []

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
            stored = stored_form(config)
            assert schema.problems(published, stored) == []
            assert schema.build(adapter.config_type, stored) == config

    def test_config_survives_a_form(self, adapter: AgentAdapter[Any], configs: list[Struct]) -> None:
        """A config that was shown in a form and sent back unchanged is the same."""
        published = schema.json_schema(adapter.config_type)
        for config in configs:
            stored = stored_form(config)
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
            stored = stored_form(config)
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
            wrong = {**stored_form(config), "no_such_field": 1}
            assert [problem.path for problem in schema.problems(published, wrong)] == ["$.no_such_field"]
            with pytest.raises(ConfigError):
                schema.build(adapter.config_type, wrong)

    def test_present_config_needs_no_upgrade(self, adapter: AgentAdapter[Any], configs: list[Struct]) -> None:
        """A config of the present version is left as it is by ``upgrade``."""
        assert adapter.config_version >= 1
        for config in configs:
            assert adapter.upgrade(adapter.config_version, stored_form(config)) == stored_form(config)

    @needs("upgrades")
    def test_old_configs_are_lifted(
        self, adapter: AgentAdapter[Any], old_configs: list[tuple[int, dict[str, Any]]]
    ) -> None:
        """A config of an older version becomes a valid one of the present, and the stored one stays as it was."""
        assert old_configs, "`old_configs` must give at least one config"
        published = schema.json_schema(adapter.config_type)
        for version, raw in old_configs:
            assert 1 <= version < adapter.config_version
            stored = copy.deepcopy(raw)
            lifted = adapter.upgrade(version, raw)
            assert schema.problems(published, lifted) == []
            assert raw == stored
            schema.build(adapter.config_type, lifted)


def stored_form(value: Struct) -> Any:
    """Give a config or a workload as it is stored."""
    return msgspec.json.decode(msgspec.json.encode(value))


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
