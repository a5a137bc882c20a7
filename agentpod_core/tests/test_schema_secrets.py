"""Secrets on their way in and out: taken from values, masked for people, and put back where they were."""

from __future__ import annotations

import pytest
from agent_config import GOOD, HUNTER, PUBLISHED, REF, STORED, STRICT, Config, Telegram, tokens
from msgspec import Struct

from agentpod_core import schema
from agentpod_core.values.workload import SecretRef


def test_secrets_are_taken_out_and_references_put_in():
    """What is stored never holds a secret's text."""
    value = {**GOOD, "api_key": HUNTER}
    rest, taken = schema.split_secrets(PUBLISHED, value)
    assert taken == {"api_key": HUNTER, "channels.0.token": "t", "keys.A": "x"}
    assert rest == {"model": "m", "channels": [{"kind": "telegram"}], "keys": {}}
    assert value["api_key"] == HUNTER
    refs = {path: SecretRef(key=path) for path in taken}
    stored = schema.put_refs(rest, refs)
    assert schema.split_secrets(PUBLISHED, stored) == (stored, {})
    config = schema.build(Config, stored)
    assert config.api_key == SecretRef(key="api_key")
    assert config.channels[0].token == SecretRef(key="channels.0.token")
    assert rest == {"model": "m", "channels": [{"kind": "telegram"}], "keys": {}}


def test_mask_shows_that_a_secret_is_set_and_nothing_of_it():
    """Texts, references and masks all read the same; nothing set reads null."""
    value = {"model": "m", "api_key": None, "keys": {"A": HUNTER, "B": REF, "C": {"$secret": True}}}
    shown = schema.mask(PUBLISHED, value)
    assert shown == {"model": "m", "api_key": None, "keys": {key: {"$secret": True} for key in "ABC"}}


def test_secret_paths_are_those_of_schema_or_value():
    """The schema's have stars, a value's are the real ones."""
    assert schema.secret_paths(PUBLISHED) == ["api_key", "channels.*.token", "keys.*"]
    assert schema.secret_paths(PUBLISHED, GOOD) == ["channels.0.token", "keys.A"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("api_key", True),
        ("channels.7.token", True),
        ("keys.ANY", True),
        ("keys.A.B", True),
        ("channels.0", False),
        ("model", False),
        ("nothing", False),
        ("", False),
    ],
)
def test_path_of_a_secret_is_known(path, expected):
    """``--set`` can be refused before a value exists."""
    assert schema.is_secret(PUBLISHED, path) is expected


def test_mask_that_comes_back_means_as_it_was():
    """Sending back what was shown changes nothing."""
    assert schema.unmask(PUBLISHED, schema.mask(PUBLISHED, STORED), STORED) == (STORED, [])


def test_moved_and_removed_items_keep_their_own_secrets():
    """A list that was edited never gives one channel the token of another."""
    shown = schema.mask(PUBLISHED, STORED)["channels"]
    for order, expected in (([2], ["two"]), ([2, 0], ["two", "one"]), ([1, 2], ["two"]), ([0, 0], ["one"])):
        value, problems = schema.unmask(PUBLISHED, {"channels": [shown[at] for at in order]}, STORED)
        assert tokens(value) == expected
        assert len(problems) == (1 if order == [0, 0] else 0)


def test_changed_item_keeps_its_secret_in_a_list_of_the_same_length():
    """A field beside a secret can be edited without typing the secret again."""
    value = schema.mask(PUBLISHED, STORED)
    value["channels"][0]["chats"] = [1, 9]
    assert tokens(schema.unmask(PUBLISHED, value, STORED)[0]) == ["one", "two"]


def test_changed_item_of_a_changed_list_has_to_name_its_secret():
    """Where it cannot be told which item it was, nobody guesses."""
    value = schema.mask(PUBLISHED, STORED)
    value["channels"] = [{**value["channels"][2], "chats": [3]}]
    _, (problem,) = schema.unmask(PUBLISHED, value, STORED)
    assert (problem.path, problem.reason) == ("$.channels[0].token", "MissingField")


class Slack(Struct, tag="slack", tag_field="kind", **STRICT):
    token: SecretRef


class Chats(Struct, **STRICT):
    chat: Telegram | Slack


def test_another_variant_does_not_inherit_a_secret():
    """The token of one service is never handed to another, though the field has the same name."""
    published = schema.json_schema(Chats)
    stored = {"chat": {"kind": "telegram", "token": REF}}
    value, (problem,) = schema.unmask(published, {"chat": {"kind": "slack", "token": {"$secret": True}}}, stored)
    assert value == {"chat": {"kind": "slack"}}
    assert problem.path == "$.chat.token"


def test_mask_without_anything_stored():
    """A required secret is missing then, an optional one is simply not set."""
    value, (problem,) = schema.unmask(PUBLISHED, {"api_key": {"$secret": True}, "keys": {"A": {"$secret": True}}}, None)
    assert value == {"keys": {}}
    assert problem.path == "$.keys.A"
