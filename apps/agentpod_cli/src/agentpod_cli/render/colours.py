"""Which colour a state has on a terminal; colour only repeats what the words say."""

from __future__ import annotations

PHASES = {
    "pending": "cyan",
    "creating": "cyan",
    "starting": "cyan",
    "running": "green",
    "degraded": "yellow",
    "crash-loop": "red",
    "blocked": "red",
    "stopping": "bright_black",
    "stopped": "bright_black",
    "deleting": "bright_black",
}
OPERATIONS = {"running": "cyan", "succeeded": "green", "failed": "red"}
SEVERITIES = {"warning": "yellow", "error": "red"}


def of_answer(*, answer: bool | None) -> str:
    """Give the colour of true, false and unknown."""
    return {True: "green", False: "red", None: "yellow"}[answer]
