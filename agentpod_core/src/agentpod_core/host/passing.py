"""Makes what a plugin raised fit to be passed on: whole, without secrets, and with nothing that breaks its readers."""

from __future__ import annotations

import math
import traceback
from typing import Final

import msgspec

from agentpod_core.errors import AgentPodError, ConfigError, Problem, TemporaryError
from agentpod_core.host import answers
from agentpod_core.host.redaction import Redactor

_FRAMES: Final = 8
_LONGEST_WAIT: Final = 3600.0


def made_fit(error: AgentPodError, redactor: Redactor) -> bool:
    """Clean an error in place if it was made as ours are; says whether it was.

    A plugin may have passed over its constructor, hidden a text in its reason, or made code of its parts.
    """
    try:
        if not (isinstance(error.params, dict) and answers.is_reason(error.reason)):
            return False
        _clean(error, redactor)
        return redactor.clean(error.reason) == error.reason
    except BaseException:  # noqa: BLE001 - whatever it is, the error is none of ours
        return False


def traced(error: BaseException) -> str:
    """Say where an exception came from; not its own words, for they may hold a secret that it was given."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return f"{type(error).__name__} at " + " < ".join(f"{one.filename}:{one.lineno}" for one in reversed(frames))


def _clean(error: AgentPodError, redactor: Redactor) -> None:
    error.params = redactor.cleaned(error.params)
    detail = getattr(error, "detail", None)
    error.detail = None if detail is None else redactor.cleaned(str(detail))
    if isinstance(error, TemporaryError):
        error.retry_after = _wait(getattr(error, "retry_after", None))
    if isinstance(error, ConfigError):
        problems = getattr(error, "problems", None)
        error.problems = [
            msgspec.structs.replace(
                one,
                path=redactor.cleaned(str(one.path)),
                message=redactor.cleaned(str(one.message)),
                params=redactor.cleaned(one.params),
            )
            for one in (problems if isinstance(problems, list) else [])
            if isinstance(one, Problem)
        ]


def _wait(seconds: object) -> float | None:
    if not isinstance(seconds, (int, float)) or math.isnan(seconds) or seconds < 0:
        return None
    return min(float(seconds), _LONGEST_WAIT)
