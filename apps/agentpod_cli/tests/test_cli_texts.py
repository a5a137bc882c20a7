"""The catalogues: complete, in step with one another and with the code."""

from __future__ import annotations

import ast
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
        if section in ("help", "hint", "errors", "click"):
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
            r'["\']((?:usage|value|fact|availability|health|plan|step|tenant|token|operation|pod|config|adapter|alert|notifier|plugin|image|event|done|login|ask|note|error)\.[a-z_]+)["\']',
            code,
        )
    )
    asked |= {f"usage.{name}" for name in re.findall(r'misused\("([a-z_]+)"', code)}
    asked |= {f"column.{name}" for name in re.findall(r'heading="([a-z_]+)"', code)}
    reasons = set(re.findall(r'CliError\(\s*"(\w+)"|reason = "(\w+)" if .* else "(\w+)"', code))
    reasons = {reason for found in reasons for reason in found if reason}
    asked |= {f"plugin.{name}" for name in ("ok", "partly", "failed", "disabled", "missing")}
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


FOR_PROGRAMMERS = re.compile(
    r"deprecat|must be an iterable|Could not determine|No options defined|one parameter|defined twice|prog\)s, version"
    r"|Takes \{|same flag for|Unknown color|without prompting|Show the version|want to continue|Invalid start|format"
    r"|^(file|directory|path)$|boolean|values are required|UUID|\{name\} \{filename|Argument \{name"
)
"""What click says of a program that is written wrong, and of kinds of parameters that none of ours is."""


def said_by_click():
    """Collect the messages that click gives to gettext."""
    for module in translation.CLICK:
        for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "ngettext"):
                yield from (
                    one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)
                )


def test_everything_that_click_says_to_users_is_translated():
    """A new release of click with new words is noticed; no translation is left over, and placeholders agree."""
    said = {text for text in said_by_click() if not FOR_PROGRAMMERS.search(text)} | {"required"}
    assert set(CHINESE["click"]) == said
    assert [text for text, translated in CHINESE["click"].items() if names(text) != names(translated)] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pod", "get"), "缺少参数 'TENANT/POD'"),
        (("pod", "lst"), "没有命令 'lst'"),
        (("pod", "list", "--phase", "x"), "'--phase' 的值无效"),
        (("pod", "list", "--nothing"), "没有选项 '--nothing'"),
        (("pod", "get", "acme"), "您是想写 acme/main 吗"),
        (("tenant", "update", "acme"), "请说明要更改什么"),
    ],
)
def test_wrong_usage_is_told_in_chinese(run, arguments, words):
    """What click says and what we say come in one language."""
    ended = run(*arguments, LANG="zh_CN.UTF-8")
    assert ended.code == 2
    assert words in ended.err
    assert "用法：" in ended.err


def test_the_next_command_of_a_process_speaks_its_own_language(run):
    """Nothing of one language stays behind for another."""
    assert "缺少参数" in run("pod", "get", LANG="zh_CN.UTF-8").err
    assert "Missing argument" in run("pod", "get", LANG="C.UTF-8").err


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
