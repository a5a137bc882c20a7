"""Secrets are taken out of texts, whatever way they were written down, however many there are."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from agentpod_core.host import Redactor, secrets_in


def redactor(*values: str) -> Redactor:
    """Give one that knows these values."""
    made = Redactor()
    for value in values:
        made.learn(value)
    return made


@pytest.mark.parametrize(
    "write", [str, repr, json.dumps, lambda value: quote(value, safe=""), lambda value: f"a{value}b"]
)
def test_secret_is_masked_in_every_way_it_is_written(write):
    """Quotes, line ends and letters beyond ASCII hide no secret."""
    secret = 'p"w\\d\nmöre/than&enough='
    assert secret not in redactor(secret).clean(write(secret))
    assert "enough" not in redactor(secret).clean(write(secret))


def test_lines_of_a_key_are_masked_one_by_one():
    """A key that is printed line by line is masked, its frame is not."""
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END KEY-----\n"
    assert redactor(key).clean("| MIIEvQIBADANBgkqhkiG9w0B |") == "| *** |"
    assert redactor(key).clean("-----BEGIN KEY----- of another") == "-----BEGIN KEY----- of another"


def test_longest_secret_wins():
    """Of a secret that begins like another, no rest is left."""
    assert redactor("secret-a", "secret-a-and-more").clean("secret-a-and-more secret-a") == "*** ***"


def test_short_values_are_left_alone():
    """To mask values of a few characters would garble every text."""
    assert redactor("abcde").clean("abcde") == "abcde"
    assert redactor("abcdef").clean("abcdef") == "***"


@given(st.lists(st.text(min_size=6, max_size=20), max_size=5), st.text(), st.text())
def test_no_secret_survives(values: list[str], before: str, after: str) -> None:
    """Whatever surrounds a secret, it is not in the cleaned text, unless the mask itself makes it."""
    made = redactor(*values)
    for value in values:
        cleaned = made.clean(f"{before}{value}{after}")
        assert value not in cleaned or "***" in value or value in before + after or "***" in cleaned


def test_thousands_of_secrets_cost_as_little_as_one():
    """A long line is read once, however many secrets are known."""
    text = "an ordinary line of a log, " * 4000

    def seconds(made: Redactor) -> float:
        begun = time.perf_counter()
        made.clean(text)
        return time.perf_counter() - begun

    few, many = redactor("sk-0"), redactor(*(f"sk-{number:08}" for number in range(10_000)))
    few.learn("sk-00000000")
    assert min(seconds(many) for _ in range(3)) < 5 * min(seconds(few) for _ in range(3)) + 0.05


def test_what_is_shown_is_plain_data_of_bounded_size():
    """Objects show as their type, texts are cut, and nothing is nested without end."""
    endless: list[Any] = []
    endless.append(endless)
    assert redactor("secret-a").cleaned({"key": object(), "secret-a": ("secret-a", 1, None, 2.5)}) == {
        "key": "object",
        "***": ["***", 1, None, 2.5],
    }
    assert len(redactor().cleaned("x" * 10_000)) == 500
    assert redactor().cleaned(endless) == [[[[[["list"]]]]]]


class Hook(Struct, frozen=True):
    url: str
    headers: dict[str, str]
    api_key: str = "key-value"
    password: str = ""
    name: str = "public"


def test_settings_are_secret_by_the_names_of_their_fields():
    """Passwords, tokens, keys and passwords in addresses are secret; names and places are not."""
    settings = Hook(url="https://me:in-the-url@host/path", headers={"Authorization": "Bearer x"}, password="hush")
    assert sorted(secrets_in(settings)) == ["Bearer x", "hush", "in-the-url", "key-value"]


def test_a_text_without_end_holds_up_nobody():
    """Of what is cut to a line anyway, only the beginning is read."""
    redactor = Redactor()
    redactor.learn("sk-do-not-tell")
    read = []
    redactor.clean = lambda text: (read.append(len(text)), text)[1]  # type: ignore[method-assign]
    redactor.cleaned({"x" * 10**6: ["y" * 10**6]})
    assert max(read) < 100_000


def test_where_a_secret_is_kept_is_no_secret():
    """What names a store, a file or a way is left readable, and so are people's names: to mask them garbles the log."""
    environment = {
        "AGENTPOD_SECRET_STORE": "postgres",
        "SSH_AUTH_SOCK": "/tmp/agent",
        "API_TOKEN_FILE": "/etc/api-token",
        "GIT_AUTHOR_NAME": "Somebody",
        "XAUTHORITY": "/root/.Xauthority",
        "AUTH_METHOD": "password",
        "PROXY_AUTHORIZATION": "Basic x",
        "AUTH": "as-it-is",
    }
    assert sorted(secrets_in(environment)) == ["Basic x", "as-it-is"]
