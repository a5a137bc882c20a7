"""The catalogues: complete, in step with one another and with the code."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

import agentpod_cli
from agentpod_cli import translation
from agentpod_cli.cli import cli
from agentpod_cli.texts import language_of, read_catalogue, texts_in

SOURCES = list(Path(agentpod_cli.__file__).parent.rglob("*.py"))
ENGLISH, CHINESE = read_catalogue("en"), read_catalogue("zh_CN")


def flat(catalogue):
    """Give every text by its full key, the help texts apart."""
    texts = {}
    for section, entries in catalogue.items():
        if section in ("help", "hint", "errors"):
            continue
        texts |= {f"{section}.{key}": text for key, text in entries.items()}
    for reason, entry in catalogue["errors"].items():
        texts |= {f"errors.{reason}.{key}": text for key, text in entry.items()}
    return texts


def names(text):
    """Give the params that a text is filled with."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_every_catalogue_has_the_same_texts_with_the_same_params():
    """No reader gets a text that another would not."""
    english, chinese = flat(ENGLISH), flat(CHINESE)
    assert set(english) == set(chinese)
    assert set(ENGLISH["hint"]) == set(CHINESE["hint"])
    assert [key for key in english if names(english[key]) != names(chinese[key])] == []


def test_every_text_that_the_code_asks_for_exists_and_every_text_is_asked_for():
    """No key is missing, and no text is left over."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    keys = set(flat(ENGLISH))
    asked = set(
        re.findall(
            r'["\']((?:value|fact|plan|step|tenant|pod|config|adapter|plugin|image|event|done|login|ask|note|error)\.[a-z_]+)["\']',
            code,
        )
    )
    asked |= {f"column.{name}" for name in re.findall(r'heading="([a-z_]+)"', code)}
    reasons = set(re.findall(r'CliError\(\s*"(\w+)"|_failed\("(\w+)"|reason = "(\w+)" if .* else "(\w+)"', code))
    reasons = {reason for found in reasons for reason in found if reason}
    plain = {key for key in keys if not key.startswith("errors.")}
    phases = {
        f"step.{phase}" for phase in ("pending", "creating", "starting", "running", "degraded", "crash-loop", "blocked")
    }
    assert asked <= plain
    assert plain - asked <= phases
    assert {key.split(".")[1] for key in keys if key.startswith("errors.")} == reasons


def test_every_help_text_is_translated_and_no_translation_is_left_over():
    """--help is whole in every language."""
    english = {translation.parts(one.help or "")[0] for one in translation.tree(cli)}
    english |= {option.help for one in translation.tree(cli) for option in translation.options(one)}
    assert set(CHINESE["help"]) == english


def test_every_command_has_examples():
    """Each verb's help shows how it is used."""
    lacking = [
        one.name
        for one in translation.tree(cli)
        if not hasattr(one, "commands") and "Examples:" not in (one.help or "")
    ]
    assert lacking == []


def test_help_comes_in_chinese_with_its_examples(run):
    """The words change, the commands stay."""
    shown = run("pod", "list", "--help", LANG="zh_CN.UTF-8").out
    assert "按租户分组列出 Pod" in shown
    assert "\n    agentpod pod list --tenant acme -o wide\n" in shown


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh-CN"),
        ({"LANG": "zh_TW"}, "zh-CN"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "zh-CN"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "zh_CN:en"}, "zh-CN"),
        ({"LANG": "C.UTF-8", "LANGUAGE": "zh_CN"}, "en"),
        ({"LANG": "en_US.UTF-8", "AGENTPOD_LANG": "zh-CN"}, "zh-CN"),
        ({"LANG": "zh_CN.UTF-8", "AGENTPOD_LANG": "en"}, "en"),
    ],
)
def test_the_locale_chooses_the_language(environ, language):
    """The usual variables are read in the usual order, and AGENTPOD_LANG before all."""
    assert language_of(environ) == language


def test_an_unknown_key_is_an_error_and_not_an_empty_text():
    """A typo in the code is found by whoever runs it first."""
    with pytest.raises(KeyError):
        texts_in("en")("pod.no_such_text")
