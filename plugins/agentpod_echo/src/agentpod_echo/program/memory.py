"""Keeps what must outlive the container, as JSON files in the data volume."""

from __future__ import annotations

import json
import os
from typing import Any

MAX_NOTES = 100
MAX_DAYS = 400


class Memory:
    """Counters, notes and usage. Every change is on its way to disk when its call returns."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._counters: dict[str, int] = self._load("counters.json", {})
        self._notes: list[str] = self._load("notes.json", [])
        self._usage: dict[str, dict[str, int]] = self._load("usage.json", {})

    def count(self, name: str) -> int:
        """Count one more of those; gives how many there were."""
        self._counters[name] = self._counters.get(name, 0) + 1
        self._save("counters.json", self._counters)
        return self._counters[name]

    def counters(self) -> dict[str, int]:
        """Give all counters."""
        return dict(self._counters)

    def note(self, text: str) -> int:
        """Keep a text; the oldest goes when there are too many. Gives how many are kept."""
        self._notes = [*self._notes, text][-MAX_NOTES:]
        self._save("notes.json", self._notes)
        return len(self._notes)

    def notes(self) -> list[str]:
        """Give the texts, oldest first."""
        return list(self._notes)

    def use(self, day: str, input_tokens: int, output_tokens: int) -> None:
        """Add one answer of the model to the day's account."""
        before = self._usage.get(day, {})
        self._usage[day] = {
            "requests": before.get("requests", 0) + 1,
            "input_tokens": before.get("input_tokens", 0) + input_tokens,
            "output_tokens": before.get("output_tokens", 0) + output_tokens,
        }
        self._usage = dict(sorted(self._usage.items())[-MAX_DAYS:])
        self._save("usage.json", self._usage)

    def usage(self) -> list[dict[str, Any]]:
        """Give the account, a row for each day, oldest first."""
        return [{"day": day, **row} for day, row in sorted(self._usage.items())]

    def _load(self, name: str, empty: Any) -> Any:
        try:
            with open(os.path.join(self._folder, name), encoding="utf-8") as file:  # noqa: PTH118, PTH123 - see _save
                return json.load(file)
        except FileNotFoundError:
            return empty

    def _save(self, name: str, value: Any) -> None:
        # A rename is all or nothing, so a kill at any moment leaves the old or the new text.
        # (No pathlib: it would cost a tenth of the start time.)
        path = os.path.join(self._folder, name)  # noqa: PTH118
        with open(f"{path}.new", "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(value, file)
        os.replace(f"{path}.new", path)  # noqa: PTH105
