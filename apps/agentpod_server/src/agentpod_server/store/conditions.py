"""Puts a WHERE clause together from the filters that were given, with numbered parameters."""

from __future__ import annotations

from typing import Any


class Conditions:
    """The conditions of one query, joined by AND."""

    def __init__(self) -> None:
        self._claims: list[str] = []
        self.args: list[Any] = []

    def add(self, claim: str, *args: Any) -> None:
        """Add a claim; each ``?`` in it stands for the next argument."""
        for arg in args:
            self.args.append(arg)
            claim = claim.replace("?", f"${len(self.args)}", 1)
        self._claims.append(claim)

    def number(self, arg: Any) -> str:
        """Add a parameter that stands outside the conditions, and give its placeholder."""
        self.args.append(arg)
        return f"${len(self.args)}"

    @property
    def sql(self) -> str:
        """The WHERE clause, empty without conditions."""
        return f"where {' and '.join(self._claims)}" if self._claims else ""
