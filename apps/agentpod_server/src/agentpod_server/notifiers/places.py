"""Reads the URL of a place that messages go to. Pure: whether its host may be asked is decided elsewhere.

What is wrong with a URL is told without a word of it, for any part may be a secret in the wrong place.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

_LONGEST: Final = 2000
_PORTS: Final = {"http": 80, "https": 443}
_NAME: Final = re.compile(
    r"(?=.{1,253}\.?$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?"
)
_ADDRESS: Final = re.compile(r"[0-9a-f:.]+")
_VISIBLE: Final = re.compile(r"[!-~]*")


class Place(Struct, frozen=True, kw_only=True):
    """Where a message goes to; ``target`` is the path with its query."""

    is_secure: bool
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them: without the port that goes without saying."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.is_secure else "http"] else f"{host}:{self.port}"


def read_place(url: str) -> Place:
    """Read an ``http`` or ``https`` URL.

    Raises:
        ValueError: with what is wrong.
    """
    if len(url) > _LONGEST:
        raise ValueError(f"must have at most {_LONGEST} characters")
    if not _VISIBLE.fullmatch(url):
        raise ValueError("must be of visible ASCII characters: a host as xn--…, anything else percent-encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("must have a port from 1 to 65535, and an IPv6 address in brackets") from None
    if parts.scheme not in _PORTS:
        raise ValueError("must begin with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("must have no user and password: messages are signed instead")
    host = parts.hostname or ""
    if not (_ADDRESS if ":" in host else _NAME).fullmatch(host):
        raise ValueError("must name a host")
    if port == 0:
        raise ValueError("must have a port from 1 to 65535")
    if "#" in url:
        raise ValueError("must have no fragment: it is never sent")
    return Place(
        is_secure=parts.scheme == "https",
        host=host,
        port=port or _PORTS[parts.scheme],
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )
