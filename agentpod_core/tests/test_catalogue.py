"""The catalogue: both languages say the same, and every reason that is used is in it."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentpod_core import catalogue
from agentpod_core.errors import (
    AgentPodError,
    ConfigError,
    ConflictError,
    NotFoundError,
    PermanentError,
    PluginError,
    TemporaryError,
)

ROOT = Path(__file__).parents[2]
REASON = re.compile(r"[A-Z][a-z][A-Za-z0-9]+")
MAKERS = {"problem", "_problem", "_fail", "_limit", "FindingError"}


def messages(name):
    """Read one of the two files as it is."""
    return tomllib.loads((resources.files("agentpod_core") / "messages" / name).read_text(encoding="utf-8"))


ENGLISH, CHINESE = messages("en.toml"), messages("zh_CN.toml")


def test_both_languages_have_the_same_reasons():
    """No reason is missing from either file."""
    assert set(ENGLISH) == set(CHINESE)


@pytest.mark.parametrize("reason", sorted(ENGLISH))
def test_both_languages_use_the_same_params(reason):
    """A text says as much in one language as in the other."""
    english, chinese = ENGLISH[reason], CHINESE.get(reason, {})
    for part in ("title", "text", "repair"):
        assert (part in english) is (part in chinese), part
        assert catalogue.placeholders(english.get(part, "")) == catalogue.placeholders(chinese.get(part, "")), part


@pytest.mark.parametrize("reason", sorted(ENGLISH))
def test_entry_is_well_formed(reason):
    """An entry has its keys and no others, sane numbers, and Chinese text that is Chinese."""
    entry = ENGLISH[reason]
    assert REASON.fullmatch(reason)
    assert {"title", "text"} <= entry.keys() <= {"status", "exit", "title", "text", "repair"}
    assert ("status" in entry) is ("exit" in entry)
    assert 400 <= entry.get("status", 500) <= 599
    assert 1 <= entry.get("exit", 1) <= 7
    assert entry["text"].endswith((".", "}", ")"))
    assert CHINESE[reason].keys() <= {"title", "text", "repair"}
    assert re.search(r"[\u4e00-\u9fff]", CHINESE[reason]["title"] + CHINESE[reason]["text"])


def _strings(node):
    return [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]


def _used(tree):
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        given = [word.value for word in call.keywords if word.arg in {"reason", "unknown"}]
        if name.endswith("Error") or name in MAKERS:
            given += [arg for arg in call.args[:2] if isinstance(arg, (ast.Constant, ast.IfExp))]
        for node in given:
            # Only the values of a choice between two reasons count, not the question.
            parts = [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]
            yield from (text for part in parts if isinstance(part, ast.Constant) for text in _strings(part))


def _sources():
    # The command line's own errors (no server to ask) have words of their own.
    folders = [*ROOT.glob("agentpod_*/src"), *ROOT.glob("plugins/*/src"), *ROOT.glob("apps/agentpod_server/src")]
    return sorted(path for folder in folders for path in folder.rglob("*.py") if "testing" not in path.parts)


def test_every_reason_in_the_source_is_in_the_catalogue():
    """Whatever the code raises or reports can be shown in words."""
    used = {
        (reason, path.relative_to(ROOT).as_posix())
        for path in _sources()
        for reason in _used(ast.parse(path.read_text(encoding="utf-8")))
        if REASON.fullmatch(reason)
    }
    assert {"UnknownAdapter", "InvalidName", "EngineUnreachable"} <= {reason for reason, _ in used}
    assert sorted((reason, path) for reason, path in used if reason not in ENGLISH) == []


def test_entry_tells_status_and_exit_code():
    """An error's reason decides how the API and the command line answer."""
    entry = catalogue.entry("UnknownAdapter")
    assert (entry.status, entry.exit, entry.known) == (404, 3, True)


def test_text_is_filled_in_the_readers_language():
    """The same reason and params read in either language, lists joined as that language does."""
    params = {"name": "ehco", "known": ["echo", "openclaw"]}
    assert "ehco. Known: echo, openclaw." in catalogue.text("UnknownAdapter", params)
    assert "echo、openclaw" in catalogue.text("UnknownAdapter", params, "zh-CN")


def test_missing_param_reads_as_a_question_mark():
    """A forgotten param never breaks a message."""
    assert catalogue.text("TooSmall", {}) == "Must be at least ?."


def test_unknown_reason_reads_as_words_with_its_params():
    """A plugin's own reason can be shown without an entry."""
    entry = catalogue.entry("BackendGone")
    assert (entry.title, entry.known, entry.status) == ("Backend gone", False, None)
    assert catalogue.text("BackendGone", {"code": 5, "after": [1, 2]}) == "Backend gone (after: 1, 2, code: 5)"
    assert catalogue.title("HTTPGone") == "HTTP gone"
    assert catalogue.repair("BackendGone") is None


def test_repair_is_filled_too():
    """A repair may name what it is about."""
    assert catalogue.repair("SecretInSet", {"field": "api_key"}).startswith("Give it with: --secret api_key=@FILE")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConfigError([], "OwnReason"), (422, 2)),
        (NotFoundError("OwnReason"), (404, 3)),
        (ConflictError("OwnReason"), (409, 4)),
        (TemporaryError("OwnReason"), (503, 1)),
        (PermanentError("OwnReason"), (422, 1)),
        (PluginError("OwnReason"), (500, 1)),
        (AgentPodError("OwnReason"), (500, 1)),
        (ConflictError("UnknownAdapter"), (404, 3)),
    ],
)
def test_error_without_an_entry_answers_by_its_class(error, expected):
    """Every error has a status and an exit code; the catalogue's word comes first."""
    entry = catalogue.for_error(error)
    assert (entry.status, entry.exit) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, "en"),
        ("", "en"),
        ("*", "en"),
        ("fr", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("fr, zh-Hant-TW;q=0.5, en;q=0.3", "zh-CN"),
        ("zh;q=0, en;q=0.1", "en"),
        ("zh;q=banana, en;q=0.1", "en"),
        ("ZH_cn", "zh-CN"),
    ],
)
def test_language_is_negotiated(header, expected):
    """The best of the languages that we have, by the reader's own order."""
    assert catalogue.negotiate(header) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [(None, "en"), ("C", "en"), ("POSIX", "en"), ("de_DE.UTF-8", "en"), ("zh_CN.UTF-8", "zh-CN"), ("zh_TW@x", "zh-CN")],
)
def test_language_follows_the_locale(name, expected):
    """The command line speaks the language of its locale."""
    assert catalogue.from_locale(name) == expected


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text() | st.sampled_from(sorted(ENGLISH)), st.dictionaries(st.text(), ANYTHING, max_size=4))
def test_making_text_never_raises(reason, params):
    """Whatever the reason and the params, there are words for it."""
    for language in catalogue.LANGUAGES:
        assert isinstance(catalogue.text(reason, params, language), str)
        assert catalogue.title(reason, language)
        catalogue.repair(reason, params, language)


@given(st.text())
def test_negotiating_never_raises(header):
    """Any header gives one of our languages."""
    assert catalogue.negotiate(header) in catalogue.LANGUAGES
    assert catalogue.from_locale(header) in catalogue.LANGUAGES
