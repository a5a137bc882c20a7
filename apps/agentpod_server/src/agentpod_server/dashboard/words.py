"""The dashboard's own words, in every language that it speaks.

What happened and what is wrong is said by the core's catalogue; here are titles, labels and help.
"""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, Final

from agentpod_core import Problem, catalogue
from agentpod_core.catalogue import Language

NAMES: Final[dict[Language, str]] = {"en": "English", "zh-CN": "简体中文"}
_FILES: Final[dict[Language, str]] = {"en": "en.toml", "zh-CN": "zh_CN.toml"}
_STEPS: Final = ((60, 1, "seconds"), (3600, 60, "minutes"), (86_400, 3600, "hours"), (float("inf"), 86_400, "days"))
_JUST_NOW: Final = 5


@cache
def texts(language: Language) -> dict[str, str]:
    """Give every text of a language by its dotted key."""
    folder = resources.files("agentpod_server.dashboard") / "messages"
    sections = tomllib.loads((folder / _FILES[language]).read_text(encoding="utf-8"))
    return {f"{section}.{key}": text for section, pairs in sections.items() for key, text in pairs.items()}


def say(key: str, language: Language, **facts: Any) -> str:
    """Give a text with its facts filled in; with ``count`` 1, that of ``key_one`` where there is one.

    Raises:
        KeyError: there is no such text, or a fact is missing: a mistake in a template.
    """
    known = texts(language)
    template = known.get(f"{key}_one") if facts.get("count") == 1 else None
    return (known[key] if template is None else template).format_map(facts)


def ago(then: datetime, now: datetime, language: Language) -> str:
    """Say how long ago a moment was, roughly; for one to come, how soon it is."""
    seconds = (now - then).total_seconds()
    if abs(seconds) < _JUST_NOW:
        return say("time.now", language)
    size, unit = next((step, unit) for limit, step, unit in _STEPS if abs(seconds) < limit)
    return say(f"time.{'in_' if seconds < 0 else ''}{unit}", language, count=int(abs(seconds) // size))


def moment(then: datetime) -> str:
    """Write a moment for people: UTC, to the second."""
    return f"{then.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def problem_text(problem: Problem, language: Language) -> str:
    """Say what is wrong, in words of the catalogue where it has them for what is known."""
    if problem.reason == "MissingField":
        # It is told at the field itself, under its title.
        return say("forms.missing", language)
    if problem.reason in catalogue.reasons() and problem.reason != "InvalidField":
        wanted = catalogue.placeholders(catalogue.entry(problem.reason, language).text)
        if wanted <= problem.params.keys():
            return catalogue.text(problem.reason, problem.params, language)
    return problem.message
