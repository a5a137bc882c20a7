"""Amounts of memory and processor time: integers inside, human forms at the edges."""

from __future__ import annotations

import re

from msgspec import Struct

_BYTES = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class Resources(Struct, frozen=True, kw_only=True):
    """What a container may use at most; ``None`` means no limit of that kind.

    ``memory`` is in bytes, ``cpus`` in millicores (1000 is one core), ``pids`` in processes.
    """

    memory: int | None = None
    cpus: int | None = None
    pids: int | None = 512


def parse_bytes(text: str) -> int:
    """Read ``2GiB``, ``512m``, ``1.5g`` or ``1073741824`` as bytes (powers of 1024, as Docker reads them).

    Raises:
        ValueError: the text is no such amount, or zero.
    """
    match = _BYTES.fullmatch(text)
    amount = int(float(match[1]) * 1024 ** _POWER[match[2].lower()]) if match else 0
    if amount <= 0:
        msg = f"{text!r} is no amount of memory; write for example 512m, 1.5g or 2GiB"
        raise ValueError(msg)
    return amount


def format_bytes(amount: int) -> str:
    """Write an amount of bytes for people: ``1.5 GiB``."""
    value, unit = float(amount), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":  # noqa: PLR2004 - the base of the binary units
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.4g} {unit}"


def parse_cpus(text: str) -> int:
    """Read ``0.5``, ``2`` or ``500m`` as millicores.

    Raises:
        ValueError: the text is no such amount, or zero.
    """
    try:
        amount = int(text[:-1]) if text.endswith("m") else round(float(text) * 1000)
    except (ValueError, OverflowError):
        amount = 0
    if amount <= 0:
        msg = f"{text!r} is no number of processors; write for example 0.5, 2 or 500m"
        raise ValueError(msg)
    return amount
