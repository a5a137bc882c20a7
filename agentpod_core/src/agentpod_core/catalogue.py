"""Turns reasons into words: what a reason means, how the API and the command line answer with it.

Reasons travel through the platform as slugs with params; this module alone makes text of them, in
the reader's language and at the time of reading. It decides nothing about when a reason applies,
and it never raises: an unknown reason (a plugin's own) is shown as words made from its slug.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, Final, Literal

from msgspec import Struct

from agentpod_core.errors import (
    AgentPodError,
    ConfigError,
    ConflictError,
    NotFoundError,
    PermanentError,
    PluginError,
    TemporaryError,
)

Language = Literal["en", "zh-CN"]

LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh-CN")

_PLACEHOLDER: Final = re.compile(r"\{([a-z_][a-z0-9_]*)(?::(bytes|time|clock|reason|repair))?\}")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ABSENT: Final = "?"
_TEXT_LIMIT: Final = 300
_FULL_STOP: Final[dict[Language, str]] = {"en": ".", "zh-CN": "。"}


class Entry(Struct, frozen=True, kw_only=True):
    """What the catalogue says of one reason.

    ``status`` is the HTTP status and ``exit`` the exit code of the command line; None for a reason
    that only conditions and events use. ``text`` and ``repair`` may hold ``{placeholders}``: of amounts
    (``{limit:bytes}``), of moments (``{since:time}``, ``{next_at:clock}`` without the day), and of other reasons,
    whose own text or repair is put there and filled with the same params (``{cause:reason}``, ``{cause:repair}``).
    ``known`` is False for an entry that was made up from the slug.
    """

    reason: str
    title: str
    text: str
    repair: str | None = None
    status: int | None = None
    exit: int | None = None
    known: bool = True


def entry(reason: str, language: Language = "en") -> Entry:
    """Give what the catalogue says of a reason, with its placeholders still in place."""
    found = _catalogue(language).get(reason)
    if found is not None:
        return found
    words = _humanise(reason)
    return Entry(reason=reason, title=words, text=words, known=False)


def for_error(error: AgentPodError, language: Language = "en") -> Entry:
    """Give the entry of an error's reason; ``status`` and ``exit`` are always set, by its class at worst."""
    found = entry(error.reason, language)
    if found.status is not None and found.exit is not None:
        return found
    status, code = next((answer for kind, answer in _BY_CLASS if isinstance(error, kind)), (500, 1))
    return Entry(
        reason=found.reason,
        title=found.title,
        text=found.text,
        repair=found.repair,
        status=found.status or status,
        exit=code if found.exit is None else found.exit,
        known=found.known,
    )


def title(reason: str, language: Language = "en") -> str:
    """Name a reason in a few words."""
    return entry(reason, language).title


def text(reason: str, params: Mapping[str, Any] | None = None, language: Language = "en") -> str:
    """Say in a sentence what a reason with these params means.

    A param that was not given reads ``?``; an unknown reason is followed by its params.
    """
    params = params or {}
    found = entry(reason, language)
    if found.known:
        return _fill(found.text, params, language)
    facts = ", ".join(f"{key}: {_show(value, language)}" for key, value in sorted(params.items()))
    return f"{found.text} ({facts})" if facts else found.text


def repair(reason: str, params: Mapping[str, Any] | None = None, language: Language = "en") -> str | None:
    """Say what to do about a reason; None where there is nothing to be said."""
    found = entry(reason, language).repair
    return None if found is None else _fill(found, params or {}, language) or None


def reasons() -> frozenset[str]:
    """Give every reason of the catalogue."""
    return frozenset(_catalogue("en"))


def placeholders(template: str) -> frozenset[str]:
    """Give the names of the params that a text uses."""
    return frozenset(found[1] for found in _PLACEHOLDER.finditer(template))


def negotiate(accept_language: str | None) -> Language:
    """Choose the language that an ``Accept-Language`` header asks for; English when it asks for none of ours."""
    wishes: list[tuple[float, int, Language]] = []
    for position, part in enumerate((accept_language or "").split(",")[:32]):
        tag, _, attributes = part.strip().partition(";")
        language, quality = _match(tag), _quality(attributes)
        if language is not None and quality > 0:
            wishes.append((-quality, position, language))
    return min(wishes)[2] if wishes else "en"


def from_locale(name: str | None) -> Language:
    """Choose the language for a POSIX locale such as ``zh_CN.UTF-8``; English for ``C`` and all others."""
    return _match((name or "").split(".")[0].split("@")[0]) or "en"


_BY_CLASS: Final[tuple[tuple[type[AgentPodError], tuple[int, int]], ...]] = (
    (ConfigError, (422, 2)),
    (NotFoundError, (404, 3)),
    (ConflictError, (409, 4)),
    (TemporaryError, (503, 1)),
    (PermanentError, (422, 1)),
    (PluginError, (500, 1)),
)


@cache
def _catalogue(language: Language) -> dict[str, Entry]:
    english = _load("en.toml")
    if language == "en":
        sections: Mapping[str, Mapping[str, Any]] = english
    else:
        # A reason without a translation is shown in English rather than as a bare slug.
        translated = _load("zh_CN.toml")
        sections = {reason: section | translated.get(reason, {}) for reason, section in english.items()}
    return {
        reason: Entry(
            reason=reason,
            title=section["title"],
            text=section["text"],
            repair=section.get("repair"),
            status=section.get("status"),
            exit=section.get("exit"),
        )
        for reason, section in sections.items()
    }


def _load(name: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads((resources.files("agentpod_core") / "messages" / name).read_text(encoding="utf-8"))


def _fill(template: str, params: Mapping[str, Any], language: Language, depth: int = 0) -> str:
    def filled(found: re.Match[str]) -> str:
        name, form = found[1], found[2]
        value = params.get(name)
        match form:
            case "bytes" if isinstance(value, int):
                return _amount(value)
            case "time" | "clock" if isinstance(value, str):
                return _moment(value, with_day=form == "time")
            case "reason" | "repair" as part:
                # One within another is enough; a reason that names itself has an end.
                inner = entry(value, language) if isinstance(value, str) and value and not depth else None
                nested = None if inner is None else inner.text if part == "reason" else inner.repair
                if nested and inner and not inner.known:
                    nested += _FULL_STOP[language]
                return _fill(nested, params, language, depth + 1) if nested else ""
        return _show(value, language) if name in params else _ABSENT

    return _PLACEHOLDER.sub(filled, template).strip()


def _amount(value: int) -> str:
    for unit, size in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if abs(value) >= size:
            amount = value / size
            return f"{amount:.0f} {unit}" if abs(amount) >= 100 else f"{amount:.3g} {unit}"  # noqa: PLR2004
    return f"{value} B"


def _moment(value: str, *, with_day: bool) -> str:
    try:
        moment = datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return value
    return f"{moment:%Y-%m-%d %H:%M} UTC" if with_day else f"{moment:%H:%M:%S} UTC"


def _show(value: object, language: Language) -> str:
    if value is None or value == "":
        return _ABSENT
    if isinstance(value, str):
        shown = value
    elif isinstance(value, bool):
        shown = "true" if value else "false"
    elif isinstance(value, Mapping):
        shown = _join((f"{key}: {_show(item, language)}" for key, item in value.items()), language)
    elif isinstance(value, Iterable) and not isinstance(value, bytes):
        shown = _join((_show(item, language) for item in value), language) or "-"
    elif isinstance(value, float):
        shown = f"{value:g}"
    else:
        shown = str(value)
    return shown if len(shown) <= _TEXT_LIMIT else f"{shown[:_TEXT_LIMIT]}…"


def _join(parts: Iterable[str], language: Language) -> str:
    return ("、" if language == "zh-CN" else ", ").join(parts)


def _humanise(reason: str) -> str:
    words = _WORD.findall(reason)
    if not words:
        return reason or _ABSENT
    lowered = [word if len(word) > 1 and word.isupper() else word.lower() for word in words]
    return " ".join([lowered[0][:1].upper() + lowered[0][1:], *lowered[1:]])


def _match(tag: str) -> Language | None:
    primary = re.split(r"[-_]", tag.strip().lower())[0]
    # Traditional Chinese has no catalogue of its own; its readers read the simplified one before English.
    return {"zh": "zh-CN", "en": "en", "*": "en"}.get(primary)  # type: ignore[return-value]


def _quality(attributes: str) -> float:
    match = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", attributes)
    if match:
        return float(match[1])
    return 1.0 if not attributes.strip() else 0.0
