from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

import agentpod_server
from agentpod_core import Problem
from agentpod_core.host import PluginState
from agentpod_core.values.actions import PlannedAction
from agentpod_core.values.status import ConditionType, Phase
from agentpod_server.dashboard import words
from agentpod_server.records import Role

ROOT = Path(agentpod_server.__file__).parent
NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
COMPUTED = {
    *(f"phase.{one.value}" for one in Phase),
    *(f"condition.{one.value}" for one in ConditionType),
    *(f"role.{one.value}" for one in Role),
    *(f"nav.{one}" for one in ("overview", "tenants", "pods", "adapters")),
    *(f"verb.{verb}_{part}" for verb in ("restart", "stop", "delete") for part in ("title", "text", "button")),
    *(f"tenant.{verb}_{part}" for verb in ("stop", "delete") for part in ("title", "text", "button")),
    *(f"tenant.{part}_{one}" for part in ("is", "wanted") for one in ("stopped", "deleted")),
    *(f"done.{one}" for one in ("made", "there", "saved", "unchanged", "restart", "start", "stop", "delete")),
    *(f"time.{sign}{unit}" for sign in ("", "in_") for unit in ("seconds", "minutes", "hours", "days")),
    *(f"adapters.{one.value}" for one in PluginState),
    *(f"availability.{one}" for one in ("today", "this_month", "last_month")),
    *(f"action.{one.__struct_config__.tag}" for one in get_args(PlannedAction)),
    *(f"pod.{one}{part}" for one in ("subdomain", "image", "memory", "cpus") for part in ("", "_help")),
}


def facts(text: str) -> set[str]:
    """List the facts that a text takes."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def used() -> set[str]:
    """List the keys that templates and modules name."""
    files = [*ROOT.glob("dashboard/*.py"), *ROOT.glob("*/templates/*.html")]
    found = {
        key for file in files for key in re.findall(r'\b(?:t|say)\(\s*"([a-z]+\.[\w-]+)"', file.read_text("utf-8"))
    }
    return {key for key in found if not key.endswith("_") and key.split(".")[1] not in {"css", "js", "svg"}}


def test_both_languages_say_the_same():
    """Every text is there in every language, with the same facts."""
    english, chinese = words.texts("en"), words.texts("zh-CN")
    assert english.keys() == chinese.keys()
    assert {key: facts(text) for key, text in english.items()} == {key: facts(text) for key, text in chinese.items()}


def test_no_text_is_missing_or_idle():
    """What pages name is there, and what is there is named."""
    known = {key.removesuffix("_one") for key in words.texts("en")}
    assert known == used() | COMPUTED


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0, "just now", "刚刚"),
        (59, "59 s ago", "59 秒前"),
        (60, "1 min ago", "1 分钟前"),
        (7199, "1 h ago", "1 小时前"),
        (86400, "yesterday", "昨天"),
        (200000, "2 days ago", "2 天前"),
        (-120, "in 2 min", "2 分钟后"),
    ],
)
def test_times_are_told_roughly(seconds, english, chinese):
    """How long ago something was, in the reader's language."""
    then = NOW - timedelta(seconds=seconds)
    assert (words.ago(then, NOW, "en"), words.ago(then, NOW, "zh-CN")) == (english, chinese)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem(path="$.x", reason="TooSmall", params={"minimum": 3}, message="m"), "不得小于 3。"),
        (Problem(path="$.x", reason="InvalidEmail", message="m"), "邮"),
        (Problem(path="$.x", reason="MissingField", params={"field": "x"}, message="m"), "此项为必填项。"),
        (Problem(path="$.x", reason="PluginsOwn", message="as the plugin says"), "as the plugin says"),
        (Problem(path="$.x", reason="TooSmall", message="facts are missing"), "facts are missing"),
        (Problem(path="$.x", message="nothing is known"), "nothing is known"),
    ],
)
def test_problems_are_told_in_the_readers_language(problem, text):
    """The catalogue's words are used where it has them and the facts they need."""
    assert text in words.problem_text(problem, "zh-CN")
