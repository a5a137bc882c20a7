"""Values on their way in: texts, problems, and the config that comes of them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from agent_config import GOOD, HUNTER, PUBLISHED, REF, STORED, STRICT, Config, tokens
from msgspec import Meta, Struct, field

from agentpod_core import schema
from agentpod_core.errors import ConfigError
from agentpod_core.schema import paths
from agentpod_core.values.workload import SecretRef


def read(**flat):
    """Read texts; two underscores stand for a dot."""
    return schema.coerce(PUBLISHED, {path.replace("__", "."): text for path, text in flat.items()})


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("model", "sonnet", "sonnet"),
        ("model", " 5 ", " 5 "),
        ("model", "", ""),
        ("workers", " 7 ", 7),
        ("workers", "-3", -3),
        ("ratio", "0.5", 0.5),
        ("ratio", "1e3", 1000.0),
        ("ratio", "", None),
        ("is_loud", "Yes", True),
        ("is_loud", "off", False),
        ("is_loud", "1", True),
        ("level", "high", "high"),
        ("level", "middling", "middling"),
        ("retries", "2", 2),
        ("tags", "a, b ,c", ["a", "b", "c"]),
        ("tags", "a,b\nc", ["a,b", "c"]),
        ("tags", '["a, b", ""]', ["a, b", ""]),
        ("tags", "[]", []),
        ("env", '{"A": "1"}', {"A": "1"}),
        ("raw", '{"a": [1, null]}', {"a": [1, None]}),
        ("either", "5", 5),
        ("either", "five", "five"),
        ("either", "true", "true"),
        ("either", '"5"', "5"),
        ("pair", '[1, "a"]', [1, "a"]),
        ("nickname", "", None),
        ("api_key", "", {"$secret": True}),
        ("channels", '[{"kind": "web"}]', [{"kind": "web"}]),
    ],
)
def test_text_is_read_as_its_field_says(path, text, value):
    """One raw text becomes the JSON value that the schema asks for."""
    assert schema.coerce(PUBLISHED, {path: text}) == ({path: value}, [])


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("workers", "many", "NotReadable"),
        ("workers", "1.5", "NotReadable"),
        ("workers", "9" * 5000, "NotReadable"),
        ("ratio", "nan", "NotReadable"),
        ("ratio", "1e999", "NotReadable"),
        ("is_loud", "maybe", "NotReadable"),
        ("tags", "[1", "NotReadable"),
        ("env", "A=1", "NotReadable"),
        ("env", "[1]", "NotReadable"),
        ("raw", "[" * 100_000, "NotReadable"),
        ("channels", "web", "NotReadable"),
        ("pair", "1, a", "NotReadable"),
        ("modle", "x", "UnknownField"),
        ("model.name", "x", "NoFieldsBelow"),
        ("workers.0", "1", "NoFieldsBelow"),
        ("raw." + "a." * 3000 + "a", "1", "TooDeep"),
        ("raw", "[" * 900 + "]" * 900, "NotReadable"),
        ("channels.x", "1", "InvalidIndex"),
        ("channels.1.kind", "web", "InvalidIndex"),
        ("channels.0.greeting", "Hi", "MissingField"),
        ("channels.0.kind", "irc", "WrongVariant"),
        ("", "x", "UnknownField"),
    ],
)
def test_text_that_cannot_be_read_is_a_problem(path, text, reason):
    """What makes no sense is refused by its place and never repeated."""
    value, (problem,) = schema.coerce(PUBLISHED, {path: text})
    assert problem.reason == reason
    assert value in ({}, {"channels": []})
    assert len(text) < 4 or text not in problem.message or text in path


def test_blank_text_leaves_a_field_to_its_default():
    """An empty number, switch or list of a form is as if it had not been sent."""
    assert read(workers="", is_loud=" ", tags="", env="", channels="") == ({}, [])


def test_unknown_path_names_the_nearest_fields():
    """A typing error is met with what was probably meant."""
    _, (problem,) = read(modle="x")
    assert (problem.path, problem.params) == ("$.modle", {"field": "modle", "nearest": ["model"]})


def test_items_of_a_list_are_laid_by_position():
    """A form names each item and its fields; empty items vanish."""
    flat = {
        "channels.0.kind": "web",
        "channels.0.port": "8080",
        "channels.1.kind": "telegram",
        "channels.1.token": "t",
        "channels.1.chats": "1, 2",
        "channels.10.kind": "web",
        "tags.1": "b",
        "tags.0": "a",
    }
    _, (problem,) = schema.coerce(PUBLISHED, flat)
    assert problem.reason == "InvalidIndex"
    del flat["channels.10.kind"]
    assert schema.coerce(PUBLISHED, flat) == (
        {
            "channels": [
                {"kind": "web", "port": 8080},
                {"kind": "telegram", "token": "t", "chats": [1, 2]},
            ],
            "tags": ["a", "b"],
        },
        [],
    )


def test_keys_of_a_map_may_hold_dots():
    """A key of a map of plain values needs no escape."""
    assert schema.coerce(PUBLISHED, {"env.A.B": "1", r"env.C\.D": "2"}) == ({"env": {"A.B": "1", "C.D": "2"}}, [])


def test_free_json_can_be_set_by_path():
    """Where anything goes, a path makes its own objects."""
    assert schema.coerce(PUBLISHED, {"raw.gateway.port": "1", "raw.gateway.name": "x"}) == (
        {"raw": {"gateway": {"port": 1, "name": "x"}}},
        [],
    )


def test_path_given_as_a_whole_and_in_parts_is_refused():
    """Two texts that contradict each other are no guess of ours."""
    for flat in ({"env": "{}", "env.A": "1"}, {"env.A": "1", "env": "{}"}):
        assert [problem.reason for problem in schema.coerce(PUBLISHED, flat)[1]] == ["PathTakenTwice"]


def test_texts_are_laid_onto_what_is_there():
    """A change in part leaves the rest, and the given value itself, as they were."""
    old = {"model": "a", "workers": 3, "channels": [{"kind": "web", "port": 1}, {"kind": "telegram", "token": REF}]}
    copy = msgspec.json.decode(msgspec.json.encode(old))
    flat = {"workers": "", "channels.0.port": "2", "channels.1.chats": "5", "channels.2.kind": "web"}
    value, problems = schema.coerce(PUBLISHED, flat, old)
    assert problems == []
    assert value == {
        "model": "a",
        "channels": [
            {"kind": "web", "port": 2},
            {"kind": "telegram", "token": REF, "chats": [5]},
            {"kind": "web"},
        ],
    }
    assert old == copy


def test_another_variant_starts_afresh():
    """Nothing of a telegram channel stays in the web chat that takes its place."""
    old = {"channels": [{"kind": "telegram", "token": REF}]}
    value, _ = schema.coerce(PUBLISHED, {"channels.0.kind": "web"}, old)
    assert value == {"channels": [{"kind": "web"}]}


def test_good_value_has_no_problems():
    """Secrets may be texts or references."""
    assert schema.problems(PUBLISHED, GOOD) == []
    with_refs = {**GOOD, "api_key": REF, "keys": {"A": SecretRef(key="k")}}
    assert schema.problems(PUBLISHED, with_refs) == []


def test_reference_from_a_user_is_refused():
    """Nobody outside can point a config at a stored secret."""
    (problem,) = schema.problems(PUBLISHED, {"model": "m", "api_key": REF}, allow_refs=False)
    assert (problem.path, problem.reason) == ("$.api_key", "InvalidType")


def test_all_problems_come_at_once_with_their_places():
    """Nothing wrong hides anything else that is wrong."""
    wrong = {
        "workers": 17,
        "ratio": "half",
        "is_loud": 1,
        "level": "middling",
        "retries": "1",
        "tags": ["a", 2],
        "channels": [{"kind": "telegram"}, {"kind": "irc"}, {"port": 1}, {"kind": "web", "port": 0, "x": 1}, 5],
        "env": {"A": 1, "b c": None},
        "either": [],
        "pair": [1],
        "nickname": 3,
        "modle": "m",
    }
    assert {(one.path, one.reason) for one in schema.problems(PUBLISHED, wrong)} == {
        ("$.model", "MissingField"),
        ("$.workers", "TooLarge"),
        ("$.ratio", "InvalidType"),
        ("$.is_loud", "InvalidType"),
        ("$.level", "NotAChoice"),
        ("$.retries", "NotAChoice"),
        ("$.tags[1]", "InvalidType"),
        ("$.channels[0].token", "MissingField"),
        ("$.channels[1].kind", "WrongVariant"),
        ("$.channels[2].kind", "MissingField"),
        ("$.channels[3].port", "TooSmall"),
        ("$.channels[3].x", "UnknownField"),
        ("$.channels[4]", "InvalidType"),
        ("$.env.A", "InvalidType"),
        ("$.env['b c']", "InvalidType"),
        ("$.either", "InvalidType"),
        ("$.pair", "TooFew"),
        ("$.nickname", "InvalidType"),
        ("$.modle", "UnknownField"),
    }


def test_value_that_is_no_object_is_one_problem():
    """A list in place of a config is told so."""
    (problem,) = schema.problems(PUBLISHED, [GOOD])
    assert (problem.path, problem.reason) == ("$", "InvalidType")


def test_number_with_a_point_is_no_integer():
    """1.0 is refused where an integer is wanted, as the config type refuses it."""
    assert [one.path for one in schema.problems(PUBLISHED, {"model": "m", "workers": 2.0})] == ["$.workers"]


class Odd(Struct, **STRICT):
    slug: Annotated[str, Meta(pattern="^[a-z]+$", min_length=2, max_length=4)] = "ab"
    id: UUID | None = None
    blob: bytes = b""
    evil: Annotated[str, Meta(pattern="^(a|a)*$")] = ""
    step: Annotated[int, Meta(multiple_of=5)] = 5
    many: Annotated[list[int], Meta(min_length=1, max_length=2)] = field(default_factory=lambda: [1])
    once: set[int] = set()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"slug": "A!"}, ("$.slug", "PatternMismatch")),
        ({"slug": "a"}, ("$.slug", "TooShort")),
        ({"slug": "abcde"}, ("$.slug", "TooLong")),
        ({"id": "nope"}, ("$.id", "NotReadable")),
        ({"blob": "%%"}, ("$.blob", "NotReadable")),
        ({"step": 7}, ("$.step", "NotMultiple")),
        ({"many": []}, ("$.many", "TooFew")),
        ({"many": [1, 2, 3]}, ("$.many", "TooMany")),
        ({"once": [1, 1]}, ("$.once", "NotUnique")),
    ],
)
def test_limit_has_a_reason_of_its_own(value, expected):
    """Every keyword of the schema is told in words that fit it."""
    assert [(one.path, one.reason) for one in schema.problems(schema.json_schema(Odd), value)] == [expected]


def test_pattern_that_takes_for_ever_is_cut_short():
    """A pattern that explodes costs a moment, not the server."""
    (problem,) = schema.problems(schema.json_schema(Odd), {"evil": "a" * 40 + "!"})
    assert problem.reason in {"CannotBeChecked", "PatternMismatch"}
    slow = {"type": "array", "items": {"type": "string", "pattern": r"^(\w+\s?)*\1$"}}
    found = schema.problems(slow, ["a" * 5000 + "!"] * 50)
    assert {one.reason for one in found} <= {"CannotBeChecked", "PatternMismatch"}
    assert len(found) == 50


def test_pattern_that_only_ecma_knows_is_no_crash():
    """A pattern of another dialect that cannot be compiled is said to be uncheckable."""
    (problem,) = schema.problems({"type": "string", "pattern": "(?<"}, "x")
    assert problem.reason == "CannotBeChecked"


def test_problem_never_repeats_a_value():
    """A secret that was put in the wrong place shows in no problem."""
    for name, child in PUBLISHED["properties"].items():
        for wrong in (HUNTER, [HUNTER], {HUNTER: 1} if "additionalProperties" not in child else {"A": [HUNTER]}):
            for problem in schema.problems(PUBLISHED, {"model": "m", name: wrong}):
                if problem.reason != "UnknownField":
                    assert HUNTER not in str(problem)
    _, problems = schema.coerce(PUBLISHED, {"workers": HUNTER, "ratio": HUNTER, "is_loud": HUNTER})
    assert HUNTER not in str(problems)


def test_config_is_built_of_references():
    """The adapter gets its own type."""
    config = schema.build(Config, {"model": "m", "api_key": REF, "pair": [1, "a"]})
    assert config == Config(model="m", api_key=SecretRef(key="k", version=3), pair=(1, "a"))


def test_config_that_cannot_be_built_says_all():
    """The error has every problem, as ``problems`` finds them."""
    with pytest.raises(ConfigError) as caught:
        schema.build(Config, {"workers": 0, "level": 5})
    assert {one.path for one in caught.value.problems} == {"$.model", "$.workers", "$.level"}


def test_words_of_the_types_own_check_are_kept():
    """What only ``__post_init__`` knows reaches the user."""
    with pytest.raises(ConfigError) as caught:
        schema.build(Config, {"model": "forbidden"})
    (problem,) = caught.value.problems
    assert (problem.path, problem.reason, problem.message) == ("$", "NotAccepted", "this model is not for sale")


def test_everything_a_user_sends_is_taken_together():
    """JSON, texts and secrets make one value, its secrets apart."""
    accepted = schema.accept(
        PUBLISHED,
        {"model": "m", "channels": [{"kind": "telegram", "token": "t"}]},
        texts={"workers": "4", "channels.0.chats": "1,2"},
        secret_texts={"api_key": HUNTER, "keys.A": "a"},
    )
    assert accepted.problems == []
    assert accepted.value == {
        "model": "m",
        "workers": 4,
        "channels": [{"kind": "telegram", "chats": [1, 2]}],
        "keys": {},
    }
    assert accepted.secrets == {"api_key": HUNTER, "channels.0.token": "t", "keys.A": "a"}
    assert HUNTER not in repr(accepted)


def test_everything_wrong_with_what_a_user_sends_is_said_once():
    """Each mistake has one problem, whichever way it came in."""
    accepted = schema.accept(
        PUBLISHED,
        {"workers": 99, "keys": {"A": REF}},
        texts={"api_key": HUNTER, "ratio": "half", "channels": '[{"kind": "telegram", "token": "smuggled"}]'},
        secret_texts={"level": "high"},
    )
    assert sorted((one.path, one.reason) for one in accepted.problems) == [
        ("$.api_key", "SecretInSet"),
        ("$.channels[0].token", "SecretInSet"),
        ("$.keys.A", "InvalidType"),
        ("$.level", "NotASecret"),
        ("$.model", "MissingField"),
        ("$.ratio", "NotReadable"),
        ("$.workers", "TooLarge"),
    ]
    assert HUNTER not in str(accepted.problems)
    assert "smuggled" not in str(accepted.problems)


def test_change_in_part_keeps_stored_secrets():
    """The masked config with a change laid over it is accepted, secrets untouched."""
    given = schema.mask(PUBLISHED, STORED) | {"workers": 5}
    accepted = schema.accept(PUBLISHED, given, texts={"channels.1.port": "81"}, stored=STORED)
    assert accepted.problems == []
    assert accepted.secrets == {}
    assert tokens(accepted.value) == ["one", "two"]
    assert accepted.value["channels"][1] == {"kind": "web", "port": 81}


def test_blank_secret_of_a_form_keeps_what_is_stored():
    """A password field that was left empty is no change; one that was filled is."""
    accepted = schema.accept(PUBLISHED, {"model": "m"}, secret_texts={"api_key": ""}, stored=STORED)
    assert accepted.value["api_key"] == STORED["api_key"]
    changed = schema.accept(PUBLISHED, {"model": "m"}, secret_texts={"api_key": "new"}, stored=STORED)
    assert (changed.value, changed.secrets) == ({"model": "m"}, {"api_key": "new"})


@pytest.mark.parametrize(
    ("dotted", "parts"),
    [
        ("", ()),
        ("a", ("a",)),
        ("a.b.0", ("a", "b", "0")),
        (r"a\.b.c", ("a.b", "c")),
        (r"a\\.c", ("a\\", "c")),
        ("a..b", ("a", "", "b")),
        ("a.", ("a", "")),
    ],
)
def test_dotted_path_is_taken_apart_and_put_together(dotted, parts):
    """Dots and backslashes in keys survive the way there and back."""
    assert paths.split(dotted) == parts
    assert paths.join(parts) == dotted


def test_what_is_told_of_a_hopeless_value_is_bounded():
    """Two hundred mistakes are enough to begin with; thousands would take seconds to describe."""
    hopeless = {**GOOD, **{f"field{number}": 1 for number in range(5000)}}
    assert len(schema.problems(PUBLISHED, hopeless)) == 200


@pytest.mark.parametrize(("levels", "expected"), [(31, False), (32, False), (33, True), (50_000, True)])
def test_depth_is_counted_without_recursion(levels, expected):
    """A list in a list has two levels, and however many there are, counting them is safe."""
    value: Any = []
    for _ in range(levels - 1):
        value = {"a": value} if isinstance(value, list) else [value]
    assert schema.is_too_deep(value) is expected
