"""The published schema and the fields made of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import jsonschema
import msgspec
import pytest
from msgspec import Meta, Struct

from agentpod_core import schema
from agentpod_core.errors import PluginError
from agentpod_core.schema import Kind
from agentpod_core.values.workload import SecretRef

STRICT = {"frozen": True, "kw_only": True, "forbid_unknown_fields": True}


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"
    AMBER = "amber"


class Telegram(Struct, tag="telegram", tag_field="kind", **STRICT):
    """Talks on Telegram."""

    token: Annotated[SecretRef, Meta(title="Bot token")]


class WebChat(Struct, tag="web", tag_field="kind", **STRICT):
    greeting: str = "Hello"


class Limits(Struct, **STRICT):
    """How much it may do."""

    per_day: Annotated[int, Meta(ge=1, le=1000)] = 10


class Config(Struct, **STRICT):
    """What an operator fills in.

    And why.
    """

    model: Annotated[str, Meta(title="Model", description="Which one.", examples=["sonnet"])]
    api_key: SecretRef
    backup_key: Annotated[SecretRef | None, Meta(title="Spare key", description="If the first fails.")] = None
    color: Color = Color.BLUE
    tone: Literal["warm", "dry", "cold"] | None = None
    channel: Telegram | WebChat
    more: tuple[Telegram | WebChat, ...] = ()
    limits: Limits = Limits()
    tags: list[str] = []
    env: dict[str, SecretRef] = {}
    ratio: Annotated[float, Meta(gt=0, lt=1)] | None = None
    raw: dict[str, Any] = {}
    bot: Annotated[str, Meta(extra_json_schema={"x-agentpod-channel": "telegram"})] = ""


PUBLISHED = schema.json_schema(Config)
SECRET = {"type": "string", "writeOnly": True, "format": "password", "x-agentpod-secret": True}


def test_schema_is_valid_and_stands_alone():
    """It is JSON Schema 2020-12 with every reference in its place."""
    jsonschema.Draft202012Validator.check_schema(PUBLISHED)
    assert PUBLISHED["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "$ref" not in msgspec.json.encode(PUBLISHED).decode()
    assert PUBLISHED["type"] == "object"
    assert PUBLISHED["additionalProperties"] is False


def test_fields_keep_their_order():
    """A form shows the fields as the author wrote them."""
    assert list(PUBLISHED["properties"]) == list(Config.__struct_fields__)


def test_docstring_is_dedented():
    """The class's docstring is the form's introduction."""
    assert PUBLISHED["description"] == "What an operator fills in.\n\nAnd why."


def test_secret_reads_as_a_secret_text():
    """A user types a secret; the reference behind it is not published."""
    assert PUBLISHED["properties"]["api_key"] == {"title": "API key", **SECRET}
    assert PUBLISHED["properties"]["channel"]["oneOf"][0]["properties"]["token"] == {"title": "Bot token", **SECRET}
    assert PUBLISHED["properties"]["env"]["additionalProperties"] == SECRET
    assert "SecretRef" not in msgspec.json.encode(PUBLISHED).decode()


def test_optional_secret_keeps_title_and_description():
    """A secret that may be missing is a secret all the same."""
    assert PUBLISHED["properties"]["backup_key"] == {
        **SECRET,
        "type": ["string", "null"],
        "title": "Spare key",
        "description": "If the first fails.",
        "default": None,
    }


def test_tagged_union_says_one_of():
    """Variants are told apart by their tag, wherever they stand."""
    for node in (PUBLISHED["properties"]["channel"], PUBLISHED["properties"]["more"]["items"]):
        assert node["discriminator"] == {"propertyName": "kind"}
        assert [option["title"] for option in node["oneOf"]] == ["Telegram", "Web chat"]


def test_choices_have_a_type_and_keep_their_order():
    """A choice is offered as it was declared, not by the alphabet."""
    assert PUBLISHED["properties"]["color"]["enum"] == ["red", "blue", "amber"]
    assert PUBLISHED["properties"]["color"]["type"] == "string"
    tone = PUBLISHED["properties"]["tone"]
    assert (tone["enum"], tone["type"]) == (["warm", "dry", "cold", None], ["string", "null"])


def test_optional_value_keeps_its_type_and_limits():
    """``X | None`` is X that may be null, not a choice between two shapes."""
    ratio = PUBLISHED["properties"]["ratio"]
    assert ratio["type"] == ["number", "null"]
    assert (ratio["exclusiveMinimum"], ratio["exclusiveMaximum"]) == (0, 1)


def test_field_has_a_title_of_its_own():
    """A title comes from the field, by its Meta or its name, never from the class it refers to."""
    titles = {name: node["title"] for name, node in PUBLISHED["properties"].items()}
    assert titles["model"] == "Model"
    assert titles["limits"] == "Limits"
    assert titles["backup_key"] == "Spare key"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("api_key", "API key"),
        ("max_tokens", "Max tokens"),
        ("baseURL", "Base URL"),
        ("WebChat", "Web chat"),
        ("x", "X"),
        ("_", "_"),
    ],
)
def test_title_is_made_of_the_name(name, title):
    """Names are written as people write them."""
    assert schema.humanise(name) == title


def test_marks_of_the_author_stay():
    """What an author puts into the schema is published."""
    assert PUBLISHED["properties"]["bot"]["x-agentpod-channel"] == "telegram"


def test_each_call_gives_a_schema_of_its_own():
    """Changing what one caller got changes nothing for the next, nor for the type."""
    changed = schema.json_schema(Config)
    changed["properties"]["tags"]["default"].append("spoiled")
    assert schema.json_schema(Config) == PUBLISHED
    assert (
        Config.__struct_defaults__[Config.__struct_fields__.index("tags") - len(Config.__struct_fields__)] is not None
    )


def test_secret_that_may_be_something_else_is_refused():
    """A text of which nobody knows whether it is a secret cannot be kept safely."""

    class Vague(Struct, **STRICT):
        value: str | SecretRef

    with pytest.raises(PluginError) as caught:
        schema.json_schema(Vague)
    assert caught.value.reason == "UnusableConfigType"


def test_type_that_json_cannot_say_is_refused():
    """What no form can show is the plugin's error, with the reason."""

    class Odd(Struct, **STRICT):
        value: object

    with pytest.raises(PluginError) as caught:
        schema.json_schema(Odd)
    assert caught.value.params["type"] == "Odd"


class Tree(Struct, **STRICT):
    label: str
    key: SecretRef | None = None
    kids: tuple[Tree, ...] = ()


def test_type_that_contains_itself_is_published():
    """A recursive type keeps one reference, and its fields end somewhere."""
    published = schema.json_schema(Tree)
    jsonschema.Draft202012Validator.check_schema(published)
    value = {"label": "a", "kids": [{"label": "b", "kids": [{"label": 1}]}]}
    assert [one.path for one in schema.problems(published, value)] == ["$.kids[0].kids[0].label"]
    assert [field.path for field in schema.walk(schema.fields(published))][-1] == "kids.*.kids.*"


def test_secrets_of_a_type_that_contains_itself_are_found_at_any_depth():
    """A secret deep down in a recursive value is taken out like any other."""
    published = schema.json_schema(Tree)
    value = {"label": "a", "key": "one", "kids": [{"label": "b", "kids": [{"label": "c", "key": "two"}]}]}
    rest, taken = schema.split_secrets(published, value)
    assert taken == {"key": "one", "kids.0.kids.0.key": "two"}
    assert "two" not in str(rest)
    assert schema.is_secret(published, "kids.0.kids.0.key")


def fields():
    """Give every field by its path."""
    return {field.path: field for field in schema.walk(schema.fields(PUBLISHED))}


def test_fields_say_what_a_form_needs():
    """Kind, title, limits, choices and default of every field, nested ones included."""
    described = fields()
    assert {path: field.kind for path, field in described.items()} == {
        "model": Kind.TEXT,
        "api_key": Kind.SECRET,
        "backup_key": Kind.SECRET,
        "color": Kind.CHOICE,
        "tone": Kind.CHOICE,
        "channel": Kind.VARIANTS,
        "channel.token": Kind.SECRET,
        "channel.greeting": Kind.TEXT,
        "more": Kind.LIST,
        "more.*": Kind.VARIANTS,
        "more.*.token": Kind.SECRET,
        "more.*.greeting": Kind.TEXT,
        "limits": Kind.OBJECT,
        "limits.per_day": Kind.INTEGER,
        "tags": Kind.LIST,
        "tags.*": Kind.TEXT,
        "env": Kind.MAP,
        "env.*": Kind.SECRET,
        "ratio": Kind.NUMBER,
        "raw": Kind.JSON,
        "bot": Kind.TEXT,
    }
    assert [path for path, field in described.items() if field.is_required and "*" not in path] == [
        "model",
        "api_key",
        "channel",
        "channel.token",
    ]
    assert described["model"].examples == ("sonnet",)
    assert (described["limits.per_day"].minimum, described["limits.per_day"].maximum) == (1, 1000)
    assert (described["color"].choices, described["color"].default) == (("red", "blue", "amber"), "blue")
    assert (described["tone"].choices, described["tone"].is_nullable) == (("warm", "dry", "cold"), True)
    assert described["bot"].extra == {"x-agentpod-channel": "telegram"}
    assert described["more.*"].title == "More"


def test_variants_carry_tag_title_and_fields():
    """A form can offer the variants and show the fields of the chosen one."""
    channel = fields()["channel"]
    assert channel.tag == "kind"
    assert [(one.tag, one.title, one.description) for one in channel.variants] == [
        ("telegram", "Telegram", "Talks on Telegram."),
        ("web", "Web chat", ""),
    ]
    assert [field.name for field in channel.variants[0].fields] == ["token"]


def test_default_tells_null_from_absent():
    """No default and a default of null are two things."""
    described = fields()
    assert (described["tone"].has_default, described["tone"].default) == (True, None)
    assert (described["model"].has_default, described["model"].default) == (False, None)


class Hidden(Struct):
    field: NoSuchType = 1  # type: ignore[name-defined] # noqa: F821 - what an import for type checkers only leaves


def test_config_type_with_names_that_cannot_be_found_is_told():
    """An annotation that only a type checker could resolve is the plugin's error, not one of the server."""
    with pytest.raises(PluginError) as caught:
        schema.json_schema(Hidden)
    assert caught.value.reason == "UnusableConfigType"
    assert "NoSuchType" in caught.value.params["message"]
