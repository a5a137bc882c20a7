"""Amounts and times as people read them; pure, the present moment is always given."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, tzinfo

ABSENT = "-"
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def memory(amount: int | None) -> str:
    """Write bytes: ``1.5GiB``."""
    if amount is None:
        return ABSENT
    value, unit = float(amount), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":  # noqa: PLR2004 - the base of the binary units
            break
        value /= 1024
    return f"{value:.3g}{unit}" if value < 100 else f"{value:.0f}{unit}"  # noqa: PLR2004 - three digits


def cpus(millicores: int | None) -> str:
    """Write millicores as processors: ``0.25``."""
    return ABSENT if millicores is None else f"{millicores / 1000:.3g}"


def seconds(amount: float) -> str:
    """Write a span of time: ``40 ms``, ``3.2 s``, ``2 min 5 s``."""
    if amount < 0.1:  # noqa: PLR2004 - what rounds to nothing
        return f"{amount * 1000:.0f} ms"
    if amount < 60:  # noqa: PLR2004 - a minute
        return f"{amount:.1f} s"
    return f"{int(amount // 60)} min {int(amount % 60)} s"


def moment(text: str | None) -> datetime | None:
    """Read an RFC 3339 time; None for none or for what is no time."""
    try:
        read = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read is not None and read.tzinfo is None else read


def age(text: str | None, now: datetime) -> str:
    """Write how long ago a time was: ``45s``, ``12m``, ``3h``, ``9d``."""
    then = moment(text)
    if then is None:
        return ABSENT
    passed = max(0, int((now - then).total_seconds()))
    unit, size = next(((unit, size) for unit, size in _UNITS if passed >= size), ("s", 1))
    return f"{passed // size}{unit}"


def local(text: str | None, zone: tzinfo | None = None) -> str:
    """Write a time in the reader's zone."""
    then = moment(text)
    return ABSENT if then is None else then.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def width(text: str) -> int:
    """Count the terminal columns of a text; Chinese characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def clean(text: object) -> str:
    """Make one line of a text that somebody else wrote: no line breaks, no terminal commands."""
    return " ".join("".join(" " if unicodedata.category(char) in ("Cc", "Cf") else char for char in str(text)).split())
