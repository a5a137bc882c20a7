"""The command line's own words, in the user's language.

What the server says arrives already translated; here are only the headings, questions, steps and
errors that the CLI makes itself. English is the source, every other catalogue has the same keys.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

LANGUAGES = {"en": "en", "zh-CN": "zh_CN"}


class Texts:
    """The catalogue of one language; ``language`` is its BCP 47 tag."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = read_catalogue(LANGUAGES[language])

    def __call__(self, key: str, /, **params: object) -> str:
        """Give the text for a dotted key, with the params filled in."""
        text = self.find(key)
        if text is None:
            raise KeyError(key)
        return text.format(**params) if params else text

    def find(self, key: str) -> str | None:
        """Give the raw text for a dotted key; None where there is none."""
        section, _, name = key.partition(".")
        text = self._texts.get(section, {}).get(name)
        return text if isinstance(text, str) else None

    def find_help(self, english: str) -> str | None:
        """Give the translation of a help text; None where there is none."""
        return self._texts.get("help", {}).get(english)

    def find_click(self, english: str) -> str | None:
        """Give the translation of one of click's own messages; None where there is none."""
        return self._texts.get("click", {}).get(english)

    def error(self, reason: str) -> dict[str, str]:
        """Give title, text and repair of one of the CLI's own errors."""
        entry: dict[str, str] = self._texts["errors"][reason]
        return entry


@cache
def read_catalogue(name: str) -> dict[str, dict[str, Any]]:
    """Read the catalogue file of that name."""
    return tomllib.loads(files("agentpod_cli").joinpath("messages", f"{name}.toml").read_text(encoding="utf-8"))


@cache
def texts_in(language: str) -> Texts:
    """Give the texts of a supported language."""
    return Texts(language)


def language_of(environ: Mapping[str, str]) -> str:
    """Choose the supported language that ``AGENTPOD_LANG`` or the locale variables ask for; English otherwise."""
    if chosen := environ.get("AGENTPOD_LANG"):
        return "zh-CN" if chosen.lower().startswith("zh") else "en"
    wanted = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    if wanted.split(".")[0] not in ("", "C", "POSIX"):
        # As in gettext: LANGUAGE refines a locale that is set, and is ignored under C.
        wanted = (environ.get("LANGUAGE") or wanted).split(":")[0]
    return "zh-CN" if wanted.lower().startswith("zh") else "en"


def texts_of(environ: Mapping[str, str]) -> Texts:
    """Give the texts in the language that the locale variables ask for."""
    return texts_in(language_of(environ))
