from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, Struct

from agentpod_core import SecretRef, schema
from agentpod_server import forms
from agentpod_server.dashboard import pages
from agentpod_server.dashboard.testing import Form, Page

MASK = {"$secret": True}
REF = msgspec.to_builtins(SecretRef(key="pod/1/config/x"))


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Planet(StrEnum):
    MERCURY = "mercury"
    VENUS = "venus"
    EARTH = "earth"
    MARS = "mars"
    JUPITER = "jupiter"


class Texts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[
        str, Meta(min_length=1, max_length=20, title="Name <b>", description="Say & tell", examples=["<i>"])
    ]
    nick: str | None = None
    note: str = "hello"
    soul: Annotated[str, Meta(extra_json_schema={"x-agentpod-multiline": True})] = ""


class Numbers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: Annotated[int, Meta(ge=1, le=65535)]
    share: Annotated[float, Meta(ge=0, lt=1)] = 0.5
    most: int | None = None


class Choices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    colour: Colour
    planet: Planet
    other: Planet | None = None
    usual: Colour = Colour.BLUE


class Switches(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    must: bool
    on: bool = True
    off: bool = False
    perhaps: bool | None = None


class Secrets(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    token: SecretRef
    key: SecretRef | None = None
    pem: Annotated[SecretRef | None, Meta(extra_json_schema={"x-agentpod-multiline": True})] = None
    many: tuple[SecretRef, ...] = ()


class Lists(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ids: Annotated[tuple[Annotated[str, Meta(pattern="^[0-9]+$")], ...], Meta(max_length=3)]
    numbers: tuple[int, ...] = (1, 2)
    planets: tuple[Planet, ...] = ()
    maybe: tuple[str, ...] | None = None
    odd: tuple[str, ...] = ("two\nlines",)


class Inner(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    low: int = 1
    high: int = 9


class Groups(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    required: Inner
    usual: Inner = Inner(low=5)
    chosen: Inner | None = None


class Bot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1)]
    token: SecretRef
    colour: Colour = Colour.RED
    tags: tuple[str, ...] = ()
    words: tuple[Inner, ...] = ()


class Rows(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    bots: tuple[Bot, ...] = ()
    plain: Annotated[tuple[Inner, ...], Meta(min_length=1)] = (Inner(),)


class Maps(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    env: dict[str, str] = {}
    limits: dict[str, Inner] = {}
    keys: dict[str, SecretRef] = {}


class Disk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="disk", tag_field="kind"):
    path: str


class Bucket(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="bucket", tag_field="kind"):
    name: str
    key: SecretRef | None = None


class Stores(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    store: Disk | Bucket
    second: Disk | Bucket | None = None


class Anythings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    extra: Any = None
    either: int | str = 1
    pair: tuple[int, str] = (1, "a")


class Advanced(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"odd": "a.b"}):
    odd: int = 1
    deep: Annotated[int, Meta(le=5, extra_json_schema={"x-agentpod-advanced": True})] = 2


CORPUS: list[tuple[type[Struct], dict[str, Any]]] = [
    (Texts, {"name": "a"}),
    (Texts, {"name": '"<&', "nick": "n", "note": "", "soul": "\n one\n\ttwo\n"}),
    (Texts, {"name": "a", "note": "two\r\nlines"}),
    (Numbers, {"port": 80}),
    (Numbers, {"port": 80, "share": 0.25, "most": 7}),
    (Choices, {"colour": "red", "planet": "mars"}),
    (Choices, {"colour": "red", "planet": "mars", "other": "venus", "usual": "red"}),
    (Switches, {"must": False}),
    (Switches, {"must": True, "on": False, "off": True, "perhaps": False}),
    (Secrets, {"token": REF}),
    (Secrets, {"token": REF, "key": REF, "pem": REF, "many": [REF, REF]}),
    (Lists, {"ids": []}),
    (Lists, {"ids": ["1", "22"], "numbers": [], "planets": ["mars", "venus"], "maybe": [], "odd": ["a, b", "c"]}),
    (Groups, {"required": {}}),
    (Groups, {"required": {"low": 3}, "usual": {"low": 2, "high": 3}, "chosen": {}}),
    (Rows, {}),
    (
        Rows,
        {
            "bots": [
                {"name": "a", "token": REF, "tags": ["x", "y"], "words": [{"low": 2}, {}]},
                {"name": "b", "token": REF, "colour": "blue"},
            ],
            "plain": [{}, {"high": 2}],
        },
    ),
    (Maps, {}),
    (Maps, {"env": {"A": "1", "b.c": "x y"}, "limits": {"main": {"low": 2}}, "keys": {"one": REF}}),
    (Stores, {"store": {"kind": "disk", "path": "/x"}}),
    (Stores, {"store": {"kind": "bucket", "name": "n", "key": REF}, "second": {"kind": "disk", "path": "y"}}),
    (Anythings, {}),
    (Anythings, {"extra": {"a": [1, None]}, "either": "x", "pair": [2, "b"]}),
    (Advanced, {"a.b": 3, "deep": 4}),
]
NAMES = [f"{kind.__name__}-{number}" for number, (kind, _) in enumerate(CORPUS)]


def drawn(kind: type[Struct], config: dict[str, Any] | None, posted=None, problems=None) -> Page:
    """Draw a form as a page would."""
    parts = forms.draw(schema.json_schema(kind), config, posted=posted, problems=problems)
    template = pages.environment().from_string(
        '{% import "forms.html" as forms with context %}<form method="post" action="/x">{{ forms.level(parts) }}</form>'
    )
    return Page(template.render(parts=parts, form={"focus": forms.first_wrong(parts)}, language="en"))


def form_of(kind: type[Struct], config: dict[str, Any] | None = None) -> Form:
    """Draw a form for a stored config, as its owner gets to see it."""
    return drawn(kind, masked(kind, config)).forms[0]


def masked(kind: type[Struct], config: dict[str, Any] | None) -> dict[str, Any] | None:
    """Mask a config's secrets."""
    return None if config is None else schema.mask(schema.json_schema(kind), config)


def sent(kind: type[Struct], config: dict[str, Any] | None, pairs: list[tuple[str, str]]):
    """Read what a form sent, and take it all the way in as the server does."""
    shape = schema.json_schema(kind)
    reading = forms.read(shape, forms.posted_of(pairs), masked(kind, config))
    accepted = schema.accept(shape, reading.config, texts=reading.texts, secret_texts=reading.secrets, stored=config)
    return reading, accepted


@pytest.mark.parametrize(("kind", "config"), CORPUS, ids=NAMES)
def test_a_form_that_is_sent_as_it_was_shown_changes_nothing(kind, config):
    """Whatever a valid config holds, showing it and sending it back gives the same config and no texts."""
    reading, accepted = sent(kind, config, form_of(kind, config).pairs)
    assert accepted.problems == []
    assert (reading.config, reading.texts, reading.secrets) == (masked(kind, config), {}, {})
    assert accepted.value == config


@pytest.mark.parametrize(("kind", "config"), CORPUS, ids=NAMES)
def test_a_form_shows_no_secret_and_nothing_unescaped(kind, config):
    """Neither a reference nor a mark-up character of a value or title reaches the page as it is."""
    page = drawn(kind, masked(kind, config))
    assert "pod/1/config" not in page.html
    assert "$secret" not in page.html
    assert "<b>" not in page.html
    assert "<i>" not in page.html
    assert page.inline == []


@pytest.mark.parametrize(("kind", "config"), CORPUS, ids=NAMES)
def test_every_id_of_a_form_is_there_once(kind, config):
    """Labels and links find their element."""
    page = drawn(kind, masked(kind, config))
    assert sorted(page.ids) == sorted(set(page.ids))


CHANGES: list[tuple[type[Struct], dict[str, Any] | None, dict[str, Any], dict[str, Any]]] = [
    (Texts, None, {"config.name": "x"}, {"name": "x"}),
    (
        Texts,
        {"name": "x", "nick": "n"},
        {"config.nick": "", "config.note": ""},
        {"name": "x", "nick": None, "note": ""},
    ),
    (Texts, {"name": "x"}, {"config.soul": "a\r\nb"}, {"name": "x", "soul": "a\nb"}),
    (Numbers, None, {"config.port": " 8080 "}, {"port": 8080}),
    (Numbers, {"port": 1, "share": 0.1, "most": 4}, {"config.share": "", "config.most": ""}, {"port": 1, "most": None}),
    (Choices, None, {"config.colour": "blue", "config.planet": "mars"}, {"colour": "blue", "planet": "mars"}),
    (Switches, None, {"config.must": ["false", "true"]}, {"must": True}),
    (Switches, {"must": True}, {"config.must": "false", "config.perhaps": "true"}, {"must": False, "perhaps": True}),
    (Lists, None, {"config.ids": "1\r\n\r\n 2 "}, {"ids": ["1", "2"]}),
    (Lists, {"ids": ["1"]}, {"config.ids": ""}, {"ids": []}),
    (
        Lists,
        {"ids": []},
        {"config.numbers": "3\n4", "config.planets": ["", "mars"]},
        {"ids": [], "numbers": [3, 4], "planets": ["mars"]},
    ),
    (Groups, None, {"config.usual.high": "7"}, {"required": {}, "usual": {"low": 5, "high": 7}}),
    (Groups, None, {"config.chosen.@on": ["false", "true"]}, {"required": {}, "chosen": {}}),
    (Groups, {"required": {}, "chosen": {"low": 2}}, {"config.chosen.@on": "false"}, {"required": {}, "chosen": None}),
    (Rows, {"plain": [{"low": 2}, {"low": 3}]}, {"config.plain.0.@remove": "true"}, {"plain": [{"low": 3}]}),
    (Rows, {"plain": [{"low": 2}]}, {"config.plain.1.high": "4"}, {"plain": [{"low": 2}, {"high": 4}]}),
    (Maps, None, {"config.env.0.@key": "A", "config.env.0": "1"}, {"env": {"A": "1"}}),
    (Maps, {"env": {"A": "1"}}, {"config.env.0.@key": "b.c"}, {"env": {"b.c": "1"}}),
    (Maps, {"env": {"A": "1"}}, {"config.env.0.@remove": "true"}, {"env": {}}),
    (
        Stores,
        None,
        {"config.store.@tag": "disk", "config.store.@v0.path": "/y"},
        {"store": {"kind": "disk", "path": "/y"}},
    ),
    (
        Stores,
        {"store": {"kind": "disk", "path": "/x"}, "second": {"kind": "disk", "path": "/z"}},
        {"config.store.@tag": "bucket", "config.store.@v1.name": "n", "config.second.@tag": ""},
        {"store": {"kind": "bucket", "name": "n"}},
    ),
    (Anythings, {}, {"config.extra": "[1]", "config.either": "7"}, {"extra": [1], "either": 7}),
    (Advanced, {}, {"config.a%2Eb": "9"}, {"a.b": 9}),
]


@pytest.mark.parametrize(("kind", "config", "values", "wanted"), CHANGES)
def test_what_was_changed_in_a_form_is_changed_in_the_config(kind, config, values, wanted):
    """Only what was touched is written; a default that nobody touched stays unsaid."""
    _, accepted = sent(kind, config, form_of(kind, config).filled(values))
    assert accepted.problems == []
    assert accepted.value == wanted


WRONGS: list[tuple[type[Struct], dict[str, Any], dict[str, str]]] = [
    (Texts, {}, {"config.name": "MissingField"}),
    (Texts, {"config.name": "x" * 21}, {"config.name": "TooLong"}),
    (
        Numbers,
        {"config.port": "abc", "config.share": "1", "config.most": "1.5"},
        {"config.port": "NotReadable", "config.share": "NotBelow", "config.most": "NotReadable"},
    ),
    (Numbers, {"config.port": "0"}, {"config.port": "TooSmall"}),
    (Choices, {}, {"config.colour": "MissingField", "config.planet": "MissingField"}),
    (Choices, {"config.colour": "green", "config.planet": "mars"}, {"config.colour": "NotAChoice"}),
    (Secrets, {}, {"config.token": "MissingField"}),
    (Lists, {"config.ids": "1\nx\ny"}, {"config.ids": "PatternMismatch"}),
    (Lists, {"config.ids": "1\n2\n3\n4"}, {"config.ids": "TooMany"}),
    (Rows, {"config.bots.0.token": "t"}, {"config.bots.0.name": "MissingField"}),
    (Rows, {"config.plain.0.@remove": "true"}, {"config.plain": "TooFew"}),
    (Stores, {}, {"config.store": "MissingField"}),
    (Anythings, {"config.pair": "[1"}, {"config.pair": "NotReadable"}),
    (Advanced, {"config.deep": "6"}, {"config.deep": "TooLarge"}),
]


@pytest.mark.parametrize(("kind", "values", "wanted"), WRONGS)
def test_each_problem_is_told_at_its_input(kind, values, wanted):
    """A problem's path leads to the input that it is about, which is marked, described and focused."""
    pairs = form_of(kind).filled(values)
    reading, accepted = sent(kind, None, pairs)
    found = {forms.place_of(reading.places, f"$.config{one.path[1:]}"): one.reason for one in accepted.problems}
    assert found == wanted
    page = drawn(kind, None, forms.posted_of(pairs), {name: ["wrong!"] for name in found})
    assert page.text.count("wrong!") == len(found)
    for name in found:
        assert forms.input_id(name) in page.ids
        assert f"{forms.input_id(name)}-problem" in page.ids or page.focus == forms.input_id(name)


def test_a_refused_form_shows_again_what_was_typed_but_secrets():
    """Values, switches, rows and removals come back; a secret does not, and says so."""
    config = {"bots": [{"name": "a", "token": REF}], "plain": [{}]}
    values = {
        "config.bots.0.name": "typed <here>",
        "config.bots.0.token": "s3cret",
        "config.bots.0.@remove": "true",
        "config.bots.1.name": "second",
        "config.bots.1.token": "s3cret",
    }
    posted = forms.posted_of(form_of(Rows, config).filled(values))
    page = drawn(Rows, masked(Rows, config), posted)
    assert "s3cret" not in page.html
    again = forms.posted_of(page.forms[0].pairs)
    assert again["config.bots.0.name"] == ["typed <here>"]
    assert again["config.bots.0.@remove"] == ["true"]
    assert again["config.bots.1.name"] == ["second"]
    assert again["config.bots.@rows"] == ["", "0", "1", "2"]
    assert page.text.count("type it again") == 2


def test_a_row_of_no_number_is_not_drawn_again():
    """What is sent as a row's number and is none, or one that no form had, is left out."""
    posted = forms.posted_of([*form_of(Rows, {}).pairs, ("config.bots.@rows", "x"), ("config.bots.@rows", "9" * 5000)])
    again = forms.posted_of(drawn(Rows, {}, posted).forms[0].pairs)
    assert again["config.bots.@rows"] == ["", "0"]


def test_a_secret_is_kept_replaced_or_taken_away():
    """Left blank it stays, typed it is replaced, ticked it goes; a required one cannot be taken away."""
    config = {"token": REF, "key": REF}
    form = form_of(Secrets, config)
    assert "config.token.@clear" not in form.names
    _, kept = sent(Secrets, config, form.pairs)
    assert (kept.value, kept.secrets) == (config, {})
    _, replaced = sent(Secrets, config, form.filled({"config.key": "new"}))
    assert (replaced.secrets, replaced.problems) == ({"key": "new"}, [])
    _, cleared = sent(Secrets, config, form.filled({"config.key.@clear": "true"}))
    assert (cleared.value, cleared.problems) == ({"token": REF}, [])


def test_secrets_follow_their_rows():
    """With one row taken away and one added, what is left keeps its secret and the new one gets its own."""
    other = REF | {"key": "pod/1/config/y"}
    config = {"bots": [{"name": "a", "token": REF}, {"name": "b", "token": other}]}
    values = {"config.bots.0.@remove": "true", "config.bots.2.name": "c", "config.bots.2.token": "t"}
    _, accepted = sent(Rows, config, form_of(Rows, config).filled(values))
    assert accepted.problems == []
    assert accepted.value["bots"] == [{"name": "b", "token": other}, {"name": "c"}]
    assert accepted.secrets == {"bots.1.token": "t"}


def test_lists_of_secrets_can_be_filled():
    """A new item of a list that holds nothing but secrets arrives after those that are kept."""
    _, accepted = sent(
        Secrets,
        {"token": REF, "many": [REF]},
        form_of(Secrets, {"token": REF, "many": [REF]}).filled({"config.many.1": "t"}),
    )
    assert accepted.problems == []
    assert accepted.secrets == {"many.1": "t"}


def test_what_a_form_did_not_send_stays():
    """Inputs that are missing, as from a page of an older release, change nothing."""
    config = {"must": True, "on": False, "perhaps": True}
    reading, accepted = sent(Switches, config, [("config.off", "true")])
    assert reading.texts == {"off": "true"}
    assert accepted.value == config | {"off": True}


@pytest.mark.parametrize(
    ("values", "reason"), [({"config.env.0": "1"}, "KeyMissing"), ({"config.env.0.@key": "A"}, "Duplicate")]
)
def test_keys_of_maps_are_checked(values, reason):
    """A value without a key, and a key that is there twice, are told at the key."""
    config = {} if reason == "KeyMissing" else {"env": {"A": "1", "B": "2"}}
    values = values if reason == "KeyMissing" else {"config.env.1.@key": "A"}
    reading, _ = sent(Maps, config, form_of(Maps, config).filled(values))
    (problem,) = reading.problems
    assert problem.reason == reason
    assert reading.places[problem.path].endswith(".@key")


def test_labels_and_widgets_of_choices_can_be_given():
    """A schema may name its choices for people, and wish for a select where there are few."""
    shape = {
        "type": "object",
        "properties": {
            "way": {
                "type": "string",
                "title": "Way",
                "enum": ["a", "b"],
                "x-agentpod-labels": {"a": "First"},
                "x-agentpod-widget": "select",
            }
        },
    }
    (way,) = forms.draw(shape).children
    assert way.widget is forms.Widget.SELECT
    assert [(one.value, one.label) for one in way.options] == [("", ""), ("a", "First"), ("b", "b")]


def test_advanced_fields_are_folded_away_until_one_is_wrong():
    """What few need is in a fold of its own, which is open where something in it is wrong."""
    assert '<details class="advanced">' in drawn(Advanced, {}).html
    assert '<details class="advanced" open>' in drawn(Advanced, {}, {}, {"config.deep": ["no"]}).html
