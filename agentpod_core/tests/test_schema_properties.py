"""What holds of schemas for any value: found by trying many."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import Meta, Struct

from agentpod_core import schema
from agentpod_core.schema import paths
from agentpod_core.values.workload import SecretRef

STRICT = {"frozen": True, "kw_only": True, "forbid_unknown_fields": True}


class Mood(StrEnum):
    GOOD = "good"
    BAD = "bad"


class Chat(Struct, tag="chat", tag_field="kind", **STRICT):
    token: SecretRef
    rooms: tuple[int, ...] = ()


class Mail(Struct, tag="mail", tag_field="kind", **STRICT):
    address: str = ""
    headers: dict[str, str] = {}


class Inner(Struct, **STRICT):
    name: str = "x"
    weight: float | None = None
    deep: dict[str, list[int]] = {}


class Config(Struct, **STRICT):
    text: str
    count: Annotated[int, Meta(ge=-5, le=5)]
    ratio: float = 0.5
    flag: bool = False
    mood: Mood = Mood.GOOD
    level: Literal[1, 2] | None = None
    words: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()
    channels: tuple[Chat | Mail, ...] = ()
    inner: Inner = Inner()
    inners: dict[str, Inner] = {}
    secret: SecretRef | None = None
    secrets: dict[str, SecretRef] = {}
    anything: Any = None
    free: dict[str, Any] = {}
    either: int | str | None = None
    pair: tuple[int, str] = (0, "")


PUBLISHED = schema.json_schema(Config)

KEYS = st.text(max_size=4)
INTS = st.integers(min_value=-(2**63), max_value=2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | INTS | FLOATS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
SECRETS = st.text(min_size=1, max_size=8)
CHANNELS = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("chat"), "token": SECRETS}, optional={"rooms": st.lists(st.integers(-9, 9), max_size=3)}
    ),
    st.fixed_dictionaries(
        {"kind": st.just("mail")},
        optional={"address": st.text(max_size=4), "headers": st.dictionaries(KEYS, st.text(max_size=4), max_size=3)},
    ),
)
INNERS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=4),
        "weight": st.none() | FLOATS,
        "deep": st.dictionaries(KEYS, st.lists(st.integers(-9, 9), max_size=3), max_size=2),
    },
)
VALUES = st.fixed_dictionaries(
    {"text": st.text(max_size=6), "count": st.integers(-5, 5)},
    optional={
        "ratio": FLOATS,
        "flag": st.booleans(),
        "mood": st.sampled_from(["good", "bad"]),
        "level": st.sampled_from([1, 2, None]),
        "words": st.lists(st.text(max_size=5), max_size=4),
        "numbers": st.lists(FLOATS, max_size=3),
        "channels": st.lists(CHANNELS, max_size=3),
        "inner": INNERS,
        "inners": st.dictionaries(KEYS, INNERS, max_size=3),
        "secret": SECRETS,
        "secrets": st.dictionaries(KEYS, SECRETS, max_size=3),
        "anything": JSON,
        "free": st.dictionaries(KEYS, JSON, max_size=3),
        "either": st.none() | INTS | st.text(max_size=4),
        "pair": st.tuples(st.integers(-9, 9), st.text(max_size=3)).map(list),
    },
)
REMOVED, ADDED = object(), object()
SLOWLY = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


def stored(value):
    """Store a value's secrets, as the platform does."""
    rest, taken = schema.split_secrets(PUBLISHED, value)
    return schema.put_refs(rest, {path: SecretRef(key=f"ref {path}") for path in taken})


@SLOWLY
@given(VALUES)
def test_good_value_is_found_good_and_can_be_built(value):
    """What the type allows has no problem and becomes a config."""
    assert schema.problems(PUBLISHED, value) == []
    schema.build(Config, stored(value))


@SLOWLY
@example({"text": "", "count": 0, "secrets": {"\\\\": "s", ".": "t"}, "words": ["[", "a,b", " "]})
@given(VALUES)
def test_texts_of_a_value_are_read_as_that_value(value):
    """``coerce`` undoes ``render``."""
    assert schema.coerce(PUBLISHED, schema.render(PUBLISHED, value)) == (value, [])


@SLOWLY
@given(VALUES)
def test_value_that_was_shown_and_sent_back_is_unchanged(value):
    """Masks and forms lose nothing and reveal nothing."""
    kept = stored(value)
    assert schema.accept(PUBLISHED, schema.mask(PUBLISHED, kept), stored=kept).value == kept
    texts = schema.render(PUBLISHED, kept)
    secret = {path: text for path, text in texts.items() if schema.is_secret(PUBLISHED, path)}
    assert not any(secret.values())
    plain = {path: text for path, text in texts.items() if path not in secret}
    accepted = schema.accept(PUBLISHED, texts=plain, secret_texts=secret, stored=kept)
    assert (accepted.problems, accepted.secrets, accepted.value) == ([], {}, kept)


@SLOWLY
@given(VALUES)
def test_secrets_leave_no_trace(value):
    """No secret's text stays in what is stored or shown, and every one of them is taken."""
    marked = schema.coerce(PUBLISHED, dict.fromkeys(schema.secret_paths(PUBLISHED, value), "S3CR3T-"), value)[0]
    rest, taken = schema.split_secrets(PUBLISHED, marked)
    assert "S3CR3T-" not in str(rest)
    assert "S3CR3T-" not in str(schema.mask(PUBLISHED, marked))
    assert set(taken) == set(schema.secret_paths(PUBLISHED, marked))
    assert all(schema.is_secret(PUBLISHED, path) for path in taken)


def _places(value, keys=()):
    yield keys
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _places(item, (*keys, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _places(item, (*keys, position))


def _broken(value, keys, other):
    """Put something else at a place, take away what is there, or add a field beside it."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    first, *rest = keys
    if rest:
        copy[first] = _broken(value[first], rest, other)
    elif other is REMOVED:
        del copy[first]
    elif isinstance(copy, dict) and other is ADDED:
        copy["added"] = 1
    else:
        copy[first] = None if other is ADDED else other
    return copy


@SLOWLY
@given(st.data(), VALUES)
def test_broken_value_has_a_problem_exactly_when_it_cannot_be_built(data, value):
    """The schema and the type refuse the same values, wherever something was put out of place."""
    kept = stored(value)
    keys = data.draw(st.sampled_from([keys for keys in _places(kept) if keys]))
    broken = _broken(kept, keys, data.draw(st.sampled_from([REMOVED, ADDED]) | JSON))
    try:
        msgspec.convert(broken, Config)
        is_refused = False
    except msgspec.ValidationError:
        is_refused = True
    found = schema.problems(PUBLISHED, broken)
    assert bool(found) is is_refused
    assert all(problem.message and problem.path.startswith("$") for problem in found)


@SLOWLY
@given(st.dictionaries(st.text(max_size=12) | st.sampled_from(schema.secret_paths(PUBLISHED)), st.text(max_size=8)))
def test_no_texts_make_reading_fail(flat):
    """Whatever is typed, there is a value and a list of problems."""
    value, problems = schema.coerce(PUBLISHED, flat)
    assert isinstance(value, dict)
    assert all(problem.reason and problem.message for problem in problems)
    schema.accept(PUBLISHED, texts=flat)
    schema.accept(PUBLISHED, secret_texts=flat)


@SLOWLY
@given(JSON)
def test_no_json_makes_checking_fail(value):
    """Whatever is sent, every step copes with it."""
    schema.problems(PUBLISHED, value)
    schema.mask(PUBLISHED, value)
    schema.split_secrets(PUBLISHED, value)
    schema.unmask(PUBLISHED, value, value)
    schema.render(PUBLISHED, value)
    schema.accept(PUBLISHED, value)


@given(st.lists(st.text(max_size=6), min_size=1, max_size=4).filter(lambda parts: parts != [""]))
def test_any_keys_make_a_path_and_come_back(parts):
    """A dotted path says exactly which keys it is made of."""
    assert paths.split(paths.join(parts)) == tuple(parts)
