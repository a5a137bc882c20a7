"""How available something was: at a glance, and by day or month."""

from __future__ import annotations

from agentpod_cli.render.amounts import ABSENT, seconds
from agentpod_cli.render.tables import Column, View
from agentpod_cli.texts import Texts
from agentpod_client import shapes


def percent(value: float | None) -> str:
    """Write a percentage, never rounded up; a dash where there is none."""
    return ABSENT if value is None else f"{int(value * 1000 + 1e-6) / 1000:g} %"


def glance(summary: shapes.AvailabilitySummary | None, texts: Texts) -> str:
    """Write the numbers of today, this month and last month in one line; empty where nothing is known."""
    if summary is None:
        return ""
    today, this_month, last_month = (summary[span]["percent"] for span in ("today", "this_month", "last_month"))
    parts = (
        "" if today is None else texts("availability.today", percent=percent(today)),
        "" if this_month is None else texts("availability.this_month", percent=percent(this_month)),
        "" if last_month is None else texts("availability.last_month", percent=percent(last_month)),
    )
    return ", ".join(part for part in parts if part)


def spans() -> View[shapes.Availability]:
    """List days or months."""
    return View(
        columns=(
            Column(heading="begin", cell=lambda one: one["begin"][:10]),
            Column(heading="availability", cell=lambda one: percent(one["percent"])),
            Column(heading="down", cell=lambda one: _span(_down(one))),
            Column(heading="unknown", cell=lambda one: _span(one["unknown_seconds"])),
            Column(heading="wanted_for", cell=lambda one: _span(one["wanted_seconds"])),
            Column(heading="end", cell=lambda one: one["end"], wide=True),
        ),
        name=lambda one: one["begin"][:10],
    )


def _down(one: shapes.Availability) -> float:
    return max(one["wanted_seconds"] - one["unknown_seconds"] - one["ready_seconds"], 0.0)


def _span(value: float) -> str:
    if value < 3600:  # noqa: PLR2004 - an hour
        return seconds(value) if value else ABSENT
    return f"{int(value // 3600)} h {int(value % 3600 // 60)} min"
